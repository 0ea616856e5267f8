"""Text and tokens: the tokenizer and the chat template of a model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Iterable, Mapping, Optional, Tuple, Union

from . import _abyssal
from ._arrays import Tokens, as_tokens
from ._check import utf8
from ._errors import InvalidArgument

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["ADD_BOS", "Messages", "Text", "chat_text", "json_bytes"]

ADD_BOS, _PLAIN = 1, 2
_SKIP_SPECIAL = 1

Messages = Union[str, Iterable[Mapping[str, Any]]]


def json_bytes(value: Any, what: str) -> bytes:
    if isinstance(value, str):
        return utf8(value)
    try:
        return utf8(json.dumps(value, ensure_ascii=False, allow_nan=False))
    except ValueError as error:
        raise InvalidArgument(f"{what} cannot be written as JSON: {error}") from error


def chat_text(
    messages: Messages, tools: Optional[Any], chat_template: Optional[str], variables: Optional[Mapping[str, Any]]
) -> Tuple[bytes, Optional[bytes], Optional[bytes], Optional[bytes]]:
    """What render_chat of the C API takes first: messages, tools, variables, template."""
    return (
        json_bytes(messages if isinstance(messages, str) else [dict(message) for message in messages], "messages"),
        None if tools is None else json_bytes(tools, "tools"),
        json_bytes(dict(variables), "variables") if variables else None,
        None if chat_template is None else utf8(chat_template),
    )


class Text:
    """A Model's tokenizer and chat template."""

    _raw: _abyssal.Model

    def tokenize(self, text: Union[str, bytes], add_bos: bool = False, plain: bool = False) -> npt.NDArray[np.int32]:
        """Token ids of a text, int32 [n], equal to Hugging Face's.

        add_bos: begin with the BOS token if the checkpoint asks for one and the text has none.
        plain: treat markers of special tokens as ordinary text (for text from strangers).
        Raises EncodingError (invalid UTF-8, with its position), StateError (no tokenizer).
        """
        import numpy as np

        flags = (ADD_BOS if add_bos else 0) | (_PLAIN if plain else 0)
        return np.asarray(self._raw.tokenize(utf8(text), flags))

    def detokenize(self, tokens: Tokens, skip_special: bool = False) -> bytes:
        """The exact bytes of tokens, [n] integers. A token may hold part of a UTF-8 character.

        skip_special: leave special tokens out. Raises InvalidArgument for an id outside the vocabulary.
        """
        return self._raw.detokenize(as_tokens(tokens), _SKIP_SPECIAL if skip_special else 0)

    def decode(self, tokens: Tokens, skip_special: bool = False) -> str:
        """The text of tokens, [n] integers; bytes that are no UTF-8 become U+FFFD."""
        return self.detokenize(tokens, skip_special).decode("utf-8", "replace")

    def render_chat(
        self,
        messages: Messages,
        tools: Optional[Any] = None,
        add_generation_prompt: bool = True,
        chat_template: Optional[str] = None,
        allow_dropped_tools: bool = False,
        **variables: Any,
    ) -> str:
        """Renders messages with the checkpoint's chat template, as Hugging Face renders them.

        messages: such as [{"role": "user", "content": "Hi"}], or the same as JSON text. content may be None.
        tools: a list of tools as chat APIs describe them, or JSON text.
        add_generation_prompt: end with the marker that opens the assistant's turn.
        chat_template: used instead of the checkpoint's own.
        allow_dropped_tools: tools that the template has no place for are left out; else they are refused.
        variables: further variables of the template, e.g. thinking=True.

        The text holds the BOS marker where the template writes it: tokenize it without add_bos.
        Raises TemplateError (with the template's message), StateError (no template), Unsupported (the template gives
        the same text without the tools).
        """
        given = chat_text(messages, tools, chat_template, variables)
        raw = self._raw.render_chat(*given, bool(add_generation_prompt), bool(allow_dropped_tools))
        return raw.decode("utf-8")
