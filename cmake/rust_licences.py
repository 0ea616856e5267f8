"""Writes the licences of the Rust packages inside the text library to one file: rust_licences.py CARGO OUT."""

import json
import pathlib
import subprocess
import sys

MANIFEST = pathlib.Path(__file__).resolve().parent.parent / "lib" / "text" / "rust" / "Cargo.toml"


def linked(metadata):
    """The packages that end up in the library: those reached without build and development dependencies."""
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    found, ahead = set(), [metadata["resolve"]["root"]]
    while ahead:
        package = ahead.pop()
        if package not in found:
            found.add(package)
            deps = nodes[package]["deps"]
            ahead += [dep["pkg"] for dep in deps if any(kind["kind"] is None for kind in dep["dep_kinds"])]
    return found - {metadata["resolve"]["root"]}


def main(cargo, out):
    command = [cargo, "metadata", "--format-version", "1", "--locked", "--offline", "--manifest-path", str(MANIFEST)]
    command += ["--filter-platform", "x86_64-unknown-linux-gnu"]
    metadata = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    chosen = linked(metadata)
    texts = {}  # many packages share one text
    lines = ["libabyssal contains these Rust packages. The texts of their licences follow.", ""]
    for package in sorted(metadata["packages"], key=lambda package: package["name"]):
        if package["id"] not in chosen:
            continue
        folder = pathlib.Path(package["manifest_path"]).parent
        name = f"{package['name']} {package['version']}"
        lines.append(f"{name}: {package['license'] or 'see its text'}")
        for file in sorted(folder.iterdir()):
            if file.is_file() and file.name.upper().startswith(("LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE")):
                texts.setdefault(file.read_text(encoding="utf-8", errors="replace").strip(), []).append(name)
    for text, names in texts.items():
        lines += ["", "=" * 80, ", ".join(sorted(set(names))), "=" * 80, text]
    pathlib.Path(out).write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
