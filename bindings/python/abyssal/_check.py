"""Checks of plain arguments that C's types cannot hold."""

from __future__ import annotations

import operator
from typing import Any, Sequence, Union

from ._errors import InvalidArgument

__all__ = ["choice", "no_pickle", "unsigned", "utf8"]


def unsigned(value: Any, bits: int, name: str) -> int:
    """An integer from 0 to 2^bits - 1."""
    number = operator.index(value)
    if not 0 <= number < 1 << bits:
        raise InvalidArgument(f"{name} is {number}; expected 0 to {(1 << bits) - 1}")
    return number


def choice(value: Any, names: Sequence[str], name: str) -> int:
    """The place of a word among those that there are."""
    if value not in names:
        raise InvalidArgument(f"{name} is {value!r}; expected one of {', '.join(names)}")
    return names.index(value)


def utf8(text: Union[str, bytes]) -> bytes:
    """Text as bytes. Lone surrogates stay, as bytes that the library refuses with their position."""
    return text.encode("utf-8", "surrogatepass") if isinstance(text, str) else bytes(text)


def no_pickle(self: Any) -> Any:
    """Refuses pickling, and so copying, of an object that lives in the library."""
    raise TypeError(
        f"abyssal.{type(self).__name__} cannot be pickled or copied: it holds memory of this process; "
        "open the model in the other process"
    )
