"""How models are opened: the options, and the signature that several functions share."""

from __future__ import annotations

import inspect
import os
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar, Union

from . import _abyssal
from ._arrays import dtype_number
from ._check import choice, unsigned
from ._device import Device
from ._errors import InvalidArgument

if TYPE_CHECKING:
    from typing_extensions import Concatenate, ParamSpec

    _Parameters = ParamSpec("_Parameters")

__all__ = ["Path", "Progress", "arguments_of", "model_options"]

Progress = Callable[[str, int, int], Any]
"""progress(stage, done, total): stage is "read" or "weights", done and total are bytes. A true result cancels."""

Path = Union[str, bytes, "os.PathLike[str]"]

_Result = TypeVar("_Result")

_STAGES = ("read", "weights")
_WEIGHTS = ("stored", "int8", "int4")
_ATTENTION = {"auto": 0, "absorbed": 1, "expanded": 2}


def _raw_progress(progress: Optional[Progress]) -> Optional[Callable[[int, int, int], bool]]:
    if progress is None:
        return None
    callback = progress
    return lambda stage, done, total: bool(
        callback(_STAGES[stage] if 0 <= stage < len(_STAGES) else "unknown", done, total)
    )


def model_options(
    device: Optional[Device],
    backend: Optional[str],
    threads: int,
    activations: str,
    cache_dtype: str,
    cache_tokens: int,
    absorb_below: int,
    mtp: bool,
    tokenizer: Optional[Path],
    progress: Optional[Progress],
    weights: str,
    attention: str,
    packed_cache: Optional[Path] = None,
    packed_cache_check: bool = False,
) -> _abyssal.ModelOptions:
    if device is not None and backend is not None:
        raise InvalidArgument("device and backend are both given; a device has its backend")
    if attention not in _ATTENTION:
        raise InvalidArgument(f"attention is {attention!r}; expected one of {', '.join(_ATTENTION)}")
    return _abyssal.ModelOptions(
        device=None if device is None else device._raw,
        backend=backend,
        threads=unsigned(threads, 32, "threads"),
        activations=dtype_number(activations, "activations"),
        cache_dtype=dtype_number(cache_dtype, "cache_dtype"),
        cache_tokens=unsigned(cache_tokens, 64, "cache_tokens"),
        absorb_below=unsigned(absorb_below, 32, "absorb_below"),
        mtp=bool(mtp),
        tokenizer=None if tokenizer is None else os.fsencode(tokenizer),
        progress=_raw_progress(progress),
        weights=choice(weights, _WEIGHTS, "weights"),
        packed_cache=None if packed_cache is None else os.fsencode(packed_cache),
        packed_cache_check=bool(packed_cache_check),
        attention=_ATTENTION[attention],
    )


def arguments_of(
    like: "Callable[Concatenate[Any, _Parameters], Any]",
) -> "Callable[[Callable[..., _Result]], Callable[Concatenate[Any, _Parameters], _Result]]":
    """Gives a class method the arguments of another method, for type checkers as for help(): it passes them on."""
    of_like = inspect.signature(like)

    def decorate(function: "Callable[..., _Result]") -> "Callable[Concatenate[Any, _Parameters], _Result]":
        own = inspect.signature(function)
        first = next(iter(own.parameters.values()))
        shared = list(of_like.parameters.values())[1:]
        function.__signature__ = own.replace(parameters=[first, *shared])  # type: ignore[attr-defined]
        return function

    return decorate
