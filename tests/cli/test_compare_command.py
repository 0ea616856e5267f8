"""`abyssal compare`: figures of arithmetic that is known, of numpy, and what it refuses."""

import json
import os
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest

from abyssal_command import CLI, ROOT, fails, out_json, run

TINY = str(ROOT / "examples/models/abyssal-tiny-r1")
GGUF = str(ROOT / "tests/data/conformance-gguf/tiny-v2-lite-Q4_1.gguf")
VOCAB = 768
QUESTION = "What is 47 * 6 + 12?"
IDS = [0, *np.random.default_rng(1).integers(2, VOCAB, 40).tolist()]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "text").write_text(f"{QUESTION} It is 294, and 294 - 4 is 290.\n")
    (tmp_path / "question").write_text(QUESTION)
    (tmp_path / "ids").write_text(json.dumps(IDS))
    return tmp_path


def log_softmax(logits):
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def float32_logits(model, ids, file):
    run("logits", model, "--tokens", ",".join(map(str, ids)), "--last", len(ids), "--activations", "f32", "--cache", "f32",
        "-o", file)
    return np.load(file)


def test_float32_against_itself_is_no_difference_at_all(folder):
    for model in (TINY, GGUF):
        found = out_json("compare", model, "--ids", folder / "ids", "--activations", "f32", "--cache", "f32", "--json")
        assert (found["mean_kl"], found["p99_kl"], found["max_kl"], found["same_top1"]) == (0, 0, 0, 1)
        assert found["perplexity_float32"] == found["perplexity_tested"] > 1
        assert found["positions"] == len(IDS) and found["ids"] == [IDS] and found["float32"] == found["tested"]


def test_rounded_weights_and_their_exact_ones(folder):
    int8 = out_json("compare", TINY, "--text", folder / "text", "--weights", "int8", "--json")
    assert 0 < int8["mean_kl"] <= int8["p99_kl"] <= int8["max_kl"] < 0.05 and int8["mean_kl"] < 1e-3
    assert int8["same_top1"] > 0.9 and int8["positions"] == len(int8["ids"][0])
    assert "weights int16, cache bf16" in int8["tested"] and "weights f32, cache f32" in int8["float32"]
    # int4 rounds the weights so much that the arithmetic on them hardly counts beside it.
    int4 = ("compare", TINY, "--text", folder / "text", "--weights", "int4", "--json")
    assert out_json(*int4, "--exact-weights")["mean_kl"] > 2 * out_json(*int4)["mean_kl"] > 0


def test_quantised_weights_are_taken_as_they_are(folder):
    found = out_json("compare", GGUF, "--ids", folder / "ids", "--json")
    assert 0 < found["mean_kl"] < 0.1
    precise = out_json("compare", GGUF, "--ids", folder / "ids", "--activations", "int16", "--json")
    assert 0 < precise["mean_kl"] < found["mean_kl"]


@pytest.mark.parametrize("chunk", [1, 7, 512])
def test_logits_of_a_file_give_what_numpy_computes(folder, chunk):
    exact = float32_logits(TINY, IDS, folder / "exact.npy").astype(np.float64)
    other = (exact + np.random.default_rng(2).normal(0, 0.3, exact.shape)).astype(np.float32)
    other.tofile(folder / "other.bin")
    found = out_json("compare", TINY, "--ids", folder / "ids", "--logits", folder / "other.bin", "--chunk", chunk, "--json")
    p, q = log_softmax(exact), log_softmax(other.astype(np.float64))
    divergence = (np.exp(p) * (p - q)).sum(-1)
    assert found["mean_kl"] == pytest.approx(divergence.mean(), rel=1e-4, abs=1e-6) and divergence.mean() > 0.01
    assert found["p99_kl"] == pytest.approx(np.percentile(divergence, 99), rel=1e-4, abs=1e-6)
    assert found["max_kl"] == pytest.approx(divergence.max(), rel=1e-4, abs=1e-6)
    assert found["same_top1"] == (exact.argmax(-1) == other.argmax(-1)).mean()
    following = (np.arange(len(IDS) - 1), IDS[1:])
    for key, values in (("perplexity_float32", p), ("perplexity_tested", q)):
        assert found[key] == pytest.approx(np.exp(-values[following].mean()), rel=1e-4)
    assert found["tested"] == str(folder / "other.bin")


def test_logits_that_the_command_wrote(folder):
    float32_logits(TINY, IDS, folder / "exact.npy")
    found = out_json("compare", TINY, "--ids", folder / "ids", "--logits", folder / "exact.npy", "--json")
    assert (found["max_kl"], found["same_top1"]) == (0, 1)


def test_several_sequences_are_one_measurement(folder):
    (folder / "lists").write_text(json.dumps([IDS[:9], IDS]))
    both = out_json("compare", GGUF, "--ids", folder / "lists", "--json")
    (folder / "first").write_text(json.dumps(IDS[:9]))
    one, two = (out_json("compare", GGUF, "--ids", folder / name, "--json") for name in ("first", "ids"))
    assert both["positions"] == one["positions"] + two["positions"] and both["ids"] == [IDS[:9], IDS]
    assert both["mean_kl"] * both["positions"] == pytest.approx(one["mean_kl"] * 9 + two["mean_kl"] * len(IDS))
    assert both["max_kl"] == max(one["max_kl"], two["max_kl"])


def test_texts_are_cut_and_come_from_a_pipe_too(folder):
    whole = out_json("compare", TINY, "--text", folder / "text", "--json")
    cut = out_json("compare", TINY, "--text", "-", "--tokens", 9, "--json", stdin=(folder / "text").read_bytes())
    assert cut["positions"] == 9 and cut["ids"] == [whole["ids"][0][:9]]
    twice = out_json("compare", TINY, "--text", folder / "text", "--text", folder / "question", "--json")
    assert len(twice["ids"]) == 2 and twice["ids"][0] == whole["ids"][0]
    lone = out_json("compare", TINY, "--text", folder / "text", "--tokens", 1, "--json")
    assert lone["positions"] == 1 and lone["perplexity_float32"] is None


def test_a_chat_and_its_reply(folder):
    prompt = out_json("compare", TINY, "--chat", "--text", folder / "question", "--json")["ids"][0]
    plain = out_json("compare", TINY, "--text", folder / "question", "--json")["ids"][0]
    assert len(prompt) > len(plain)
    replied = out_json("compare", TINY, "--chat", "--text", folder / "question", "--reply", 6, "--json")
    assert replied["ids"][0][:len(prompt)] == prompt and replied["positions"] == len(prompt) + 6
    greedy = out_json("generate", TINY, "--tokens", ",".join(map(str, prompt)), "--max-tokens", 6, "--greedy", "--json")
    assert replied["ids"][0][len(prompt):] == greedy["tokens"]
    ended = out_json("compare", TINY, "--chat", "--text", folder / "question", "--reply", 900, "--json")
    assert ended["ids"][0][-1] == 1  # the reply's end counts too
    fails(2, "more than --tokens 5", "compare", TINY, "--chat", "--text", folder / "question", "--tokens", 5)


def test_the_table(folder):
    lines = run("compare", TINY, "--text", folder / "text", "--weights", "int8").stdout.decode().splitlines()
    assert [line[:16].strip() for line in lines] == ["float32", "tested", "positions", "mean KL", "99th percentile",
                                                     "largest", "same top-1", "perplexity"]
    assert lines[3].endswith(" nats") and lines[6].endswith(" %") and " in float32, " in lines[7]


def test_what_is_wrong_is_named(folder):
    def refused(status, part, *arguments, **options):
        fails(status, part, "compare", TINY, *arguments, **options)

    refused(2, "--text and --ids", "--json")
    refused(2, "--text", "--text", folder / "text", "--ids", folder / "ids")
    refused(2, "--chat", "--chat", "--ids", folder / "ids")
    refused(2, "absent", "--text", folder / "absent")
    refused(2, "absent", "--ids", folder / "absent")
    refused(2, "standard input is not valid UTF-8 at byte 1", "--text", "-", stdin=b"a\xff")
    (folder / "wrong").write_text("")
    refused(2, "wrong: there is nothing", "--text", folder / "wrong")
    for text, part in (("{}", "not a JSON array"), ("[", "not a JSON array"), ("[1, -2]", "-2"), ("[1, \"a\"]", '"a"'),
                       ("[[1], 2]", "2 beside"), ("[]", "without"), ("[[]]", "without"), ("[3000000000]", "3000000000")):
        (folder / "wrong").write_text(text)
        refused(2, part, "--ids", folder / "wrong")
    (folder / "wrong").write_text("[9999]")
    refused(1, "9999", "--ids", folder / "wrong")
    refused(2, "--activations", "--ids", folder / "ids", "--logits", folder / "x", "--activations", "f32")
    refused(2, "--chunk", "--ids", folder / "ids", "--chunk", 0)
    refused(1, "absent", "--ids", folder / "ids", "--logits", folder / "absent")
    np.zeros((len(IDS), VOCAB - 1), np.float32).tofile(folder / "short")
    refused(1, f"({len(IDS)}, {VOCAB})", "--ids", folder / "ids", "--logits", folder / "short")
    np.full((len(IDS), VOCAB), np.nan, np.float32).tofile(folder / "nan")
    refused(1, "position 0", "--ids", folder / "ids", "--logits", folder / "nan")
    (folder / "long").write_text(json.dumps([5] * 1100))
    refused(1, "context", "--ids", folder / "long")
    fails(1, "/nowhere", "compare", "/nowhere", "--ids", folder / "ids")


def test_models_without_text_are_compared_by_ids(folder):
    for name in ("config.json", "model.safetensors"):
        shutil.copy(f"{TINY}/{name}", folder)
    assert out_json("compare", folder, "--ids", folder / "ids", "--json")["positions"] == len(IDS)
    fails(1, "tokenizer", "compare", folder, "--text", folder / "text")


def test_an_interrupt_leaves_no_file_of_logits(folder):
    temporary = folder / "temporary"
    temporary.mkdir()
    (folder / "many").write_text(json.dumps([[5] * 1000] * 200))  # 614 MB of logits
    with subprocess.Popen([CLI, "compare", TINY, "--ids", folder / "many", "--chunk", "1"], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, env={**os.environ, "TMPDIR": str(temporary)}) as process:
        end = time.monotonic() + 60
        while not any("abyssal-logits" in os.readlink(link) for link in open_files(process.pid)):
            assert time.monotonic() < end and process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60) == (b"", b"") and process.returncode == -signal.SIGINT
    assert list(temporary.iterdir()) == []


def open_files(process):
    with os.scandir(f"/proc/{process}/fd") as links:
        return [link.path for link in links if os.path.lexists(link.path)]
