"""Makes the tokenizer of the checkpoint: byte-level BPE with DeepSeek's special tokens, one token for each digit."""

from __future__ import annotations

import json
import pathlib
from typing import Iterable

from problems.dialogue import BOS, EOS, PAD

VOCABULARY = 768
SPECIAL = (BOS, EOS, PAD)
MARKERS = (
    ("<｜User｜>", True),
    ("<｜Assistant｜>", True),
    ("<think>", False),
    ("</think>", False),
    ("<｜tool▁calls▁begin｜>", True),
    ("<｜tool▁calls▁end｜>", True),
    ("<｜tool▁call▁begin｜>", True),
    ("<｜tool▁call▁end｜>", True),
    ("<｜tool▁sep｜>", True),
    ("<｜tool▁outputs▁begin｜>", True),
    ("<｜tool▁outputs▁end｜>", True),
    ("<｜tool▁output▁begin｜>", True),
    ("<｜tool▁output▁end｜>", True),
)
"""(marker, special), placed at the end of the vocabulary as published. The tags of the reasoning are no special tokens."""

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if m['role'] == 'system' %}{{ m['content'] }}"
    "{% elif m['role'] == 'user' %}{{ '<｜User｜>' + m['content'] }}"
    "{% elif m['role'] == 'assistant' %}"
    "{{ '<｜Assistant｜>' + m['content'].split('</think>')[-1].lstrip('\\n') + eos_token }}"
    "{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<｜Assistant｜><think>\\n' }}{% endif %}"
)
"""Earlier reasoning is dropped; the prompt ends inside the reasoning, as R1's template has it."""


def train(texts: Iterable[str]) -> "object":
    """A tokenizers.Tokenizer whose merges are learned from texts (without markers). V3's splits, but single digits."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from tokenizers import AddedToken

    tokenizer = Tokenizer(models.BPE())
    split = r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\p{N}"), "isolated"),
            pre_tokenizers.Split(Regex(split), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(MARKERS),
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_tokens([AddedToken(text, special=special, normalized=False) for text, special in MARKERS])
    assert tokenizer.get_vocab_size() == VOCABULARY
    return tokenizer


def write(tokenizer: "object", folder: pathlib.Path, context: int) -> None:
    """Writes tokenizer.json and tokenizer_config.json as a checkpoint has them."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))  # type: ignore[attr-defined]
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BOS,
        "eos_token": EOS,
        "pad_token": PAD,
        "add_bos_token": True,
        "add_eos_token": False,
        "model_max_length": context,
        "clean_up_tokenization_spaces": False,
        "chat_template": CHAT_TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n")
