"""Models from arrays in memory, and weights replaced between evaluations."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest

import abyssal
from support import (
    BACKENDS,
    CHECKPOINTS,
    bf16_bits,
    checkpoint,
    config,
    from_bf16_bits,
    open_model,
    prompt,
    raw_tensors,
    relative_error,
)

BACKEND_IDS = [path.rsplit("/", 1)[-1] for path in BACKENDS]


def logits_of(model, name="tiny-v3"):
    with model.sequence() as sequence:
        sequence.eval(prompt(name, "p1"))
        return sequence.logits


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_from_tensors_equals_open(name):
    model = abyssal.Model.from_tensors(config(name), raw_tensors(name), backend=BACKENDS[0])
    assert np.array_equal(logits_of(model, name), logits_of(open_model(name), name))
    assert not model.info.has_tokenizer
    assert model.info.parameters == open_model(name).info.parameters


def test_config_as_text_and_a_tokenizer():
    text = (checkpoint("tiny-v3") / "config.json").read_text()
    model = abyssal.Model.from_tensors(text, raw_tensors("tiny-v3"), tokenizer=checkpoint("tiny-v3"))
    assert model.tokenize("hello").tolist() == open_model("tiny-v3").tokenize("hello").tolist()


@pytest.fixture(scope="module")
def plain():
    """tiny-r1-distill-qwen with every weight as float32, which holds bfloat16 exactly."""
    return {
        name: from_bf16_bits(bits) if dtype == "BF16" else bits
        for name, (bits, dtype) in raw_tensors("tiny-r1-distill-qwen").items()
    }


def open_plain(tensors):
    return abyssal.Model.from_tensors(config("tiny-r1-distill-qwen"), tensors, backend="reference")


def test_kinds_of_arrays_agree(plain):
    want = logits_of(open_plain(plain), "tiny-r1-distill-qwen")

    class WithArray:
        def __init__(self, array):
            self.array = array

        def __array__(self, dtype=None, copy=None):
            return self.array

    kinds = {
        "fortran order": lambda array: np.asfortranarray(array),
        "strided": lambda array: np.repeat(array, 2, axis=-1)[..., ::2],
        "big endian": lambda array: array.astype(">f4"),
        "buffer": lambda array: memoryview(array),
        "__array__": WithArray,
        "pair": lambda array: (array, "float32"),
    }
    for kind, convert in kinds.items():
        model = open_plain({name: convert(array) for name, array in plain.items()})
        assert np.array_equal(logits_of(model, "tiny-r1-distill-qwen"), want), kind


def test_bfloat16_of_ml_dtypes(plain):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    narrow = {name: array.astype(ml_dtypes.bfloat16) for name, array in plain.items()}
    as_bits = {name: (bf16_bits(array), "bf16") for name, array in plain.items()}
    assert np.array_equal(
        logits_of(open_plain(narrow), "tiny-r1-distill-qwen"), logits_of(open_plain(as_bits), "tiny-r1-distill-qwen")
    )


def test_fp8_of_ml_dtypes():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    types_of = {"F8_E4M3": ml_dtypes.float8_e4m3fn, "BF16": ml_dtypes.bfloat16, "F32": np.float32}
    tensors = {name: bits.view(types_of[dtype]) for name, (bits, dtype) in raw_tensors("tiny-v3-fp8").items()}
    model = abyssal.Model.from_tensors(config("tiny-v3-fp8"), tensors)
    assert np.array_equal(logits_of(model, "tiny-v3-fp8"), logits_of(open_model("tiny-v3-fp8"), "tiny-v3-fp8"))


def test_torch_tensors(monkeypatch, plain):
    """With a stand-in that has the few methods of torch.Tensor in use; bfloat16 is what numpy cannot hold."""

    class Tensor:
        def __init__(self, array, dtype):
            self.array, self.dtype = array, f"torch.{dtype}"

        def detach(self):
            return self

        cpu = contiguous = detach

        def view(self, dtype):
            return Tensor(self.array.view(dtype), np.dtype(dtype).name)

        def numpy(self):
            assert self.dtype != "torch.bfloat16"
            return self.array

    Tensor.__module__ = "torch"
    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(int16=np.int16, uint8=np.uint8, Tensor=Tensor))
    tensors = {name: Tensor(bf16_bits(array), "bfloat16") for name, array in plain.items()}
    as_bits = {name: (bf16_bits(array), "bf16") for name, array in plain.items()}
    assert np.array_equal(
        logits_of(open_plain(tensors), "tiny-r1-distill-qwen"), logits_of(open_plain(as_bits), "tiny-r1-distill-qwen")
    )


def test_bad_tensors(plain):
    name = "model.norm.weight"
    cases = [
        ({name: plain[name].astype(np.float64)}, abyssal.Unsupported, "float64"),
        ({name: (plain[name], "bf16")}, abyssal.InvalidArgument, "cannot hold bf16"),
        ({name: (plain[name], "f12")}, abyssal.Unsupported, "f12"),
        ({name: (plain[name],)}, abyssal.InvalidArgument, "pair"),
        ({name: plain[name][:-1]}, abyssal.Error, name),
        ({name: plain[name].reshape(1, 1, 1, 1, -1)}, abyssal.InvalidArgument, name),
        ({3: plain[name]}, TypeError, "int"),
    ]
    model = open_plain(plain)
    before = logits_of(model, "tiny-r1-distill-qwen")
    for change, error, text in cases:
        with pytest.raises(error, match=text):
            open_plain({**plain, **change})
        with pytest.raises(error, match=text):
            model.update(change)
    missing = {key: value for key, value in plain.items() if key != name}
    with pytest.raises(abyssal.Error, match=name):
        open_plain(missing)
    with pytest.raises(abyssal.NotFound, match="no.such.weight"):
        model.update({"no.such.weight": plain[name]})
    assert np.array_equal(logits_of(model, "tiny-r1-distill-qwen"), before)
    with pytest.raises(abyssal.Error):
        abyssal.Model.from_tensors("{", plain)
    with pytest.raises(abyssal.InvalidArgument):
        abyssal.Model.from_tensors({**config("tiny-r1-distill-qwen"), "rms_norm_eps": float("nan")}, plain)


@pytest.mark.parametrize("backend", BACKENDS, ids=BACKEND_IDS)
@pytest.mark.parametrize("name", ["tiny-v3", "tiny-v3-fp8", "tiny-r1-distill-qwen"])
def test_update_gives_the_results_of_the_new_weights(name, backend):
    """A halved projection in each kind of layer, given as another type than the stored one where that is exact."""
    tensors = raw_tensors(name)
    changed = {}
    for tensor, (bits, dtype) in tensors.items():
        if dtype == "BF16" and tensor.endswith(
            (".0.self_attn.o_proj.weight", ".1.mlp.gate.weight", "embed_tokens.weight")
        ):
            changed[tensor] = from_bf16_bits(bits) * 0.5
        elif tensor.endswith((".experts.0.down_proj.weight_scale_inv", ".0.self_attn.o_proj.weight_scale_inv")):
            changed[tensor] = (bits * np.float32(0.5), "F32")
    assert len(changed) >= 2
    model = abyssal.Model.open(checkpoint(name), backend=backend)
    sequence = model.sequence()
    sequence.eval(prompt(name, "p2"))
    before = sequence.logits
    model.update(changed)
    assert len(sequence) == 0 and sequence.tokens.size == 0
    with pytest.raises(abyssal.StateError):
        sequence.logits
    sequence.eval(prompt(name, "p2"))
    fresh = abyssal.Model.from_tensors(config(name), {**tensors, **changed}, backend=backend).sequence()
    fresh.eval(prompt(name, "p2"))
    assert relative_error(sequence.logits, fresh.logits) < 1e-5
    assert relative_error(sequence.logits, before) > 1e-2
    model.update({tensor: tensors[tensor] for tensor in changed})
    sequence.eval(prompt(name, "p2"))
    assert np.array_equal(sequence.logits, before)


def test_update_ends_running_replies():
    model = abyssal.Model.open(checkpoint("tiny-v3"))
    stream = model.generate([5, 6], max_tokens=20, stream=True, ignore_eos=True)
    next(stream)
    model.update({})
    with pytest.raises(abyssal.StateError):
        next(stream)
