"""Checks that no held-out problem occurs in the training data, also not as a rearranged copy.

Generates the training examples anew from the seed (questions, earlier turns, reasoning), collects the canonical key of
every problem and of every step of its reasoning, and compares with the held-out sets. It also reads the questions
themselves: a second check that does not trust the generator's keys finds every arithmetic expression in the training
text, and looks up its own key.
"""

from __future__ import annotations

import random
import re
import sys

import settings
from problems import dialogue
from problems.columns import in_tables
from problems.expression import canonical

_SIGN = r"\-+*/×÷−x"
_PAIR = re.compile(rf"(?<![\d{_SIGN}=(] )(?<![\d{_SIGN}=(])(\d+) ?([-+*/×÷−x]) ?(\d+)(?= ?(?:[?.=:]|$))", re.MULTILINE)
_SIGNS = {"×": "*", "x": "*", "÷": "/", "−": "-"}


def written_keys(text: str) -> "set[str]":
    """Keys of the expressions of one operation that a text shows whole, tables of single digits left out."""
    found = set()
    for a, sign, b in _PAIR.findall(text):
        operator = _SIGNS.get(sign, sign)
        if not in_tables(operator, int(a), int(b)):
            found.add(canonical((operator, int(a), int(b))))
    return found


def main() -> None:
    size = settings.size()
    count = int(sys.argv[1]) if len(sys.argv) > 1 else size.examples
    held = dialogue.held_out_sets(random.Random(settings.SEED + 1), size.held_out)
    forbidden = {problem.key for problems in held.values() for problem in problems}
    questions = {problem.question.lower() for problems in held.values() for problem in problems}
    cold, later = random.Random(settings.SEED + 2), random.Random(settings.SEED + 3)
    trained = written = 0
    for i in range(count + count // 4):
        # The cold start's examples, then as many as a quarter of them from what the later stages draw.
        example = dialogue.example(cold) if i < count else dialogue.example(later, stories_share=0.7, wide=True)
        trained += len(example.keys)
        crossing = forbidden.intersection(example.keys)
        shown = written_keys(example.prompt) | written_keys(example.reply)
        written += len(shown)
        crossing |= forbidden & shown
        if crossing or example.question.lower() in questions:
            raise SystemExit(f"held-out problem in the training data: {crossing or ''} {example.question}")
    print(
        f"{len(forbidden)} held-out keys; {count + count // 4} examples with {trained} keys and {written} written expressions: none in common"
    )


if __name__ == "__main__":
    main()
