"""Ids of the vocabularies in llama.cpp's source tree: python3 tests/text/llama_vocabularies.py LLAMA_CPP/models

Beside each ggml-vocab-NAME.gguf there lie texts (.inp) and the ids expected for them (.out). Not part of the tests,
which do without that tree. Texts that are not composed (NFC) are left out: llama.cpp does not compose those of Qwen.
Kinds of tokenizers that are not supported are named.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import unicodedata

ROOT = pathlib.Path(__file__).resolve().parents[2]
GGUF_IDS = ROOT / "build/bin/gguf_ids"
SEPARATOR = "\n__ggml_vocab_test__\n"


def texts_and_ids(path):
    texts = path.with_name(path.name + ".inp").read_bytes().decode().split(SEPARATOR)
    lines = path.with_name(path.name + ".out").read_text().split("\n")
    return [(text, [int(number) for number in line.split()]) for text, line in zip(texts, lines)
            if text and unicodedata.is_normalized("NFC", text)]


def wrong(path):
    """How many texts have other ids, of how many; or why there is no answer."""
    cases = texts_and_ids(path)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump([text for text, _ in cases], file)
        file.flush()
        done = subprocess.run([GGUF_IDS, path, file.name], capture_output=True, text=True)
    if done.returncode != 0:
        return done.stderr.strip()
    got = json.loads(done.stdout)
    different = [text for (text, want), ids in zip(cases, got) if ids != want]
    for text in different:
        print(f"  {text!r}")
    return f"{len(different)} of {len(cases)} differ"


if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[1])
    found = [path for path in sorted(folder.glob("ggml-vocab-*.gguf")) if path.with_name(path.name + ".inp").exists()]
    results = {path.name: wrong(path) for path in found}
    for name, result in results.items():
        print(f"{name}: {result}")
    sys.exit(not found or any("differ" in result and not result.startswith("0 ") for result in results.values()))
