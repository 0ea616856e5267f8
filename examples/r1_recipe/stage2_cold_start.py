"""Stage 2: supervised training on short worked reasoning, from random weights."""

from __future__ import annotations

import settings  # first: it sets what torch reads when it is imported
import store
import torch
from training.batches import Examples
from training.model import Model
from training.trainer import supervised


def main() -> None:
    work, size = settings.work(), settings.size()
    if store.done(work, "stage2"):
        return
    torch.set_num_threads(settings.threads())
    torch.manual_seed(settings.SEED)
    model = Model(settings.MODEL, settings.CONTEXT)
    examples = Examples(work / "examples.npz")
    supervised(
        model,
        lambda skip: examples.epochs(size.batch_tokens, settings.SEED, skip),
        size.cold_steps,
        settings.COLD_RATE,
        work,
        "cold_start",
        every=size.log_every,
    )
    store.save(work / "cold_start_weights.pt", model.state_dict())
    store.mark(work, "stage2")


if __name__ == "__main__":
    main()
