"""The package itself: documentation, types, stubs, version."""

from __future__ import annotations

import inspect
import json
import pathlib
import re
import subprocess
import sys

import pytest

import abyssal
from abyssal import ops
from support import ROOT

HERE = pathlib.Path(__file__).parent


def test_version_is_that_of_the_project():
    project = re.search(r"project\(abyssal VERSION ([\d.]+)", (ROOT / "CMakeLists.txt").read_text())
    assert abyssal.version == abyssal.__version__ == project[1]


def public_items():
    for module in (abyssal, ops):
        yield module.__name__, module
        for name in module.__all__:
            item = getattr(module, name)
            if inspect.isclass(item) or inspect.isfunction(item):
                yield f"{module.__name__}.{name}", item
            if not inspect.isclass(item):
                continue
            own = [kind for kind in reversed(item.__mro__) if kind.__module__.split(".")[0] == "abyssal"]
            for attribute, member in {name: member for kind in own for name, member in vars(kind).items()}.items():
                if not attribute.startswith("_") and (
                    callable(member) or isinstance(member, (property, classmethod, staticmethod))
                ):
                    yield f"{module.__name__}.{name}.{attribute}", getattr(item, attribute)


def test_every_public_item_is_documented():
    items = dict(public_items())
    assert len(items) > 60
    undocumented = [name for name, item in items.items() if not inspect.getdoc(item)]
    assert not undocumented


def test_open_has_the_arguments_of_the_constructor():
    """For help() and its like; its own would be *arguments and **options."""
    wanted = list(inspect.signature(abyssal.Model).parameters.values())
    assert {"path", "threads", "progress", "attention"} <= {parameter.name for parameter in wanted}
    assert list(inspect.signature(abyssal.Model.open).parameters.values()) == wanted
    assert inspect.getdoc(abyssal.Model.open).startswith("Opens a checkpoint")
    others = [inspect.signature(other) for other in (abyssal.Model.plan, abyssal.Model.from_tensors)]
    for name, parameter in inspect.signature(abyssal.Model).parameters.items():
        assert all(other.parameters.get(name, parameter) == parameter for other in others), name
    with pytest.raises(TypeError, match="no_such_option"):
        abyssal.Model.open("nowhere", no_such_option=1)


def test_everything_public_is_listed():
    listed = set(abyssal.__all__)
    public = {name for name in vars(abyssal) if not name.startswith("_")} - {"annotations"}
    assert public == listed


def test_nothing_is_imported():
    """numpy neither, before there are arrays."""
    code = """
import json, sys
import abyssal
files = [getattr(module, "__file__", None) or "" for module in sys.modules.values()]
print(json.dumps([file.split("site-packages/")[1].split("/")[0] for file in files if "site-packages/" in file]))
"""

    def loaded(statement):
        program = code.replace("import abyssal", statement)
        return json.loads(subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout)

    # What other packages load at every start (.pth files) is not ours.
    assert set(loaded("import abyssal")) - set(loaded("pass")) == {"abyssal"}


def test_text_needs_no_numpy():
    code = f"""
import asyncio, sys
sys.modules["numpy"] = None
import abyssal
model = abyssal.Model.open({str(ROOT / "tests" / "data" / "conformance" / "tiny-v3")!r})
messages = [dict(role="user", content="Hello")]
options = dict(max_tokens=6, temperature=0, ignore_eos=True)
reply = model.chat(messages, **options)
assert "".join(event.text for event in model.chat(messages, stream=True, **options)) == reply.text
with model.sequence() as sequence:
    assert [model.chat(messages, sequence=sequence, **options).tokens for _ in range(2)] == [reply.tokens] * 2
    sequence.eval([5, 6])
    assert len(sequence.generate([7], max_tokens=2, ignore_eos=True).reply().tokens) == 2
    for need in (lambda: sequence.logits, lambda: sequence.tokens, lambda: model.tokenize("x")):
        try:
            need()
            sys.exit("an array came without numpy")
        except ImportError as error:
            assert "numpy" in str(error)
assert model.detokenize(reply.tokens).decode(errors="replace") == reply.text
async def whole():
    return await model.generate("Hello", stream=True, **options)
assert asyncio.run(whole()) == model.generate("Hello", **options)
print("good")
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert result.stdout == "good\n", result.stderr


def mypy(*arguments, module="mypy"):
    pytest.importorskip("mypy")
    result = subprocess.run([sys.executable, "-m", module, *arguments], capture_output=True, text=True, cwd=HERE)
    assert result.returncode == 0, result.stdout + result.stderr


def test_types_of_a_sample(tmp_path):
    mypy("--strict", "--cache-dir", str(tmp_path), "typed_sample.py")


def test_types_of_the_package(tmp_path):
    mypy("--strict", "--cache-dir", str(tmp_path), "-p", "abyssal")


def test_stubs_are_those_of_the_module(tmp_path):
    # Every class has pybind11's metaclass, Models and Ints come from functions, and the buffer protocol has no method
    # before Python 3.12: the stubs say none of it.
    allowed = tmp_path / "allowed"
    names = ["[A-Z]\\w+", "Model\\.__init__", "Ints\\.__init__"]
    names += ["Ints\\.__buffer__"] if sys.version_info < (3, 12) else []
    allowed.write_text("".join(f"abyssal\\._abyssal\\.{name}\n" for name in names))
    settings = tmp_path / "mypy.ini"
    settings.write_text(f"[mypy]\ncache_dir = {tmp_path / 'cache'}\n")
    mypy("--mypy-config-file", str(settings), "--allowlist", str(allowed), "abyssal._abyssal", module="mypy.stubtest")


def test_the_sample_runs():
    import typed_sample

    typed_sample.main(str(ROOT / "tests" / "data" / "conformance" / "tiny-v3"))


@pytest.mark.parametrize("example", sorted((ROOT / "examples" / "python").glob("*.py")), ids=lambda path: path.name)
def test_examples_run(example):
    model = str(ROOT / "tests" / "data" / "conformance" / "tiny-v3")
    result = subprocess.run(
        [sys.executable, str(example), model], capture_output=True, text=True, timeout=120, input="Hello\n"
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip()
