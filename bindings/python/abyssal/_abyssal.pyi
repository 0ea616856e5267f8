"""The C API of libabyssal, for the package's own use: import abyssal instead."""

from typing import Any, Callable, Deque, Dict, List, Optional, Tuple, Union
from typing import Sequence as Many

import numpy as np
import numpy.typing as npt
from typing_extensions import Buffer

from ._reply import Event

_Ints = npt.NDArray[np.int32]
_Tokens = Union[_Ints, Buffer]
_Floats = npt.NDArray[np.float32]
_RawTensor = Tuple[str, int, npt.NDArray[Any]]

def version() -> str: ...
def backends() -> List[Tuple[str, int]]: ...

class Ints:
    def __buffer__(self, flags: int, /) -> memoryview: ...

class Device:
    def __init__(self, backend: Optional[str], index: int, threads: int) -> None: ...
    def info(self) -> Dict[str, Any]: ...
    def close(self) -> None: ...
    @property
    def closed(self) -> bool: ...

class ModelOptions:
    def __init__(
        self,
        *,
        device: Optional[Device],
        backend: Optional[str],
        threads: int,
        activations: int,
        cache_dtype: int,
        cache_tokens: int,
        absorb_below: int,
        mtp: bool,
        tokenizer: Optional[bytes],
        progress: Optional[Callable[[int, int, int], bool]],
        weights: int,
        packed_cache: Optional[bytes],
        packed_cache_check: bool,
        attention: int,
    ) -> None: ...

class Model:
    def update(self, tensors: Many[_RawTensor]) -> None: ...
    def share(self) -> "Model": ...
    def info(self) -> Dict[str, Any]: ...
    def eos_tokens(self) -> List[int]: ...
    def device(self) -> Device: ...
    def profile(self, on: bool) -> None: ...
    def profile_parts(self) -> List[Dict[str, Any]]: ...
    def tokenize(self, text: bytes, flags: int) -> Ints: ...
    def detokenize(self, tokens: _Tokens, flags: int) -> bytes: ...
    def render_chat(
        self,
        messages: bytes,
        tools: Optional[bytes],
        variables: Optional[bytes],
        chat_template: Optional[bytes],
        add_generation_prompt: bool,
        allow_dropped_tools: bool,
    ) -> bytes: ...
    def close(self) -> None: ...
    @property
    def closed(self) -> bool: ...

def plan_model(path: bytes, options: ModelOptions) -> Dict[str, int]: ...
def open_model(path: bytes, options: ModelOptions) -> Model: ...
def quantize(path: bytes, out: bytes, options: ModelOptions) -> None: ...
def open_tensors(config: bytes, tensors: Many[_RawTensor], options: ModelOptions) -> Model: ...

class EvalOptions:
    def __init__(self, *, keep: int, logits: int, mtp: bool, chunk: int) -> None: ...
    def cancel(self) -> None: ...

class Sequence:
    def __init__(self, model: Model) -> None: ...
    def eval(self, tokens: _Tokens, options: EvalOptions) -> None: ...
    def output(self, kind: int, layer: int, copy: bool) -> npt.NDArray[Any]: ...
    def length(self) -> int: ...
    def tokens(self) -> Ints: ...
    def truncate(self, length: int) -> None: ...
    def fork(self) -> "Sequence": ...
    def cancel(self) -> None: ...
    def close(self) -> None: ...
    @property
    def closed(self) -> bool: ...

def eval_batch(sequences: Many[Sequence], tokens: Many[_Tokens], options: EvalOptions) -> None: ...

class Constraint:
    def __init__(self, model: Model, kind: int, text: bytes) -> None: ...
    def close(self) -> None: ...
    @property
    def closed(self) -> bool: ...

class ReplyOptions:
    def __init__(
        self,
        *,
        max_tokens: int,
        temperature: float,
        top_p: float,
        top_k: int,
        min_p: float,
        seed: int,
        logprobs: bool,
        ignore_eos: bool,
        stop_tokens: _Tokens,
        plain: bool,
        chunk: int,
        constraint: Optional[Constraint],
        constraint_kind: int,
        constraint_text: bytes,
        mask: Buffer,
    ) -> None: ...

class Generation:
    def __init__(self, sequence: Sequence, prompt: _Tokens, options: ReplyOptions) -> None: ...
    def step(self, microseconds: int, events: Deque[Event]) -> None: ...
    def seed(self) -> int: ...
    def set_mask(self, mask: Buffer) -> None: ...
    def cancel(self) -> None: ...
    def close(self) -> None: ...
    @property
    def closed(self) -> bool: ...

def moe_route(
    device: Device,
    logits: _Floats,
    bias: Optional[_Floats],
    *,
    top_k: int,
    n_group: int,
    topk_group: int,
    scoring: int,
    topk_method: int,
    norm_topk_prob: bool,
    routed_scaling_factor: float,
) -> Tuple[_Ints, _Floats]: ...

class Experts:
    def __init__(
        self,
        device: Device,
        weights: Many[Many[npt.NDArray[Any]]],
        shared: Many[npt.NDArray[Any]],
        scales: Many[Many[npt.NDArray[Any]]],
        *,
        hidden: int,
        inter: int,
        shared_inter: int,
        dtype: int,
        scale_dtype: int,
        block_n: int,
        block_k: int,
        compute: int,
    ) -> None: ...
    def run(self, x: _Floats, index: _Ints, weight: _Floats) -> _Floats: ...
    def close(self) -> None: ...
    @property
    def closed(self) -> bool: ...

class Mla:
    def __init__(
        self,
        device: Device,
        kv_b: npt.NDArray[Any],
        *,
        heads: int,
        kv_lora_rank: int,
        qk_nope_head_dim: int,
        qk_rope_head_dim: int,
        v_head_dim: int,
        dtype: int,
        compute: int,
    ) -> None: ...
    def attend(
        self,
        q: _Floats,
        cache: npt.NDArray[Any],
        row_begin: _Ints,
        context: _Ints,
        block_table: _Ints,
        *,
        cache_dtype: int,
        scale: float,
        absorb_below: int,
        v_head_dim: int,
    ) -> _Floats: ...
    def close(self) -> None: ...
    @property
    def closed(self) -> bool: ...
