"""Expands templates into sentences: alternatives, numbers, and the people and things of a story.

A template is text with alternatives in brackets, "[has|owns] ", nested as one likes, and slots in braces:
  {a} {b} {c}      numbers (digits, sometimes words)
  {N} {M} {P}      people; {he} {his} {him} {He} {His} belong to N, {she} {her} {She} to M
  {X} {x} {Y} {y}  things, plural and singular; {K} {k} containers; {G} {g} a group of people; {W} a place
"""

from __future__ import annotations

import random
import re
from typing import Dict, List, Mapping, Sequence

from . import words

_SLOT = re.compile(r"\{(\w+)\}")
_PRONOUNS = (("he", "his", "him"), ("she", "her", "her"), ("they", "their", "them"))
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_SMALL = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen".split()
_SMALL += "seventeen eighteen nineteen".split()


def expand(template: str, rng: random.Random) -> str:
    """Chooses one alternative of every bracket."""
    out: List[str] = []
    at = 0
    while at < len(template):
        c = template[at]
        if c != "[":
            end = template.find("[", at)
            end = len(template) if end < 0 else end
            out.append(template[at:end])
            at = end
            continue
        depth, start, options = 0, at + 1, []
        for i in range(at, len(template)):
            if template[i] == "[":
                depth += 1
            elif template[i] == "]":
                depth -= 1
                if depth == 0:
                    options.append(template[start:i])
                    at = i + 1
                    break
            elif template[i] == "|" and depth == 1:
                options.append(template[start:i])
                start = i + 1
        else:
            raise ValueError(f"bracket not closed: {template}")
        out.append(expand(rng.choice(options), rng))
    return "".join(out)


def made_up(rng: random.Random, least: int = 2, most: int = 3) -> str:
    """A word that nobody wrote: random syllables."""
    while True:
        syllables = [
            rng.choice(words.ONSETS) + rng.choice(words.VOWELS) + rng.choice(words.CODAS)
            for _ in range(rng.randint(least, most))
        ]
        word = "".join(syllables)[:11]
        if not any(part in word for part in words.UNWANTED):
            return word


def _plural(word: str) -> str:
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return word + "es"
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return word[:-1] + "ies"
    return word + "s"


class Cast:
    """The people and things of one story. held_out: only names and things that training never uses."""

    def __init__(self, rng: random.Random, held_out: bool = False) -> None:
        self._rng = rng
        self._held_out = held_out

    def _pick(self, common: Sequence[str], held: Sequence[str]) -> str:
        return self._rng.choice(held if self._held_out else common)

    def name(self) -> str:
        rng = self._rng
        if not self._held_out and rng.random() < 0.45:
            made = made_up(rng, 1, 3).capitalize()
            return made if made not in words.HELD_NAMES else "Bo"
        name = self._pick(words.NAMES, words.HELD_NAMES)
        if rng.random() < 0.06:
            name = rng.choice(("Mr. ", "Mrs. ", "Ms. ", "Dr. ", "Aunt ", "Uncle ", "Captain ")) + name
        elif rng.random() < 0.04:
            name = rng.choice(("the ", "a ", "my ")) + rng.choice(words.ROLES)
        return name

    def thing(self) -> "tuple[str, str]":
        """(singular, plural), sometimes with an adjective."""
        rng = self._rng
        if not self._held_out and rng.random() < 0.35:
            single = made_up(rng, 1, 3)
            single = single if single not in words.HELD_THINGS else "wug"
            plural = _plural(single)
        else:
            single, _, plural = self._pick(words.THINGS, words.HELD_THINGS).partition("/")
            plural = plural or _plural(single)
        if rng.random() < 0.2:
            adjective = rng.choice(words.ADJECTIVES)
            single, plural = f"{adjective} {single}", f"{adjective} {plural}"
        return single, plural

    def group(self, common: Sequence[str], invent: float = 0.15) -> "tuple[str, str]":
        rng = self._rng
        if rng.random() < invent and not self._held_out:
            single = made_up(rng, 1, 2)
            return single, _plural(single)
        single, _, plural = rng.choice(common).partition("/")
        return single, plural or _plural(single)

    def slots(self) -> Dict[str, str]:
        """Fills every slot but the numbers."""
        rng = self._rng
        out: Dict[str, str] = {}
        people: List[str] = []
        while len(people) < 3:
            name = self.name()
            if name not in people:
                people.append(name)
        out["N"], out["M"], out["P"] = people
        out["he"], out["his"], out["him"] = rng.choice(_PRONOUNS[:2] if rng.random() < 0.9 else _PRONOUNS[2:])
        out["she"], _, out["her"] = rng.choice(_PRONOUNS[:2])
        out["x"], out["X"] = self.thing()
        out["y"], out["Y"] = self.thing()
        out["k"], out["K"] = self.group(words.CONTAINERS)
        out["g"], out["G"] = self.group(words.PEOPLE)
        out["W"] = rng.choice(words.PLACES) if rng.random() < 0.85 else made_up(rng, 1, 2)
        for key in ("he", "she", "his", "N", "M", "P"):
            out[key + "_"] = out[key][:1].upper() + out[key][1:]
        out["He"], out["She"], out["His"] = out["he_"], out["she_"], out["his_"]
        return out


def number(n: int, rng: random.Random, words_share: float) -> str:
    """A number as people write it: digits, or a word if it is small, or rarely if it is below a hundred."""
    if n < 13 and rng.random() < words_share:
        return _SMALL[n]
    if 13 <= n < 100 and rng.random() < words_share / 5:
        return _SMALL[n] if n < 20 else _TENS[n // 10 - 2] + (f"-{_SMALL[n % 10]}" if n % 10 else "")
    return str(n)


def fill(
    template: str, numbers: Mapping[str, int], cast: Mapping[str, str], rng: random.Random, words_share: float
) -> str:
    """Expands a template and fills its slots; sentences begin with a capital."""
    slots = dict(cast)
    for key, n in numbers.items():
        slots[key] = number(n, rng, words_share)
    text = expand(template, rng)
    text = re.sub(r"\$\{([a-d])\}", lambda match: f"${numbers[match.group(1)]}", text)  # never "$seven"
    out = _SLOT.sub(lambda match: slots[match.group(1)], text)
    out = re.sub(r"(^|[.?!] )([a-z])", lambda match: match.group(1) + match.group(2).upper(), out)
    return re.sub(r"  +", " ", out).strip()


_KEEP = frozenset(
    """more less fewer times each every per twice double half together altogether total left equally all rest than and of
    gives gave give takes took take loses lost lose sells sold sell eats ate eat uses used use spends spent buys bought gets
    got finds found receives received adds added has had have in an a for to from at how many much what which solve find""".split()
)


def noisy(text: str, rng: random.Random) -> str:
    """A text with a few words missing, misspelt or strange, so that a reader learns to do without any one of them.
    Numbers, names and the words that carry the arithmetic stay."""
    out = []
    for word in text.split(" "):
        bare = word.strip(".,?!:;").lower()
        chance = rng.random()
        if chance > 0.12 or not bare.isalpha() or bare in _KEEP or word[:1].isupper() or len(bare) < 3:
            out.append(word)
        elif chance < 0.03 and word == bare:
            continue
        elif chance < 0.06:
            at = rng.randrange(len(bare) - 1)
            out.append(word.replace(bare, bare[:at] + bare[at + 1] + bare[at] + bare[at + 2 :]))
        else:
            out.append(word.replace(bare, made_up(rng, 1, 2)))
    return " ".join(out)
