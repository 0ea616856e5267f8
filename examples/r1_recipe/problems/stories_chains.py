"""Stories of two and three steps one after another, and turns of phrase that mislead: "19 more than", "in 18 years", "which is"."""

from __future__ import annotations

from .stories_told import Templates

TEMPLATES: Templates = {
    "sum": (
        "{N} [has|owns|counted|picked] {a} {X}, [which is|that is] {b} [fewer|less] than {M}[| has]. How many {X} does {M} have?",
        "{N} is {a} years old, {b} years younger than {his} [sister|brother|cousin|wife]. How old is {his} [sister|brother|cousin|wife]?",
        "A {x} costs {a} {V}. That is {b} {V} [less|cheaper] than a {y}. [What does|How much does] the {y} cost?",
        "{N} [gained|put on] {a} [kg|pounds] after weighing {b}. What does {he} weigh [now|today]?",
        "{N} [weighed|measured] {a} and has [grown|gained|increased] by {b}. What is it [now|today]?",
        "{N} lost {b} {X} and [now has|is left with|still has] {a}. [How many|What number] did {he} have [before|earlier|at first]?",
        "After [paying|spending|giving] {b} {V} [for lunch|on a taxi|for the bus|at the {W}], {N} [has|was left with|still had] {a} {V}. How much [money |]did {he} [have before|start with|have at first|take along]?",
        "From a {k} {b} {X} were [removed|taken|sold]. {a} [are still in it|remain in it|stayed]. How many were in it [before|at first]?",
        "The {y} is {a} m long, and the {x} is {b} m longer than that. How long is the {x}?",
    ),
    "difference": (
        "{N} [has|owns|counted|got|scored] {a} {X}, [which is |that is |]{b} more than {M}[| has| got]. How many {X} [does {M} have|has {M}|did {M} get]?",
        "{N} has {a} {X}. That is {b} more than {M} has. How many {X} does {M} have?",
        "{N} is {a} years old, {b} years older than {his} [sister|brother|cousin|wife]. How old is {his} [sister|brother|cousin|wife]?",
        "A {x} costs {a} {V}. That is {b} {V} more than a {y}. [What does|How much does] the {y} cost?",
        "In {b} years {N} [will be|is going to be|turns] {a}. [How old is {he} now|What is {his} age now]?",
        "{b} years ago, how old was {N}, who is {a} [now|today]?",
        "{N} [added|put|threw] {b} {X} [to|into] {his} {k}, and [now|then] it [has|holds|had] {a}. How many were [in it|there] [before|at first]?",
        "What [number|amount] must be [added to|put to] {b} to [get|make|reach|give] {a}?",
        "{b} plus [what|which number|how much] [is|makes|gives] {a}?",
        "I think of a number[ and|,] add {b}[,| and] get {a}. [What is|Which is] my number?",
        "[How much|By how much|How many meters] is a {y} of {a} m [longer|higher|larger] than one of {b} m?",
        "{N} jumped {a} cm and {M} jumped {b} cm. How [many cm|much] farther did {N} jump[| than {M}]?",
        "The {x} weighs {b} grams and the {y} {a} grams. How many grams heavier is the {y}?",
        "{N} has {b} of {a} {X}. How many [are missing|does {he} lack|more are needed]?",
        "{b} {G} were in the {W}. [Then more came|More arrived] and there were {a}. How many [came|arrived] [later|then|after that|]?",
        "The [bill|total|shopping] [was|came to|is] {b} {V}. {N} [gave|paid with|handed over] {a} {V}. [How much|What] [change did {he} get|did {he} get back|comes back]?",
        "It was {b} degrees in the morning and {a} at noon. By how many degrees did it get [warmer|hotter]?",
        "{N} wants to [read|walk|collect|sell] {a} [pages|km|{X}][,| and] so far {he} has done {b}. How many [are missing|more must it be|are left|to go]?",
    ),
    "quotient": (
        "{N} has {a} {X}, which is {b} times as many as {M}. How many does {M} have?",
        "I think of a number, multiply it by {b}[,| and] get {a}. [What is|Which is] my number?",
        "{b} times what [number |]is {a}?",
        "How many times does {b} [go into|fit into] {a}?",
        "A [pack|bag|set] of {b} {X} costs {a} {V}. [What does one {x} cost|What is the price of one|How much is a single {x}]?",
        "The {a} {X} [are|were] [dealt|handed out|given] to {b} {G}, [each|everyone] [getting|receiving] the same[ number|]. How many [did each get|for each]?",
        "{b} [identical|equal|such] {X} weigh {a} [kg|grams] [in all|together]. How much does one weigh?",
        "It takes {b} [hours|days|minutes] to make {a} {X}. How many [is that|are made] in one [hour|day|minute]?",
    ),
    "product": (
        "For one {k} {N} needs {b} {X}. How many [does {he} need|are needed] for {a} {K}?",
        "{N} has {a} {b}-{V} [bills|notes]. How much money is that?",
        "One {x} needs {b} {Y}. How many {Y} do {a} {X} need?",
        "Every [one|child|person] of {a} gets {b} {X}. How many {X} [is that|are given]?",
        "With one [liter|tank|battery] a [car|robot|boat] [goes|runs|makes] {b} km. How far [does it get|can it go] with {a}?",
    ),
    "week": (
        "{N} [eats|sells|reads|makes|runs|drinks|counts] {a} [{X}|pages|km|cups] [a|every|each] day. How many is that [in|in a|per|in one] week?",
        "{N} [works|sleeps|reads] {a} [minutes|pages] [a|every|each] day. How many [minutes|pages] is that in a week?",
        "How many days are [in|there in] {a} weeks?",
        "A [hen|shop|machine|baker] [gives|sells|makes] {a} {X} [daily|every day|a day]. How many in a week?",
        "{N} [stays|travels|waits] for {a} weeks. How many days is that?",
    ),
    "dozen": (
        "How many {X} are [in|there in] {a} dozen?",
        "{N} [buys|has|needs|sells] {a} dozen {X}. How many {X} is that?",
        "A {k} holds a dozen {X}. How many {X} are in {a} {K}?",
        "A year has 12 months. How many months are {a} years?",
    ),
    "halves": (
        "{N} has {a} {X}, twice as many as {M}. How many does {M} have?",
        "{N} [made|sold|ate|read] {a} {X}, which is [twice|double] what {M} did. How many [was|is] that for {M}?",
        "{N} has [used|read|sold|done] half of {a} {X}. How many [are left|remain|is that]?",
    ),
    "double": (
        "{N} has twice as many {X} as {M}. {M} has {a}. How many does {N} have?",
        "What is [twice|double] {a}?",
        "[double|Double] {a}[.|]",
        "{N} [sells|gives|hands out] 2 {X} to each of {a} {G}. How many {X} is that?",
    ),
    "half_more": (
        "{N} had {a} {X}. {He} [gave away|lost|sold|ate] half of them and then [found|got|bought|made] {b}[| more]. How many {X} does {he} have now?",
        "Half of {a} {X} were [sold|used|eaten], then {b} [more |new ones |][came|were added|arrived]. How many are there [now|then]?",
        "{N} spent half of {his} {a} {V} and earned {b} {V}. How much does {he} have [now|]?",
    ),
    "half_less": (
        "{N} had {a} {X}. {He} [gave|sold] half of them [away|to {M}|] and then [lost|ate|used] {b}. How many are left?",
        "Half of the {a} {G} [left|went home] at noon and {b} more [left|went] later. How many [stayed|are there|remain]?",
    ),
    "double_more": (
        "{M} has {a} {X}. {N} has {b} more than twice as many. How many does {N} have?",
        "{N} [doubles|doubled] {his} {a} {X} and [gets|found|buys] {b} more. How many [does {he} have|is that]?",
    ),
    "total_more": (
        "{M} has {a} {X} and {N} has {b} more than {M}. How many do they have [together|in all|altogether]?",
        "A {x} costs {a} {V} and a {y} costs {b} {V} more[| than that| than the {x}]. What do both cost [together|in total]?",
        "{N} [read|ran|sold|picked] {a} [pages|km|{X}] on [Monday|the first day] and {b} more than that on [Tuesday|the second day]. How many [is that in all|was that altogether|is that on both days]?",
        "{N} is {a} years old and {M} is {b} years older. How old are they together?",
    ),
    "total_less": (
        "{N} has {a} {X} and {M} has {b} fewer[| than {N}]. How many do they have [together|in all|altogether]?",
        "A {x} costs {a} {V} and a {y} costs {b} {V} less[| than that]. What do both cost [together|in total]?",
        "{N} [read|ran|sold|picked] {a} [pages|km|{X}] on [Monday|the first day] and {b} less than that on [Tuesday|the second day]. How many [is that in all|was that altogether]?",
    ),
    "total_times": (
        "{N} has {a} {X}. {M} has {b} times as many. How many do they have [together|in all|altogether]?",
        "{N} [read|ran|sold|picked] {a} [pages|km|{X}] on [Monday|the first day] and {b} times as many on [Tuesday|the second day]. How many [is that in all|was that altogether|is it together]?",
        "A {x} costs {a} {V} and a {y} costs {b} times as much. How much are both?",
    ),
    "groups_more": (
        "{N} [pays|paid] {c} {V} for a {y} and {b} {V} for each of {a} {X}. How much [is that|was everything|did {he} pay]?",
        "A [plant|baby|puppy|pile] [weighs|measures|has] {c} [grams|cm|pieces] and [gains|grows by|gets] {b} [a|each|every] week. What is it after {a} weeks?",
        "{N} has {c} {V} and saves {b} {V} [a|each|every] [week|month]. How much does {he} have after {a} [weeks|months]?",
        "A [repair|ride|lesson|visit] costs {c} {V} plus {b} {V} [per|for each|an] hour. [How much are|What do] {a} hours [|cost]?",
        "{a} {G} [brought|carried|had|picked] {b} {X} each[,| and] {N} [brought|carried|had|picked] {c}. How many {X} [is that|were there][| in all| altogether]?",
        "{N} [rides|drives|sails] {b} km an hour for {a} hours and [then |]walks {c} km[| more]. How far is that [in all|altogether|in total]?",
    ),
    "money_rest": (
        "There were {c} {X} in the {W}. {b} {G} took {a} each. How many are [still there|left|there now]?",
        "The {W} had {c} {X}. {b} {K} of {a} were [sold|taken away|sent out]. How many [are left|remain|are there now]?",
        "{N} [pays|paid] for {b} {X} at {a} {V} each with a {c} {V} bill. How much [change |]does {he} get back?",
        "Of {c} seats, {b} rows of {a} are taken. How many are free?",
        "{b} {X} cost {a} {V} each. {N} gives {c} {V}. How much is the change?",
    ),
    "groups_rest": (
        "[The|A] {W} has {a} rows of {b} seats. {c} are [empty|free|broken] and [the rest|all others] are [taken|full|fine]. How many are [taken|full|fine]?",
        "{a} {K} with {b} {X} each [came|were there|were bought]. {c} of the {X} [were|are] [bad|lost|gone]. How many are good?",
        "{N} [earns|gets] {b} {V} for each of {a} {X} and [pays|spends] {c} {V}. How much [does {he} keep|is left|is {his} gain]?",
    ),
    "three_sums": (
        "{N} [walked|drove|ran] {a} m to the {W}, then {b} m to the [bank|park|shop] and {c} m home. How many m [is that|did {he} go|altogether is that]?",
        "What is the sum of {a}, {b} and {c}?",
        "[Add|add] {a}, {b} and {c}[.|]",
        "{a}, {b} and {c} {X} lie in three {K}. How many are there [in all|together|altogether]?",
    ),
    "on_off": (
        "{N} saved {a} {V}, [got|was given|earned] {b} {V}[| more] and [spent|paid] {c} {V} [on|for] a {x}. How much [is left|does {he} have now|money remains]?",
        "The {W} was empty. {a} {G} came[ in|], [then|later] {b} more[ came|], and {c} [left|went home]. How many are [there|in it] now?",
        "{N} won {a} points, then {b} points, and lost {c}. [What is {his} score|How many points does {he} have]?",
    ),
    "off_on": (
        "{N} won {a} points, lost {b} and won {c}[| more| again]. [What is {his} score|How many points does {he} have]?",
        "{N} had {a} {V}, paid {b} {V} and got {c} {V} back. How much does {he} have?",
    ),
    "two_losses": (
        "{N}'s [book|film|trip|road] has {a} [pages|minutes|km]. {He} [did|finished] {b} [last week|yesterday|before] and {c} [this week|today|now]. How many are left?",
        "{N} [had|took] {a} {V}[,| and] paid {b} {V} for a {x} and {c} {V} for a {y}. How much [is left|remains|does {he} still have]?",
    ),
    "off_on_off": (
        "A [bus|train|boat|lift] has {a} people. First {b} get off and {c} get on, then {d} get off. How many are [on it|there] [now|then|at the end]?",
        "{N} had {a} {X}, [lost|sold] {b}, [found|got|bought] {c} and [gave away|ate|used] {d}. How many {X} does {he} have [now|at the end]?",
        "{N} has {a} {V}. {He} spends {b}, earns {c} and spends {d}. How much is left?",
    ),
    "rest_twice": (
        "{N} had {d} {V}. {He} bought {a} {X} at {b} {V} each and a {y} for {c} {V}. How much [is left|money is left|does {he} have left]?",
        "Of {d} {X}, {a} {G} took {b} each and {N} took {c}. How many are left?",
        "A {k} of {d} {X}: {a} {G} get {b} each, {c} are [broken|lost]. How many remain?",
    ),
    "groups_rest_shared": (
        "{N} had {a} {K} of {b} {X}. {He} [lost|threw away|ate|kept] {c} and [divided|shared|split] the rest equally [among|between] {d} {G}. How many [does each get|for each]?",
        "{a} {G} [picked|brought|made] {b} {X} each. {c} were [bad|lost|eaten], the others went equally into {d} {K}. How many are in each?",
    ),
    "sum_shared": (
        "{N} [picked|found|made] {a} {X} and {M} {b}. They [divide|share|split] all[ of them|] equally [among|between] {c} {G}. How many [does each get|for each]?",
        "{c} {G} pay {a} {V} for the [room|boat|car] and {b} {V} for [food|fuel|tickets] and [share|split] the cost equally. How much does each pay?",
        "{a} {X} and {b} {Y} are put equally into {c} {K}. How many [things|pieces] [are|go] in each?",
    ),
    "three_sums_shared": (
        "{a}, {b} and {c} {G} [form|make] {d} equal [groups|teams]. How many are in each?",
        "{N} has {a} {X}, {M} {b} and {P} {c}. They put them all equally into {d} {K}. How many are in each?",
    ),
    "unit_scaled": (
        "{N} [pays|paid] {a} {V} for {b} {X}. [How much|What] would {c} of them cost at the same price?",
        "A [machine|worker|printer] makes {a} {X} in {b} [minutes|hours]. How many in {c} [minutes|hours] at the same [speed|rate]?",
        "A recipe for {b} people [needs|takes] {a} {X}. How many [are needed|does one need] for {c} people?",
        "{b} {K} hold {a} {X}. How many do {c} such {K} hold?",
    ),
    "sum_times": (
        "{N} [earns|gets] {c} {V} an hour. {He} worked {a} hours on [Monday|Friday] and {b} hours on [Tuesday|Saturday]. How much did {he} earn[| on both days| in all]?",
        "{N} sold {a} {X} and {M} sold {b}. Each cost {c} {V}. How much money [is that|did they get|did they take in][| together]?",
        "{a} [adults|men|boys] and {b} [children|women|girls] go to the {W}. Each ticket costs {c} {V}. How much do they pay?",
        "[Every|Each] day {N} [reads|does|writes] {a} pages in the morning and {b} in the evening. How many pages in {c} days?",
    ),
    "two_bills": (
        "{N} worked {a} hours for {b} {V} an hour and {c} hours for {d} {V} an hour. What did {he} earn [altogether|in all|in total]?",
        "There are {a} {K} with {b} {X} each and {c} {K} with {d} {X} each. How many {X} [are there|is that]?",
        "{a} {X} at {b} {V} and {c} {Y} at {d} {V}: how much is [it all|that together|the total]?",
    ),
}
