"""Stories put together from clauses: who has what, what each costs, what happens, and the question before or after.

The other files write whole stories; here the clauses of a story are chosen one by one, so that a reader cannot lean on
any fixed sentence. Every kind offers facts (in any order where that leaves the sense) and questions.
"""

from __future__ import annotations

import random
from typing import Callable, Dict, Sequence, Tuple

from .expression import Expression
from .story import Numbers, Story, amount, pair, product, quotient, scaled, smaller_second


def _stories(
    name: str,
    draw: Callable[[random.Random], Numbers],
    tree: Callable[[Numbers], Expression],
    facts: Sequence[str],
    questions: str,
    held: Tuple[str, ...] = (),
    swap: bool = True,
) -> Story:
    """Facts and a question in every order that leaves the sense; each is alternatives separated by bars."""
    one = [f"[{options}]" for options in facts]
    ask = f"[{questions}]"
    orders = [one, one[::-1]] if swap and len(one) > 1 else [one]
    shapes = []
    for order in orders:
        shapes.append(". ".join(order) + ". " + ask + "?")
        shapes.append(" and ".join(order) + ". " + ask + "?")
        shapes.append(ask + " if " + " and ".join(order) + "?")
        shapes.append("If " + " and ".join(order) + ", " + ask + "?")
        shapes.append(", ".join(order) + ": " + ask + "?")
    return Story(name, draw, tree, tuple(shapes), held)


EACH = _stories(
    "groups",
    product,
    lambda n: ("*", n["a"], n["b"]),
    (
        "there are {a} {K}|{N} has {a} {K}|we have {a} {K}|{N} fills {a} {K}|{a} {K} stand in the {W}|"
        "I see {a} {K}|the {W} has {a} {K}|{N} brought {a} {K}",
        "each {k} has {b} {X}|every {k} holds {b} {X}|in each {k} there are {b} {X}|"
        "each of them contains {b} {X}|{b} {X} fit in a {k}|a {k} takes {b} {X}|each comes with {b} {X}|"
        "one {k} is {b} {X}",
    ),
    "how many {X} are there|how many {X} is that|how many {X} does that make|what is the number of {X}|"
    "how many {X} are there in total|how many {X} do we have|what is the total",
)
PRICE = _stories(
    "cost",
    scaled,
    lambda n: ("*", n["b"], n["a"]),
    (
        "{N} buys {b} {X}|{N} needs {b} {X}|I take {b} {X}|we order {b} {X}|{N} got {b} {X}|{N} wants {b} {X}|"
        "{N} sells {b} {X}|a {g} picks {b} {X}",
        "each {x} costs {a} {V}|one {x} is {a} {V}|the price of a {x} is {a} {V}|each is {a} {V}|"
        "{X} cost {a} {V} each|a {x} goes for {a} {V}|each one sells for {a} {V}|they are {a} {V} apiece",
    ),
    "how much is that|what is the total|how much does it cost|how much is to be paid|what is the price of all|"
    "how much money is that|what does that come to|how many {V} is it|what must be paid",
)
TRIP = _stories(
    "distance",
    lambda rng: {"a": rng.choice((amount(rng, 2, 2), rng.randint(2, 15) * 5)), "b": rng.randint(2, 9)},
    lambda n: ("*", n["a"], n["b"]),
    (
        "a {T} goes {a} {U}|{N} drives at {a} {U}|the speed is {a} {U}|{N} does {a} km each hour|"
        "{N} rides at {a} {U}|{N} walks {a} km an hour|a {T} makes {a} {U}",
        "it takes {b} hours|the trip lasts {b} hours|this goes on for {b} hours|the journey is {b} hours long|"
        "that is for {b} hours|after {b} hours it stops",
    ),
    "how far is that|what is the distance|how far is the trip|how many km is that|how long is the way|"
    "what distance is covered",
    swap=False,
)
EQUAL = _stories(
    "share",
    quotient,
    lambda n: ("/", n["a"], n["b"]),
    (
        "there are {a} {X}|{N} has {a} {X}|we have {a} {X}|{N} brought {a} {X}|{N} has got {a} {X}|"
        "{a} {X} are to be shared|someone left {a} {X}",
        "{b} {G} share them equally|they are split evenly among {b} {G}|{b} {G} get the same number each|"
        "they go into {b} {K} evenly|{N} divides them fairly between {b} {G}|{b} {K} get equally many|"
        "these are put equally in {b} {K}",
    ),
    "how many does each get|how many is that for each|how many for each one|what does each get|"
    "how many {X} is that each|what is each share",
    swap=False,
)
BOTH = _stories(
    "together",
    pair,
    lambda n: ("+", n["a"], n["b"]),
    (
        "{N} has {a} {X}|{N} owns {a} {X}|{N} found {a} {X}|there are {a} {X} in the {W}|one {k} has {a} {X}|"
        "{N} made {a} {X}|the {g} brought {a} {X}",
        "{M} has {b} {X}|{M} has another {b}|{M} owns {b}|there are {b} more {X} in the {k}|a second {k} has {b}|"
        "{M} made {b} {X}|{b} {X} came later",
    ),
    "how many {X} is that together|how many {X} are there in all|what is the total|"
    "how many {X} are there altogether|how many is that in total|what is the sum|"
    "how many {X} do they have together",
)
GAP = _stories(
    "less",
    smaller_second,
    lambda n: ("-", n["a"], n["b"]),
    (
        "{N} has {a} {X}|{N} owns {a} {X}|{N} counted {a} {X}|{N} got {a} points|{N} made {a} {X}|"
        "one {k} has {a} {X}|{N} is {a} cm tall",
        "{M} has {b}|{M} only has {b} {X}|{M} owns {b}|{M} got {b}|{M} made just {b}|the other has {b}|{M} is only {b}",
    ),
    "what is the difference|how many more is that|how big is the gap|by how many do they differ|"
    "how many more does the first have|how much more is the first",
)
STAY = _stories(
    "less",
    smaller_second,
    lambda n: ("-", n["a"], n["b"]),
    (
        "there are {a} {X}|{N} has {a} {X}|a {k} holds {a} {X}|{N} had {a} {X}|the {W} had {a} {X}|"
        "{N} starts with {a} {X}|{a} {G} are in the {W}|we had {a} {X}|a {W} has {a} {X}",
        "{b} are taken away|{b} go away|{b} of them are eaten|{b} were sold|{M} takes {b}|{b} get lost|"
        "{b} are given to {M}|{b} leave|{N} gives away {b}|{b} are used up|{b} of them break|{b} are gone|"
        "{b} of these go to {M}",
    ),
    "how many are left|how many remain|how many are there now|how many {X} stay|what is left|"
    "how many {X} are still there|how many {X} remain",
    swap=False,
)
GROW = _stories(
    "together",
    pair,
    lambda n: ("+", n["a"], n["b"]),
    (
        "there are {a} {X}|{N} has {a} {X}|a {k} holds {a} {X}|{N} had {a} {X}|the {W} had {a} {X}|"
        "{N} starts with {a} {X}|{a} {G} are in the {W}|we had {a} {X}",
        "{b} are added|{b} more come|{b} more arrive|{M} brings {b} more|{N} gets {b} more|{b} join them|"
        "{N} buys another {b}|{b} new ones are put in|{M} adds {b}|{b} more are found|then {b} more appear|"
        "{N} is given {b} more",
    ),
    "how many are there now|how many {X} are there|how many are there in all|what is the number now|"
    "how many {X} is that|how many are there then",
    swap=False,
)


def _paid(rng: random.Random) -> Dict[str, int]:
    numbers = scaled(rng)
    return {**numbers, "c": numbers["a"] * numbers["b"] + amount(rng, 2)}


REST = _stories(
    "budget",
    _paid,
    lambda n: ("-", n["c"], ("*", n["b"], n["a"])),
    (
        "{N} has {c} {V}|{N} had {c} {V}|{N} pays with {c} {V}|I have {c} {V}|there are {c} {V} in the purse",
        "{b} {X} are bought at {a} {V} each|{N} buys {b} {X} for {a} {V} each|{b} {X} are paid, each {a} {V}|"
        "{N} takes {b} {X} that cost {a} {V} each",
    ),
    "how much is left|how much money remains|what is left|how many {V} remain|how much change is that",
    swap=False,
)
PLUS = _stories(
    "groups_and",
    lambda rng: {**product(rng), "c": amount(rng, 3, 2)},
    lambda n: ("+", ("*", n["a"], n["b"]), n["c"]),
    (
        "{N} has {a} {K} with {b} {X} each|there are {a} {K} of {b} {X}|{a} {G} bring {b} {X} each|"
        "{N} fills {a} {K} with {b} {X} each",
        "{c} more are found|{c} {X} lie outside|{M} adds {c}|{N} gets {c} more|{c} {X} are left over|"
        "there are {c} extra {X}",
    ),
    "how many {X} are there|how many {X} is that in all|what is the total|how many {X} are there altogether",
    swap=False,
)

STORIES = (
    (EACH, 6),
    (PRICE, 6),
    (TRIP, 4),
    (EQUAL, 6),
    (BOTH, 5),
    (GAP, 4),
    (STAY, 6),
    (GROW, 6),
    (REST, 4),
    (PLUS, 4),
)
