"""Arrays from the caller, as the C API takes them: token ids, and named tensors of any stored type."""

from __future__ import annotations

from array import array as packed
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Sequence, Tuple, Union

from ._errors import InvalidArgument, Unsupported

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from typing_extensions import Buffer

__all__ = ["DTYPES", "Tensors", "Tokens", "as_tensors", "as_tokens", "copy_tokens"]

Tokens = Union[Sequence[int], "npt.NDArray[np.integer[Any]]"]
"""Token ids: a one-dimensional integer array, or any sequence of ints."""

Tensors = Mapping[str, Any]
"""Arrays by name: numpy arrays, torch tensors, what has the buffer protocol or __array__, or (array, dtype name)."""

DTYPES = {
    "auto": 0,
    "f32": 1,
    "f16": 2,
    "bf16": 3,
    "f8_e4m3": 4,
    "f8_e8m0": 5,
    "i8": 6,
    "u8": 7,
    "i32": 8,
    "i64": 9,
    "i16": 10,
    "q4_0": 20,
    "q4_1": 21,
    "q5_0": 22,
    "q5_1": 23,
    "q8_0": 24,
    "q2_k": 25,
    "q3_k": 26,
    "q4_k": 27,
    "q5_k": 28,
    "q6_k": 29,
    "iq4_nl": 30,
    "iq4_xs": 31,
    "mxfp4": 32,
}
"""Names of the element types, with the C API's numbers."""

DTYPE_NAMES = {number: name for name, number in DTYPES.items()}

# How other libraries call the types (numpy, ml_dtypes, torch), and the safetensors format.
_ALIASES = {
    "float32": "f32",
    "float16": "f16",
    "bfloat16": "bf16",
    "float8_e4m3fn": "f8_e4m3",
    "float8_e8m0fnu": "f8_e8m0",
    "int8": "i8",
    "int16": "i16",
    "uint8": "u8",
    "int32": "i32",
    "int64": "i64",
    "f8_e4m3fn": "f8_e4m3",
}

# The numpy type that carries the bits of each.
_CARRIERS: Dict[str, str] = {
    "f32": "<f4",
    "f16": "<f2",
    "bf16": "<u2",
    "f8_e4m3": "u1",
    "f8_e8m0": "u1",
    "i8": "i1",
    "u8": "u1",
    "i32": "<i4",
    "i64": "<i8",
}

# Torch's types that numpy does not know, and the type to view them as.
_TORCH_VIEWS = {"bfloat16": "int16", "float8_e4m3fn": "uint8", "float8_e8m0fnu": "uint8"}

RawTensor = Tuple[str, int, "npt.NDArray[Any]"]


def dtype_number(name: str, what: str) -> int:
    """The C API's number of an element type given by name."""
    lower = str(name).lower()
    number = DTYPES.get(_ALIASES.get(lower, lower))
    if number is None:
        raise InvalidArgument(f"{what} is {name!r}; expected one of {', '.join(DTYPES)}")
    return number


def as_tokens(tokens: Tokens) -> Union[Buffer, npt.NDArray[np.int32]]:
    """Token ids as int32, without a copy where they are already. Plain ints need no numpy."""
    if isinstance(tokens, (list, tuple, range)) and set(map(type, tokens)) <= {int}:
        try:
            return packed("i", tokens)
        except OverflowError:
            low, high = min(tokens), max(tokens)
            raise InvalidArgument(f"token {low if low < -(2**31) else high} does not fit into 32 bits") from None
    import numpy as np

    array = np.asarray(tokens)
    if array.ndim != 1:
        raise InvalidArgument(f"tokens have shape {array.shape}; expected one dimension")
    if array.size == 0:
        return np.zeros(0, np.int32)
    if array.dtype.kind not in "iu":
        raise TypeError(f"tokens are of type {array.dtype}; expected integers")
    if array.dtype != np.int32:
        low, high = int(array.min()), int(array.max())
        if low < -(2**31) or high >= 2**31:
            raise InvalidArgument(f"token {low if low < -(2**31) else high} does not fit into 32 bits")
    return np.ascontiguousarray(array, dtype=np.int32)


def copy_tokens(tokens: Tokens) -> Buffer:
    """Token ids as int32, in memory that the caller does not write to."""
    array: Any = as_tokens(tokens)
    return packed("i", bytes(memoryview(array)))


def _is_torch(value: Any) -> bool:
    return type(value).__module__.split(".")[0] == "torch" and hasattr(value, "detach")


def _from_torch(value: Any) -> Tuple[npt.NDArray[Any], str]:
    import torch  # type: ignore[import-not-found,unused-ignore]

    tensor = value.detach().cpu().contiguous()
    name = str(tensor.dtype).replace("torch.", "")
    if name in _TORCH_VIEWS:
        tensor = tensor.view(getattr(torch, _TORCH_VIEWS[name]))
    return tensor.numpy(), name


def _array_and_dtype(name: str, value: Any) -> Tuple[npt.NDArray[Any], str]:
    import numpy as np

    if isinstance(value, tuple):
        if len(value) != 2 or not isinstance(value[1], str):
            raise InvalidArgument(f"tensor {name!r}: expected an array, or a pair of an array and the name of its type")
        array, dtype = value
        if _is_torch(array):
            array = _from_torch(array)[0]
        return np.asarray(array), dtype
    if _is_torch(value):
        return _from_torch(value)
    array = np.asarray(value)
    return array, array.dtype.name


def _as_tensor(name: str, value: Any) -> RawTensor:
    import numpy as np

    if not isinstance(name, str):
        raise TypeError(f"names of tensors are strings, not {type(name).__name__}")
    array, dtype = _array_and_dtype(name, value)
    lower = dtype.lower()
    known = _ALIASES.get(lower, lower)
    if known not in _CARRIERS:
        raise Unsupported(
            f"tensor {name!r} is of type {dtype}; expected one of {', '.join(_CARRIERS)} (float64 is not converted "
            "silently: use .astype('float32'))"
        )
    carrier: np.dtype[Any] = np.dtype(_CARRIERS[known])
    if array.dtype.itemsize != carrier.itemsize:
        raise InvalidArgument(
            f"tensor {name!r}: an array of {array.dtype} cannot hold {known}; expected elements of "
            f"{carrier.itemsize} bytes"
        )
    array = np.ascontiguousarray(array)
    if array.dtype.byteorder == ">":
        array = array.astype(array.dtype.newbyteorder("<"))
    return name, DTYPES[known], array.view(carrier)


def as_tensors(tensors: Tensors) -> List[RawTensor]:
    """(name, dtype number, contiguous array of its bits) of each tensor, without copies where the layout allows."""
    return [_as_tensor(name, value) for name, value in tensors.items()]
