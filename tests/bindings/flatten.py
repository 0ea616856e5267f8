"""Makes of scenario.json what the drivers read: for each language a file of steps, and the files that the steps name.

A step becomes one line of ASCII: its number, its kind, and name=value fields, separated by tabs:

    7	eval	sequence=0	tokens=5 6 7	logits=2

Text is a JSON string of ASCII; an integer or a flag is decimal; a list is separated by spaces, a list of lists by
semicolons; a float is the eight hexadecimal digits of its bits, so that no driver rounds. In the scenario, {"ramp":
[count, factor, modulus, divisor]} stands for the floats ((i * factor) % modulus - modulus // 2) / divisor, and
{"repeat": [value, count]} for a list of the same value. C and Java have no reader of JSON in their standard libraries:
with this form every driver reads steps in a few lines, and all of them read the same bytes.

A step may say "without": languages that cannot do it, with the reason in "why". Without C is what a closed object does:
there it must not be used any more. "overcommit": false leaves a step out where the kernel promises any amount of memory.
STRUCT_SIZE, INTERNAL and DEVICE are errors that no step can cause: sizes of structs, bugs, and failing backends.

Usage: flatten.py FOLDER     Writes FOLDER/LANGUAGE.steps and what "files" names: texts, links into the repository, cuts
of its files, and folders (names that end with a slash).
"""

from __future__ import annotations

import json
import pathlib
import struct
import sys
from typing import Any, Dict, List

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
ABOUT = ("kind", "without", "why", "overcommit")  # what is not for a driver
LANGUAGES = ("c", "cpp", "python", "javascript", "java")


def scenario() -> Dict[str, Any]:
    return json.loads((HERE / "scenario.json").read_text(encoding="utf-8"))


def steps_of(language: str) -> List["tuple[int, Dict[str, Any]]"]:
    """Its steps with their numbers, which are the same in every language."""
    steps = enumerate(scenario()["steps"])
    return [(number, step) for number, step in steps if language not in step.get("without", ()) and possible(step)]


def possible(step: Dict[str, Any]) -> bool:
    """Whether this machine can do a step."""
    promises_all = pathlib.Path("/proc/sys/vm/overcommit_memory").read_text(encoding="ascii").strip() == "1"
    return step.get("overcommit", True) or not promises_all


def bits(value: float) -> str:
    return struct.pack(">f", value).hex()


def ramp(count: int, factor: int, modulus: int, divisor: int) -> List[float]:
    return [((i * factor) % modulus - modulus // 2) / divisor for i in range(count)]


def flat(value: Any) -> str:
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, float):
        return bits(value)
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, dict) and "ramp" in value:
        return flat(ramp(*value["ramp"]))
    if isinstance(value, dict):
        number, count = value["repeat"]
        return flat([number] * count)
    if value and isinstance(value[0], list):
        return ";".join(flat(part) for part in value)
    return " ".join(flat(part) for part in value)


def line(number: int, step: Dict[str, Any]) -> str:
    fields = [f"{name}={flat(value)}" for name, value in step.items() if name not in ABOUT]
    return "\t".join([str(number), step["kind"], *fields]) + "\n"


def write_file(path: pathlib.Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, str):
        path.write_text(content, encoding="utf-8")
    elif "bytes" in content:
        path.write_bytes((ROOT / content["of"]).read_bytes()[: content["bytes"]])
    else:
        path.symlink_to(ROOT / content["of"])


def main() -> None:
    folder = pathlib.Path(sys.argv[1])
    for name, content in scenario()["files"].items():
        if name.endswith("/"):
            (folder / name).mkdir(parents=True)
        else:
            write_file(folder / name, content)
    for language in LANGUAGES:
        lines = [line(number, step) for number, step in steps_of(language)]
        (folder / f"{language}.steps").write_text("".join(lines), encoding="ascii")


if __name__ == "__main__":
    main()
