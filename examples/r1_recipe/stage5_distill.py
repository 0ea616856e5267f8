"""Stage 5: the finished model teaches a dense Qwen2-style student of half its active size.

The student learns the teacher's whole distribution over each next token (the divergence from teacher to student), on
replies that the teacher wrote itself (those kept in stage 4) and on the questions of stage 1.
"""

from __future__ import annotations

from typing import Iterator, Tuple

import settings
import store
import torch
import torch.nn.functional as F
from torch import Tensor

from training import fp8, published, student
from training.batches import Examples
from training.layers import Linear
from training.model import Model, selected
from training.trainer import Batch, supervised


def mixed(first: Examples, second: Examples, tokens: int, skip: int) -> Iterator[Batch]:
    """Batches of both in turns."""
    sources = [
        first.epochs(tokens, settings.SEED + 6, (skip + 1) // 2),
        second.epochs(tokens, settings.SEED + 7, skip // 2),
    ]
    turn = skip
    while True:
        yield next(sources[turn % 2])
        turn += 1


def main() -> None:
    work, size = settings.work(), settings.size()
    if store.done(work, "stage5"):
        return
    torch.set_num_threads(settings.threads())
    torch.manual_seed(settings.SEED + 5)
    teacher = Model(settings.MODEL, settings.CONTEXT)
    teacher.load_state_dict(store.load(work / "final_weights.pt"))
    teacher.eval().requires_grad_(False)
    freeze_on_grid(teacher)
    pupil = student.Student(settings.STUDENT, settings.CONTEXT)

    def objective(model: student.Student, batch: Batch) -> Tuple[Tensor, Tensor]:
        ids, real, learned = batch
        with torch.no_grad():
            taught = teacher.hidden(ids, real)
            goal = F.log_softmax(selected(teacher, taught[:, :-1], ids[:, 1:], learned[:, 1:])[0], -1)
        logits, targets = selected(model, model.hidden(ids, real)[:, :-1], ids[:, 1:], learned[:, 1:])
        counts = (targets >= 0).float()
        divergence = (goal.exp() * (goal - F.log_softmax(logits, -1))).sum(-1)
        return (divergence * counts).sum() / counts.sum(), torch.zeros(())

    kept, asked = Examples(work / "kept.npz"), Examples(work / "examples.npz")
    supervised(
        pupil,
        lambda skip: mixed(kept, asked, size.batch_tokens, skip),
        size.distill_steps,
        settings.DISTILL_RATE,
        work,
        "distill",
        every=size.log_every,
        objective=objective,
    )
    store.save(work / "student_weights.pt", pupil.state_dict())
    folder = work / "abyssal-tiny-r1-distill-qwen"
    bytes_ = published.write(
        folder, student.stored(pupil), student.config(settings.STUDENT, settings.CONTEXT), work / "tokenizer"
    )
    print(f"{folder.name}: {sum(p.numel() for p in pupil.parameters()) / 1e6:.2f} M parameters, {bytes_ / 1e6:.2f} MB")
    store.mark(work, "stage5")


def freeze_on_grid(model: Model) -> None:
    """Rounds the weights to FP8 for good, where they are published in it."""
    with torch.no_grad():
        for name, weight in published.tensors(model).items():
            if published.in_fp8(name):
                weight.copy_(fp8.grid(weight))
    Linear.grid = None


if __name__ == "__main__":
    main()
