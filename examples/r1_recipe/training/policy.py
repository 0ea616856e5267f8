"""GRPO's update (DeepSeekMath, arXiv 2402.03300), in the on-policy form with whole-batch token means (DAPO)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Sequence, Tuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .batches import pad, wide
from .model import Model, selected

CLIP_LOW, CLIP_HIGH = 0.2, 0.28
"""Bounds of the ratio of new to old probability; the upper one is wider, so that rare tokens can grow."""


@dataclass
class Sample:
    """A reply with its advantage; logprobs are Abyssal's, of the policy that wrote it."""

    prompt: Sequence[int]
    tokens: Sequence[int]
    logprobs: Sequence[float]
    advantage: float


def advantages(rewards: Sequence[float]) -> "np.ndarray | None":
    """Rewards of one prompt's replies, centred and scaled; None if all are the same and so teach nothing."""
    values = np.asarray(rewards, np.float64)
    spread = values.std()
    return None if spread < 1e-6 else (values - values.mean()) / (spread + 1e-6)


def chunks(samples: List[Sample], tokens: int) -> List[List[Sample]]:
    """Samples of like length together, each chunk of at most so many tokens."""
    out: List[List[Sample]] = [[]]
    width = 0
    for sample in sorted(samples, key=lambda s: -(len(s.prompt) + len(s.tokens))):
        length = wide(len(sample.prompt) + len(sample.tokens))
        width = width or length
        if out[-1] and width * (len(out[-1]) + 1) > tokens:
            out.append([])
            width = length
        out[-1].append(sample)
    return out


def logprobs(model: Model, samples: Sequence[Sample]) -> Tuple[Tensor, Tensor, Tensor]:
    """The model's log-probabilities of the replies' tokens, [n]; Abyssal's of the same tokens; their advantages."""
    rows = [np.array([*s.prompt, *s.tokens], np.int64) for s in samples]
    ids, real, learned = pad(rows, [len(s.prompt) for s in samples])
    hidden = model.hidden(ids, real)
    logits, targets = selected(model, hidden[:, :-1], ids[:, 1:], learned[:, 1:])
    count = sum(len(s.tokens) for s in samples)
    mine = -F.cross_entropy(logits[:count], targets[:count], reduction="none")
    theirs = torch.tensor(np.concatenate([s.logprobs for s in samples]), dtype=torch.float32)
    weight = torch.tensor(np.concatenate([np.full(len(s.tokens), s.advantage) for s in samples]), dtype=torch.float32)
    return mine, theirs, weight


def accumulate(model: Model, samples: List[Sample], tokens: int) -> Dict[str, float]:
    """Adds the gradient of the clipped objective, a mean over all tokens of the samples. Returns mean absolute
    difference of log-probabilities to Abyssal's, and the share of clipped tokens."""
    total = sum(len(s.tokens) for s in samples)
    difference, clipped = 0.0, 0.0
    for part in chunks(samples, tokens):
        mine, theirs, weight = logprobs(model, part)
        ratio = torch.exp(mine - theirs)
        bounded = ratio.clamp(1 - CLIP_LOW, 1 + CLIP_HIGH)
        objective = torch.minimum(ratio * weight, bounded * weight)
        (-objective.sum() / total).backward()
        difference += float((mine - theirs).detach().abs().sum())
        clipped += float((ratio * weight > bounded * weight).detach().sum())
    return {"logprob_difference": difference / total, "clipped": clipped / total}


@torch.no_grad()
def exact_difference(model: Model, samples: List[Sample]) -> float:
    """Largest difference between Abyssal's log-probabilities and the trainer's in float32 on the same bf16 weights."""
    before, saved = model.dtype, {name: p.detach().clone() for name, p in model.named_parameters()}
    try:
        model.dtype = torch.float32
        for p in model.parameters():
            p.copy_(p.to(torch.bfloat16))
        return max(float((mine - theirs).abs().max()) for mine, theirs, _ in [logprobs(model, samples)])
    finally:
        model.dtype = before
        for name, p in model.named_parameters():
            p.copy_(saved[name])
