"""Stories of equal groups: boxes of so many each, and sharing equally. Also rows, pages a day, savings a week."""

from __future__ import annotations

import random
from typing import Dict

from .story import Story, amount, product, quotient

Numbers = Dict[str, int]


def _product_plus(rng: random.Random) -> Numbers:
    numbers = product(rng)
    return {**numbers, "c": amount(rng, 3, 2)}


def _product_minus(rng: random.Random) -> Numbers:
    numbers = product(rng)
    return {**numbers, "c": rng.randint(1, numbers["a"] * numbers["b"] - 1)}


def _two_products(rng: random.Random) -> Numbers:
    first, second = product(rng, 2), product(rng, 2)
    return {**first, "c": second["a"], "d": second["b"]}


def _share_after(rng: random.Random, sign: int) -> Numbers:
    """(a + sign * b) / c exact."""
    divided = quotient(rng)
    whole = divided["a"]
    b = rng.randint(1, whole - 1) if sign > 0 and whole > 1 else amount(rng, 2)
    return {"a": whole - sign * b, "b": b, "c": divided["b"]}


GROUPS = Story(
    "groups",
    product,
    lambda n: ("*", n["a"], n["b"]),
    (
        "{N} [has|had|buys|bought|fills|filled|packs|packed|carries|carried|owns] {a} {K} [of|with] {b} {X}[| each| in each]. How many {X} [does {N} have|are there|is that|are there in all|does {N} have in all|are there altogether]?",
        "There [are|were] {a} {K} [with|of] {b} {X} [each|in each|in every {k}]. How many {X} [are there|are there in total|are there altogether|is that|do they have]?",
        "There [are|were] {a} {K}[,| and] [each|every] [{k} |]with {b} {X}. How many {X} [are there|in total|in all]?",
        "[Each|Every|A|One] {k} [holds|has|contains|fits] {b} {X}. How many {X} [are in|are there in|do|fit in] {a} {K}[| have| hold]?",
        "{N} has {a} {K}. [Each|Every] [{k}|one|of them] [holds|has|contains] {b} {X}. [How many {X} is that|How many {X} are there|How many {X} does {N} have|What is the total number of {X}|Find the number of {X}][| in all| altogether]?",
        "{a} {G} [have|each have|own|bring|carry] {b} {X} each. How many {X} [do they have|is that|are there] [in all|together|altogether|in total]?",
        "{a} {G} each [bring|get|make|buy|eat|find|plant] {b} {X}. How many {X} [is that|are there|do they have|in all]?",
        "{N} [gives|gave|sends|sells] {b} {X} to each of {a} {G}. How many {X} [does|did] {he} [give away|need|give|hand out]?",
        "If [one|a|each] {k} [has|holds|contains] {b} {X}, how many {X} [do|are in|will be in] {a} {K}[| have| hold]?",
        "How many {X} are [there in|in] {a} {K} of {b}[| {X}| each]?",
        "[{N} plants|{N} planted|There are] {a} rows of {X} with {b} {X} in each row. How many {X} [are there|does {N} plant|in all]?",
        "The {W} has {a} {K} and {b} {X} in each. How many {X} are there?",
        "{N} [reads|makes|paints|eats|sells|draws|writes|picks|bakes|plants|fixes] {b} {X} [a|every|each|per] [day|week|month|hour]. How many {X} [is that|does {he} [make|do|finish]|are there] [in|after] {a} [days|weeks|months|hours]?",
        "{N} [reads|makes|paints|eats|sells|draws|writes|picks|bakes] {b} {X} [a|every|each|per] day for {a} days. How many {X} [is that|in all|altogether|does {N} [make|have]]?",
        "For {a} days {N} [collects|finds|makes|gets] {b} {X} [a|each|every] day. How many {X} [is that|does {N} have]?",
        "{N} [needs|uses] {b} {X} for [each|one|every] {y}. How many {X} [does {N} need|are needed] for {a} {Y}?",
        "[One|A|Each] {y} [needs|has|takes|uses] {b} {X}. How many {X} do {a} {Y} [need|have|take|use]?",
        "{N} [has|had|buys|bought] {a} {K} of {X}. [There are|Each has|In each are|Each {k} has] {b} {X}[| in each {k}| in each]. How many {X} [does {N} have|are there|are there in total]?",
    ),
    (
        "In each of {N}'s {a} {K} lie {b} {X}. What is the number of {X} altogether?",
        "{N} stacks {a} {K}; every one of them takes {b} {X}. How many {X} are stacked?",
    ),
)

GROUPS_AND = Story(
    "groups_and",
    _product_plus,
    lambda n: ("+", ("*", n["a"], n["b"]), n["c"]),
    (
        "{N} [has|had|buys|bought] {a} {K} of {b} {X}[| each]. {He} [finds|found|gets|got|buys|bought|has|receives] {c} more[| {X}]. How many {X} [does {N} have|are there][| now| in all| altogether]?",
        "{N} [has|had] {a} {K} [with|of] {b} {X} [each|in each] and {c} [loose|more|other|extra|single] {X}. How many {X} [does {N} have|are there|is that] [|in all|in total|altogether]?",
        "There [are|were] {a} {K} with {b} {X} in each[, and|. There are also|. On the floor are] {c} {X} [more|outside]. How many {X} are there [in all|altogether|]?",
        "[Each|Every] of {a} {K} holds {b} {X}, and {c} {X} [are left over|do not fit|lie beside them]. How many {X} are there?",
        "{N} [buys|bought] {a} {K} of {b} {X} and {M} [gives|gave] {him} {c} more. How many {X} does {N} have [now|]?",
        "{a} {G} [bring|brought] {b} {X} each[,| and] [and {N}|{N}] [brings|brought] {c}[| {X}]. How many {X} [do they have|are there]?",
        "{N} [makes|made|picks|picked] {b} {X} [a|each|every] day for {a} days, then {c} more. How many {X} [is that|does {N} have|in total]?",
        "A {x} costs {b} {V} and a {y} costs {c} {V}. How much [do|are] {a} {X} and [one|a] {y} [cost|]?",
        "{N} [buys|bought] {a} {X} for {b} {V} each and a {y} for {c} {V}. How much [does|did] {he} [pay|spend][| in all| altogether]?",
        "{N} [had|has] {c} {X}. {He} [buys|bought|gets|got] {a} {K} of {b} {X}[| each]. How many {X} [does {he}|does {N}] have now?",
        "{N} [earns|saves|gets] {b} {V} [a|every|per] [day|week] for {a} [days|weeks] and then [gets|finds] {c} {V}. How much [money |]does {N} have?",
    ),
    ("Besides {a} {K} of {b} {X} each, {N} owns {c} further {X}. How many {X} does {N} own?",),
)

GROUPS_LESS = Story(
    "groups_less",
    _product_minus,
    lambda n: ("-", ("*", n["a"], n["b"]), n["c"]),
    (
        "{N} [has|had|buys|bought] {a} {K} of {b} {X}[| each]. {He} [gives away|gave away|loses|lost|sells|sold|eats|ate|uses|used] {c}[| of them| {X}]. How many {X} [does {N} have|are left|remain|does {he} have left]?",
        "There [are|were] {a} {K} with {b} {X} in each. {c} {X} [are|were] [broken|sold|lost|taken|eaten|used]. How many {X} [are left|remain|are there now]?",
        "{N} has {a} {K} with {b} {X} [each|in each][. {He}| and] gives {c} [of them |{X} |]to {M}. How many {X} [does {N} have left|does {N} have now|are left]?",
        "{a} {G} [bring|brought] {b} {X} each. They [eat|ate|sell|sold|use|used] {c}[| of them]. How many {X} [are left|remain]?",
        "{N} [picks|picked|makes|made] {b} {X} [a|each|every] day for {a} days and [sells|sold|loses|lost] {c}. How many {X} [are left|does {he} have]?",
        "A {k} holds {b} {X}. {N} fills {a} {K} and then takes {c} {X} out. How many {X} are left in them?",
    ),
    ("From {a} {K} of {b} {X} each, {M} carried off {c} {X}. How many {X} stay behind?",),
)

TWO_GROUPS = Story(
    "two_groups",
    _two_products,
    lambda n: ("+", ("*", n["a"], n["b"]), ("*", n["c"], n["d"])),
    (
        "{N} [has|buys|bought] {a} {K} of {b} {X} and {c} {K} of {d} {X}. How many {X} [does {N} have|is that|are there][| in all]?",
        "{N} buys {a} {X} for {b} {V} each and {c} {Y} for {d} {V} each. How much [does {he} pay|does {N} spend|is that in all]?",
        "{a} {G} have {b} {X} each and {c} {G} have {d} {X} each. How many {X} do they have [together|in all]?",
    ),
)

SHARE = Story(
    "share",
    quotient,
    lambda n: ("/", n["a"], n["b"]),
    (
        "{N} [shares|shared|divides|divided|splits|split] {a} {X} [equally|evenly|fairly|] [among|between|with|amongst] {b} {G}. How many {X} [does each|does each {g}|does every {g}|does each one|did each] [get|receive|have]?",
        "{a} {X} [are|were] [shared|divided|split] [equally|evenly|] [among|between|by] {b} {G}. How many {X} does each[| {g}| one] [get|receive|have]?",
        "{b} {G} [share|split|divide] {a} {X} [equally|evenly|fairly]. How many {X} [does each|does each {g}|does each one] [get|receive|have]?",
        "{N} [puts|put|packs|packed|sorts|sorted|places|placed] {a} {X} [equally |evenly |]into {b} {K}. How many {X} [are in each|does each {k} have|go into each {k}|are there in each]?",
        "{N} [packs|packed|puts|put|sorts|ties] {a} {X} [into|in] {K} of {b}. How many {K} [does {he} need|are there|does {N} fill|are needed|is that]?",
        "{a} {X} are [put|packed|placed] in {K} [of|with] {b} [each|{X} each|]. How many {K} are [there|needed|filled]?",
        "[Each|A|One] {k} holds {b} {X}. How many {K} [does {N} need|are needed|do you need] for {a} {X}?",
        "{N} [has|had] {a} {X} and {b} {G}. [If each|Each] [gets|receives] the same number[, how many does each get|. How many {X} is that for each]?",
        "{N} gives {a} {X} to {b} {G}, the same number to each. How many does each [get|receive]?",
        "{N} [has|had] {a} {X} in {b} [equal |]{K}. How many {X} [are in each|are in one {k}|does each hold]?",
        "{N} [reads|makes|picked|collects] {a} {X} in {b} days, the same number [each|every] day. How many {X} [a|per|each] day is that?",
        "There are {a} {X} for {b} {G}. How many [does each get|{X} are there for each|is that each] if they share [equally|evenly|fairly]?",
        "If {b} {G} share {a} {X} equally, how many [does each get|{X} does each get|will each have]?",
        "[How many|In how many] {K} of {b} can {N} [make|put|fill] [from|with] {a} {X}?",
        "{a} {G} [stand|sit|line up|are placed] in {b} equal rows. How many {G} are in each row?",
        "{N} cuts a [rope|string|ribbon|plank] of {a} [cm|metres|m|inches|feet] into {b} equal [pieces|parts]. How long is each[| piece| part]?",
        "{N} has {b} times as many {X} as {M}. {N} has {a} {X}. How many {X} does {M} have?",
        "{b} {K} hold {a} {X} [in all|together|]. [Each {k} holds|They all hold] the same number. How many {X} are in one {k}?",
        "{b} {X} cost {a} {V}. How much [does one {x} cost|is one {x}|does each cost]?",
        "{N} [pays|paid] {a} {V} for {b} {X}. [How much|What] [does|did] [one|each|one {x}|each {x}] cost?",
    ),
    (
        "{N} hands out {a} {X} so that {b} {G} hold equally many. How many has each of them?",
        "From {a} {X}, {N} makes {b} heaps of the same size. How many {X} lie in a heap?",
    ),
)

SHARE_MORE = Story(
    "share_more",
    lambda rng: _share_after(rng, 1),
    lambda n: ("/", ("+", n["a"], n["b"]), n["c"]),
    (
        "{N} [has|had] {a} {X} and [gets|got|buys|bought|finds|found] {b} more. {He} [shares|shared|divides|splits] [them|all of them|all the {X}] [equally|evenly] [among|between|with] {c} {G}. How many [{X} |]does each [get|{g} get|receive]?",
        "{N} has {a} {X} and {M} has {b}[| {X}]. They [share|divide|put] them [equally among {c} {G}|equally into {c} {K}]. How many {X} [is that for each|does each get|are in each]?",
        "{N} [picks|picked|has] {a} {X} and {b} {Y}. {He} puts them [equally |]into {c} {K}. How many are in each?",
    ),
)

SHARE_LESS = Story(
    "share_less",
    lambda rng: _share_after(rng, -1),
    lambda n: ("/", ("-", n["a"], n["b"]), n["c"]),
    (
        "{N} [has|had] {a} {X}. {He} [keeps|eats|ate|loses|lost|sells|sold|uses] {b} and [shares|divides|splits] the [rest|others] [equally|evenly] [among|between|with] {c} {G}. How many [{X} |]does each [get|{g} get|receive]?",
        "{N} [has|had] {a} {X}. {He} gives {b} to {M}[. The rest|, and the rest] [goes|go] equally into {c} {K}. How many {X} are in each {k}?",
        "Of {a} {X}, {b} are [broken|bad|lost]. The [rest|others] are [shared|divided|split] [equally|evenly] [among|by] {c} {G}. How many does each get?",
    ),
)

STORIES = (
    (GROUPS, 10),
    (GROUPS_AND, 7),
    (GROUPS_LESS, 5),
    (TWO_GROUPS, 2),
    (SHARE, 10),
    (SHARE_MORE, 3),
    (SHARE_LESS, 3),
)
