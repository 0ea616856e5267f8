"""abyssal.ops against plain numpy, on every backend."""

from __future__ import annotations

import numpy as np
import pytest

import abyssal
from abyssal import ops
from support import BACKENDS, bf16_bits, from_bf16_bits, relative_error


@pytest.fixture(scope="module", params=BACKENDS, ids=lambda path: path.rsplit("/", 1)[-1])
def device(request):
    return abyssal.Device(request.param)


def route(logits, top_k, n_group, topk_group, scoring, topk_method, norm, scale, bias):
    """As the papers describe it, in float64, a row at a time."""
    index, weight = [], []
    for row in logits.astype(np.float64):
        scores = (
            np.exp(row - row.max()) / np.exp(row - row.max()).sum() if scoring == "softmax" else 1 / (1 + np.exp(-row))
        )
        choice = scores + (bias if bias is not None and topk_method == "noaux_tc" else 0)
        if topk_method != "greedy":
            groups = choice.reshape(n_group, -1)
            best = -np.sort(-groups, axis=1)
            group_scores = best[:, :2].sum(axis=1) if topk_method == "noaux_tc" else best[:, 0]
            kept = np.argsort(-group_scores, kind="stable")[:topk_group]
            mask = np.full(groups.shape, -np.inf)
            mask[kept] = 0
            choice = (groups + mask).reshape(-1)
        chosen = np.sort(np.argsort(-choice, kind="stable")[:top_k])
        values = scores[chosen]
        if norm:
            values = values / (values.sum() + 1e-20)
        index.append(chosen)
        weight.append(values * scale)
    return np.array(index).reshape(-1, top_k), np.array(weight).reshape(-1, top_k)


@pytest.mark.parametrize(
    "variant",
    [
        dict(top_k=6, scoring="softmax", topk_method="greedy", n_group=1, topk_group=1, norm=False, scale=1.0),
        dict(
            top_k=6,
            scoring="softmax",
            topk_method="group_limited_greedy",
            n_group=8,
            topk_group=3,
            norm=False,
            scale=16.0,
        ),
        dict(top_k=8, scoring="sigmoid", topk_method="noaux_tc", n_group=8, topk_group=4, norm=True, scale=2.5),
        dict(top_k=8, scoring="sigmoid", topk_method="noaux_tc", n_group=1, topk_group=1, norm=True, scale=2.827),
        dict(top_k=64, scoring="softmax", topk_method="greedy", n_group=1, topk_group=1, norm=True, scale=1.0),
    ],
)
@pytest.mark.parametrize("rows", [0, 1, 33])
def test_moe_route(device, variant, rows):
    random = np.random.default_rng(rows)
    logits = random.standard_normal((rows, 64)).astype(np.float32)
    bias = random.standard_normal(64).astype(np.float32) * 0.1 if variant["topk_method"] == "noaux_tc" else None
    want_index, want_weight = route(logits, bias=bias, **variant)
    options = dict(variant, norm_topk_prob=variant["norm"], routed_scaling_factor=variant["scale"])
    top_k = options.pop("top_k")
    del options["norm"], options["scale"]
    index, weight = ops.moe_route(logits, top_k, bias=bias, device=device, **options)
    assert index.dtype == np.int32 and weight.dtype == np.float32
    assert np.array_equal(index, want_index)
    np.testing.assert_allclose(weight, want_weight, rtol=1e-5)


def test_route_ties_go_to_the_lower_index(device):
    index, weight = ops.moe_route(np.zeros((2, 8)), 3, device=device)
    assert index.tolist() == [[0, 1, 2]] * 2
    np.testing.assert_allclose(weight, 1 / 8)


def mlp(x, gate, up, down):
    z = x @ gate.T
    return (z / (1 + np.exp(-z)) * (x @ up.T)) @ down.T


def experts_by_hand(x, index, weight, gate, up, down, shared):
    out = mlp(x, *shared) if shared else np.zeros_like(x)
    for row in range(len(x)):
        for expert, factor in zip(index[row], weight[row]):
            out[row] += factor * mlp(x[row : row + 1], gate[expert], up[expert], down[expert])[0]
    return out


@pytest.fixture(scope="module")
def weights():
    random = np.random.default_rng(0)
    e, d, inter, shared = 6, 48, 40, 56
    sizes = [(e, inter, d), (e, inter, d), (e, d, inter), (shared, d), (shared, d), (d, shared)]
    return [from_bf16_bits(bf16_bits(random.standard_normal(size) * 0.2)) for size in sizes]


@pytest.mark.parametrize("rows", [0, 1, 17])
@pytest.mark.parametrize("with_shared", [False, True])
@pytest.mark.parametrize("stored", ["f32", "bf16"])
def test_experts(device, weights, rows, with_shared, stored):
    def store(array):
        return array if stored == "f32" else (bf16_bits(array), "bf16")

    gate, up, down, *shared = weights
    random = np.random.default_rng(1)
    x = random.standard_normal((rows, 48)).astype(np.float32)
    index = np.array([random.permutation(5)[:3] for _ in range(rows)], np.int32).reshape(rows, 3)  # none for expert 5
    weight = random.random((rows, 3)).astype(np.float32)
    given = [store(group) if stored == "bf16" else list(group) for group in (gate, up, down)]
    experts = ops.Experts(*given, shared=tuple(map(store, shared)) if with_shared else None, device=device)
    out = experts(x, index, weight)
    assert out.dtype == np.float32 and out.shape == x.shape
    want = experts_by_hand(x.astype(np.float64), index, weight, gate, up, down, shared if with_shared else None)
    if rows:
        assert relative_error(out, want) < 2e-5
    experts.close()
    with pytest.raises(abyssal.StateError):
        experts(x, index, weight)


def fp8(array, ml_dtypes, block=32):
    """An array as fp8 with block scales, and what it stands for."""
    n, k = array.shape
    scales = np.zeros((-(-n // block), -(-k // block)), np.float32)
    stored = np.zeros(array.shape, ml_dtypes.float8_e4m3fn)
    exact = np.zeros(array.shape, np.float32)
    for i in range(scales.shape[0]):
        for j in range(scales.shape[1]):
            part = np.s_[i * block : (i + 1) * block, j * block : (j + 1) * block]
            scales[i, j] = np.abs(array[part]).max() / 448
            stored[part] = (array[part] / scales[i, j]).astype(ml_dtypes.float8_e4m3fn)
            exact[part] = stored[part].astype(np.float32) * scales[i, j]
    return stored, scales, exact


def test_experts_in_fp8(device, weights):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    gate, up, down, *shared = weights
    packed = [[fp8(matrix, ml_dtypes) for matrix in group] for group in (gate, up, down)]
    packed_shared = [fp8(matrix, ml_dtypes) for matrix in shared]
    experts = ops.Experts(
        *([stored for stored, _, _ in group] for group in packed),
        shared=tuple(stored for stored, _, _ in packed_shared),
        scales=tuple([scales for _, scales, _ in group] for group in packed),
        shared_scales=tuple(scales for _, scales, _ in packed_shared),
        block=(32, 32),
        device=device,
    )
    x = np.random.default_rng(2).standard_normal((9, 48)).astype(np.float32)
    index = np.array([[0, 3], [1, 2], [5, 0]] * 3)
    weight = np.full((9, 2), 0.5, np.float32)
    exact = [np.array([matrix for _, _, matrix in group], np.float64) for group in packed]
    want = experts_by_hand(x.astype(np.float64), index, weight, *exact, [matrix for _, _, matrix in packed_shared])
    assert relative_error(experts(x, index, weight), want) < 2e-5


@pytest.mark.parametrize("absorb_below", [1, 2**32 - 1])
@pytest.mark.parametrize("cache_type", ["f32", "bf16"])
def test_mla(device, absorb_below, cache_type):
    random = np.random.default_rng(3)
    h, rank, nope, rope, v = 3, 32, 16, 8, 24
    kv_b = random.standard_normal((h * (nope + v), rank)).astype(np.float32) * 0.2
    context, new = [0, 70, 5], [3, 1, 80]
    begins = np.cumsum([0, *new])
    q = random.standard_normal((begins[-1], h, nope + rope)).astype(np.float32)
    cache = random.standard_normal((8, 64, rank + rope)).astype(np.float32)
    if cache_type == "bf16":
        cache = from_bf16_bits(bf16_bits(cache))
    table = np.array([[6, 0], [2, 5], [7, 1]])
    scale = (nope + rope) ** -0.5
    layer = ops.Mla(kv_b, heads=h, qk_nope_head_dim=nope, qk_rope_head_dim=rope, v_head_dim=v, device=device)
    out = layer.attend(
        q,
        cache if cache_type == "f32" else (bf16_bits(cache), "bf16"),
        row_begin=begins,
        context=context,
        block_table=table,
        scale=scale,
        absorb_below=absorb_below,
    )
    want = np.zeros((begins[-1], h, v))
    up = kv_b.astype(np.float64).reshape(h, nope + v, rank)
    for i in range(3):
        rows = np.concatenate([cache[block] for block in table[i]]).astype(np.float64)
        latent, k_pe = rows[:, :rank], rows[:, rank:]
        for t in range(new[i]):
            seen = context[i] + t + 1
            query = q[begins[i] + t].astype(np.float64)
            for head in range(h):
                keys = np.concatenate([latent[:seen] @ up[head, :nope].T, k_pe[:seen]], axis=1)
                scores = keys @ query[head] * scale
                p = np.exp(scores - scores.max())
                want[begins[i] + t, head] = (p / p.sum()) @ (latent[:seen] @ up[head, nope:].T)
    assert out.shape == want.shape and relative_error(out, want) < 2e-5


def test_bad_arguments(device, weights):
    gate, up, down, *_ = weights
    experts = ops.Experts(gate, up, down, device=device)
    x = np.zeros((2, 48), np.float32)
    layer = ops.Mla(
        np.zeros((40, 32)).astype("f4"), heads=1, qk_nope_head_dim=16, qk_rope_head_dim=8, v_head_dim=24, device=device
    )
    q, cache = np.zeros((1, 1, 24), "f4"), np.zeros((2, 64, 40), "f4")
    good = dict(row_begin=[0, 1], context=[0], block_table=[[1]], scale=1.0)
    layer.attend(q, cache, **good)
    calls = [
        lambda: ops.moe_route(np.zeros(8), 2, device=device),
        lambda: ops.moe_route(np.zeros((1, 8)), 9, device=device),
        lambda: ops.moe_route(np.zeros((1, 8)), 0, device=device),
        lambda: ops.moe_route(np.zeros((1, 8)), 2, n_group=3, device=device),
        lambda: ops.moe_route(np.zeros((1, 8)), 2, bias=np.zeros(7), device=device),
        lambda: ops.moe_route(np.zeros((1, 8)), 2, scoring="tanh", device=device),
        lambda: ops.Experts(gate, up, down[:-1], device=device),
        lambda: ops.Experts(gate, down, up, device=device),
        lambda: ops.Experts([], [], [], device=device),
        lambda: ops.Experts(gate, (bf16_bits(up), "bf16"), down, device=device),
        lambda: experts(x[:, :-1], [[0]] * 2, [[1.0]] * 2),
        lambda: experts(x, [[0]], [[1.0]]),
        lambda: experts(x, [[6]] * 2, [[1.0]] * 2),
        lambda: experts(x, [[1, 1]] * 2, [[1.0, 1.0]] * 2),
        lambda: experts(x, [[2**40]] * 2, [[1.0]] * 2),
        lambda: layer.attend(q[..., :-1], cache, **good),
        lambda: layer.attend(q, cache[:, :63], **good),
        lambda: layer.attend(q, cache, **{**good, "row_begin": [0, 2]}),
        lambda: layer.attend(q, cache, **{**good, "context": [0, 1]}),
        lambda: layer.attend(q, cache, **{**good, "context": [-1]}),
        lambda: layer.attend(q, cache, **{**good, "context": [64]}),
        lambda: layer.attend(q, cache, **{**good, "block_table": [[2]]}),
    ]
    for number, call in enumerate(calls):
        with pytest.raises(abyssal.InvalidArgument):
            pytest.fail(f"call {number} gave {call()}")
    with pytest.raises(TypeError):
        experts(x, [[0.5]] * 2, [[1.0]] * 2)
