"""What binds a reply: masks of tokens, and schemas, expressions and grammars of its content."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Mapping, Optional, Sequence, Tuple, Type, Union

from . import _abyssal
from ._check import no_pickle, utf8
from ._errors import InvalidArgument
from ._text import json_bytes

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from typing_extensions import Buffer

__all__ = ["Constraint", "Mask", "Schema", "as_mask", "constraint_text"]

Mask = Union[Sequence[bool], "npt.NDArray[np.bool_]"]
"""A flag for each id of the vocabulary, [vocab_size]: whether it may be drawn. An array of bools, or any sequence."""

Schema = Union[str, Mapping[str, Any], bool]
"""A JSON schema: as JSON text, or as json.loads gives it."""

_KINDS = ("json_schema", "regex", "grammar")  # 1, 2 and 3 of the C API


class Constraint:
    """A compiled constraint of replies' content. Made by Model.constraint().

    Immutable: any thread and any number of replies of its model may use it.
    """

    def __init__(self) -> None:
        raise TypeError("constraints are made by Model.constraint()")

    @classmethod
    def _wrap(cls, raw: _abyssal.Constraint) -> "Constraint":
        constraint = cls.__new__(cls)
        constraint._raw = raw
        return constraint

    _raw: _abyssal.Constraint

    @property
    def closed(self) -> bool:
        """Whether close() was called."""
        return self._raw.closed

    def close(self) -> None:
        """Lets go of it. Replies that use it keep it. May be called more than once, from any thread."""
        self._raw.close()

    def __enter__(self) -> "Constraint":
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        if not hasattr(self, "_raw") or self.closed:
            return "<abyssal.Constraint, closed>"
        return "<abyssal.Constraint>"

    def __reduce__(self) -> Any:
        return no_pickle(self)


def as_mask(mask: Optional[Mask]) -> Buffer:
    """A byte for each id, without a copy where they are already. b"" for None."""
    if mask is None:
        return b""
    try:
        view = memoryview(mask)  # type: ignore[arg-type]
    except TypeError:
        flags = bytes(map(bool, mask))
        if not flags:
            raise InvalidArgument("mask is empty; expected a flag for each id, or None") from None
        return flags
    if view.ndim != 1 or view.format not in ("?", "B") or view.nbytes == 0:
        raise InvalidArgument(
            f"mask has shape {view.shape} and the element format {view.format!r}; expected [vocab_size] bools"
        )
    return view if view.contiguous else bytes(view)


def constraint_text(
    json_schema: Optional[Schema], regex: Optional[str], grammar: Optional[str], constraint: Optional[Constraint] = None
) -> Tuple[int, bytes]:
    """The C API's kind of the constraint that is to be compiled, and its text; 0 where there is none."""
    given = dict(zip((*_KINDS, "constraint"), (json_schema, regex, grammar, constraint)))
    names = [name for name, value in given.items() if value is not None]
    if len(names) > 1:
        raise InvalidArgument(f"{' and '.join(names)} are given; expected one of them")
    if json_schema is not None:
        return 1, json_bytes(json_schema, "json_schema")
    if regex is not None:
        return 2, utf8(regex)
    if grammar is not None:
        return 3, utf8(grammar)
    return 0, b""
