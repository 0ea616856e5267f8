"""Every reference value of every conformance checkpoint, on every backend, through Python."""

from __future__ import annotations

import numpy as np
import pytest

import abyssal
from support import (
    BACKENDS,
    CHECKPOINTS,
    HIDDEN_LIMIT,
    LOGITS_LIMIT,
    RESOLVED_GAP,
    WITH_MTP,
    expected,
    open_model,
    prompt,
    relative_error,
)


def test_both_backends_are_built_in():
    names = [backend.name for backend in abyssal.backends()]
    assert {"cpu", "reference"} <= set(names)
    assert all(backend.device_count == 1 for backend in abyssal.backends() if backend.name in ("cpu", "reference"))


def test_all_seven_checkpoints_are_there():
    assert len(CHECKPOINTS) == 7


@pytest.fixture(scope="module", params=BACKENDS, ids=lambda path: path.rsplit("/", 1)[-1])
def backend(request):
    return request.param


@pytest.fixture(scope="module", params=CHECKPOINTS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def p2(name, backend):
    """The sequence of prompt p2 with everything kept."""
    mtp = name in WITH_MTP
    sequence = open_model(name, backend, mtp=mtp, activations="f32").sequence()
    tokens = prompt(name, "p2")
    sequence.eval(tokens, logits=len(tokens), hidden_layers=True, routes=True, mtp=mtp)
    yield sequence
    sequence.close()


def test_logits(name, backend):
    model = open_model(name, backend, mtp=name in WITH_MTP, activations="f32")
    for which in ("p0", "p1", "p2", "p3"):
        want = expected(name)[f"{which}.logits_last"]
        with model.sequence() as sequence:
            sequence.eval(prompt(name, which), logits=len(want))
            assert relative_error(sequence.logits, want) < LOGITS_LIMIT, which


def per_layer(name, what):
    found = [layer for layer in range(100) if f"p2.{what}.{layer}" in expected(name)]
    return [(layer, expected(name)[f"p2.{what}.{layer}"]) for layer in found]


def test_hidden_states(name, p2):
    layers = per_layer(name, "hidden")
    assert [layer for layer, _ in layers] == list(range(open_model(name, BACKENDS[0]).info.layers + 1))
    for layer, want in layers:
        assert relative_error(p2.output("hidden", layer), want) < HIDDEN_LIMIT, layer
    assert np.array_equal(p2.hidden, p2.output("hidden", layers[-1][0]))


def test_cache_rows(name, p2):
    layers = per_layer(name, "c_kv")
    assert bool(layers) == (open_model(name, BACKENDS[0]).info.attention == "mla")
    for layer, want in layers:
        assert relative_error(p2.output("cache_c_kv", layer), want) < HIDDEN_LIMIT, layer
    for layer, want in per_layer(name, "k_rope"):
        assert relative_error(p2.output("cache_k_rope", layer), want) < HIDDEN_LIMIT, layer


def test_routes(name, p2):
    layers = per_layer(name, "route_index")
    assert bool(layers) == (open_model(name, BACKENDS[0]).info.experts > 0)
    for layer, want in layers:
        assert np.array_equal(p2.output("route_index", layer), want), layer
    for layer, want in per_layer(name, "route_weight"):
        assert relative_error(p2.output("route_weight", layer), want) < HIDDEN_LIMIT, layer


def test_mtp(name, p2):
    if name not in WITH_MTP:
        with pytest.raises(abyssal.StateError):
            p2.output("mtp_logits")
        return
    logits = p2.output("mtp_logits")
    want = expected(name)["mtp.logits_last"]
    assert relative_error(logits[-len(want) :], want) < LOGITS_LIMIT
    drafts = expected(name)["mtp.draft_ids"]
    assert len(logits) == len(drafts)
    chosen = logits[np.arange(len(drafts)), drafts]
    assert (logits.max(axis=1) - chosen < RESOLVED_GAP).all()
    assert p2.output("mtp_hidden").shape == (len(drafts), p2.hidden.shape[1])


def test_greedy_ids(name, backend):
    model = open_model(name, backend, mtp=name in WITH_MTP, activations="f32")
    for which in ("p0", "p1", "p2", "p3"):
        want = expected(name)[f"{which}.greedy_ids"]
        gaps = expected(name)[f"{which}.greedy_gap"]
        reply = model.generate(prompt(name, which), max_tokens=len(want), temperature=0, ignore_eos=True)
        assert reply.finish_reason == "length"
        assert reply.usage.completion_tokens == len(want) == len(reply.tokens)
        unclear = np.flatnonzero(gaps < RESOLVED_GAP)
        clear = int(unclear[0]) if unclear.size else len(want)
        assert reply.tokens[:clear] == want[:clear].tolist(), which


@pytest.mark.parametrize("checkpoint_name", CHECKPOINTS)
@pytest.mark.parametrize("builtin", [name for name in BACKENDS if "/" not in name])
@pytest.mark.parametrize("activations", ["auto", "bf16"])
def test_bf16_activations(checkpoint_name, builtin, activations):
    model = open_model(checkpoint_name, builtin, activations=activations)
    rows = "f32" if activations == "auto" and checkpoint_name == "tiny-v2-lite" else "bf16"  # as its weights
    assert (model.info.activations, model.info.cache_dtype) == (rows, rows)
    with model.sequence() as sequence:
        sequence.eval(prompt(checkpoint_name, "p2"), hidden_layers=True)
        # The first layers, before a route that bf16 cannot resolve can send a token to another expert.
        for layer in (0, 1):
            want = expected(checkpoint_name)[f"p2.hidden.{layer}"]
            assert relative_error(sequence.output("hidden", layer), want) < 1e-2


@pytest.mark.parametrize("checkpoint_name", CHECKPOINTS)
@pytest.mark.parametrize("builtin", [name for name in BACKENDS if "/" not in name])
def test_int8_cache(checkpoint_name, builtin):
    model = open_model(checkpoint_name, builtin, activations="f32", cache_dtype="int8")
    exact = open_model(checkpoint_name, builtin, activations="f32")
    assert model.info.cache_dtype == "i8"
    assert model.info.cache_bytes_per_token < exact.info.cache_bytes_per_token / 2
    with model.sequence() as sequence:
        sequence.eval(prompt(checkpoint_name, "p2"), hidden_layers=True)
        for layer, want in per_layer(checkpoint_name, "c_kv")[:1]:
            assert relative_error(sequence.output("cache_c_kv", layer), want) < 8e-3
        want = expected(checkpoint_name)["p2.hidden.1"]
        assert relative_error(sequence.output("hidden", 1), want) < 1e-2
