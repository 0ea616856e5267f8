"""Checks that a library exports every function that the headers declare, under their version, and nothing else. Of a static
library, which has no versions: that it defines those for other files, and nothing else.

    exported_symbols.py libabyssal.so|libabyssal.a include/abyssal
"""

import pathlib
import re
import subprocess
import sys

MOST_FUNCTIONS = 80  # what a user can learn in an evening: see the house style
VERSION = "ABYSSAL_0"
DECLARATION = re.compile(r"^ABY_API\s[^;(]*?\b(aby_\w+)\s*\(", re.MULTILINE)


def declared(folder: pathlib.Path) -> "set[str]":
    names = set()
    for header in sorted(folder.glob("*.h")):
        text = header.read_text(encoding="utf-8")
        here = DECLARATION.findall(text)
        if len(here) != len(re.findall(r"^ABY_API\s", text, re.MULTILINE)):
            sys.exit(f"{header}: an ABY_API declaration is not of the form this test reads")
        names.update(here)
    return names


def exported(library: str) -> "dict[str, str]":
    """Name to version of every defined symbol that others see, the version's own name left out."""
    static = library.endswith(".a")
    which = "--extern-only" if static else "--dynamic"
    output = subprocess.run(["nm", which, "--defined-only", library], check=True, capture_output=True, text=True).stdout
    symbols = {}
    for line in output.splitlines():
        if len(line.split()) != 3:  # an archive's member
            continue
        _, kind, symbol = line.split()
        name, _, version = (symbol + f"@@{VERSION}" * static).partition("@@")
        if not (kind == "A" and name == VERSION):
            symbols[name] = version
    return symbols


def main() -> None:
    library, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    wanted, found = declared(folder), exported(library)
    complaints = [f"declared but not exported: {name}" for name in sorted(wanted - found.keys())]
    complaints += [f"exported but not declared: {name}" for name in sorted(found.keys() - wanted)]
    complaints += [f"exported as version {version!r}, not {VERSION}: {name}"
                   for name, version in sorted(found.items()) if name in wanted and version != VERSION]
    if len(wanted) > MOST_FUNCTIONS:
        complaints.append(f"{len(wanted)} functions are declared; the API is to stay at {MOST_FUNCTIONS} at most")
    if not wanted:
        complaints.append(f"{folder}: no declarations were found")
    if complaints:
        sys.exit("\n".join(complaints))
    print(f"{len(wanted)} functions declared and exported, nothing else")


if __name__ == "__main__":
    main()
