"""Stage 4: rejection sampling, then supervised training on what was kept, with chat.

Several replies to each of many fresh problems; of the right and well-formed ones the shortest is kept. Training is on
the FP8 grid, so that the published weights are the trained ones.
"""

from __future__ import annotations

import random

import settings
import store
import numpy as np
import torch

import rollouts as sampling
from problems import answers, dialogue
from training import fp8, published
from training.batches import Examples
from training.layers import Linear
from training.model import Model
from training.text import Text
from training.trainer import supervised

PART = 500
"""Problems sampled between two files on disk."""


def sample_part(actor: sampling.Rollouts, text: Text, part: int) -> "tuple[list, int, int]":
    """([(prompt, reply) ids], problems, problems with a right reply) of one part."""
    rng = random.Random(settings.SEED + 104729 * (part + 1))
    examples = [dialogue.example(rng, stories_share=0.7, chat_share=0.0, wide=True) for _ in range(PART)]
    prompts = [text.encode(e.prompt) for e in examples]
    written = actor.generate(prompts, settings.REJECT_SAMPLES, 1.0, settings.REPLY_LIMIT, settings.SEED + part)
    kept = []
    for i, example in enumerate(examples):
        group = written[i * settings.REJECT_SAMPLES : (i + 1) * settings.REJECT_SAMPLES]
        good = [r.tokens for r in group if r.tokens[-1] == sampling.EOS and fine(text.decode(r.tokens), example.result)]
        if good:
            kept.append((prompts[i], min(good, key=len)))
    return kept, len(examples), len(kept)


def fine(reply: str, result: str) -> bool:
    return answers.is_right(reply, result) and answers.has_format(reply)


def main() -> None:
    work, size = settings.work(), settings.size()
    if store.done(work, "stage4"):
        return
    torch.set_num_threads(settings.threads())
    text = Text(work / "tokenizer")
    model = Model(settings.MODEL, settings.CONTEXT)
    model.load_state_dict(store.load(work / "grpo_weights.pt"))
    folder = work / "rejected"
    folder.mkdir(exist_ok=True)
    config = published.config(settings.MODEL, settings.CONTEXT, fp8=False, mtp=False)
    actor = sampling.Rollouts(config, published.stored(model, fp8=False, mtp=False), settings.threads())
    for part in range(size.reject_problems // PART):
        path = folder / f"{part:04}.npz"
        if path.exists():
            continue
        kept, asked, answered = sample_part(actor, text, part)
        np.savez(folder / "part.npz", **packed(kept))
        (folder / "part.npz").replace(path)
        print(
            f"rejection sampling {part + 1}/{size.reject_problems // PART}: {answered} of {asked} answered", flush=True
        )
    del actor
    kept = [pair for path in sorted(folder.glob("[0-9]*.npz")) for pair in unpacked(path)]
    rng = random.Random(settings.SEED + 4)
    chats = [dialogue.example(rng, chat_share=1.0) for _ in range(len(kept) // 12)]
    chat_ids = list(zip(text.encode_many([e.prompt for e in chats]), text.encode_many([e.reply for e in chats])))
    np.savez(work / "kept.npz", **packed(kept + chat_ids))
    print(f"{len(kept)} replies kept, {len(chat_ids)} of chat added")
    examples = Examples(work / "kept.npz")
    Linear.grid = fp8.grid
    supervised(
        model,
        lambda skip: examples.epochs(size.batch_tokens, settings.SEED + 5, skip),
        size.final_steps,
        settings.FINAL_RATE,
        work,
        "final",
        every=size.log_every,
        cool=0.9,
    )
    store.save(work / "final_weights.pt", model.state_dict())
    store.mark(work, "stage4")


def packed(pairs: "list[tuple]") -> "dict[str, np.ndarray]":
    """(prompt, reply) ids in the form of stage 1's examples."""
    lengths = np.array([len(prompt) + len(reply) for prompt, reply in pairs], np.int64)
    starts = np.concatenate([[0], lengths.cumsum()])
    return {
        "tokens": np.array([token for prompt, reply in pairs for token in (*prompt, *reply)], np.uint16),
        "starts": starts,
        "replies": starts[:-1] + np.array([len(prompt) for prompt, _ in pairs], np.int64),
    }


def unpacked(path: "object") -> "list[tuple]":
    data = np.load(path)  # type: ignore[arg-type]
    tokens, starts, replies = data["tokens"], data["starts"], data["replies"]
    return [(tokens[a:r], tokens[r:b]) for a, r, b in zip(starts, replies, starts[1:])]


if __name__ == "__main__":
    main()
