"""Stories told in the words of their situation: passengers get off, birds fly away, pages are read, a rope is cut.

The cold start never sees these. Reinforcement learning and rejection sampling do: they need a question and its answer, not
a worked solution in known words, and so they are where the model learns to read more widely.
"""

from __future__ import annotations

import random
from typing import Callable, Sequence

from .expression import Expression
from .story import Numbers, Story, amount, pair, product, quotient, scaled, smaller_second

Draw = Callable[[random.Random], Numbers]


def _told(name: str, draw: Draw, tree: Callable[[Numbers], Expression], templates: Sequence[str]) -> Story:
    return Story(name, draw, tree, tuple(templates))


def _taken_twice(rng: random.Random) -> Numbers:
    """a - b - c."""
    a = amount(rng, 3, 12)
    b = rng.randint(1, a - 2)
    return {"a": a, "b": b, "c": rng.randint(1, a - b - 1)}


def _off_and_on(rng: random.Random) -> Numbers:
    """a - b + c."""
    return {**smaller_second(rng), "c": amount(rng, 2)}


def _on_and_off(rng: random.Random) -> Numbers:
    """a + b - c."""
    numbers = pair(rng)
    return {**numbers, "c": rng.randint(1, numbers["a"] + numbers["b"] - 1)}


def _triple(rng: random.Random) -> Numbers:
    size = rng.randint(1, 3)
    return {key: amount(rng, size, 2) for key in "abc"}


def _sum_shared(rng: random.Random) -> Numbers:
    """(a + b) / c."""
    divided = quotient(rng)
    a = rng.randint(1, divided["a"] - 1)
    return {"a": a, "b": divided["a"] - a, "c": divided["b"]}


def _rest_shared(rng: random.Random) -> Numbers:
    """(a - b) / c."""
    divided = quotient(rng)
    b = amount(rng, 2)
    return {"a": divided["a"] + b, "b": b, "c": divided["b"]}


def _sum_times(rng: random.Random) -> Numbers:
    """(a + b) * c."""
    return {"a": amount(rng, 2, 1), "b": amount(rng, 2, 1), "c": rng.randint(2, 9)}


def _product_minus(rng: random.Random) -> Numbers:
    numbers = product(rng)
    return {**numbers, "c": rng.randint(1, numbers["a"] * numbers["b"] - 1)}


def _product_plus(rng: random.Random) -> Numbers:
    return {**product(rng), "c": amount(rng, 2, 2)}


def _two_costs(rng: random.Random) -> Numbers:
    return {"a": rng.randint(2, 9), "b": amount(rng, 2, 2), "c": rng.randint(2, 9), "d": amount(rng, 2, 2)}


def _money_left(rng: random.Random) -> Numbers:
    numbers = scaled(rng)
    return {**numbers, "c": numbers["a"] * numbers["b"] + amount(rng, 2)}


def _part(of: int) -> Draw:
    return lambda rng: {"a": of * amount(rng, 2, 2)}


SUM = _told(
    "sum",
    pair,
    lambda n: ("+", n["a"], n["b"]),
    (
        "{N} read {a} pages [yesterday|in the morning|last week] and {b} pages [today|in the evening|this week]. How many pages [has {he} read|did {he} read|is that][| so far| in total]?",
        "{N}'s [phone|laptop|bike|coat] cost {a} {V} and {his} [case|bag|helmet|hat] cost {b} {V}. [What did they cost together|How much did {he} spend|What was the total]?",
        "{a} [cars|trucks|bikes|boats] are parked [outside|by the {W}|on the left] and {b} [more |][are parked inside|are on the right|arrive]. How many [vehicles|of them] are there [in all|now|altogether]?",
        "A [farmer|shepherd|zoo|farm] [keeps|has|owns] {a} [goats|hens|ducks|cows] and {b} [pigs|sheep|horses|geese]. How many animals [is that|are there|does the farm have|are on the farm][| altogether| in all]?",
        "{N} [cycled|hiked|drove|swam|ran|jogged] {a} [km|kilometers|miles|meters] on [Saturday|Monday|the first day] and {b} [km|kilometers|miles|meters] on [Sunday|Friday|the second day]. [What distance is that|How far did {he} go|How far is that][| in total| altogether]?",
        "The [first|older|smaller] [class|team|school|village] has {a} [pupils|members|people|children] and the [second|younger|bigger] [one |class |]has {b}. How many [pupils|people|are there|is that] [in both|together|altogether]?",
        "{N} [scored|got|made|won] {a} points in the first [round|half|match|quiz] and {b} in the second. What [is|was] {his} [total|total score|score]?",
        "{N} [poured|put|mixed] {a} [liters|ml|grams|cups] of [water|milk|flour|juice] [with|and] {b} [liters|ml|grams|cups] of [syrup|oil|sugar|tea]. How much [is that|is in the bowl|does {he} have]?",
        "{N} [weighs|carries] {a} kg and {his} [dog|bag|brother] [weighs|carries] {b} kg. How much is that together?",
        "The [tower|tree|wall|building] [was|is] {a} [m|meters|feet] high and [grew|was raised|was made taller] by {b}[| m| meters| feet]. How high is it now?",
        "It was {a} degrees in the morning and got {b} degrees warmer. How warm is it now?",
        "A [meeting|film|lesson|game] [takes|lasts] {a} minutes and the [next one|break|talk] [takes|lasts] {b} minutes. How many minutes [is that|do both take|is that together]?",
        "{N} has {a} {X} at home and {b} {X} at [school|work|the office|{his} uncle's]. How many {X} [does {he} own|does {he} have in all|is that]?",
        "{b} years ago {N} was {a} years old. How old is {he} [now|today]?",
        "{N} is {a}. {M} is {b} years older[| than {N}| than {him}]. [How old is {M}|What is {M}'s age]?",
        "{N} sold {b} {X} and [has|there are] {a} [unsold|left|in stock|remaining]. How many [did {he} have before|were there before|{X} were there at first|did {he} start with]?",
        "The [shop|kiosk|stand|library] had {a} [visitors|customers|guests] [before noon|in the morning] and {b} [after noon|in the afternoon]. How many [visitors|customers|guests] [came|were there|is that][| that day| in total]?",
        "[A|One] [jug|bucket|tank|barrel] holds {a} [liters|litres|gallons] and [another|a second] holds {b}. How much do [they|both] hold [together|in all|]?",
        "{N} [planted|sowed|picked|watered] {a} {X} in spring and {b} in autumn. How many [{X} |][did {he} plant|is that|were there]?",
        "{N} [did|solved|finished] {a} [sums|tasks|exercises|questions] and has {b} [more |][left|to do|to go]. How many [were there|are there|did {he} get] in all?",
    ),
)
DIFFERENCE = _told(
    "difference",
    smaller_second,
    lambda n: ("-", n["a"], n["b"]),
    (
        "A [book|comic|novel|report] has {a} pages. {N} [has read|read|finished] {b}[| pages| of them]. How many [pages |][are left|remain|must {he} still read|does {he} still have to read|are unread]?",
        "{a} [birds|crows|sparrows|pigeons|bees] [sat|were sitting|were] [in a tree|on the roof|on a fence] and {b} [of them |]flew [away|off]. How many [stayed|remained|are still there|are left]?",
        "[The {W}|A hall|A theater|A bus|A plane] has {a} [seats|places|chairs] and {b} [are|were] [taken|occupied|sold|full]. How many [are|were] [free|empty|still free|unsold|not taken]?",
        "{a} [children|people|guests|players] were [invited|asked|expected], but {b} [did not come|could not come|stayed at home|were ill]. How many [came|were there|showed up]?",
        "{N} [had|took] a [rope|cable|pipe|board|ribbon|wire] of {a} [cm|m|meters|inches|feet] and cut [off |away |]{b} [cm|m|meters|inches|feet]. [How much is left|How long is the rest|What length is left]?",
        "A [tank|barrel|bottle|pool] [has|holds|contained|held] {a} [liters|litres|gallons] of [water|oil|milk|fuel]. {b} [liters|litres|gallons] [leak out|are used|are poured out|evaporate|were spilled]. How [much|many liters] [is|are] [left|still in it]?",
        "{N} [needs|wants|must save|has to pay] {a} {V} [for a {x}|to buy a {x}|in total] and has [only |already |]{b}[| {V}]. How [much|many {V}] [is|are] [missing|still missing|still needed]?",
        "{N} has [saved|collected|earned] {b} of the {a} {V} that [{he} needs|a {x} costs|the trip costs]. How much [more |][does {he} need|is still missing|must {he} save]?",
        "A [coat|chair|lamp|bike|phone] [costs|cost] {a} {V}. [In the sale|With a coupon|Today] it is {b} {V} [cheaper|off|less]. [What is the new price|What does it cost now|How much must {N} pay]?",
        "{N} [had|has] {b} {X}, then [found|got|bought|received|was given] some [more|others]. Now {he} has {a}. How many [did {he} get|did {he} find|did {he} buy|were added|are new]?",
        "{N} had {a} {X} and [lost|dropped|sold|lent] some[ of them|]. Now {he} has {b}[| left]. How many [did {he} lose|are gone|did {he} sell|were lost]?",
        "{N} had some {X}. {M} gave {him} {b} more[, and|. Now] {he} [now |]has {a}. How many [{X} |]did {he} have [before|at first|at the beginning|to start with]?",
        "Some [people|children|birds|cars] were [there|in the {W}]. {b} more came, and then there were {a}. How many were there [before|at first|at the start]?",
        "{N} is {a} years old. How old was {he} {b} years ago?",
        "{N} is {a}. {M} is {b} years younger[| than {N}| than {him}]. [How old is {M}|What is {M}'s age]?",
        "{M} is {b} years old and {N} is {a}. How many years older is {N}[| than {M}]?",
        "The [red|first|home|green] team [has|got|scored] {a} points[,| and] the [blue|second|other|yellow] team [has |got |scored |]{b}. [By how much does it lead|How many points more is that|What is the difference|How many points behind is the second team]?",
        "The [red|first|home] team has {a} points. The [other|blue|second] team has {b} [fewer|less]. How many points does [it|the other team|the second team] have?",
        "{a} [eggs|plates|glasses|cups] were in the [box|basket|kitchen], but {b} [broke|were broken|cracked|fell]. How many [are|were] [whole|still good|fine|not broken]?",
        "The [baker|cook|cafe|shop] [made|baked|prepared] {a} [rolls|loaves|pies|buns|cakes] and sold {b}. How many [were not sold|are left over|are left|remain]?",
        "There are {a} [pupils|workers|students|members]. {b} of them are [girls|women|boys|men|absent|new]. How many are [boys|men|girls|women|present|not]?",
        "{a} [books|games|films] belong to the library and {b} are [lent out|on loan|out]. How many [are there now|are still in|can be borrowed]?",
        "{N} [climbs|walks|drives] {a} [steps|m|km]. {He} has [done|gone|finished] {b}. How [many|far] [are left|is left|remain|must {he} still go]?",
        "[Two numbers|Both numbers|Two bags of {X}] [make|add up to|give] {a} [together|in all]. One is {b}. What is the other[| one]?",
        "{N} and {M} have {a} {X} between them; {b} belong to {N}. How many belong to {M}?",
        "The [tower|mountain|tree|wall] is {a} m high and the [house|hill|bush|fence] is {b} m high. How much higher is [the first|it|the tower]?",
        "It was {a} degrees [at noon|in the day] and fell by {b} degrees. What is the temperature now?",
        "{N} has {a} minutes and has used {b}. How [many|much time] [are|is] left?",
        "{N} [pays|paid] with a {a} {V} [note|bill|voucher]. The {x} costs {b}[| {V}]. [What is the change|How much does {he} get back|How much comes back|How much change is there]?",
        "{N} had {a} {X} in {his} {k}. {He} ate {b} of them [at noon|on the way|yesterday]. How many [are in the {k} now|are left|does {he} still have]?",
    ),
)
PRODUCT = _told(
    "product",
    product,
    lambda n: ("*", n["a"], n["b"]),
    (
        "A [spider|table|chair|dog|insect|car|robot] has {b} [legs|parts|wheels|eyes|lights]. How many do {a} [of them|such ones] have?",
        "[A|One] [week|box|year|day|set|pack|dozen] has {b} [days|pieces|months|hours|parts|items]. How many [is that in|are in|do we have in] {a} [weeks|boxes|years|days|sets|packs]?",
        "[The|A] [hall|cinema|theater|bus|train] has {a} rows [of|with] {b} [seats|chairs|places][| each| in each| per row]. How many [people can sit there|seats are there|seats is that|can sit]?",
        "{N} [buys|orders|takes|picks up] {a} [packs|cartons|bags|sets] of {X} [with|of] {b}[| each| in each]. How many {X} [does {he} get|is that|did {he} buy|are there]?",
        "{X} [come|are sold|are packed] in [packs|boxes|bags] of {b}. {N} [buys|needs|has|gets] {a} [packs|boxes|bags]. How many {X} [is that|does {he} have|does {he} get]?",
        "[A|The] [baker|machine|printer|worker|factory|robot] [makes|bakes|prints|fills|packs] {b} {X} [an|per|each|every] hour. How many [{X} |][are made|is that|does it make|are ready|are there] [in|after] {a} hours?",
        "{N} [types|reads|writes|counts] {b} [words|pages|lines|numbers] [a|per|each] minute. How many [is that|are done|does {he} manage] in {a} minutes?",
        "{N} [baked|made|filled] {a} [trays|plates|tins|rows] of {b} [cookies|buns|muffins|cakes]. How many [cookies|are there|is that|did {he} make]?",
        "Each of the {a} [players|children|guests|workers|pupils] [gets|needs|receives|is given] {b} {X}. How many {X} are [needed|given out|that|handed out]?",
        "{a} [friends|children|workers|players] [have|hold|get|eat|bring|carry] {b} {X} each. How many {X} [are there|is that][| in total]?",
        "{N} [puts|put|places|packed] {b} {X} [in|into] each [bag|box|{k}]. {He} [fills|has|filled] {a} [bags|boxes|{K}]. How many {X} [did {he} need|is that|are packed]?",
        "A [wall|floor|field|page] has {a} rows of {b} [tiles|bricks|trees|stamps|stickers]. How many [tiles|bricks|trees|is that|are there]?",
        "A rectangle is {a} [cm|m] long and {b} [cm|m] wide. What is its area?",
        "{N} [walks|rides|drives] {b} km to [work|school] every day. How many km [is that|does {he} go] in {a} days?",
        "{N} takes {b} [pills|drops|photos|breaks] [a|each|every] day. How many is that in {a} days?",
        "How many [wheels|legs|wings|eyes|seats] do {a} [cars|cows|birds|tables|vans] have if each has {b}?",
        "{N} [gave|handed|sent] each of {his} {a} [cousins|neighbors|pupils|friends] {b} {X}. How many {X} [did {he} give away|did {he} need|is that]?",
        "There are {a} [floors|houses|rooms|streets] with {b} [windows|doors|lamps|people] [each|on each|in each]. How many [windows|doors|is that|are there] [in all|altogether|in total]?",
        "{N} plays {a} [games|rounds] and [wins|gets|scores] {b} points in [each|every one]. How many points does {he} [have|get|make]?",
    ),
)
PAY = _told(
    "pay",
    scaled,
    lambda n: ("*", n["b"], n["a"]),
    (
        "[A|One] [pack|bottle|loaf|kilo|bag|box] of {X} [costs|is] {a} {V}. [What do {b} cost|What does {N} pay for {b}|How much are {b}|How much do {b} cost]?",
        "{N} [bought|ordered|took|got] {b} [bottles|bags|tickets|cups|boxes] [of tea|of juice|of {X}|] [at|for] {a} {V} [each|apiece|per piece]. [How much did {he} pay|What did {he} pay|How much did {he} spend|What was the bill]?",
        "[My|Our|The] [uncle|aunt|teacher|team|neighbor] [bought|paid for|ordered] {b} {X} for {a} {V} each. How much [was that|was spent|did that cost|money was it]?",
        "{N} [earns|makes|gets|is paid] {a} {V} [for every|for each|per] [hour|day|{x}|lesson]. {He} [works|worked|sells|gives] {b}[| hours| days| of them]. How much [does {he} earn|does {he} get|is {he} paid|is that]?",
        "{N} [puts|put|saves|laid] [aside |away |]{a} {V} [each|every|a] [week|month|day]. How much [is that|does {he} have|has {he} saved] after {b} [weeks|months|days]?",
        "A [trip|lesson|ride|room|haircut] costs {a} {V} per [person|hour|day|night]. What [does it cost|is the price|do they pay] for {b}[| people| hours| days| nights]?",
        "A [school|hotel|company|club] buys {b} [computers|chairs|desks|lamps|beds] [for|at] {a} {V} [each|apiece]. [How much is the bill|What does it pay|How much does it cost|What is the total]?",
        "One {x} costs {a} {V}. [What would|How much would] {b} of them cost?",
        "[The bus|A taxi|The train|The ferry] costs {a} {V} for one [ride|trip|person]. {N} [takes|pays for] {b}. How much [is that|does {he} pay]?",
        "{N} sells {b} {X} at {a} {V} each. How much [money |][does {he} get|does {he} take in|does {he} make|does {he} earn]?",
    ),
)
MULTIPLE = _told(
    "multiple",
    scaled,
    lambda n: ("*", n["a"], n["b"]),
    (
        "{M} has {b} times [as many|more] {X} [as|than] {N}, who has {a}. How many does {M} have?",
        "A {x} weighs {a} [kg|grams]. A {y} is {b} times as heavy. How [much does the {y} weigh|heavy is the {y}]?",
        "{N} [ran|jumped|threw|swam] {a} m. {M} [went|got|came] {b} times as far. How far [was that|did {M} get]?",
        "The small {k} holds {a} {X} and the big one {b} times as many. How many are in the big one?",
        "{N} [earned|spent|read|sold|got] {a} [|{V} |pages ]on [Monday|the first day] and {b} times as much on [Tuesday|the second day]. How much [was it|did {he} get] on [Tuesday|the second day]?",
    ),
)
DOUBLE = _told(
    "double",
    lambda rng: {"a": amount(rng, 3, 2), "b": 2},
    lambda n: ("*", n["a"], 2),
    (
        "{N} [sold|read|made|earned|saved|did] {a} [|{X} |pages |{V} ]on [Monday|Friday|the first day] and [twice|double] that on [the next day|Saturday|the second day]. How many [was that|did {he} do] on the [next|second] day?",
        "{N} has {a} {V}. {M} has twice as much. How much does {M} have?",
        "A recipe [needs|takes] {a} [grams|ml] of {X}. {N} makes [double|twice] the amount. How much [is that|does {he} need]?",
        "There are {a} pairs of [shoes|socks|gloves]. How many [shoes|single ones] is that?",
        "{N} ran {a} m there and the same way back. How far was that?",
    ),
)
QUOTIENT = _told(
    "quotient",
    quotient,
    lambda n: ("/", n["a"], n["b"]),
    (
        "{N} [has|baked|brings|bought] {a} {X} and [puts|packs|sorts|lays] {b} [in|into|on] each {k}. How many {K} [does {he} need|does {he} fill|are needed|is that|are there]?",
        "[A {k}|Each {k}|One {k}] [holds|takes|has room for] {b} {X}. How many {K} [are needed for|does {N} need for|do you need for|hold] {a} {X}?",
        "{a} {X} are packed in [boxes|bags|{K}] of {b}. How many [boxes|bags|{K}|of them] [is that|are there|are needed]?",
        "{N} [reads|does|solves|writes] {b} [pages|tasks|lines|exercises] [a|per|each|every] day. How [many days|long] does {he} need for {a}[| pages| tasks]?",
        "[A|The] book has {a} pages. {N} reads {b} [pages |][a|per|each|every] day. [How many days does it take|In how many days is {he} done|How long does it take {him}|After how many days is it finished]?",
        "{b} [tickets|bottles|shirts|books|pens] cost {a} {V}. [How much is|What does|How much does] one [ticket|bottle|of them|][| cost]?",
        "[If|When] {b} {X} cost {a} {V}, [what does one cost|how much is one|what is the price of one|how much does a single one cost]?",
        "{N} paid {a} {V} for {b} {X}. [How much was each|What did each cost|How much is one {x}|What was the price of one]?",
        "{b} [friends|people|workers|players|cousins] [split|divide|share] [a bill of |a prize of |]{a} {V} [equally|evenly|fairly]. [How much does each pay|What is each share|How much is it for each|How much does each get]?",
        "Divide {a} {X} [equally |evenly |]among {b} [children|players|groups|people]. How many [does each get|for each]?",
        "{N} cuts a [rope|ribbon|board] of {a} [cm|m] into {b} equal [parts|pieces]. How long is [each|one|every piece]?",
        "{N} cuts a [rope|ribbon|cake|pipe] of {a} [cm|m] into pieces of {b} [cm|m]. How many pieces [are there|does {he} get|is that]?",
        "{a} [pupils|people|players|workers] [form|make|are put into] {b} equal [teams|groups|rows]. How many are in [each|one|every team]?",
        "{a} [pupils|people|players] [form|make|are put into] [teams|groups|rows] of {b}. How many [teams|groups|rows|of them] are there?",
        "A [car|cyclist|train|bus|boat|plane|runner] [covers|makes|does|goes|flies] {a} [km|kilometers|miles|meters] in {b} [hours|minutes]. How [far|many] is that in one [hour|minute]?",
        "{N} [drove|rode|ran|flew] {a} [km|kilometers|miles] in {b} hours. [What was {his} speed|At what speed was that|How many km per hour is that|What is the speed in km per hour]?",
        "{N} [typed|read|made|counted] {a} [words|pages|{X}] in {b} [minutes|hours|days]. How many [was that|is that|did {he} do] [per|in one|each] [minute|hour|day]?",
        "A {x} costs {b} {V}. {N} has {a} {V}. How many {X} can {he} [buy|get|afford]?",
        "{N} wants to save {a} {V} and [puts away|saves] {b} {V} [a|each|every] [week|month]. How many [weeks|months] does [it|that] take?",
        "{N} [planted|lays|sets] {a} {X} in {b} [equal |]rows. How many are in [each|a|one] row?",
        "{N} [planted|lays|sets] {a} {X} in rows of {b}. How many rows are there?",
        "{a} [days|legs|wheels|eyes] make how many [weeks|animals|cars] if [each|one] has {b}?",
        "{N} is {a} years old, {b} times as old as {M}. How old is {M}?",
        "{N} has {b} times as many {X} as {M}. {N} has {a}. How many does {M} have?",
    ),
)
HALVES = _told(
    "halves",
    _part(2),
    lambda n: ("/", n["a"], 2),
    (
        "Half of [the |]{a} [children|birds|people|{X}] [went away|are small|are gone|were sold|go home]. How many [is that|are they|went|was it]?",
        "{N} [eats|sells|gives away|loses|uses] half of {his} {a} {X}. How many [is that|are left|remain|does {he} have left|does {he} keep]?",
        "A {x} costs {a} {V}. [In the sale|Today] it costs half[ as much|]. [What is the price now|How much is it]?",
        "{N} is {a} years old and {M} is half as old. How old is {M}?",
        "{N} has driven half of the {a} km. How [far|many km] is that?",
        "Two {G} share {a} {X} equally. How many does each get?",
    ),
)
THIRDS = _told(
    "thirds",
    _part(3),
    lambda n: ("/", n["a"], 3),
    (
        "A third of [the |]{a} {X} [are red|are gone|were sold|are broken]. How many is that?",
        "{N} gives a third of {his} {a} {X} to {M}. How many [is that|does {M} get|does {he} give away]?",
        "One third of the {a} [children|people|guests] [left|are boys|are new]. How many is that?",
        "What is a third of {a}?",
    ),
)
QUARTERS = _told(
    "quarters",
    _part(4),
    lambda n: ("/", n["a"], 4),
    (
        "A quarter of [the |]{a} {X} [are red|are gone|were sold|are broken]. How many is that?",
        "{N} [gives|sells|lends] a quarter of {his} {a} {X} [to {M}|away]. How many [is that|are they|does {M} get]?",
        "One quarter of the {a} [children|people|guests] [left|are girls|are new]. How many is that?",
        "What is a quarter of {a}?",
    ),
)
OFF_ON = _told(
    "off_on",
    _off_and_on,
    lambda n: ("+", ("-", n["a"], n["b"]), n["c"]),
    (
        "[A|The] [bus|train|tram|boat] [has|carries|had] {a} [passengers|people][ on board|]. [At the {W}|At a stop|Then|At the station] {b} [get|got] [off|out] and {c} [get|got] [on|in]. How many [are|were] [on it now|on board|in it then|there now]?",
        "{N} had {a} {X}, [lost|gave away|sold|spent|ate] {b} and [found|got|bought|made|was given] {c}[| more| new ones]. How many [does {he} have now|are there now|is that]?",
        "{N} had {a} {V} on the account, [took out|spent|paid] {b} and [put in|earned|paid in] {c}. How much is on it now?",
        "There [were|are] {a} [cars|people|birds|boats] [in the {W}|there]. {b} [left|go away|drove off] and {c} [came|come|arrived]. How many [are|were] [there|there now|left]?",
        "{a} [children|people] [play|are] in the {W}. {b} go home and {c} [others |more |]come. How many are there then?",
        "The temperature was {a} degrees, fell by {b} and rose by {c}. What is it now?",
    ),
)
ON_OFF = _told(
    "on_off",
    _on_and_off,
    lambda n: ("-", ("+", n["a"], n["b"]), n["c"]),
    (
        "[A|The] [bus|train|tram|boat] [has|carries|had] {a} [passengers|people]. {b} [more |]get on and {c} get off. How many are [on it now|on board|there now]?",
        "{N} [has|picked|made|bought] {a} {X} and {b} {Y}. {He} [gives|gave|sold|ate] {c} of them[ away| to {M}|]. How many [things |pieces |][are left|does {he} have left|remain]?",
        "{N} had {a} {V}, [earned|won|got] {b} [more |]and spent {c}. How much [does {he} have|is left] now?",
        "The {W} had {a} [books|games|{X}]. It [bought|got|received] {b} [more|new ones] and [sold|lost|gave away] {c}. How many [are there|does it have] now?",
        "{N} [baked|made] {a} [buns|pies|cakes] in the morning and {b} in the afternoon. {c} were [sold|eaten]. How many are left?",
    ),
)
TWO_LOSSES = _told(
    "two_losses",
    _taken_twice,
    lambda n: ("-", ("-", n["a"], n["b"]), n["c"]),
    (
        "A [shop|store|stand|farm] had {a} {X}. It sold {b} on [Monday|Friday|one day|the first day] and {c} [on Tuesday|on Saturday|the next day|later]. How many [are left|remain|were left|are not sold]?",
        "{N} had {a} {X}. {He} [used|took|needed|gave] {b} for [a {y}|{M}|the {W}] and {c} for [another one|{P}|the {g}]. How many [are left|does {he} have left|remain]?",
        "{N} had {a} {V} and spent {b} on [food|a {x}|shoes] and {c} on [a {y}|a ticket|books]. How much [is left|does {he} have left|money remains]?",
        "Of {a} [pupils|people|guests], {b} [are ill|left early|went home] and {c} [are late|left later|are away]. How many [are there|stayed|remain]?",
        "A [rope|road|trip|book] is {a} [m|km|pages] long. {N} did {b} yesterday and {c} today. How much is left?",
        "{a} [birds|people|cars] were there. First {b} [left|went], then {c}[| more]. How many [stayed|are still there|are left]?",
    ),
)
THREE_SUMS = _told(
    "three_sums",
    _triple,
    lambda n: ("+", ("+", n["a"], n["b"]), n["c"]),
    (
        "{N} [scored|got|made|won] {a} points in the first [game|round], {b} in the second and {c} in the third. How many points [is that|did {he} get|are that in total|did {he} score in all]?",
        "{N} [read|sold|made|counted] {a} [pages|{X}] on Monday, {b} on Tuesday and {c} on Wednesday. How many [is that|was that in total|did {he} do in the three days]?",
        "A {x} costs {a} {V}, a {y} costs {b} {V} and a [bag|hat|pen] costs {c} {V}. [What do they cost together|How much is it all|How much does {N} pay for all three]?",
        "{N}, {M} and {P} have {a}, {b} and {c} {X}. How many [is that|do they have] [together|in all|altogether]?",
        "There are {a} [red|big], {b} [blue|small] and {c} [green|white] {X} in a {k}. How many {X} are in it?",
        "The sides of a triangle are {a} cm, {b} cm and {c} cm. How long are they together?",
    ),
)
GROUPS_REST = _told(
    "groups_rest",
    _product_minus,
    lambda n: ("-", ("*", n["a"], n["b"]), n["c"]),
    (
        "{a} [crates|boxes|bags|trays] [of|with] {b} {X} [each |][arrive|came|were delivered], [but|and] {c} {X} [are|were] [bad|rotten|broken|missing|sold]. How many [good ones |]are [left|there|fine]?",
        "{N} [bakes|baked|makes|made] {a} [trays|tins|plates] of {b} [cookies|buns|rolls] and [eats|ate|sells|gives away] {c}[| of them]. How many [are left|remain|does {he} have]?",
        "{N} [buys|bought] {a} packs of {b} {X} and [uses|used|lost|gave away] {c}. How many [are left|does {he} have left|remain]?",
        "A hall has {a} rows of {b} seats. {c} [seats |]are [taken|broken|occupied]. How many are [free|good|empty]?",
        "{N} works {a} [days|hours] for {b} {V} each and spends {c} {V}. How much [is left|does {he} keep|does {he} have left]?",
        "{a} [friends|children] have {b} {X} each. They [lose|eat|sell|use] {c} [together|in all]. How many are left?",
    ),
)
GROUPS_MORE = _told(
    "groups_more",
    _product_plus,
    lambda n: ("+", ("*", n["a"], n["b"]), n["c"]),
    (
        "{N} has {a} [bags|packs|boxes|jars] of {b} {X} and {c} [loose ones|single ones|more|{X} without a bag]. How many {X} [does {he} have|is that|are there]?",
        "{N} [buys|bought] {a} {X} at {b} {V} each and [a|one] [pen|bag|{y}] for {c} {V}. [How much does {he} pay|What is the bill|What does {he} pay in all|How much is that]?",
        "A taxi costs {b} {V} [per|for each] km and {c} {V} extra. How much [is|does one pay for] a ride of {a} km?",
        "{N} saves {b} {V} a week for {a} weeks and [gets|finds|is given] {c} {V} [more|from {M}]. How much does {he} have?",
        "{a} tables have {b} chairs each, and {c} chairs stand by the wall. How many chairs are there?",
        "{N} walks {b} km on each of {a} days and {c} km on the last day. How far is that?",
    ),
)
MONEY_REST = _told(
    "money_rest",
    _money_left,
    lambda n: ("-", n["c"], ("*", n["b"], n["a"])),
    (
        "{N} [has|had|took|starts with] {c} {V} and [buys|bought|pays for] {b} {X} [at|for] {a} {V} each. How much [does {he} have left|is left|money is left]?",
        "{N} pays for {b} {X} at {a} {V} each with {c} {V}. [What is the change|How much comes back|How much change does {he} get]?",
        "{N} has {c} {X}. {He} puts {a} [in|into] each of {b} {K}. How many are left over?",
        "{N} has {c} {X} and [hands|gives] {a} [to each of|each to] {b} [children|friends|neighbors]. How many does {he} keep?",
        "A tank has {c} liters. {b} [buckets|cans] of {a} liters are taken out. How much is left?",
        "A book has {c} pages. {N} reads {a} pages a day for {b} days. How many pages are left?",
    ),
)
TWO_BILLS = _told(
    "two_bills",
    _two_costs,
    lambda n: ("+", ("*", n["a"], n["b"]), ("*", n["c"], n["d"])),
    (
        "{N} [buys|bought] {a} {X} at {b} {V} each and {c} {Y} at {d} {V} each. [How much does {he} pay|What is the total|What is the bill|How much is that]?",
        "{a} boxes hold {b} {X} each and {c} bags hold {d} each. How many {X} are there?",
        "A class has {a} tables with {b} chairs and {c} tables with {d} chairs. How many chairs is that?",
        "{N} works {a} hours for {b} {V} an hour and {c} hours for {d} {V} an hour. How much does {he} earn?",
    ),
)
SUM_SHARED = _told(
    "sum_shared",
    _sum_shared,
    lambda n: ("/", ("+", n["a"], n["b"]), n["c"]),
    (
        "{N} has {a} {X} and {M} has {b}. They [put|pack|sort] them all into {c} {K} equally. How many are in each?",
        "{a} boys and {b} girls [form|make] {c} equal [teams|groups]. How many are in each?",
        "{N} earns {a} {V} and then {b} {V}. {He} shares it all equally among {c} [friends|children|people]. How much does each get?",
        "{N} picked {a} {X} in the morning and {b} in the evening, and packs {c} in each {k}. How many {K} is that?",
    ),
)
REST_SHARED = _told(
    "rest_shared",
    _rest_shared,
    lambda n: ("/", ("-", n["a"], n["b"]), n["c"]),
    (
        "{N} has {a} {X}. {He} [keeps|eats|loses|sells] {b} and shares the rest equally among {c} [friends|children|people]. How many does each get?",
        "Of {a} {X}, {b} are broken. The [rest|others] are put equally into {c} {K}. How many are in each?",
        "{N} has {a} {V}, spends {b} {V} and saves the rest in {c} equal parts. How much is each part?",
        "A rope of {a} m loses {b} m and is then cut into {c} equal pieces. How long is each?",
    ),
)
SUM_TIMES = _told(
    "sum_times",
    _sum_times,
    lambda n: ("*", ("+", n["a"], n["b"]), n["c"]),
    (
        "{N} walks {a} km [there|in the morning] and {b} km [back|in the evening] every day. How far is that in {c} days?",
        "A [pen|sandwich|ticket] costs {a} {V} and a [cap|drink|snack] {b} {V}. {c} [children|pupils|guests] [each get|get] one of both. How much [is that|does it cost]?",
        "Each {k} has {a} {X} and {b} {Y}. How many things are in {c} {K}?",
        "{N} does {a} [sums|tasks] in the morning and {b} at night. How many is that in {c} days?",
    ),
)

STORIES = (
    (SUM, 12),
    (DIFFERENCE, 16),
    (PRODUCT, 12),
    (PAY, 8),
    (MULTIPLE, 3),
    (DOUBLE, 3),
    (QUOTIENT, 14),
    (HALVES, 3),
    (THIRDS, 1),
    (QUARTERS, 1),
    (OFF_ON, 5),
    (ON_OFF, 4),
    (TWO_LOSSES, 5),
    (THREE_SUMS, 4),
    (GROUPS_REST, 5),
    (GROUPS_MORE, 5),
    (MONEY_REST, 5),
    (TWO_BILLS, 2),
    (SUM_SHARED, 3),
    (REST_SHARED, 3),
    (SUM_TIMES, 3),
)
