"""What a kind of story is, and how its numbers are drawn."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Callable, Dict, Tuple

from .expression import Expression

Numbers = Dict[str, int]


@dataclass(frozen=True)
class Story:
    """Templates that all ask for the same expression of the same numbers."""

    name: str
    draw: Callable[[random.Random], Numbers]
    tree: Callable[[Numbers], Expression]
    templates: Tuple[str, ...]
    held: Tuple[str, ...] = ()
    """Templates that only held-out problems use."""


def amount(rng: random.Random, digits: int = 3, least: int = 1) -> int:
    """A number of one to so many digits, each length as likely."""
    size = rng.randint(1, digits)
    return max(least, rng.randint(10 ** (size - 1), 10**size - 1))


def product(rng: random.Random, digits: int = 2) -> Numbers:
    """{a, b}: one factor of a single digit, the other of one to two digits, in either order."""
    small, other = rng.randint(2, 9), amount(rng, digits, 2)
    if rng.random() < 0.08:
        other = rng.randint(100, 400)
    a, b = (small, other) if rng.random() < 0.5 else (other, small)
    return {"a": a, "b": b}


def quotient(rng: random.Random) -> Numbers:
    """{a, b}: a is b times a number of one or two digits (three rarely), b a single digit."""
    b = rng.randint(2, 9)
    return {"a": b * (amount(rng, 2, 2) if rng.random() < 0.9 else rng.randint(100, 300)), "b": b}


def smaller_second(rng: random.Random) -> Numbers:
    """{a, b} with b < a, to three digits."""
    a = amount(rng, 3, 3)
    return {"a": a, "b": rng.randint(1, a - 1)}


def pair(rng: random.Random) -> Numbers:
    """{a, b}, to three digits each."""
    size = rng.randint(1, 3)
    return {"a": amount(rng, size, 2), "b": amount(rng, size, 2)}


def scaled(rng: random.Random) -> Numbers:
    """{a, b}: a a number of one or two digits, b a factor of 2 to 9."""
    return {"a": amount(rng, 2, 2), "b": rng.randint(2, 9)}
