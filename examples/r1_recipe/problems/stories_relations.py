"""Stories that compare: together, more than, fewer than, times as many, the rest, ages, what was there before."""

from __future__ import annotations

import random

from .story import Numbers, Story, amount, pair, scaled, smaller_second

TOGETHER = Story(
    "together",
    pair,
    lambda n: ("+", n["a"], n["b"]),
    (
        "{N} has {a} {X} and {M} has {b}[| {X}]. How many {X} do they have [together|in all|altogether|in total]?",
        "{N} [has|had|found|picked|made] {a} {X}[,| and] {M} {b}. How many [{X} |]is that [together|in all|altogether]?",
        "There [are|were] {a} {X} and {b} {Y} [in|on|at] the {W}. How many [things|are there|are there in all|are there altogether|in total]?",
        "{N} [has|buys|bought|sees|saw] {a} {X} and {b} {Y}. How many [things |]is that [together|in all|altogether|in total]?",
        "A {k} [has|holds] {a} [red|big|old] {X} and {b} [blue|small|new] ones. How many {X} [are there|are in it]?",
        "On Monday {N} [sold|made|read|picked|found] {a} {X}[,| and] on Tuesday {b}[| {X}]. How many {X} is that [in all|altogether|together|]?",
        "{N} [walks|drives|runs|rode] {a} [km|miles|metres|m] and then {b} [km|miles|metres|m] [more|]. How far is that[| in all| altogether]?",
        "One {k} has {a} {X} and [another|the other|a second one] has {b}[| {X}]. How many {X} are there [in both|altogether|in all]?",
        "A {x} costs {a} {V} and a {y} costs {b} {V}. How much do [they|both] cost[| together| in all]?",
        "{N} [buys|bought] a {x} for {a} {V} and a {y} for {b} {V}. How much [does|did] {he} [pay|spend]?",
        "{a} {G} and {b} {G} [meet|come|are] [at|in] the {W}. How many [people|are there|are they] [in all|altogether|]?",
        "There are {a} boys and {b} girls in the {W}. How many children are there?",
        "{N} is {a} years old. {M} is {b} years older. How old is {M}?",
        "{N} has {a} {X}. {M} has {b} more[| {X}] than {N}. How many {X} does {M} have?",
        "{N} has {a} {X}. {M} has {b} more. How many {X} does {M} have?",
        "{M} has {b} {X} more than {N}, who has {a}[| {X}]. How many {X} does {M} have?",
        "{N} [gave|sold|lost|used] {a} {X} and [has|still has] {b} left. How many [{X} |]did {N} have [at first|before|at the start|in the beginning]?",
        "After [giving away|losing|selling|eating] {a} {X}, {N} has {b} left. How many {X} did {he} have [before|at first]?",
        "How many {X} do {N} and {M} have together if {N} has {a} and {M} has {b}?",
        "How many {X} does {N} have if {he} [has|had] {a} and [gets|buys|finds] {b} more?",
        "{N} is {a} years old. How old will {he} be in {b} years?",
    ),
    (
        "{N} brings {a} {X}, {M} another {b}. What do the two of them have?",
        "Put {a} {X} to {b} {X}. How many lie there?",
    ),
)

LESS = Story(
    "less",
    smaller_second,
    lambda n: ("-", n["a"], n["b"]),
    (
        "{N} has {a} {X} and {M} has {b}[| {X}]. How many more[| {X}] does {N} have[| than {M}]?",
        "{N} has {a} {X}[.| and] {M} has {b}. How many [fewer|less] {X} does {M} have[| than {N}]?",
        "{M} has {b} {X} and {N} has {a}. What is the difference?",
        "{N} has {a} {X}. {M} has {b} [fewer|less][| {X}][| than {N}]. How many {X} does {M} have?",
        "There [are|were] {a} {X} [in|on|at] the {W}. {b} [of them |]are [red|broken|green|old|new|big|small|mine]. How many [are not|{X} are not|are the others]?",
        "[Of|Out of] {a} {X}, {b} are [red|broken|small|sold|old|gone|mine]. How many [are not|are left|others are there|are there besides]?",
        "{N} [had|has] {b} {X}. [Now {he} has|After buying more, {he} has|Later {he} had] {a}. How many [did {he} get|{X} did {he} get|more is that|did {N} buy]?",
        "{N} [wants|needs] {a} {X}[.| and] {N} [has|already has|found] {b}. How many [more does {he} need|are missing|does {he} still need|more {X} must {he} find]?",
        "A {y} has {a} [pages|parts|steps|seats|cards]. {N} [read|did|counted|used] {b}[| of them]. How many are left?",
        "{N} had {a} {X}. Now {he} has {b}. How many [did {he} lose|{X} are gone|did {he} give away]?",
        "{N} is {a} years old[.| and] {M} is {b} years [younger|younger than {N}]. How old is {M}?",
        "{N} is {a} [cm|years old|kg] and {M} is {b} [cm|years old|kg]. What is the difference?",
        "A [rope|string|ribbon|plank|stick] is {a} [cm|m|metres|feet|inches] long. {N} cuts off {b} [cm|m|metres|feet|inches]. How long is [it now|the rest]?",
        "The {W} has {a} seats. {b} are taken. How many [are free|seats are free|are empty]?",
        "{N} and {M} have {a} {X} together. {N} has {b}[| of them]. How many does {M} have?",
        "How many {X} are left if {N} has {a} and [gives away|loses|eats|sells|uses] {b}?",
        "{N} [scored|got|has] {a} points and {M} [scored|got|has] {b}. [By how many points does {N} win|How many more points is that]?",
        "There are {a} {G}[.| and] {b} of them are [boys|girls|tall|new]. How many are [not|the others]?",
        "How many more is {a} than {b}?",
    ),
    ("{N} lacks {b} of the {a} {X} of a full set. How many has {N}?", "Between {a} {X} and {b} {X}, what is the gap?"),
)

TIMES = Story(
    "times",
    scaled,
    lambda n: ("*", n["a"], n["b"]),
    (
        "{N} has {a} {X}. {M} has {b} times as many[| {X}][| as {N}]. How many {X} does {M} have?",
        "{M} has {b} times as many {X} as {N}. {N} has {a}[| {X}]. How many [{X} |]does {M} have?",
        "{N} is {a} years old. {M} is {b} times as old. How old is {M}?",
        "A {x} costs {a} {V}. A {y} costs {b} times as much. How much does the {y} cost?",
    ),
)
TWICE = Story(
    "twice",
    lambda rng: {"a": amount(rng, 2, 2), "b": 2},
    lambda n: ("*", n["a"], 2),
    (
        "{N} has {a} {X}. {M} has [twice|double] as many. How many {X} does {M} have?",
        "{M} has twice as many {X} as {N}. {N} has {a}. How many does {M} have?",
        "{N} has {a} {X} and doubles them. How many {X} are there [now|]?",
        "What is [double|twice] {a}?",
    ),
)
HALF = Story(
    "half",
    lambda rng: {"a": 2 * amount(rng, 2, 2)},
    lambda n: ("/", n["a"], 2),
    (
        "{N} has {a} {X}. {M} has half as many. How many {X} does {M} have?",
        "{N} [has|had] {a} {X} and [gives|gave] half of them to {M}. How many {X} [does {N} have|are] left?",
        "What is half of {a}?",
        "Half of {N}'s {a} {X} are [red|old|broken|gone]. How many is that?",
    ),
)


def _more_and_total(rng: random.Random) -> Numbers:
    return pair(rng)


MORE_TOTAL = Story(
    "more_total",
    _more_and_total,
    lambda n: ("+", n["a"], ("+", n["a"], n["b"])),
    (
        "{N} has {a} {X}. {M} has {b} more[| than {N}]. How many {X} do they have [together|in all|altogether]?",
        "{N} [picks|finds|sells] {a} {X} and {M} [picks|finds|sells] {b} more than {N}. How many {X} is that together?",
    ),
)
LESS_TOTAL = Story(
    "less_total",
    smaller_second,
    lambda n: ("+", n["a"], ("-", n["a"], n["b"])),
    ("{N} has {a} {X}. {M} has {b} [fewer|less][| than {N}]. How many {X} do they have [together|in all|altogether]?",),
)
TIMES_TOTAL = Story(
    "times_total",
    scaled,
    lambda n: ("+", n["a"], ("*", n["a"], n["b"])),
    ("{N} has {a} {X}. {M} has {b} times as many[| as {N}]. How many {X} do they have [together|in all|altogether]?",),
)


def _three(rng: random.Random) -> Numbers:
    return {"a": amount(rng, 3, 2), "b": amount(rng, 3, 2), "c": amount(rng, 3, 2)}


THREE = Story(
    "three",
    _three,
    lambda n: ("+", ("+", n["a"], n["b"]), n["c"]),
    (
        "{N} has {a} {X}, {M} has {b} and {P} has {c}. How many {X} do they have [together|in all|altogether|]?",
        "{N} [buys|has|sees] {a} {X}, {b} {Y} and {c} {K}. How many things is that?",
        "[In three days|On three days] {N} [sold|made|read|found] {a}, {b} and {c} {X}. How many is that [together|in all]?",
        "There are {a} {X}, {b} {Y} and {c} {K} in the {W}. How many is that [in all|altogether]?",
    ),
)


def _two_parts(rng: random.Random) -> Numbers:
    a = amount(rng, 3, 12)
    b = rng.randint(1, a - 2)
    return {"a": a, "b": b, "c": rng.randint(1, a - b - 1)}


PARTS = Story(
    "parts",
    _two_parts,
    lambda n: ("-", ("-", n["a"], n["b"]), n["c"]),
    (
        "There [are|were] {a} {X}. {b} are [red|big] and {c} are [blue|small]. [The rest are green.|The others are new.] How many are [green|new|the rest]?",
        "[Of|Out of] {a} {X}, {N} [takes|takes away|gets|eats] {b} and {M} {c}. How many [are left|remain|{X} are left]?",
        "{N} [has|had] {a} {X} and [gives|gave] {b} to {M} and {c} to {P}. How many {X} [does {N} have left|are left|does {he} have now]?",
    ),
)

STORIES = (
    (TOGETHER, 10),
    (LESS, 10),
    (TIMES, 4),
    (TWICE, 1),
    (HALF, 1),
    (MORE_TOTAL, 2),
    (LESS_TOTAL, 1),
    (TIMES_TOTAL, 1),
    (THREE, 2),
    (PARTS, 3),
)
