"""Compares the transcripts of a scenario: each language's with the others', byte for byte, and with what is expected.

Lines "N local ..." depend on the machine (bits of floats, memory); they must be equal in all languages, and are not
stored in expected.txt. The one thing that may differ is the folder of the library, which an error names: it is left out.

Usage: transcripts.py FOLDER [--refresh]     FOLDER/LANGUAGE.txt; --refresh writes expected.txt instead of reading it
"""

from __future__ import annotations

import pathlib
import re
import sys
from typing import Dict, List

from flatten import HERE, LANGUAGES, scenario, steps_of

EXPECTED = HERE / "expected.txt"
Transcript = Dict[int, List[str]]


def by_step(text: str) -> Transcript:
    """Lines of each step, without its number and its last line, "done", without which it has not ended."""
    steps: Transcript = {}
    for line in re.sub(r'/[^ "]*/(?=libabyssal)', "", text).splitlines():
        number, rest = line.split(" ", 1)
        steps.setdefault(int(number), []).append(rest)
    return {number: lines[:-1] for number, lines in steps.items() if lines[-1] == "done"}


def portable(steps: Transcript) -> Transcript:
    return {number: [line for line in lines if not line.startswith("local ")] for number, lines in steps.items()}


def differences(name: str, found: Transcript, reference: str, wanted: Transcript) -> List[str]:
    kinds = [step["kind"] for step in scenario()["steps"]]
    report = []
    for number in sorted(found.keys() & wanted.keys()):
        if found[number] != wanted[number]:
            report.append(f"step {number} ({kinds[number]}) differs:")
            report += [f"  {name}: {line}" for line in found[number] if line not in wanted[number]]
            report += [f"  {reference}: {line}" for line in wanted[number] if line not in found[number]]
    return report


def main() -> None:
    folder = pathlib.Path(sys.argv[1])
    transcripts = {name: by_step((folder / f"{name}.txt").read_text(encoding="utf-8")) for name in LANGUAGES}
    report: List[str] = []
    every: Transcript = {}
    for name, found in transcripts.items():
        wanted = {number for number, _ in steps_of(name)}
        if found.keys() != wanted:
            report.append(f"{name}: steps that did not end, or should not be there: {sorted(found.keys() ^ wanted)}")
        report += differences(name, found, "those before", every)
        every.update(found)

    if "--refresh" in sys.argv:
        lines = [f"{number} {line}\n" for number, lines in sorted(portable(every).items()) for line in [*lines, "done"]]
        EXPECTED.write_text("".join(lines), encoding="utf-8")
    expected = by_step(EXPECTED.read_text(encoding="utf-8"))
    report += differences("all", portable(every), "expected.txt", expected)
    if not every.keys() <= expected.keys():
        report.append(f"expected.txt lacks the steps {sorted(every.keys() - expected.keys())}")
    if report:
        raise SystemExit("\n".join(report))
    told = sum(len(lines) for lines in every.values())
    print(f"{len(every)} steps in {len(LANGUAGES)} languages: {told} lines, the same in all")


if __name__ == "__main__":
    main()
