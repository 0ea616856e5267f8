"""Prints the licences of what is bundled with a binary package of Abyssal: oneDNN, the Rust crates of the text library,
header-only C++ libraries, and files that are given. Each text once, under the names of all that share it.

Usage: licences.py [NAME=FILE...]     A header is taken for the comment that it begins with. A file that is given stands for
                                      those that would be looked for under its name. The variable CARGO names cargo.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
from typing import Dict, Iterator, List, Tuple

ROOT = pathlib.Path(__file__).resolve().parents[1]
NAMES = ("licen", "copying", "notice", "unlicense")


def crates() -> Iterator[Tuple[str, pathlib.Path]]:
    cargo = os.environ.get("CARGO") or shutil.which("cargo") or os.path.expanduser("~/.cargo/bin/cargo")
    manifest = ROOT / "lib" / "text" / "rust" / "Cargo.toml"
    command = [cargo, "metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", "x86_64-unknown-linux-gnu"]
    result = subprocess.run([*command, "--manifest-path", str(manifest)], check=True, stdout=subprocess.PIPE)
    data = json.loads(result.stdout)
    linked = {node["id"] for node in data["resolve"]["nodes"]}
    for package in data["packages"]:
        if package["source"] is None or package["id"] not in linked:
            continue
        folder = pathlib.Path(package["manifest_path"]).parent
        files = [file for file in sorted(folder.iterdir()) if file.is_file() and file.name.lower().startswith(NAMES)]
        title = f"{package['name']} {package['version']} ({package['license']})"
        for file in files:
            yield title, file
        if not files:
            yield title, pathlib.Path(os.devnull)


def others() -> Iterator[Tuple[str, pathlib.Path]]:
    venv = ROOT / ".venv"
    for file in sorted(venv.glob("lib/python3*/site-packages/onednn_cpu_gomp-*.dist-info/LICENSE.txt")):
        yield "oneDNN", file
    for file in sorted(venv.glob("share/doc/onednn/THIRD-PARTY-PROGRAMS")):
        yield "oneDNN, third parties", file
    for file in sorted(pathlib.Path("/usr/share/doc/nlohmann-json3-dev").glob("copyright")):
        yield "JSON for Modern C++", file
    for file in sorted(pathlib.Path("/usr/include").glob("xxhash.h")):
        yield "xxHash", file


def text_of(file: pathlib.Path) -> str:
    text = file.read_text(encoding="utf-8", errors="replace")
    if file.suffix == ".h":
        comment = text.partition("/*")[2].partition("*/")[0]
        text = "\n".join(line.strip().removeprefix("*").removeprefix(" ") for line in comment.splitlines())
    return text.strip() or "(the package holds no text)"


def main() -> None:
    given = [argument.split("=", 1) for argument in sys.argv[1:]]
    names = {name for name, _ in given}
    texts: Dict[str, List[str]] = {}
    looked_for = [(title, file) for title, file in others() if title not in names]
    for title, file in [*looked_for, *((name, pathlib.Path(path)) for name, path in given), *crates()]:
        text = text_of(file)
        titles = texts.setdefault(text, [])
        if title not in titles:
            titles.append(title)
    print("Abyssal is distributed under the Apache Licence 2.0; see LICENSE. This package also holds parts of:")
    for text, titles in texts.items():
        print("\n" + "-" * 100 + "\n" + "\n".join(titles) + "\n\n" + text)


if __name__ == "__main__":
    main()
