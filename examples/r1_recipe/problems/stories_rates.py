"""Stories of prices, change, wages, speeds and times."""

from __future__ import annotations

import random

from .story import Numbers, Story, amount, quotient, scaled

COST = Story(
    "cost",
    scaled,
    lambda n: ("*", n["b"], n["a"]),
    (
        "[One|A|Each] {x} costs {a} {V}. How much [do|will|would] {b} {X} cost?",
        "[One|A] {x} [costs|is] {a} {V}. How [much does {N} pay|much are|much is it|much must {N} pay] [for|to buy] {b}[| {X}| of them]?",
        "{X} cost {a} {V} [each|apiece|a piece]. How much [do|will] {b}[| {X}] cost?",
        "{N} [buys|bought|orders|wants to buy|sells|sold] {b} {X} [at|for] {a} {V} each. How much [does {he} pay|does {N} pay|is that|does that cost|is it|money is that|does {he} spend|is the total][| in all| altogether]?",
        "[The price of|What one pays for] [one|a] {x} is {a} {V}. [What is the price of|How much are|What do you pay for] {b}[| {X}]?",
        "{N} [earns|gets|makes|is paid|saves] {a} {V} [an hour|per hour|a day|each day|a week|every week]. How much [does {he} [earn|have|get|make|save]|is that] [in|after] {b} [hours|days|weeks]?",
        "If [one|a] {x} costs {a} {V}, how much do {b}[| {X}] cost?",
        "A ticket [for|to] the {W} costs {a} {V}. How much do {b} {G} pay?",
        "{N} [saves|saved|earns|earned|pays|spends] {a} {V} [a|every|each|per] [day|week|month] for {b} [days|weeks|months]. How much [is that|money is that|does that make|does {he} have][| in all]?",
        "What is the [total |]cost of {b} {X} at {a} {V} each?",
    ),
    (
        "At {a} {V} for a {x}, what must {N} hand over for {b}?",
        "{N} charges {a} {V} for one {x}. How much do {b} of them bring?",
    ),
)


def _change(rng: random.Random) -> Numbers:
    cost = amount(rng, 2, 2)
    paid = rng.choice([n for n in (5, 10, 20, 50, 100, 200) if n > cost] or [200])
    return {"a": paid if rng.random() < 0.6 else cost + amount(rng, 2), "b": cost}


CHANGE = Story(
    "change_money",
    _change,
    lambda n: ("-", n["a"], n["b"]),
    (
        "{N} [has|had] {a} {V} and [buys|bought] a {x} for {b} {V}. How [much|many {V}] [does {he} have left|is left|is left over|money is left]?",
        "{N} [pays|paid] [for a {x} |]with {a} {V}. [The {x}|It|A {x}] [costs|cost] {b} {V}. How much change [does {he} get|does {N} get|is that]?",
        "A {x} costs {b} {V}. {N} [pays|gives|hands over] {a} {V}. [How much change does {he} get|How much does {he} get back|What is the change]?",
        "{N} [has|had] {a} {V}[.| and] [{N} spends|spends|spent] {b} {V} [on|for] [a {x}|{X}]. How much [money |]does {N} have [left|now]?",
        "A {x} [costs|cost] {a} {V}. [It is|Now it is|In the sale it is] {b} {V} [cheaper|less]. [How much does it cost now|What is the new price]?",
        "{N} wants a {x} that costs {a} {V}. {He} [has|has saved] {b} {V}. How much [more does {he} need|is missing|does {N} still need]?",
    ),
    ("Out of {a} {V}, {b} go on a {x}. What does {N} keep?",),
)


def _budget(rng: random.Random) -> Numbers:
    numbers = scaled(rng)
    cost = numbers["a"] * numbers["b"]
    return {
        **numbers,
        "c": rng.choice([n for n in (20, 50, 100, 200, 500, 1000) if n > cost])
        if rng.random() < 0.5
        else cost + amount(rng, 2),
    }


BUDGET = Story(
    "budget",
    _budget,
    lambda n: ("-", n["c"], ("*", n["b"], n["a"])),
    (
        "{N} [has|had] {c} {V}. {He} [buys|bought] {b} {X} for {a} {V} each. How much [money |]does {he} have left?",
        "{N} [has|had] {c} {V} and buys {b} {X} [at|for] {a} {V} [each|apiece]. How much is left?",
        "{X} cost {a} {V} each. {N} buys {b} and pays with {c} {V}. How much change does {he} get?",
        "{N} has {c} {X} and gives {a} to each of {b} {G}. How many {X} [does {N} have left|are left]?",
        "A {k} of {c} {X} is used for {b} {Y}, {a} {X} for each. How many {X} are left?",
    ),
    ("With {c} {V} in hand, {N} takes {b} {X} at {a} {V}. What remains?",),
)

DISTANCE = Story(
    "distance",
    lambda rng: {
        "a": rng.choice((amount(rng, 2, 2), rng.randint(2, 15) * 5, rng.randint(100, 300))),
        "b": rng.randint(2, 9),
    },
    lambda n: ("*", n["a"], n["b"]),
    (
        "A {T} [travels|drives|goes|moves|runs] [at |with |at a speed of |at a steady |]{a} {U} for {b} hours. How far does it [go|travel|get|drive]?",
        "{N} [drives|rides|walks|cycles|runs|sails|travels|goes] [at |at a speed of |]{a} {U} for {b} hours. How far does {he} [go|get|travel|drive|come]?",
        "{N} [drives|rides|walks|cycles|travels|goes] {a} [km|miles|kilometres] [an|every|each|per] hour. How [far|many [km|miles]] does {he} [go|get|travel] in {b} hours?",
        "[How far|What distance] does a {T} [go|travel] in {b} hours at {a} {U}?",
        "A {T} [goes|drives|moves] at {a} {U}. How far [does it go|does it get|is it] [in|after] {b} hours?",
        "The speed of a {T} is {a} {U}. How [far|many [km|miles]] does it [go|travel] in {b} hours?",
        "If a {T} travels {a} [km|miles] in one hour, how far does it travel in {b} hours?",
        "{N} [runs|walks|swims|drives] {a} [km|miles|metres|laps] [a|every|each|per] day. How [far|many] is that in {b} days?",
    ),
    ("At a pace of {a} {U}, how far has {N} come after {b} hours?",),
)

SPEED = Story(
    "speed",
    quotient,
    lambda n: ("/", n["a"], n["b"]),
    (
        "A {T} [travels|drives|goes|covers] {a} [km|miles|kilometres] in {b} hours. [What is its speed|How fast is it|How far does it go in one hour|How many [km|miles] does it go per hour|What is its average speed]?",
        "{N} [drives|rides|walks|cycles|runs|travels] {a} [km|miles] in {b} hours. [How fast is {he}|How fast does {he} go|What is {his} speed|How far does {he} go in one hour]?",
        "A {T} [goes|travels|drives] at {b} {U}. How [long|many hours] does it [take|need] [for|to go|to travel] {a} [km|miles]?",
        "[How long|How many hours] does {N} need for {a} [km|miles] at {b} {U}?",
        "{N} [walks|runs|rides] {b} [km|miles] [an|every|per] hour. How many hours does {he} need for {a} [km|miles]?",
        "{N} [earns|earned|saves|saved] {a} {V} in {b} [days|weeks|hours]. How much is that [a|per|each] [day|week|hour]?",
        "{N} [earns|saves] {b} {V} [a|per|every] [day|week|hour]. How many [days|weeks|hours] does {he} need for {a} {V}?",
        "[How many {X} can {N} buy with {a} {V}|With {a} {V}, how many {X} can {N} buy] if [one|a {x}|each] costs {b} {V}?",
        "A {x} costs {b} {V}. How many {X} can {N} buy [for|with] {a} {V}?",
    ),
    ("To cover {a} km in {b} hours, how many km must {N} do each hour?",),
)

STORIES = ((COST, 9), (CHANGE, 6), (BUDGET, 6), (DISTANCE, 7), (SPEED, 7))
