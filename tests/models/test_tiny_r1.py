"""The models in examples/models, end to end: questions and exact replies, FP8 beside bf16, transformers' logits; in
float32 arithmetic, and as they are opened by default, with activations in bf16.

expected.safetensors comes from examples/r1_recipe/check_logits.py: for each checkpoint, prompts with their replies as
token ids and transformers' logits of the last rows, in float32 on the stored weights. The bf16 twin's weights were never
rounded to FP8; it is not in the tree, its values are. replies.json comes from record_replies.py.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess

import numpy as np
import pytest
import safetensors.numpy

import abyssal
from support import BACKENDS, LOGITS_LIMIT, ROOT, relative_error

MODELS = ROOT / "examples" / "models"
TINY = MODELS / "abyssal-tiny-r1"
STUDENT = MODELS / "abyssal-tiny-r1-distill-qwen"
CLI = os.environ.get("ABYSSAL_CLI", str(ROOT / "build/bin/abyssal"))
REPLIES = json.loads((pathlib.Path(__file__).parent / "replies.json").read_text())
EXPECTED = safetensors.numpy.load_file(pathlib.Path(__file__).parent / "expected.safetensors")
TWIN = "abyssal-tiny-r1-bf16"
TWIN_LIMIT = 0.1  # of the logits: what rounding weights to FP8 does to this model (0.01 to 0.053 when it was made)
BF16_LIMIT = 1e-2  # of the logits: what activations in bf16 do to them (0.0008 to 0.0028 when it was made)
SURE = 0.5  # lead of the likeliest token's logit from which rounding may not change it


def prompts(name: str) -> "list[str]":
    return sorted({key.split(".")[1] for key in EXPECTED if key.startswith(name + ".")})


@pytest.fixture(scope="module", params=BACKENDS[:2])
def tiny(request):
    return abyssal.Model.open(TINY, backend=request.param, activations="f32")


@pytest.mark.parametrize("question", sorted(REPLIES["abyssal-tiny-r1"]))
def test_it_thinks_and_answers(tiny, question):
    expected = REPLIES["abyssal-tiny-r1"][question]
    reply = tiny.chat([{"role": "user", "content": question}], max_tokens=200)
    assert reply.reasoning == expected["reasoning"]
    assert reply.content == expected["content"]


def last_number(text: str) -> "str | None":
    numbers = re.findall(r"-?\d+", text.replace(",", ""))
    return numbers[-1] if numbers else None


@pytest.mark.parametrize("folder", [TINY, STUDENT], ids=lambda folder: folder.name)
def test_replies_by_default_are_right(folder):
    model = abyssal.Model.open(folder)
    assert (model.info.activations, model.info.cache_dtype) == ("bf16", "bf16")
    for question, expected in REPLIES[folder.name].items():
        reply = model.chat([{"role": "user", "content": question}], max_tokens=200)
        assert last_number(reply.content) == last_number(expected["content"]), question
        assert bool(reply.reasoning) == bool(expected["reasoning"])


def test_the_student_answers():
    student = abyssal.Model.open(STUDENT, activations="f32")
    for question, expected in REPLIES["abyssal-tiny-r1-distill-qwen"].items():
        assert student.chat([{"role": "user", "content": question}], max_tokens=200).content == expected["content"]


@pytest.mark.parametrize("name", ["abyssal-tiny-r1", "abyssal-tiny-r1-distill-qwen"])
@pytest.mark.parametrize("activations, limit", [("f32", LOGITS_LIMIT), ("auto", BF16_LIMIT)])
def test_the_same_logits_as_transformers(name, activations, limit):
    model = abyssal.Model.open(MODELS / name, activations=activations)
    assert len(prompts(name)) >= 4
    for which in prompts(name):
        ids, expected = EXPECTED[f"{name}.{which}.input_ids"], EXPECTED[f"{name}.{which}.logits"]
        sequence = model.sequence()
        sequence.eval(ids, logits=len(ids))
        assert relative_error(sequence.logits[-len(expected):], expected) < limit


def test_fp8_stays_near_its_bf16_twin(tiny):
    for which in prompts(TWIN):
        ids, expected = EXPECTED[f"{TWIN}.{which}.input_ids"], EXPECTED[f"{TWIN}.{which}.logits"]
        sequence = tiny.sequence()
        sequence.eval(ids, logits=len(ids))
        logits = sequence.logits[-len(expected):]
        assert relative_error(logits, expected) < TWIN_LIMIT
        second, first = np.sort(expected, axis=1)[:, -2:].T
        sure = first - second > SURE
        assert sure.mean() > 0.9
        assert np.array_equal(logits.argmax(1)[sure], expected.argmax(1)[sure])


def test_the_published_form():
    config = json.loads((TINY / "config.json").read_text())
    assert config["model_type"] == "deepseek_v3" and config["topk_method"] == "noaux_tc" and config["q_lora_rank"] > 0
    assert config["num_nextn_predict_layers"] == 1 and config["n_shared_experts"] == 1
    assert config["quantization_config"]["weight_block_size"] == [128, 128]
    stored = json.loads((TINY / "model.safetensors").read_bytes()[8:][: int.from_bytes((TINY / "model.safetensors").read_bytes()[:8], "little")])
    assert stored["model.layers.1.mlp.experts.0.gate_proj.weight"]["dtype"] == "F8_E4M3"
    assert stored["model.layers.1.mlp.experts.0.gate_proj.weight_scale_inv"]["dtype"] == "F32"
    assert sum(file.stat().st_size for file in TINY.rglob("*") if file.is_file()) <= 12e6
    assert sum(file.stat().st_size for file in STUDENT.rglob("*") if file.is_file()) <= 4e6


def test_the_mtp_layer_drafts():
    model = abyssal.Model.open(TINY, mtp=True)
    accepted = drafted = 0
    for which in prompts("abyssal-tiny-r1"):
        ids = EXPECTED[f"abyssal-tiny-r1.{which}.input_ids"]
        sequence = model.sequence()
        sequence.eval(ids, logits=len(ids), mtp=True)
        first = len(ids) - len(EXPECTED[f"abyssal-tiny-r1.{which}.logits"])  # in the reply
        drafts = sequence.output("mtp_logits").argmax(1)[first : len(ids) - 2]
        accepted += int((drafts == ids[first + 2 :]).sum())
        drafted += len(drafts)
    assert accepted > 0.9 * drafted


def test_the_command_takes_it_without_an_argument():
    asked = "What is 47 * 6 + 12?"
    done = subprocess.run([CLI, "run", "-p", asked, "--json"], capture_output=True, timeout=60, check=True)
    assert json.loads(done.stdout)["content"] == REPLIES["abyssal-tiny-r1"][asked]["content"]
    done = subprocess.run([CLI, "chat"], input=f"{asked}\n".encode(), capture_output=True, timeout=60, check=True)
    assert REPLIES["abyssal-tiny-r1"][asked]["content"] in done.stdout.decode()
