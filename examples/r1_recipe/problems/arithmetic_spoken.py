"""Arithmetic asked for in words, and products on both sides of a sign."""

from __future__ import annotations

import random

from .columns import feasible
from .expression import Expression, text, value
from .problem import Problem, from_expression
from .wording import expand

_ORDERS = {
    "+": (
        "[Add|add] {a} and {b}[.|]",
        "[Add|add] {b} to {a}[.|]",
        "Find the sum of {a} and {b}.",
        "What is {a} and {b} together?",
        "What do {a} and {b} [make|add up to|come to]?",
        "[Sum|Sum up|Total]: {a}, {b}",
        "Increase {a} by {b}.",
        "What is {b} more than {a}?",
        "what is the total of {a} and {b}",
        "If you add {b} to {a}, what do you get?",
    ),
    "-": (
        "[Subtract|subtract] {b} from {a}[.|]",
        "[Take|take] {b} [away |]from {a}[.|]",
        "What is {a} take away {b}?",
        "What is left of {a} after taking away {b}?",
        "[Decrease|Reduce] {a} by {b}.",
        "What is {b} less than {a}?",
        "Find the difference of {a} and {b}.",
        "If you take {b} from {a}, what is left?",
        "How far is it from {b} to {a}?",
    ),
    "*": (
        "[Multiply|multiply] {a} [by|and|with] {b}[.|]",
        "Find the product of {a} and {b}.",
        "What do you get if you multiply {a} by {b}?",
        "{a} times {b} is what?",
        "How much is {a} times {b}?",
        "what is {a} times {b}",
    ),
    "/": (
        "[Divide|divide] {a} by {b}[.|]",
        "Split {a} [in|into] {b} equal parts.",
        "How many times does {b} go into {a}?",
        "Find the quotient of {a} and {b}.",
        "What do you get if you divide {a} by {b}?",
        "How much is {a} divided by {b}?",
        "what is {a} divided by {b}",
    ),
}
_SIGNS = {"+": " plus ", "-": " minus ", "*": " times ", "/": " divided by "}
_CHAIN = ("What is {e}?", "what is {e}", "How much is {e}?", "{e}", "Compute {e}.", "Tell me what {e} is.")
_FLAT = ("Compute {e}.", "What is {e}?", "{e}", "{e} = ?", "Calculate {e}", "How much is {e}?", "Evaluate {e}")


def _one(rng: random.Random) -> Expression:
    operator = rng.choice("+-*/")
    size = rng.randint(1, 3)
    number = lambda digits: rng.randint(10 ** (digits - 1) if digits > 1 else 2, 10**digits - 1)
    if operator in "+-":
        a, b = number(size), number(rng.randint(1, size))
        return (operator, max(a, b), min(a, b)) if operator == "-" else (operator, a, b)
    a, b = number(min(size, 2)), rng.randint(2, 9)
    if operator == "/":
        return ("/", a * b, b)
    return ("*", a, b) if rng.random() < 0.7 else ("*", b, a)


def _chain(rng: random.Random) -> Expression:
    """Two operations from left to right."""
    while True:
        first = _one(rng)
        operator = rng.choice("++--*/" if first[0] in "*/" else "++--")  # type: ignore[index]
        tree: Expression = (operator, first, rng.randint(2, 9) if operator in "*/" else rng.randint(2, 150))
        if feasible(tree) and 0 <= value(tree) <= 2000:
            return tree


def _two_sides(rng: random.Random) -> Expression:
    """a * b + c * d, a / b - c and their like."""
    while True:
        side = lambda: ("*", rng.randint(2, 40), rng.randint(2, 9)) if rng.random() < 0.7 else _one(rng)
        tree: Expression = (rng.choice("+-"), side(), side())
        if feasible(tree) and 0 <= value(tree) <= 2000:
            return tree


def sample(rng: random.Random) -> Problem:
    """A random problem of this kind."""
    shape = rng.random()
    if shape < 0.5:
        operator, a, b = tree = _one(rng)  # type: ignore[misc]
        return from_expression("spoken", expand(rng.choice(_ORDERS[operator]), rng).format(a=a, b=b), tree, False)
    if shape < 0.75:
        tree = _chain(rng)
        spoken = text(tree)
        for sign, word in _SIGNS.items():
            spoken = spoken.replace(sign, word)
        return from_expression("spoken", rng.choice(_CHAIN).format(e=spoken), tree, False)
    tree = _two_sides(rng)
    space = " " if rng.random() < 0.85 else ""
    return from_expression("two_sides", rng.choice(_FLAT).format(e=text(tree, "+-*/", space)), tree, False)
