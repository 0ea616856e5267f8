"""What the test of the wheel runs where nothing but the wheel is installed: replies, and arrays if numpy is there.

Usage: stranger.py MODEL (with | without)     with or without numpy
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import importlib.util
import pathlib
import sys

import abyssal

OPTIONS = {"max_tokens": 8, "temperature": 0, "ignore_eos": True}
BUNDLED = ("libabyssal", "libdnnl", "libgomp")


def replies(model: abyssal.Model) -> None:
    messages = [{"role": "user", "content": "Hello"}]
    reply = model.chat(messages, **OPTIONS)
    assert reply.text and len(reply.tokens) == 8
    assert "".join(event.text for event in model.chat(messages, stream=True, **OPTIONS)) == reply.text

    async def text() -> str:
        return "".join([event.text async for event in model.chat(messages, stream=True, **OPTIONS)])

    assert asyncio.run(text()) == reply.text


def arrays(model: abyssal.Model) -> None:
    with model.sequence() as sequence:
        sequence.eval(model.tokenize("Hello"))
        logits = sequence.logits
        assert logits.shape == (1, model.info.vocab_size)
        view = sequence.output("logits", copy=False)
        assert (view == logits).all()


def check_libraries() -> None:
    """Those of the wheel are loaded, and no others of their names."""
    mapped = {line.split()[-1] for line in pathlib.Path("/proc/self/maps").read_text().splitlines() if "/" in line}
    for name in BUNDLED:
        files = [file for file in mapped if pathlib.Path(file).name.startswith(name)]
        assert files and all(file.startswith(sys.prefix + "/") for file in files), (name, files)


def check_licences() -> None:
    """Every library is there with its licence, and so are the crates in libabyssal."""
    package = importlib.metadata.distribution("abyssal")
    files = {pathlib.Path(str(file)).name: file for file in package.files or []}
    for name in BUNDLED:
        assert any(file.startswith(name) for file in files), (name, sorted(files))
    assert "Apache License" in files["LICENSE"].read_text()
    licences = files["LICENSES.txt"].read_text()
    for title in ("oneDNN", "xxHash", "JSON for Modern C++", "tokenizers 0.", "minijinja 2."):
        assert title in licences, title
    assert "(the package holds no text)" not in licences
    assert "GCC RUNTIME LIBRARY EXCEPTION" in files["LICENSE.libgomp"].read_text().upper()


def main(path: str, numpy: str) -> None:
    assert (importlib.util.find_spec("numpy") is not None) == (numpy == "with")
    with abyssal.Model.open(path) as model:
        replies(model)
        if numpy == "with":
            arrays(model)
    check_libraries()
    check_licences()


if __name__ == "__main__":
    main(*sys.argv[1:])
