"""Stage 6: the MTP layer is trained to the end on the finished model, and the checkpoints are written.

The main model is frozen on the FP8 grid. Writes WORK/abyssal-tiny-r1 (FP8, as V3 is published) and
WORK/abyssal-tiny-r1-bf16, its twin.
"""

from __future__ import annotations

from typing import Tuple

import settings
import store
import torch
import torch.nn.functional as F
from torch import Tensor

from training import fp8, published
from training.batches import Examples
from training.layers import Linear
from training.model import Model, selected
from training.trainer import MTP_WEIGHT, Batch, supervised


def objective(model: Model, batch: Batch) -> Tuple[Tensor, Tensor]:
    """The MTP layer's loss alone; nothing flows into the main model."""
    ids, real, learned = batch
    with torch.no_grad():
        hidden = model.hidden(ids, real)
    after = model.mtp_hidden(ids, hidden, real)[:, :-1]
    loss = F.cross_entropy(*selected(model, after, ids[:, 2:], learned[:, 2:]))
    return torch.zeros(()), loss / MTP_WEIGHT


def main() -> None:
    work, size = settings.work(), settings.size()
    if store.done(work, "stage6"):
        return
    torch.set_num_threads(settings.threads())
    model = Model(settings.MODEL, settings.CONTEXT)
    model.load_state_dict(store.load(work / "final_weights.pt"))
    for name, p in model.named_parameters():
        p.requires_grad_(name.startswith("mtp."))
    examples = Examples(work / "kept.npz")
    Linear.grid = fp8.grid
    supervised(
        model,
        lambda skip: examples.epochs(size.batch_tokens, settings.SEED + 8, skip),
        size.mtp_steps,
        settings.MTP_RATE,
        work,
        "mtp",
        every=size.log_every,
        cool=0.7,
        objective=objective,
        balance=False,
    )
    for fp8_stored, name in ((True, "abyssal-tiny-r1"), (False, "abyssal-tiny-r1-bf16")):
        bytes_ = published.write(
            work / name,
            published.stored(model, fp8_stored),
            published.config(settings.MODEL, settings.CONTEXT, fp8_stored),
            work / "tokenizer",
        )
        print(f"{name}: {bytes_ / 1e6:.2f} MB")
    store.mark(work, "stage6")


if __name__ == "__main__":
    main()
