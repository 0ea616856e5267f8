"""The recipe's generated problems: seeded, right, and split without overlap. Needs nothing but Python."""

from __future__ import annotations

import importlib
import pathlib
import random
import re
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "examples" / "r1_recipe"))

from problems import answers, arithmetic, dialogue, stories, stories_told  # noqa: E402
from problems.columns import compare, feasible, solve, step  # noqa: E402
from problems.expression import canonical, text, value  # noqa: E402
from problems.problem import TABLE, held_out, reserved, trainable  # noqa: E402
from problems.wording import expand  # noqa: E402


def test_the_same_seed_gives_the_same_examples():
    rng, again = random.Random(3), random.Random(3)
    assert [dialogue.example(rng) for _ in range(200)] == [dialogue.example(again) for _ in range(200)]


@pytest.mark.parametrize(
    "one, other",
    [
        (("+", 12, ("*", 47, 6)), ("+", ("*", 6, 47), 12)),
        (("-", 812, 377), ("-", 377, 812)),
        (("+", ("+", 1, 20), 3), ("+", 1, ("+", 3, 20))),
        (("*", ("+", 19, 7), 4), ("*", 4, ("+", 7, 19))),
        (("-", ("-", 90, 12), 30), ("-", 90, ("+", 30, 12))),
    ],
)
def test_rearranged_copies_share_a_key(one, other):
    assert canonical(one) == canonical(other)


def test_different_problems_have_different_keys():
    assert canonical(("/", 84, 7)) != canonical(("/", 7, 84))
    assert canonical(("*", ("+", 19, 7), 4)) != canonical(("+", 19, ("*", 7, 4)))
    assert canonical(("-", ("+", 90, 12), 30)) != canonical(("-", ("-", 90, 12), 30))


def test_no_held_out_problem_is_trained_on():
    rng = random.Random(11)
    held = dialogue.held_out_sets(rng, 150)
    forbidden = {problem.key for problems in held.values() for problem in problems}
    assert TABLE not in forbidden and all(held_out(key) for key in forbidden)
    for _ in range(4000):
        assert not forbidden.intersection(dialogue.example(rng).keys)


def test_no_held_out_problem_is_in_the_wide_stages():
    rng = random.Random(12)
    examples = [dialogue.example(rng, stories_share=0.7, chat_share=0.0, wide=True) for _ in range(4000)]
    assert not any(held_out(key) for example in examples for key in example.keys)
    kinds = {example.kind for example in examples}
    assert {"spoken", "two_sides", "story_difference", "story_later_quotient", "story_change", "equation"} <= kinds


def test_the_cold_start_has_none_of_the_later_wordings():
    rng = random.Random(13)
    assert not any(dialogue.example(rng).kind.startswith("story_later_") for _ in range(4000))


@pytest.mark.parametrize("file", ["situations", "home", "school", "work", "chains", "later"])
def test_told_stories_show_every_number_once(file):
    """A template shows the numbers of its kind, each once; what is drawn for it can be solved."""
    templates = importlib.import_module(f"problems.stories_{file}").TEMPLATES
    rng = random.Random(14)
    for story, _ in stories_told.stories(templates):
        for _ in range(20):
            numbers = story.draw(rng)
            assert feasible(story.tree(numbers)), (story.name, numbers)
        for template in story.templates:
            for _ in range(8):
                chosen = expand(template, rng)
                shown = sorted(re.findall(r"{([a-d])}", chosen))
                assert shown == sorted(numbers.keys()), template


def test_split_is_total():
    rng = random.Random(5)
    problems = [stories.sample(rng) for _ in range(500)] + [arithmetic.sample(rng) for _ in range(500)]
    assert not any(trainable(problem) and reserved(problem) for problem in problems)
    assert 0.02 < sum(map(reserved, problems)) / len(problems) < 0.12


@pytest.mark.parametrize(
    "operator, a, b, line",
    [
        ("+", 478, 356, "478+356: 8+6=14 7+5+1=13 4+3+1=8: 834"),
        ("-", 812, 377, "812-377: 12-7=5 11-7-1=3 8-3-1=4: 435"),
        ("*", 47, 6, "47*6: 7*6=42 4*6+4=28: 282"),
        ("*", 6, 47, "6*47: 7*6=42 4*6+4=28: 282"),
        ("/", 252, 7, "252/7: 25/7=3r4 42/7=6: 36"),
        ("/", 612, 6, "612/6: 6/6=1 1/6=0r1 12/6=2: 102"),
        ("+", 8, 6, "8+6=14"),
        ("-", 13, 9, "13-9=4"),
        ("/", 96, 12, "96/12=8"),
    ],
)
def test_column_arithmetic(operator, a, b, line):
    assert step(operator, a, b) == (line, value((operator, a, b)))


def test_reasoning_is_true():
    """Every equation that the reasoning of a sample of problems states holds, and its last number is the answer."""
    rng = random.Random(1)
    for _ in range(3000):
        make = stories.sample if rng.random() < 0.5 else arithmetic.sample
        problem = make(rng)
        for left, right, rest in re.findall(r"(?<![\w)(])([\d+*/-]+)=(\d+)(?:r(\d+))?(?= |$|:|\n)", problem.reasoning):
            if rest:
                a, b = map(int, left.split("/"))
                assert (a // b, a % b) == (int(right), int(rest))
            else:
                assert eval(left.replace("/", "//")) == int(right), problem
        assert answers.last_number(problem.answer) == problem.result
        reply = f"{problem.reasoning}\n</think>\n\n{problem.answer}"
        assert answers.is_right(reply, problem.result) and answers.has_format(reply)
        assert not set("{}[]|") & set(problem.question)


def test_comparison_names_the_digit_that_decides():
    assert compare(314, 341) == "314 341: 3=3 1<4"
    assert compare(98, 314) == "98 314: 2<3 digits"


def test_solve_gives_the_steps_in_order():
    lines, parts, result = solve(("*", ("+", 19, 7), 4))
    assert parts == [("+", 19, 7), ("*", 26, 4)] and result == 104 and len(lines) == 2
    assert text(("*", ("+", 19, 7), 4), space=" ") == "(19 + 7) * 4"


@pytest.mark.parametrize(
    "reply, number",
    [
        ("The answer is 834.", "834"),
        ("x = -12", "-12"),
        ("It is 1,234 in all.", "1234"),
        ("from 3 to 10-4", "4"),
        ("none", None),
        ("2.5", "2.5"),
    ],
)
def test_the_last_number_is_the_answer(reply, number):
    assert answers.last_number(reply) == number


def test_replies_are_read():
    assert answers.split_reply("<think>\n3+5=8\n</think>\n\nThe answer is 8.") == ("3+5=8", "The answer is 8.")
    assert answers.is_right("3+5=8\n</think>\n\nThe answer is 8.", "8")
    assert not answers.is_right("3+5=8, so 8", "8")
    assert not answers.has_format("3+5=8\n</think>\n\n8 or 9")
    assert not answers.has_format("</think>\n\nThe answer is 8.")


def test_templates_expand():
    assert {expand("a [b|c [d|e]|]f", random.Random(i)) for i in range(50)} == {"a bf", "a c df", "a c ef", "a f"}
    with pytest.raises(ValueError):
        expand("a [b", random.Random(0))
