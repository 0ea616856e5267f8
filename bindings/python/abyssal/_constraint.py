"""What binds a reply: masks of tokens, and schemas, expressions and grammars of its content."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping, Optional, Sequence, Tuple, Union

from ._check import utf8
from ._errors import InvalidArgument
from ._text import json_bytes

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from typing_extensions import Buffer

__all__ = ["Mask", "Schema", "as_constraint", "as_mask"]

Mask = Union[Sequence[bool], "npt.NDArray[np.bool_]"]
"""A flag for each id of the vocabulary, [vocab_size]: whether it may be drawn. An array of bools, or any sequence."""

Schema = Union[str, Mapping[str, Any], bool]
"""A JSON schema: as JSON text, or as json.loads gives it."""

_KINDS = ("json_schema", "regex", "grammar")  # 1, 2 and 3 of the C API


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


def as_constraint(
    json_schema: Optional[Schema], regex: Optional[str], grammar: Optional[str]
) -> Tuple[int, Optional[bytes]]:
    """The C API's kind of a constraint, and its text."""
    schema = None if json_schema is None else json_bytes(json_schema, "json_schema")
    texts = (schema, None if regex is None else utf8(regex), None if grammar is None else utf8(grammar))
    given = [(kind, text) for kind, text in enumerate(texts, 1) if text is not None]
    if not given:
        return 0, None
    if len(given) > 1:
        names = " and ".join(_KINDS[kind - 1] for kind, _ in given)
        raise InvalidArgument(f"{names} are given; expected one of {', '.join(_KINDS)}")
    kind, text = given[0]
    if b"\0" in text:
        raise InvalidArgument(f"{_KINDS[kind - 1]} holds a NUL character at byte {text.index(0)}")
    return kind, text
