"""One training loop for every supervised stage: steps, checkpoints, the log, the expert loads."""

from __future__ import annotations

import pathlib
import time
from typing import Any, Callable, Dict, Iterator, Tuple

import torch
from torch import Tensor

import store

from .model import Model, losses
from .optimizer import Optimizer, schedule

Batch = Tuple[Tensor, Tensor, Tensor]
"""ids, real, learned; see batches.pad()."""
MTP_WEIGHT = 0.3
"""V3's weight of the MTP loss in its early training."""
MTP_EVERY = 4
"""The MTP layer sees one row in this many: its cost, a fifth of the model's, falls by as much."""
BIAS_RATES = (0.01, 0.001)
"""Speed of the router's bias at the beginning and at the end, straight between. V3 moves it by 0.001 for most of its
million steps; a run of a few thousand must begin faster (at 0.001, 400 steps left one expert with 5 times the mean)."""


def bias_rate(share: float) -> float:
    """The speed at a share of the training; none in its last twentieth, so that the last steps see fixed routes."""
    first, last = BIAS_RATES
    return first + (last - first) * share if share < 0.95 else 0.0


Objective = Callable[[Any, Batch], Tuple[Tensor, Tensor]]
"""(model, batch) -> (loss, MTP loss)."""


def replies(model: Model, batch: Batch) -> Tuple[Tensor, Tensor]:
    """The objective of supervised training: cross entropy of the reply's tokens."""
    ids, real, learned = batch
    return losses(model, ids, real, learned, max(1, len(ids) // MTP_EVERY))


def supervised(
    model: Any,
    batches: Callable[[int], Iterator[Batch]],
    steps: int,
    rate: float,
    folder: pathlib.Path,
    name: str,
    every: int = 100,
    warm: float = 0.02,
    cool: float = 0.4,
    objective: Objective = replies,
    balance: bool = True,
) -> None:
    """Trains for so many steps; resumes from folder/NAME.pt. batches(skip) gives the batches after the first skip.

    Writes folder/NAME.jsonl: step, loss, mtp_loss, rate, tokens, seconds, and load (the share of each expert, for each
    mixture of the model) since the line before.
    """
    optimizer = Optimizer(model)
    checkpoint, journal = folder / f"{name}.pt", folder / f"{name}.jsonl"
    step, tokens, seconds = 0, 0, 0.0
    state = store.load(checkpoint)
    if state:
        model.load_state_dict(state["model"])
        optimizer.load(state["optimizer"])
        step, tokens, seconds = state["step"], state["tokens"], state["seconds"]
        print(f"{name}: resumed at step {step} of {steps}")
    model.train()
    source = batches(step)
    sums: Dict[str, Any] = {"loss": 0.0, "mtp_loss": 0.0, "steps": 0}
    load = [torch.zeros(r.experts) for r in model.routers()]
    began = time.perf_counter()
    while step < steps:
        batch = next(source)
        loss, mtp_loss = objective(model, batch)
        (loss + MTP_WEIGHT * mtp_loss).backward()
        share = step / steps
        now = schedule(share, rate, warm, cool)
        norm = optimizer.step(now)
        for i, router in enumerate(model.routers()):
            load[i] += router.balance(bias_rate(share) if balance else 0.0)
        step += 1
        tokens += int(batch[1].sum())
        sums["loss"] += float(loss.detach())
        sums["mtp_loss"] += float(mtp_loss.detach())
        sums["steps"] += 1
        if step % every == 0 or step == steps:
            seconds += time.perf_counter() - began
            began = time.perf_counter()
            means = {key: round(sums[key] / sums["steps"], 5) for key in ("loss", "mtp_loss")}
            shares = [[round(x, 4) for x in (r / r.sum().clamp(min=1)).tolist()] for r in load]
            store.log(
                journal, step=step, **means, rate=now, norm=norm, tokens=tokens, seconds=round(seconds, 1), load=shares
            )
            print(f"{name} {step}/{steps} {means} {tokens / seconds:.0f} tokens/s", flush=True)
            store.save(
                checkpoint,
                {
                    "model": model.state_dict(),
                    "optimizer": optimizer.state(),
                    "step": step,
                    "tokens": tokens,
                    "seconds": seconds,
                },
            )
            sums = {"loss": 0.0, "mtp_loss": 0.0, "steps": 0}
            load = [torch.zeros(r.experts) for r in model.routers()]
    model.eval()
