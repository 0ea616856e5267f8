"""Stories of an amount that changes: having, buying, finding, giving away, losing, eating, selling."""

from __future__ import annotations

import random
from typing import Dict, List, Tuple

from .expression import Expression

# Each list is (for training, held out). N owns, M is another person, X are the things.
OPENINGS = (
    (
        "{N} [has|had|owns|owned|keeps|kept|holds|held|possesses] {a} {X}[| in {his} {W}| at home].",
        "{N} [starts|started|begins|began] [|the day ]with {a} {X}.",
        "{N} [has|had] [collected|saved|saved up|gathered|made|baked|bought|got|picked] {a} {X}.",
        "{N} [buys|bought|finds|found|picks|picked|makes|made|collects|collected|gets|got|receives|received] {a} {X}.",
        "There [are|were] {a} {X} [in|on|at|near] the {W}.",
        "{a} {X} [are|were|sit|sat|lie|lay] [in|on] {N}'s {k}.",
        "{N}'s {k} [has|had|holds|held|contains|contained] {a} {X}.",
        "[A|The|One] {k} [has|had|holds|held|contains|contained] {a} {X}.",
        "[One|Last|This] [morning|week|year|summer], {N} [has|had|gathered|got] {a} {X}.",
        "{N} [has|had] [a {k} of|a {k} with|a collection of] {a} {X}.",
        "At first, {N} [has|had] {a} {X}.",
        "In {N}'s {W} [there are|there were|are|were] {a} {X}.",
        "[The|A] {W} [has|had|sells|sold|keeps] {a} {X}.",
    ),
    ("{N} [counts|counted] {a} {X} [in|on] the {W}.", "{a} {X} belong to {N}.", "Suppose {N} has {a} {X}."),
)
GAINS = (
    (
        "{He} [buys|bought|gets|got|finds|found|picks up|picked up|receives|received] {b} [more|more {X}|additional {X}|others|extra {X}|new ones].",
        "{He} [collects|collected|makes|made|wins|won|earns|earned|adds|added|gathers|gathered] {b} more[| {X}].",
        "{M} [gives|gave|hands|handed|sends|sent|brings|brought|lends|lent] {him} {b} [more|more {X}|{X}|of {her} own].",
        "{He} [gets|got|receives|received|takes|took|borrows|borrowed] {b} [more|{X}|more {X}] from {M}.",
        "{M} [puts|put|places|placed|adds|added|throws|threw] {b} more[| {X}] [in|into the {k}|to it|there].",
        "{b} more[| {X}] [are|were] [added|bought|brought|found|delivered|made|put in].",
        "{b} more[| {X}] [arrive|arrived|come|came|join|joined|appear|appeared].",
        "[His|Her|A|The] {g} [gives|gave|brings|brought] [{him}|{N}] {b} more[| {X}].",
        "{He} [buys|bought|finds|found] {b} {X} [at|in] the {W}.",
        "For {his} birthday {he} [gets|got] {b} [more|more {X}|{X}].",
    ),
    (
        "{He} [acquires|acquired|obtains|obtained] {b} more.",
        "{M} [offers|offered] {him} {b} more {X} and {he} [takes|took] them.",
    ),
)
LOSSES = (
    (
        "{He} [gives|gave|hands|handed|sends|sent|lends|lent] {b} [|of them |{X} |of the {X} |of {his} {X} ][to {M}|away|to {his} {g}|to a {g}].",
        "{He} [gives|gave|hands|handed|sends|sent|lends|lent] {M} {b}[| of them| {X}| of {his} {X}].",
        "{He} [loses|lost|sells|sold|breaks|broke|drops|dropped|uses|used|eats|ate|throws away|threw away|donates|donated] {b}[| of them| {X}| of the {X}].",
        "{He} [uses up|used up|gives away|gave away|burns|burned|spends|spent|returns|returned|trades|traded] {b}[| of them| {X}| of these].",
        "{M} [takes|took|steals|stole|borrows|borrowed|buys|bought|eats|ate|breaks|broke] {b}[| of them| {X}| of the {X}| of {his} {X}].",
        "{b} [of them|of the {X}|{X}] [are|were] [sold|lost|eaten|broken|taken|used|given away|stolen|removed|thrown away|taken out].",
        "{b} [of them|of the {X}|{X}] [break|broke|leave|left|go|went away|fall down|fell off|disappear|disappeared|fly away|flew away|run away|ran away].",
        "A {g} [takes|took|eats|ate|buys|bought] {b}[| of them| {X}].",
        "{M} [removes|removed|takes|took] {b} [from the {k}|of them out|away].",
        "{b} of them [get|got] [lost|broken|wet|eaten].",
    ),
    ("{He} [parts|parted] with {b} of them.", "{b} of the {X} [vanish|vanished|are missing|went missing]."),
)
QUESTIONS = (
    (
        "How many {X} does {N} have [now|left|in the end|in total|altogether|]?",
        "How many {X} does {N} have?",
        "How many {X} [are there|are left|remain|are there now|does that make]?",
        "How many [does {he}|does {N}|do they|are] [have|have left|have now|there now|left]?",
        "What is the number of {X} [now|{N} has now|in the end|left]?",
        "How many {X} [has|did] {N} [got|have] [now|left|in the end|]?",
        "[Find|Tell me|Work out|Give] the number of {X} [left|{N} has|now].",
        "How many {X} [will|would] {N} have [then|left|now|]?",
        "How many are there [now|in the end|altogether]?",
        "[Now|So|Then] how many {X} [does {N} have|are there|are left]?",
    ),
    ("With how many {X} does {N} end up?", "What number of {X} remains with {N}?"),
)
JOINS = (
    (" ", " ", " ", " Then ", " Later ", " After that, ", " Next, ", " Now ", " The next day, "),
    (" Soon after, ", " "),
)


def _own(text: str, opening: str) -> str:
    """Pronouns need an owner who was named."""
    return text if "{N}" in opening else text.replace("{He}", "{N_}").replace("{he}", "{N}").replace("{him}", "{N}")


def _lower_after(join: str, sentence: str) -> str:
    """Joined by a word, a sentence goes on in small letters, unless a name leads it."""
    if join.strip() and sentence.startswith("{He}"):
        return "{he}" + sentence[4:]
    if join.strip() and sentence.startswith("["):
        return sentence
    if join.strip() and sentence.startswith("A "):
        return "a " + sentence[2:]
    return sentence


def change(rng: random.Random, held_wording: bool = False) -> Tuple[str, Expression, Dict[str, int]]:
    """A start and one to three gains and losses: (template, expression, numbers)."""
    side = 1 if held_wording else 0
    events = rng.choices((1, 2, 3), weights=(60, 34, 6))[0]
    digits = rng.choices((1, 2, 3), weights=(25, 50, 25))[0]
    top = 10**digits - 1
    total = rng.randint(2, top)
    numbers = {"a": total}
    tree: Expression = total
    opening = rng.choice(OPENINGS[side])
    parts: List[str] = [opening]
    for i in range(events):
        gain = rng.random() < 0.5 or total < 3
        amount = rng.randint(1 if gain and total > 9 else 2, top if gain else total - 1) if gain or total > 2 else 1
        join = rng.choice(JOINS[side])
        sentence = rng.choice((GAINS if gain else LOSSES)[side])
        slot = "bcd"[i]
        sentence = _own(sentence, opening).replace("{b}", "{" + slot + "}")
        parts.append(join + _lower_after(join, sentence))
        numbers[slot] = amount
        tree = ("+" if gain else "-", tree, amount)
        total += amount if gain else -amount
    template = "".join(parts)
    question = rng.choice(QUESTIONS[side])
    if "{N}" not in template and "{N_}" not in template:
        question = rng.choice(
            (
                "How many {X} are there now?",
                "How many {X} are [left|there]?",
                "How many {X} [remain|are there in the end]?",
            )
        )
    if rng.random() < 0.1:  # one sentence instead of two
        template = template.replace(". {He}", " and", 1) if ". {He}" in template else template
    template += " " + question
    person = rng.random()
    if "{N}" in template and person < 0.14:
        template = _first_person(template, "I" if person < 0.09 else "you")
    return template, tree, numbers


_IRREGULAR = {"has": "have", "does": "do", "owns": "own", "keeps": "keep", "holds": "hold", "possesses": "possess"}


def _first_person(template: str, who: str) -> str:
    """The story told of me or you instead of a named person."""
    mine, me = ("my", "me") if who == "I" else ("your", "you")
    swaps = (
        ("does {N}", f"do {who}"),
        ("{N} [has|did]", f"{who} have"),
        ("[has|did] {N} [got|have]", f"do {who} have"),
    )
    for old, new in (
        *swaps,
        ("does {he}", f"do {who}"),
        ("{N}'s", mine),
        ("{his}", mine),
        ("{him}", me),
        ("[His|Her|A|The]", "A"),
    ):
        template = template.replace(old, new)
    for old in ("{N_}", "{N}", "{He}", "{he}"):
        template = template.replace(old, who)
    for old, new in _IRREGULAR.items():
        template = (
            template.replace(f"{who} {old} ", f"{who} {new} ")
            .replace(f"[{old}|", f"[{new}|")
            .replace(f"|{old}|", f"|{new}|")
        )
    return template
