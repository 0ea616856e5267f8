"""Problems without a story: one and two operations, brackets, comparisons, equations."""

from __future__ import annotations

import random
from typing import Callable, Optional, Tuple

from . import arithmetic_spoken
from .columns import compare, feasible, solve
from .expression import Expression, text, value
from .problem import TABLE, Problem, from_expression, keys_of
from .wording import expand

_ASK = (
    "What is {e}?",
    "What is {e}?",
    "Compute {e}.",
    "Compute {e}.",
    "Calculate {e}.",
    "What's {e}?",
    "{e}",
    "{e} = ?",
    "{e}=",
    "How much is {e}?",
    "Evaluate {e}.",
    "[Work|Figure] out {e}.",
    "Find {e}.",
    "Solve {e}.",
    "[Can|Could] you [compute|calculate|work out|tell me] {e}?",
    "[Please|Now] [compute|calculate|evaluate|find] {e}.",
    "Tell me what {e} is.",
    "Give me [the value of|the result of|] {e}.",
    "what is {e}",
    "What [do you get for|does this give:|is the result of|is the value of] {e}?",
    "[I need|Quick:|Question:|Next:|So,] what is {e}?",
    "Do you know what {e} is?",
    "[hey|hi], [what is|what's] {e}?",
    "{e} [equals|is] what?",
    "[Simplify|Answer]: {e}",
)
_ASK_HELD = (
    "What does {e} equal?",
    "Kindly work {e} out for me.",
    "What would {e} be?",
    "Let me know how much {e} makes.",
)

_SPOKEN = {
    "+": ("{a} plus {b}", "the sum of {a} and {b}", "{a} added to {b}"),
    "-": ("{a} minus {b}", "the difference between {a} and {b}", "{a} take away {b}", "{a} less {b}"),
    "*": ("{a} times {b}", "the product of {a} and {b}", "{a} multiplied by {b}"),
    "/": ("{a} divided by {b}", "the quotient of {a} and {b}", "{a} over {b}"),
}
_SPOKEN_ASK = (
    "What is {e}?",
    "What is {e}?",
    "Compute {e}.",
    "Calculate {e}.",
    "How much is {e}?",
    "Find {e}.",
    "what's {e}",
    "Tell me {e}.",
)


def sized(rng: random.Random, digits: int) -> int:
    """A number of exactly so many digits; one-digit numbers from 1."""
    return rng.randint(10 ** (digits - 1), 10**digits - 1)


def any_size(rng: random.Random, most: int, least: int = 1) -> int:
    """A number of least to most digits, larger ones more often."""
    return sized(rng, rng.choices(range(least, most + 1), weights=range(least + 1, most + 2))[0])


def one_operation(rng: random.Random, operator: str) -> Expression:
    """Sums and differences to three digits, products with a factor of one digit, exact quotients, of them small ones by 10 to 25."""
    if operator == "+":
        return ("+", any_size(rng, 3), any_size(rng, 3))
    if operator == "-":
        a, b = any_size(rng, 3), any_size(rng, 3)
        if a < b and rng.random() < 0.9:
            a, b = b, a
        return ("-", a, b)
    if operator == "*":
        a, b = sized(rng, rng.choices((1, 2, 3), weights=(2, 5, 2))[0]), rng.randint(2, 9)
        return ("*", b, a) if rng.random() < 0.35 else ("*", a, b)
    if rng.random() < 0.12:
        b = rng.randint(10, 25)
        return ("/", b * rng.randint(2, 12), b)
    b = rng.randint(2, 9)
    return ("/", b * any_size(rng, 2 if rng.random() < 0.7 else 3), b)


def two_operations(rng: random.Random) -> Expression:
    """Two operations, with brackets or without; every step is a size that one_operation has too."""
    while True:
        first = one_operation(rng, rng.choice("++--**/"))
        operator = rng.choice("++--**/")
        other = rng.randint(2, 9) if operator in "*/" or rng.random() < 0.25 else any_size(rng, 3)
        tree: Expression = (operator, first, other) if rng.random() < 0.65 else (operator, other, first)
        if feasible(tree) and value(tree) <= 2000 and (operator != "-" or value(tree) >= 0):
            return tree


def three_operations(rng: random.Random) -> Expression:
    """Sums, differences and products of three steps, numbers small."""
    while True:
        pick = lambda: one_operation(rng, rng.choice("+-*")) if rng.random() < 0.5 else rng.randint(1, 60)
        tree: Expression = (rng.choice("++--*"), (rng.choice("+-*"), pick(), rng.randint(2, 60)), pick())
        if feasible(tree) and value(tree) <= 2000 and len(solve(tree)[1]) == 3:
            return tree


def _write(expression: Expression, rng: random.Random) -> str:
    """An expression as people type it."""
    signs = rng.choices(("+-*/", "+-×÷", "+-x/", "+−×/"), weights=(78, 9, 6, 3))[0]
    space = " " if rng.random() < 0.85 else ""
    return text(expression, signs, space, all_brackets=rng.random() < 0.1)


def expression_problem(rng: random.Random, kind: str, expression: Expression, held_wording: bool = False) -> Problem:
    if kind == "one" and rng.random() < 0.15 and not held_wording:
        operator, a, b = expression  # type: ignore[misc]
        spoken = rng.choice(_SPOKEN[operator]).format(a=a, b=b)
        return from_expression(kind, rng.choice(_SPOKEN_ASK).format(e=spoken), expression, False)
    ask = expand(rng.choice(_ASK_HELD if held_wording else _ASK), rng)
    return from_expression(kind, ask.format(e=_write(expression, rng)), expression, False)


_LARGER = (
    "Which is [larger|bigger|greater|more], {a} or {b}?",
    "Which [number|one|of these|] is [the larger|the bigger|the greater|larger|bigger|higher]: {a} or {b}?",
    "What is the [larger|bigger|greater] of {a} and {b}?",
    "[Compare|Take] {a} and {b}[.|:] [which|Which] is [larger|bigger|greater]?",
    "Is {a} or {b} [larger|bigger|greater]?",
    "[Find|Name|Give|Pick] the [larger|bigger|greater] [number|one|]: {a}[,| or| and] {b}.",
    "{a} or {b}, which is [larger|bigger|greater|more]?",
)
_SMALLER = (
    "Which is [smaller|less|lower], {a} or {b}?",
    "Which [number|one|of these|] is [the smaller|smaller|lower|less]: {a} or {b}?",
    "What is the [smaller|lesser] of {a} and {b}?",
    "[Compare|Take] {a} and {b}[.|:] [which|Which] is [smaller|less]?",
    "Is {a} or {b} [smaller|less]?",
    "[Find|Name|Give|Pick] the smaller [number|one|]: {a}[,| or| and] {b}.",
    "{a} or {b}, which is [smaller|less]?",
)


def comparison(rng: random.Random, held_wording: bool = False) -> Problem:
    """The larger or the smaller of two different numbers, often close to one another."""
    a = any_size(rng, 4)
    shape = rng.random()
    b = a + rng.choice((-1, 1)) * rng.randint(1, max(1, a // 5)) if shape < 0.5 else any_size(rng, 4)
    if shape > 0.9:
        b = int("".join(rng.sample(str(a), len(str(a)))))
    b = b if b != a else a + 1
    larger = rng.random() < 0.7
    ask = expand(rng.choice(_LARGER if larger else _SMALLER), rng).format(a=a, b=b)
    result = max(a, b) if larger else min(a, b)
    key = f"compare {min(a, b)} {max(a, b)}" if max(a, b) > 9 else TABLE
    return Problem("compare", ask, compare(a, b), f"The answer is {result}.", str(result), (key,))


_SOLVE = (
    "Solve for {v}: {e}.",
    "Solve for {v}: {e}.",
    "Solve {e}.",
    "Solve {e} for {v}.",
    "Find {v} if {e}.",
    "[If|When] {e}, what is {v}?",
    "What is {v} if {e}?",
    "{e}. [What is|Find|Solve for] {v}[.|?|]",
    "Solve the equation {e}.",
    "Given {e}, find {v}.",
    "[Determine|Work out] {v}: {e}",
    "{e}",
)
_SOLVE_HELD = ("Which {v} makes {e} true?", "For what value of {v} is {e}?")


def equation(rng: random.Random, held_wording: bool = False) -> Problem:
    """a x + b = c and its simpler forms."""
    v = rng.choices(("x", "y", "n", "a", "z", "t", "k"), weights=(60, 10, 8, 5, 5, 5, 5))[0]
    x = rng.randint(1, 60) if rng.random() < 0.7 else rng.randint(1, 300)
    a = rng.choices((1, rng.randint(2, 9)), weights=(15, 85))[0]
    b = rng.choice((0, rng.randint(1, 99), rng.randint(1, 99), rng.randint(1, 20), rng.randint(1, 300)))
    b = -b if rng.random() < 0.35 else b
    c = a * x + b
    if c < 0 or (a == 1 and b == 0):
        return equation(rng, held_wording)
    times = rng.choices(("", "*", " * "), weights=(80, 10, 10))[0]
    term = v if a == 1 else f"{a}{times}{v}"
    left = term
    if b:
        left = f"{b} + {term}" if b > 0 and rng.random() < 0.3 else f"{term} {'+' if b > 0 else '-'} {abs(b)}"
    whole = f"{c} = {left}" if rng.random() < 0.12 else f"{left} = {c}"
    if rng.random() < 0.1:
        whole = whole.replace(" ", "")
    tree: Expression = ("-", c, b) if b > 0 else ("+", c, -b) if b else c
    tree = ("/", tree, a) if a > 1 else tree
    lines, _, result = solve(tree)
    lines.insert(0, f"{v}={text(tree)}")
    ask = expand(rng.choice(_SOLVE_HELD if held_wording else _SOLVE), rng).format(v=v, e=whole)
    keys = keys_of(tree, own=f"equation {a} {b} {c}")
    return Problem("equation", ask, "\n".join(lines), f"{v} = {result}", str(result), keys)


KINDS: Tuple[Tuple[str, int, Callable[[random.Random, bool], Problem]], ...] = (
    ("add", 5, lambda rng, held: expression_problem(rng, "one", one_operation(rng, "+"), held)),
    ("subtract", 5, lambda rng, held: expression_problem(rng, "one", one_operation(rng, "-"), held)),
    ("multiply", 4, lambda rng, held: expression_problem(rng, "one", one_operation(rng, "*"), held)),
    ("divide", 4, lambda rng, held: expression_problem(rng, "one", one_operation(rng, "/"), held)),
    ("two", 9, lambda rng, held: expression_problem(rng, "two", two_operations(rng), held)),
    ("three", 2, lambda rng, held: expression_problem(rng, "three", three_operations(rng), held)),
    ("compare", 3, comparison),
    ("equation", 5, equation),
)
"""Name, share, generator(rng, held_wording)."""


SPOKEN_SHARE = 0.25
"""The share of arithmetic asked for in words (arithmetic_spoken.py)."""


def sample(rng: random.Random, kind: Optional[str] = None, held_wording: bool = False) -> Problem:
    """A random problem without a story."""
    if kind is None and not held_wording and rng.random() < SPOKEN_SHARE:
        return arithmetic_spoken.sample(rng)
    name, _, make = rng.choices(KINDS, weights=[share for _, share, _ in KINDS])[0]
    if kind is not None:
        name, _, make = next(entry for entry in KINDS if entry[0] == kind)
    problem = make(rng, held_wording)
    return Problem(name, problem.question, problem.reasoning, problem.answer, problem.result, problem.keys)
