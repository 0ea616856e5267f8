"""A problem with its worked reasoning, and the split into training and held-out problems."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Tuple

from .columns import in_tables, solve
from .expression import Expression, canonical, text

HELD_OUT_SHARE = 16
"""One key in this many is held out."""

TABLE = "table"
"""The key of every problem that is all single digits, or a step of the tables (columns.in_tables): training material by
definition, since column arithmetic consists of it."""


@dataclass(frozen=True)
class Problem:
    """One question and what the model should think and say."""

    kind: str
    question: str
    reasoning: str
    answer: str
    """The sentence after the reasoning; its last number is the answer."""
    result: str
    keys: Tuple[str, ...]
    """Canonical key of the problem, then those of the steps in its reasoning (tables of single digits left out)."""

    @property
    def key(self) -> str:
        return self.keys[0]


def held_out(key: str) -> bool:
    """Whether a key belongs to the held-out side: decided by its hash, so that no list must be kept."""
    if key == TABLE:
        return False
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "little") % HELD_OUT_SHARE == 0


def trainable(problem: Problem) -> bool:
    """Whether neither the problem nor any step of its reasoning is a held-out problem."""
    return not any(held_out(key) for key in problem.keys)


def reserved(problem: Problem) -> bool:
    """Whether the problem itself is held out."""
    return held_out(problem.key)


def keys_of(expression: Expression, own: str = "") -> Tuple[str, ...]:
    """The problem's key and its steps' keys. own: the key where it is not that of the expression.

    What column arithmetic consists of has the key TABLE and is never held out.
    """
    _, parts, _ = solve(expression)
    steps = [canonical(part) for part in parts if not in_tables(*part)]  # type: ignore[misc]
    return (own or (canonical(expression) if steps and not single_digits(expression) else TABLE), *steps)


def single_digits(expression: Expression) -> bool:
    """Whether every number in the expression has one digit."""
    if isinstance(expression, int):
        return 0 <= expression < 10
    return single_digits(expression[1]) and single_digits(expression[2])


def from_expression(kind: str, question: str, expression: Expression, plan: bool, answer: str = "") -> Problem:
    """A problem whose answer is an expression's value. plan: write the expression down first if it has many steps."""
    lines, parts, result = solve(expression)
    if plan and len(parts) > 1:
        lines.insert(0, text(expression))
    return Problem(
        kind, question, "\n".join(lines), answer or f"The answer is {result}.", str(result), keys_of(expression)
    )
