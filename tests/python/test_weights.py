"""Weights rounded while they are loaded, packed caches, and checkpoints written with rounded weights."""

import numpy as np
import pytest

import abyssal
from support import CHECKPOINTS, checkpoint, expected, open_model, prompt, relative_error

LIMITS = {"int8": 2e-2, "int4": 1.5e-1}


def logits(model, tokens):
    with model.sequence() as sequence:
        sequence.eval(tokens)
        return sequence.logits.copy()


@pytest.mark.parametrize("weights", LIMITS)
@pytest.mark.parametrize("name", CHECKPOINTS)
def test_rounded_weights_are_near_the_stored_ones(name, weights):
    model = open_model(name, "cpu", weights=weights)
    with model.sequence() as sequence:
        sequence.eval(prompt(name, "p2"), hidden_layers=True)
        off = relative_error(sequence.output("hidden", layer=1), expected(name)["p2.hidden.1"])
    assert 1e-3 < off < LIMITS[weights]  # behind it, rounding sends tokens of random weights to other experts
    assert model.info.arithmetic == {"int8": "i16", "int4": "i8"}[weights]
    assert {"int8": "as q8 (", "int4": "as q4 ("}[weights] in model.info.weight_layouts
    plan = abyssal.Model.plan(checkpoint(name), backend="cpu", cache_tokens=2048, weights=weights)
    assert plan.weight_bytes == model.info.weight_bytes


def test_words_that_are_none():
    for bad in ("int3", "INT8", 8, None):
        with pytest.raises(abyssal.InvalidArgument, match="weights"):
            abyssal.Model.open(checkpoint("tiny-v3"), weights=bad)


def test_packed_cache(tmp_path):
    options = {"backend": "cpu", "cache_tokens": 512, "weights": "int8", "packed_cache": tmp_path}
    tokens = prompt("tiny-v3", "p1")
    with abyssal.Model.open(checkpoint("tiny-v3"), **options) as first:
        assert not first.info.packed_cache
        want = logits(first, tokens)
    with abyssal.Model.open(checkpoint("tiny-v3"), packed_cache_check=True, **options) as second:
        assert second.info.packed_cache
        assert np.array_equal(logits(second, tokens), want)
    (file,) = tmp_path.iterdir()
    file.write_bytes(b"nothing")
    with pytest.warns(RuntimeWarning, match="packed cache"):
        abyssal.Model.open(checkpoint("tiny-v3"), **options).close()


def test_quantize(tmp_path):
    abyssal.Model.quantize(checkpoint("tiny-v2"), tmp_path / "out", weights="int4")
    tokens = prompt("tiny-v2", "p1")
    with abyssal.Model.open(tmp_path / "out", backend="cpu", weights="int4") as written:
        assert np.array_equal(logits(written, tokens), logits(open_model("tiny-v2", "cpu", weights="int4"), tokens))
        assert np.array_equal(written.tokenize("Hello"), open_model("tiny-v2", "cpu").tokenize("Hello"))
    with pytest.raises(abyssal.InvalidArgument, match="config.json"):
        abyssal.Model.quantize(checkpoint("tiny-v2"), tmp_path / "out")
