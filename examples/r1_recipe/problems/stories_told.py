"""What the told stories ask for: an expression of their numbers, by name. Their words are in files of their own.

Such a file is a table, TEMPLATES: the name of a kind here and sentences that ask for it. {a} {b} {c} {d} are the numbers
of the kind's expression; the other slots are those of wording.py.
"""

from __future__ import annotations

import random
from typing import Callable, Dict, List, Mapping, Tuple

from .expression import Expression
from .story import Numbers, Story, amount, pair, product, quotient, scaled, smaller_second

Templates = Mapping[str, Tuple[str, ...]]
Draw = Callable[[random.Random], Numbers]
Tree = Callable[[Numbers], Expression]


def stories(templates: Templates, prefix: str = "") -> "Tuple[Tuple[Story, float], ...]":
    """The stories of a file, each with its share: that of its kind. prefix: goes before the kinds' names."""
    out: List[Tuple[Story, float]] = []
    for name, texts in templates.items():
        draw, tree, share = KINDS[name]
        out.append((Story(prefix + name, draw, tree, texts), share))
    return tuple(out)


def _taken_twice(rng: random.Random) -> Numbers:
    a = amount(rng, 3, 12)
    b = rng.randint(1, a - 2)
    return {"a": a, "b": b, "c": rng.randint(1, a - b - 1)}


def _off_and_on(rng: random.Random) -> Numbers:
    return {**smaller_second(rng), "c": amount(rng, 2)}


def _on_and_off(rng: random.Random) -> Numbers:
    numbers = pair(rng)
    return {**numbers, "c": rng.randint(1, numbers["a"] + numbers["b"] - 1)}


def _triple(rng: random.Random) -> Numbers:
    size = rng.randint(1, 3)
    return {key: amount(rng, size, 2) for key in "abc"}


def _wide_quotient(rng: random.Random) -> Numbers:
    b = rng.randint(10, 25)
    return {"a": b * rng.randint(2, 12), "b": b}


def _sum_shared(rng: random.Random) -> Numbers:
    divided = quotient(rng)
    a = rng.randint(1, divided["a"] - 1)
    return {"a": a, "b": divided["a"] - a, "c": divided["b"]}


def _rest_shared(rng: random.Random) -> Numbers:
    divided = quotient(rng)
    b = amount(rng, 2)
    return {"a": divided["a"] + b, "b": b, "c": divided["b"]}


def _product_shared(rng: random.Random) -> Numbers:
    """a * b / c with every step of a taught size."""
    while True:
        numbers, c = product(rng), rng.randint(2, 9)
        if numbers["a"] * numbers["b"] % c == 0 and c not in (numbers["a"], numbers["b"]):
            return {**numbers, "c": c}


def _unit_scaled(rng: random.Random) -> Numbers:
    """a / b * c: the price of b things is a; c of them are asked for."""
    b = rng.randint(2, 9)
    c = rng.choice([n for n in range(2, 10) if n != b])
    return {"a": b * amount(rng, 2, 2), "b": b, "c": c}


def _sum_times(rng: random.Random) -> Numbers:
    return {"a": amount(rng, 2, 1), "b": amount(rng, 2, 1), "c": rng.randint(2, 9)}


def _rest_times(rng: random.Random) -> Numbers:
    a = amount(rng, 2, 3)
    return {"a": a, "b": rng.randint(1, a - 1), "c": rng.randint(2, 9)}


def _product_minus(rng: random.Random) -> Numbers:
    numbers = product(rng)
    return {**numbers, "c": rng.randint(1, numbers["a"] * numbers["b"] - 1)}


def _product_plus(rng: random.Random) -> Numbers:
    return {**product(rng), "c": amount(rng, 2, 2)}


def _two_costs(rng: random.Random) -> Numbers:
    return {"a": rng.randint(2, 9), "b": amount(rng, 2, 2), "c": rng.randint(2, 9), "d": amount(rng, 2, 2)}


def _money_left(rng: random.Random) -> Numbers:
    numbers = scaled(rng)
    return {**numbers, "c": numbers["a"] * numbers["b"] + amount(rng, 2)}


def _two_small(rng: random.Random) -> Numbers:
    return {"a": amount(rng, 2, 2), "b": amount(rng, 2, 2)}


def _half_more(rng: random.Random) -> Numbers:
    return {"a": 2 * amount(rng, 2, 2), "b": amount(rng, 2)}


def _half_less(rng: random.Random) -> Numbers:
    half = amount(rng, 2, 3)
    return {"a": 2 * half, "b": rng.randint(1, half - 1)}


def _off_on_off(rng: random.Random) -> Numbers:
    numbers = _off_and_on(rng)
    return {**numbers, "d": rng.randint(1, max(1, numbers["a"] - numbers["b"] + numbers["c"] - 1))}


def _rest_twice(rng: random.Random) -> Numbers:
    numbers = {"a": rng.randint(2, 9), "b": amount(rng, 2, 2), "c": amount(rng, 2)}
    return {**numbers, "d": numbers["a"] * numbers["b"] + numbers["c"] + amount(rng, 2)}


def _groups_rest_shared(rng: random.Random) -> Numbers:
    while True:
        numbers, d = product(rng), rng.randint(2, 9)
        whole = numbers["a"] * numbers["b"]
        c = whole % d + d * rng.randint(0, 5)
        if 0 < c < whole:
            return {**numbers, "c": c, "d": d}


def _three_sums_shared(rng: random.Random) -> Numbers:
    while True:
        divided, a, b = quotient(rng), amount(rng, 2), amount(rng, 2)
        if a + b < divided["a"]:
            return {"a": a, "b": b, "c": divided["a"] - a - b, "d": divided["b"]}


def _alone(digits: int) -> Draw:
    return lambda rng: {"a": amount(rng, digits, 2)}


def _part(of: int) -> Draw:
    return lambda rng: {"a": of * amount(rng, 2, 2)}


KINDS: Dict[str, Tuple[Draw, Tree, float]] = {
    "sum": (pair, lambda n: ("+", n["a"], n["b"]), 12),
    "difference": (smaller_second, lambda n: ("-", n["a"], n["b"]), 16),
    "product": (product, lambda n: ("*", n["a"], n["b"]), 12),
    "pay": (scaled, lambda n: ("*", n["b"], n["a"]), 8),
    "multiple": (scaled, lambda n: ("*", n["a"], n["b"]), 4),
    "double": (_alone(3), lambda n: ("*", n["a"], 2), 3),
    "quotient": (quotient, lambda n: ("/", n["a"], n["b"]), 14),
    "quotient_wide": (_wide_quotient, lambda n: ("/", n["a"], n["b"]), 3),
    "halves": (_part(2), lambda n: ("/", n["a"], 2), 3),
    "thirds": (_part(3), lambda n: ("/", n["a"], 3), 2),
    "quarters": (_part(4), lambda n: ("/", n["a"], 4), 2),
    "off_on": (_off_and_on, lambda n: ("+", ("-", n["a"], n["b"]), n["c"]), 5),
    "on_off": (_on_and_off, lambda n: ("-", ("+", n["a"], n["b"]), n["c"]), 4),
    "two_losses": (_taken_twice, lambda n: ("-", ("-", n["a"], n["b"]), n["c"]), 5),
    "three_sums": (_triple, lambda n: ("+", ("+", n["a"], n["b"]), n["c"]), 4),
    "groups_rest": (_product_minus, lambda n: ("-", ("*", n["a"], n["b"]), n["c"]), 5),
    "groups_more": (_product_plus, lambda n: ("+", ("*", n["a"], n["b"]), n["c"]), 5),
    "money_rest": (_money_left, lambda n: ("-", n["c"], ("*", n["b"], n["a"])), 5),
    "two_bills": (_two_costs, lambda n: ("+", ("*", n["a"], n["b"]), ("*", n["c"], n["d"])), 4),
    "sum_shared": (_sum_shared, lambda n: ("/", ("+", n["a"], n["b"]), n["c"]), 3),
    "rest_shared": (_rest_shared, lambda n: ("/", ("-", n["a"], n["b"]), n["c"]), 3),
    "product_shared": (_product_shared, lambda n: ("/", ("*", n["a"], n["b"]), n["c"]), 3),
    "unit_scaled": (_unit_scaled, lambda n: ("*", ("/", n["a"], n["b"]), n["c"]), 3),
    "sum_times": (_sum_times, lambda n: ("*", ("+", n["a"], n["b"]), n["c"]), 4),
    "rest_times": (_rest_times, lambda n: ("*", ("-", n["a"], n["b"]), n["c"]), 2),
    "week": (_alone(2), lambda n: ("*", n["a"], 7), 2),
    "dozen": (_alone(1), lambda n: ("*", n["a"], 12), 1),
    "half_more": (_half_more, lambda n: ("+", ("/", n["a"], 2), n["b"]), 2),
    "half_less": (_half_less, lambda n: ("-", ("/", n["a"], 2), n["b"]), 1),
    "double_more": (_two_small, lambda n: ("+", ("*", n["a"], 2), n["b"]), 1),
    "total_more": (_two_small, lambda n: ("+", n["a"], ("+", n["a"], n["b"])), 3),
    "total_less": (smaller_second, lambda n: ("+", n["a"], ("-", n["a"], n["b"])), 2),
    "total_times": (scaled, lambda n: ("+", n["a"], ("*", n["a"], n["b"])), 2),
    "off_on_off": (_off_on_off, lambda n: ("-", ("+", ("-", n["a"], n["b"]), n["c"]), n["d"]), 2),
    "rest_twice": (_rest_twice, lambda n: ("-", ("-", n["d"], ("*", n["a"], n["b"])), n["c"]), 2),
    "groups_rest_shared": (_groups_rest_shared, lambda n: ("/", ("-", ("*", n["a"], n["b"]), n["c"]), n["d"]), 2),
    "three_sums_shared": (_three_sums_shared, lambda n: ("/", ("+", ("+", n["a"], n["b"]), n["c"]), n["d"]), 2),
}
"""How a kind's numbers are drawn, what it asks for, and its share.

sum, three_sums: numbers to three digits. difference: b smaller than a. product: a groups of b, one of them a single digit.
pay: b (2 to 9) things at a each. multiple: b (2 to 9) times a. quotient: a is a multiple of b, a single digit.
quotient_wide: b from 10 to 25, the result from 2 to 12. two_losses: a - b - c > 0. money_rest: c - b * a. two_bills:
a * b + c * d, a and c single digits. product_shared: a * b / c. unit_scaled: a / b * c. rest_times: (a - b) * c.
"""
