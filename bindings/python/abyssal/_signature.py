"""Signatures that several methods share, written once."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Callable, TypeVar

if TYPE_CHECKING:
    from typing_extensions import Concatenate, ParamSpec

    _Parameters = ParamSpec("_Parameters")

__all__ = ["arguments_of"]

_Result = TypeVar("_Result")


def arguments_of(
    like: "Callable[Concatenate[Any, _Parameters], Any]",
) -> "Callable[[Callable[..., _Result]], Callable[Concatenate[Any, _Parameters], _Result]]":
    """Gives a method that passes its arguments on the signature of another one, for type checkers as for help()."""
    wanted = list(inspect.signature(like).parameters.values())[1:]

    def decorate(method: "Callable[..., _Result]") -> "Callable[Concatenate[Any, _Parameters], _Result]":
        own = inspect.signature(method)
        first = next(iter(own.parameters.values()))  # self, or cls
        method.__signature__ = own.replace(parameters=[first, *wanted])  # type: ignore[attr-defined]
        return method

    return decorate
