"""The table of names in bindings/README.md: every function of the C API has a row, and every name in a row is declared."""

from __future__ import annotations

import ast
import pathlib
import re
from typing import Dict, List, Set

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINDINGS = ROOT / "bindings"


def text(path: pathlib.Path) -> str:
    return path.read_text(encoding="utf-8")


def table() -> List["dict[str, str]"]:
    """Rows by the column's language."""
    section = text(BINDINGS / "README.md")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    languages = [re.sub(r" .*", "", cell) for cell in rows[0]]
    return [dict(zip(languages, row)) for row in rows[2:]]


def names(cell: str) -> List[str]:
    return re.findall(r"`([^`]+)`", cell)


def c_names() -> Set[str]:
    headers = [text(ROOT / "include/abyssal" / name) for name in ("abyssal.h", "ops.h")]
    return {name for header in headers for name in re.findall(r"^ABY_API [\w ]+\W(aby_\w+)\(", header, re.M)}


def cpp_names() -> Set[str]:
    header = text(ROOT / "include/abyssal/abyssal.hpp")
    found = set(re.findall(r"^inline [\w:<> ]+?(\w+)\(", header, re.M))
    for name, body in re.findall(r"^class (\w+)[^;{]*\{\npublic:\n(.*?)^(?:private:|\};)", header, re.M | re.S):
        found |= {name} | {f"{name}::{member}" for member in re.findall(r"^  [^/\n]*?\b(\w+)\(", body, re.M)}
    return found


def python_modules(*paths: pathlib.Path) -> Set[str]:
    """What modules define, with their classes' members, those of bases in the same modules included."""
    nodes = [node for path in paths for node in ast.parse(text(path)).body]
    classes = {node.name: node for node in nodes if isinstance(node, ast.ClassDef)}

    def members(node: ast.ClassDef) -> List[str]:
        own = [part.name for part in node.body if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef))]
        own += [ast.unparse(part.target) for part in node.body if isinstance(part, ast.AnnAssign)]
        bases = [classes[name] for name in map(ast.unparse, node.bases) if name in classes]
        return own + [member for base in bases for member in members(base)]

    found = {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    found |= {ast.unparse(node.target) for node in nodes if isinstance(node, ast.AnnAssign)}
    return found | set(classes) | {f"{name}.{member}" for name, node in classes.items() for member in members(node)}


def python_names() -> Set[str]:
    package = BINDINGS / "python/abyssal"
    exported = set(re.findall(r'^    "(\w+)",$', text(package / "__init__.py"), re.M))
    found = {name for name in python_modules(*package.glob("*.py")) if name.split(".")[0] in exported}
    return found | {f"ops.{name}" for name in python_modules(package / "ops.py")}


def javascript_names() -> Set[str]:
    found = set()
    inside: List[str] = []  # the class or namespace, at each depth
    for line in text(BINDINGS / "javascript/lib/index.d.ts").splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        declared = re.match(
            r" *(?:export )?(?:async )?(?:(class|namespace|interface|function|const) |static |get )*(\w+)", line
        )
        if declared is None or depth > len(inside):
            continue
        del inside[depth:]
        found.add(".".join([*inside, declared[2]]))
        if declared[1] in ("class", "namespace"):
            inside.append(declared[2])
    return found


def java_names() -> Set[str]:
    found = set()
    for path in (BINDINGS / "java/java/org/abyssal").glob("*.java"):
        public = re.findall(r"^  public (?:static |record )*(?:[\w.<>\[\]]+ )?(\w+)\(", text(path), re.M)
        found |= {path.stem} | {f"{path.stem}.{name}" for name in public}
    for path in (BINDINGS / "java/swig").glob("*.i"):  # what SWIG makes public
        renamed = dict(re.findall(r"%rename\((\w+)\) abyssal::\w+::(\w+);", text(path)))
        renamed = {name: new for new, name in renamed.items()}
        for of, name in re.findall(r'%javamethodmodifiers abyssal::(?:(\w+)::)?(\w+) "', text(path)):
            found.add(f"{of.capitalize() or 'Abyssal'}.{renamed.get(name, name)}")
    return found


DECLARED: Dict[str, Set[str]] = {
    "C": c_names(),
    "C++": cpp_names(),
    "Python": python_names(),
    "JavaScript": javascript_names(),
    "Java": java_names(),
}


def test_every_function_has_one_row():
    listed = [name for row in table() for name in names(row["C"])]
    assert len(DECLARED["C"]) > 50
    assert sorted(listed) == sorted(DECLARED["C"])


@pytest.mark.parametrize("language", DECLARED)
def test_every_name_is_declared(language):
    listed = {name for row in table() for name in names(row[language])}
    assert len(listed) > 40
    assert listed <= DECLARED[language], sorted(listed - DECLARED[language])
    for name in ("no_such_name", "Model.no_such_name", "model::no_such_name"):
        assert name not in DECLARED[language]


def test_what_is_missing_has_its_reason():
    readme = text(BINDINGS / "README.md")
    for row in table():
        for cell in row.values():
            assert names(cell) or re.fullmatch(r"-[a-z]", cell)
            if not names(cell):
                assert f"\n- {cell[1]}: " in readme
