"""Stage 1: the tokenizer, the training examples as token ids, and the held-out sets.

Writes WORK/tokenizer, WORK/examples.npz (tokens, and for each example where it starts and where its reply starts) and
WORK/held_out.json. Everything follows from the seed.
"""

from __future__ import annotations

import json
import random

import numpy as np

import settings
import tokenizer_files
from problems import dialogue
from store import done, mark


def texts_for_merges(count: int) -> "list[str]":
    """Texts without markers, for the merges of the tokenizer."""
    rng = random.Random(settings.SEED)
    out = []
    for _ in range(count):
        example = dialogue.example(rng, chat_share=0.1)
        out.append(example.question)
        out.extend(part.strip(dialogue.EOS) for part in example.reply.split(dialogue.CLOSE))
    return out


def encode(tokenizer: "object", count: int, seed: int) -> "dict[str, np.ndarray]":
    """Draws examples and encodes them: tokens uint16 [total], starts int64 [count + 1], replies int64 [count]."""
    rng = random.Random(seed)
    tokens, starts, replies = [], [0], []
    total = 0
    for begin in range(0, count, 5000):
        examples = [dialogue.example(rng) for _ in range(min(5000, count - begin))]
        prompts = tokenizer.encode_batch([e.prompt for e in examples], add_special_tokens=False)
        bodies = tokenizer.encode_batch([e.reply for e in examples], add_special_tokens=False)
        for prompt, body in zip(prompts, bodies):
            ids = prompt.ids + body.ids
            tokens.append(np.array(ids, np.uint16))
            replies.append(total + len(prompt.ids))
            total += len(ids)
            starts.append(total)
    return {
        "tokens": np.concatenate(tokens),
        "starts": np.array(starts, np.int64),
        "replies": np.array(replies, np.int64),
    }


def main() -> None:
    work = settings.work()
    if done(work, "stage1"):
        return
    size = settings.size()
    tokenizer = tokenizer_files.train(texts_for_merges(size.merge_examples))
    tokenizer_files.write(tokenizer, work / "tokenizer", settings.CONTEXT)
    rng = random.Random(settings.SEED + 1)
    held = dialogue.held_out_sets(rng, size.held_out)
    (work / "held_out.json").write_text(
        json.dumps({name: [vars(p) for p in problems] for name, problems in held.items()}, indent=0)
    )
    data = encode(tokenizer, size.examples, settings.SEED + 2)
    np.savez(work / "examples.npz", **data)
    lengths = np.diff(data["starts"])
    shares = (data["starts"][1:] - data["replies"]) / lengths
    print(
        f"{len(lengths)} examples, {lengths.sum()} tokens, {lengths.mean():.0f} each, {shares.mean():.0%} of them the reply"
    )
    mark(work, "stage1")


if __name__ == "__main__":
    main()
