"""Training examples as text: what the chat template renders, and the reply that the model learns.

The reply follows R1: reasoning, </think>, an empty line, the answer, the end-of-sentence marker. The prompt ends with
<｜Assistant｜><think> and a newline, and earlier turns are shown without their reasoning, as the template has it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Callable, List, Sequence, Tuple

from . import arithmetic, chat, stories
from .problem import Problem, reserved, trainable

BOS, EOS, PAD = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜▁pad▁｜>"
USER, ASSISTANT = "<｜User｜>", "<｜Assistant｜>"
OPEN, CLOSE = "<think>", "</think>"

_SYSTEM = (
    "You are a helpful assistant.",
    "You are a helpful assistant that solves problems.",
    "Answer briefly.",
    "Think step by step.",
)


@dataclass(frozen=True)
class Example:
    """One exchange. result is "" where there is no number to check."""

    kind: str
    prompt: str
    reply: str
    question: str
    result: str
    keys: Tuple[str, ...]


def render(question: str, system: str = "", earlier: Sequence[Tuple[str, str]] = ()) -> str:
    """The prompt as the chat template renders it. earlier: (question, answer) of the turns before."""
    turns = "".join(f"{USER}{asked}{ASSISTANT}{said}{EOS}" for asked, said in earlier)
    return f"{BOS}{system}{turns}{USER}{question}{ASSISTANT}{OPEN}\n"


def reply(reasoning: str, answer: str) -> str:
    """What the model is to write after that prompt."""
    return f"{reasoning}\n{CLOSE}\n\n{answer}{EOS}"


def draw(
    rng: random.Random,
    wanted: Callable[[Problem], bool],
    stories_share: float,
    held_wording: bool = False,
    wide: bool = False,
) -> Problem:
    """A problem that passes the filter, with a story or without. wide: also stories in wordings that the cold start lacks."""
    story = rng.random() < stories_share
    while True:
        problem = stories.sample(rng, held_wording, wide) if story else arithmetic.sample(rng, held_wording=held_wording)
        if wanted(problem):
            return problem


def example(
    rng: random.Random, stories_share: float = 0.6, chat_share: float = 0.04, wide: bool = False
) -> Example:
    """One training example: a problem or chat, alone or after other turns. wide: as of draw()."""
    earlier: List[Tuple[str, str]] = []
    if rng.random() < 0.07:
        for _ in range(rng.choice((1, 1, 2))):
            if rng.random() < 0.4:
                asked, _, said = chat.sample(rng)
            else:
                before = draw(rng, trainable, stories_share * 0.6)
                asked, said = before.question, before.answer
            earlier.append((asked, said))
    system = rng.choice(_SYSTEM) if rng.random() < 0.03 else ""
    if rng.random() < chat_share:
        question, reasoning, said = chat.sample(rng)
        return Example("chat", render(question, system, earlier), reply(reasoning, said), question, "", ())
    problem = draw(rng, trainable, stories_share, wide=wide)
    return of_problem(problem, system, earlier)


def of_problem(problem: Problem, system: str = "", earlier: Sequence[Tuple[str, str]] = ()) -> Example:
    """A problem as an example."""
    return Example(
        problem.kind,
        render(problem.question, system, earlier),
        reply(problem.reasoning, problem.answer),
        problem.question,
        problem.result,
        problem.keys,
    )


def held_out_sets(rng: random.Random, size: int) -> "dict[str, List[Problem]]":
    """The evaluation sets, each of so many different problems, none with a key that training has.

    arithmetic: problems without a story; stories: word problems in wordings of the cold start; wide: both, with the
    wordings of the later stages; new_stories: word problems whose names, things and templates training never uses.
    """
    out = {}
    sets = (
        ("arithmetic", 0.0, False, False),
        ("stories", 1.0, False, False),
        ("new_stories", 1.0, True, False),
        ("wide", 0.7, False, True),
    )
    for name, share, held, wide in sets:
        problems, seen = [], set()
        while len(problems) < size:
            problem = draw(rng, reserved, share, held, wide)
            if problem.question not in seen:
                seen.add(problem.question)
                problems.append(problem)
        out[name] = problems
    return out
