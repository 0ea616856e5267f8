"""Routing, experts and multi-head latent attention on your own arrays, for other engines.

Shapes use b rows, d hidden_size, e experts, k top-k, h heads, s sequences. All arrays are C-contiguous numpy arrays in
host memory; others are copied. Results are new arrays. Each call has finished when it returns.
"""

from __future__ import annotations

import operator
from types import TracebackType
from typing import TYPE_CHECKING, Any, List, Optional, Sequence, Tuple, Type

from . import _abyssal
from ._arrays import as_tensors, dtype_number
from ._check import no_pickle, unsigned
from ._device import Device
from ._errors import InvalidArgument

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["Experts", "Mla", "moe_route"]

_SCORING = {"softmax": 0, "sigmoid": 1}
_TOPK_METHODS = {"greedy": 0, "group_limited_greedy": 1, "noaux_tc": 2}


def _f32(value: Any, name: str, *shape: Optional[int]) -> npt.NDArray[np.float32]:
    import numpy as np

    array = np.ascontiguousarray(value, dtype=np.float32)
    _check_shape(array, name, shape)
    return array


def _i32(value: Any, name: str, *shape: Optional[int]) -> npt.NDArray[np.int32]:
    import numpy as np

    array = np.asarray(value)
    if array.size and array.dtype.kind not in "iu":
        raise TypeError(f"{name} is of type {array.dtype}; expected integers")
    if array.size and (int(array.min()) < -(2**31) or int(array.max()) >= 2**31):
        raise InvalidArgument(f"{name} holds numbers that do not fit into 32 bits")
    array = np.ascontiguousarray(array, dtype=np.int32)
    _check_shape(array, name, shape)
    return array


def _check_shape(array: npt.NDArray[Any], name: str, shape: Tuple[Optional[int], ...]) -> None:
    fits = array.ndim == len(shape) and all(want is None or want == got for want, got in zip(shape, array.shape))
    if not fits:
        wanted = ", ".join("any" if want is None else str(want) for want in shape)
        raise InvalidArgument(f"{name} has shape {array.shape}; expected ({wanted})")


def _int32(value: int, name: str) -> int:
    """An integer that fits; the library knows its range."""
    number = operator.index(value)
    if not -(2**31) <= number < 2**31:
        raise InvalidArgument(f"{name} is {number}; expected an integer of 32 bits")
    return number


def _choice(choices: "dict[str, int]", value: str, name: str) -> int:
    number = choices.get(value)
    if number is None:
        raise InvalidArgument(f"{name} is {value!r}; expected one of {', '.join(choices)}")
    return number


def moe_route(
    logits: npt.ArrayLike,
    top_k: int,
    *,
    n_group: int = 1,
    topk_group: int = 1,
    scoring: str = "softmax",
    topk_method: str = "greedy",
    norm_topk_prob: bool = False,
    routed_scaling_factor: float = 1.0,
    bias: Optional[npt.ArrayLike] = None,
    device: Optional[Device] = None,
) -> Tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """Chooses top_k experts for each row. Ties go to the lower index.

    logits: float32 [b, e], of the gate.
    n_group, topk_group: groups of experts, and how many of them are kept.
    scoring: "softmax" (V2) or "sigmoid" (V3).
    topk_method: "greedy" (V2-Lite), "group_limited_greedy" (V2) or "noaux_tc" (V3, Kimi-K2).
    norm_topk_prob: divide the weights by their sum + 1e-20.
    routed_scaling_factor: the weights are multiplied by it.
    bias: float32 [e], e_score_correction_bias: added to the scores for the choice, not for the weights.
    device: None: a new one on the best backend.
    Returns (index int32 [b, k] ascending, weight float32 [b, k] in the order of index).
    Raises InvalidArgument, DeviceError.
    """
    rows = _f32(logits, "logits", None, None)
    return _abyssal.moe_route(
        (device or Device())._raw,
        rows,
        None if bias is None else _f32(bias, "bias", rows.shape[1]),
        top_k=_int32(top_k, "top_k"),
        n_group=_int32(n_group, "n_group"),
        topk_group=_int32(topk_group, "topk_group"),
        scoring=_choice(_SCORING, scoring, "scoring"),
        topk_method=_choice(_TOPK_METHODS, topk_method, "topk_method"),
        norm_topk_prob=bool(norm_topk_prob),
        routed_scaling_factor=float(routed_scaling_factor),
    )


class _Handle:
    """What Experts and Mla share: closing."""

    _raw: Any

    @property
    def closed(self) -> bool:
        """Whether close() was called."""
        return bool(self._raw.closed)

    def close(self) -> None:
        """Lets go of the prepared weights. Running calls end first. May be called more than once, from any thread."""
        self._raw.close()

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()

    def __reduce__(self) -> Any:
        return no_pickle(self)


def _weights(
    values: Sequence[Any], name: str, shape: Optional[Tuple[int, ...]]
) -> Tuple[List[npt.NDArray[Any]], int, Tuple[int, ...]]:
    """Arrays of one type and one shape, the type's number, and the shape."""
    if isinstance(values, tuple) and len(values) == 2 and isinstance(values[1], str):
        values = [(value, values[1]) for value in values[0]]  # one array of all, and the name of its type
    raws = as_tensors({f"{name}[{i}]": value for i, value in enumerate(values)})
    if not raws:
        raise InvalidArgument(f"{name} is empty; expected one array per expert")
    dtype = raws[0][1]
    first: Tuple[int, ...] = raws[0][2].shape if shape is None else shape
    for label, number, array in raws:
        if number != dtype:
            raise InvalidArgument(f"{label} is of another type than {raws[0][0]}")
        if array.shape != first or array.ndim != 2:
            raise InvalidArgument(
                f"{label} has shape {array.shape}; expected {first if len(first) == 2 else 'two dimensions'}"
            )
    return [array for _, _, array in raws], dtype, first


class Experts(_Handle):
    """Expert weights prepared on a device. Immutable; any thread may use it.

    gate, up: e arrays [inter, d]; down: e arrays [d, inter] (or one array [e, ...]). The matrices W of y = x W^T, of
        one type: float32, float16, bfloat16 or fp8 e4m3, given as Model.from_tensors takes tensors. They are copied.
    shared: (gate [shared_inter, d], up [shared_inter, d], down [d, shared_inter]) of the shared experts, or None.
    scales: for fp8: (gate, up, down), each e arrays [ceil(n / 128), ceil(k / 128)], float32 or f8_e8m0.
    shared_scales: for fp8: the three scales of the shared experts.
    block: rows and columns of a scale's block.
    compute: "f32", or "bf16" arithmetic.
    device: None: a new one on the best backend.
    Raises InvalidArgument, Unsupported (type), NoMemory, DeviceError.
    """

    _raw: _abyssal.Experts

    def __init__(
        self,
        gate: Sequence[Any],
        up: Sequence[Any],
        down: Sequence[Any],
        *,
        shared: Optional[Tuple[Any, Any, Any]] = None,
        scales: Optional[Tuple[Sequence[Any], Sequence[Any], Sequence[Any]]] = None,
        shared_scales: Optional[Tuple[Any, Any, Any]] = None,
        block: Tuple[int, int] = (128, 128),
        compute: str = "f32",
        device: Optional[Device] = None,
    ) -> None:
        gates, dtype, (inter, hidden) = _weights(gate, "gate", None)
        ups, up_dtype, _ = _weights(up, "up", (inter, hidden))
        downs, down_dtype, _ = _weights(down, "down", (hidden, inter))
        if not len(gates) == len(ups) == len(downs):
            raise InvalidArgument(f"{len(gates)} gates, {len(ups)} ups and {len(downs)} downs; expected one per expert")
        dtypes = {dtype, up_dtype, down_dtype}
        shared_inter = 0
        shareds: List[npt.NDArray[Any]] = []
        if shared is not None:
            (shared_gate,), shared_dtype, (shared_inter, _) = _weights(shared[:1], "shared gate", None)
            _check_shape(shared_gate, "shared gate", (None, hidden))
            (shared_up,), shared_up_dtype, _ = _weights(shared[1:2], "shared up", (shared_inter, hidden))
            (shared_down,), shared_down_dtype, _ = _weights(shared[2:3], "shared down", (hidden, shared_inter))
            shareds = [shared_gate, shared_up, shared_down]
            dtypes |= {shared_dtype, shared_up_dtype, shared_down_dtype}
        if len(dtypes) != 1:
            raise InvalidArgument("the weights are of different types; expected one")

        scale_groups: List[List[npt.NDArray[Any]]] = []
        scale_dtypes = set()
        rows, columns = (unsigned(n, 31, "block") for n in block)
        if rows == 0 or columns == 0:
            raise InvalidArgument(f"block is {block}; expected at least one row and one column")

        def take_scales(values: Sequence[Any], name: str, n: int, k: int) -> None:
            arrays, number, _ = _weights(values, name, (-(-n // rows), -(-k // columns)))
            scale_groups.append(arrays)
            scale_dtypes.add(number)

        if scales is not None:
            shapes = ((inter, hidden), (inter, hidden), (hidden, inter))
            for values, name, (n, k) in zip(scales, ("gate scale", "up scale", "down scale"), shapes):
                take_scales(values, name, n, k)
                if len(scale_groups[-1]) != len(gates):
                    raise InvalidArgument(f"{len(scale_groups[-1])} arrays of {name}; expected one per expert")
        if scales is not None and shared is not None:
            if shared_scales is None:
                raise InvalidArgument("shared_scales is missing")
            shapes = ((shared_inter, hidden), (shared_inter, hidden), (hidden, shared_inter))
            for value, name, (n, k) in zip(
                shared_scales, ("shared gate scale", "shared up scale", "shared down scale"), shapes
            ):
                take_scales([value], name, n, k)
        if len(scale_dtypes) > 1:
            raise InvalidArgument("the scales are of different types; expected one")

        self._raw = _abyssal.Experts(
            (device or Device())._raw,
            [gates, ups, downs],
            shareds,
            scale_groups,
            hidden=hidden,
            inter=inter,
            shared_inter=shared_inter,
            dtype=dtype,
            scale_dtype=next(iter(scale_dtypes), dtype_number("f32", "scale")),
            block_n=rows,
            block_k=columns,
            compute=dtype_number(compute, "compute"),
        )
        self._hidden = hidden

    def run(self, x: npt.ArrayLike, index: npt.ArrayLike, weight: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Sum over a row's experts of weight * down(silu(gate x) * up x), plus the shared experts.

        x: float32 [b, d]. index: int32 [b, k], 0 to e - 1, no expert twice in a row. weight: float32 [b, k].
        Returns float32 [b, d]. Raises InvalidArgument, DeviceError.
        """
        rows = _f32(x, "x", None, self._hidden)
        chosen = _i32(index, "index", rows.shape[0], None)
        return self._raw.run(rows, chosen, _f32(weight, "weight", *chosen.shape))

    __call__ = run

    def __enter__(self) -> "Experts":
        return self


class Mla(_Handle):
    """kv_b_proj of an MLA layer prepared on a device, in both its forms. Immutable; any thread may use it.

    kv_b: [heads * (qk_nope_head_dim + v_head_dim), kv_lora_rank], kv_b_proj.weight: float32, float16 or bfloat16, as
        Model.from_tensors takes tensors. Copied.
    compute: "f32", or "bf16" arithmetic.
    device: None: a new one on the best backend.
    Raises InvalidArgument, Unsupported (type), NoMemory, DeviceError.
    """

    _raw: _abyssal.Mla

    def __init__(
        self,
        kv_b: Any,
        *,
        heads: int,
        qk_nope_head_dim: int,
        qk_rope_head_dim: int,
        v_head_dim: int,
        compute: str = "f32",
        device: Optional[Device] = None,
    ) -> None:
        ((_, dtype, array),) = as_tensors({"kv_b": kv_b})
        _check_shape(array, "kv_b", (heads * (qk_nope_head_dim + v_head_dim), None))
        self._raw = _abyssal.Mla(
            (device or Device())._raw,
            array,
            heads=_int32(heads, "heads"),
            kv_lora_rank=array.shape[1],
            qk_nope_head_dim=_int32(qk_nope_head_dim, "qk_nope_head_dim"),
            qk_rope_head_dim=_int32(qk_rope_head_dim, "qk_rope_head_dim"),
            v_head_dim=_int32(v_head_dim, "v_head_dim"),
            dtype=dtype,
            compute=dtype_number(compute, "compute"),
        )
        self._heads = heads
        self._qk_dim = qk_nope_head_dim + qk_rope_head_dim
        self._latent = array.shape[1] + qk_rope_head_dim
        self._v_dim = v_head_dim

    def attend(
        self,
        q: npt.ArrayLike,
        cache: Any,
        *,
        row_begin: npt.ArrayLike,
        context: npt.ArrayLike,
        block_table: npt.ArrayLike,
        scale: float,
        absorb_below: int = 0,
    ) -> npt.NDArray[np.float32]:
        """Causal multi-head latent attention of a ragged batch of s sequences over a paged latent cache.

        q: float32 [b, heads, nope + rope], RoPE applied.
        cache: [blocks, 64, kv_lora_rank + rope], float32 or bfloat16: normed c_kv, then k_pe with RoPE.
        row_begin: int32 [s + 1]: the new tokens of sequence i are rows row_begin[i] to row_begin[i + 1] - 1 of q, at
            positions context[i], context[i] + 1, ... Their own latent rows must be in the cache already.
        context: int32 [s]: cached tokens before the new ones.
        block_table: int32 [s, n]: each sequence's blocks of 64 tokens, in order.
        scale: of the scores, e.g. (nope + rope) ** -0.5.
        absorb_below: absorbed form for sequences with fewer new tokens than this; 0: 128.
        Returns float32 [b, heads, v_head_dim]. Raises InvalidArgument, DeviceError.
        """
        queries = _f32(q, "q", None, self._heads, self._qk_dim)
        ((_, dtype, rows),) = as_tensors({"cache": cache})
        _check_shape(rows, "cache", (None, 64, self._latent))
        begins = _i32(row_begin, "row_begin", None)
        if begins.size == 0 or begins[0] != 0 or begins[-1] != queries.shape[0]:
            raise InvalidArgument(
                f"row_begin is {begins.tolist()}; expected it to begin with 0 and end with {queries.shape[0]}"
            )
        contexts = _i32(context, "context", begins.size - 1)
        table = _i32(block_table, "block_table", begins.size - 1, None)
        return self._raw.attend(
            queries,
            rows,
            begins,
            contexts,
            table,
            cache_dtype=dtype,
            scale=float(scale),
            absorb_below=unsigned(absorb_below, 32, "absorb_below"),
            v_head_dim=self._v_dim,
        )

    def __enter__(self) -> "Mla":
        return self
