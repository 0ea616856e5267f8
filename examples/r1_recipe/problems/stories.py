"""Word problems: a story is drawn, its numbers checked, its text written, sometimes with noise around it."""

from __future__ import annotations

import random
from typing import Optional, Sequence, Tuple

from . import words
from .columns import feasible
from .expression import Expression
from .problem import Problem, from_expression
from .stories_chains import TEMPLATES as CHAINS
from .stories_change import change
from .stories_free import STORIES as FREE
from .stories_groups import STORIES as GROUPS
from .stories_home import TEMPLATES as HOME
from .stories_later import TEMPLATES as LATER_TEMPLATES
from .stories_rates import STORIES as RATES
from .stories_relations import STORIES as RELATIONS
from .stories_school import TEMPLATES as SCHOOL
from .stories_situations import TEMPLATES as SITUATIONS
from .stories_told import stories
from .stories_work import TEMPLATES as WORK
from .story import Story
from .wording import Cast, fill, noisy

Kinds = Sequence[Tuple[Optional[Story], float]]
COMMON: Kinds = ((None, 34), *GROUPS, *RATES, *RELATIONS, *FREE)
"""Stories of people and any things, each with its share; None is the story of change, which is put together from parts."""
TOLD: Kinds = tuple(entry for file in (SITUATIONS, HOME, SCHOOL, WORK, CHAINS) for entry in stories(file))
"""Stories in the words of their situation."""
TOLD_SHARE = 0.6
LATER: Kinds = stories(LATER_TEMPLATES, "later_")
"""Stories that the cold start does not see."""
LATER_SHARE = 0.4
"""Their share where they are asked for (wide)."""

_TRANSPORT = "car train bus truck bike boat ship plane van tram cyclist runner horse robot snail".split()
_UNITS = ("km/h", "km per hour", "mph", "miles per hour", "kilometres per hour", "miles an hour", "km an hour")
_BEFORE = (
    "Question: ",
    "Solve this: ",
    "Please help me. ",
    "Here is a problem. ",
    "Problem: ",
    "Listen: ",
    "Can you solve this? ",
    "Hi! ",
    "A riddle: ",
)
_AFTER = (
    " Thanks!",
    " Please explain.",
    " Think step by step.",
    " Answer with a number.",
    " Show your work.",
    " Please answer.",
)
_SIDE = (
    " The {W} is near the {k}.",
    " It is a [sunny|cold|rainy|long] day.",
    " {M} likes {Y}.",
    " {N} is very [happy|tired|proud].",
    " The {X} are [nice|heavy|cheap|new|old].",
    " Everybody is [happy|busy].",
    " {N} lives near the {W}.",
)


def _with_aside(template: str, rng: random.Random) -> str:
    """A sentence that says nothing about numbers, before the last sentence."""
    at = max(template.rfind(". "), template.rfind("] How"))
    if at < 0 or template[at] == "]" or "[" in template[at : at + 2]:
        return template
    depth = template[: at + 1].count("[") - template[: at + 1].count("]")
    return template if depth else template[: at + 1] + rng.choice(_SIDE) + template[at + 1 :]


def _draw(rng: random.Random, story: Optional[Story], held: bool) -> Tuple[str, Expression, dict]:
    while True:
        if story is None:
            template, tree, numbers = change(rng, held)
        else:
            numbers = story.draw(rng)
            tree = story.tree(numbers)
            template = rng.choice(story.held if held and story.held else story.templates)
        if feasible(tree):
            return template, tree, numbers


def sample(rng: random.Random, held_wording: bool = False, wide: bool = False) -> Problem:
    """A random word problem. held_wording: with names, things and (where there are any) templates that training
    never uses. wide: also the stories that the cold start does not see."""
    kinds = COMMON
    if held_wording:
        kinds = [entry for entry in COMMON if entry[0] is None or entry[0].held]
    elif wide and rng.random() < LATER_SHARE:
        kinds = LATER
    elif rng.random() < TOLD_SHARE:
        kinds = TOLD
    story = rng.choices([kind for kind, _ in kinds], weights=[share for _, share in kinds])[0]
    template, tree, numbers = _draw(rng, story, held_wording)
    if rng.random() < 0.08 and not held_wording:
        template = _with_aside(template, rng)
    cast = Cast(rng, held_wording).slots()
    cast["V"] = rng.choice(words.CURRENCIES)
    cast["T"] = rng.choice(_TRANSPORT)
    cast["U"] = rng.choice(_UNITS)
    cast["W"] = cast["W"] if rng.random() < 0.6 else rng.choice(words.SHOPS)
    question = fill(template, numbers, cast, rng, words_share=0.15)
    if not held_wording and rng.random() < 0.2:
        question = noisy(question, rng)
    shape = rng.random()
    if not held_wording and shape < 0.10:
        if shape < 0.03:
            question = rng.choice(_BEFORE) + question
        elif shape < 0.06:
            question = question + rng.choice(_AFTER)
        elif shape < 0.08:
            question = question.lower()
        elif question.endswith("?"):
            question = question[:-1]
    return from_expression("story_" + ("change" if story is None else story.name), question, tree, True)
