"""Reads replies: the answer is the last number after the reasoning."""

from __future__ import annotations

import re
from typing import Optional, Tuple

OPEN, CLOSE = "<think>", "</think>"
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")


def split_reply(text: str) -> Tuple[str, Optional[str]]:
    """(reasoning, answer) of a reply; the answer is None if the reasoning was not closed. The opening marker, which
    the prompt holds, may be there or not."""
    body = text[len(OPEN) :] if text.startswith(OPEN) else text
    reasoning, mark, answer = body.partition(CLOSE)
    return reasoning.strip("\n"), answer.strip() if mark else None


def last_number(text: str) -> Optional[str]:
    """The last number of a text without its thousands separators, or None. A hyphen counts as a sign only where no
    letter or digit stands before it."""
    found = None
    for match in _NUMBER.finditer(text):
        number = match.group().replace(",", "")
        if number.startswith("-") and match.start() > 0 and text[match.start() - 1].isalnum():
            number = number[1:]
        found = number
    return found


def is_right(text: str, result: str) -> bool:
    """Whether a whole reply gives this result."""
    _, answer = split_reply(text)
    return answer is not None and last_number(answer) == result


def has_format(text: str) -> bool:
    """Whether a reply is reasoning, closed once, then one short sentence with one number."""
    reasoning, answer = split_reply(text)
    if answer is None or CLOSE in answer or OPEN in reasoning + answer or not reasoning:
        return False
    return len(_NUMBER.findall(answer)) == 1 and "\n" not in answer and len(answer) <= 60
