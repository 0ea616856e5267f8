"""Text to token ids and back, by the tokenizer that stage 1 made."""

from __future__ import annotations

import pathlib
from typing import List, Sequence

from tokenizers import Tokenizer

from problems.dialogue import EOS


class Text:
    """encode() takes markers as they are written; decode() leaves the end-of-sentence marker out."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))

    def encode(self, text: str) -> List[int]:
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def encode_many(self, texts: Sequence[str]) -> List[List[int]]:
        return [e.ids for e in self._tokenizer.encode_batch(list(texts), add_special_tokens=False)]

    def decode(self, tokens: Sequence[int]) -> str:
        return self._tokenizer.decode(list(tokens), skip_special_tokens=False).removesuffix(EOS)
