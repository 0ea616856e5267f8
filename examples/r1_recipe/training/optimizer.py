"""Muon for matrices, AdamW for the rest.

Muon (Jordan 2024; scaled as in Moonlight, arXiv 2502.16982) orthogonalises the momentum of every matrix by five
Newton-Schulz steps. Experts are batches of matrices; [gate | up] is two.
"""

from __future__ import annotations

import math
from typing import Any, Dict, List, Tuple

import torch
from torch import Tensor, nn


@torch.no_grad()
def orthogonal(matrices: Tensor) -> Tensor:
    """About U V^T of each matrix U S V^T, [n, rows, columns], in bf16."""
    x = matrices.bfloat16()
    x = x / (matrices.norm(dim=(-2, -1), keepdim=True) + 1e-7).bfloat16()
    tall = x.shape[-2] > x.shape[-1]
    for _ in range(5):
        a = torch.bmm(x.mT, x) if tall else torch.bmm(x, x.mT)
        b = torch.baddbmm(a, a, a, beta=-4.7750, alpha=2.0315)
        x = torch.baddbmm(x, x, b, beta=3.4445) if tall else torch.baddbmm(x, b, x, beta=3.4445)
    return x


class Muon:
    """parameters: (tensor, matrices in it stacked on the second last axis). rate() is set before every step."""

    def __init__(self, parameters: List[Tuple[Tensor, int]], momentum: float, decay: float) -> None:
        self.parameters, self.momentum, self.decay = parameters, momentum, decay
        self.rate = 0.0
        self.state = [torch.zeros_like(p) for p, _ in parameters]
        self.groups: Dict[Tuple[int, int], List[int]] = {}
        for i, (p, parts) in enumerate(parameters):
            self.groups.setdefault((p.shape[-2] // parts, p.shape[-1]), []).append(i)

    @torch.no_grad()
    def step(self) -> None:
        for (rows, columns), numbers in self.groups.items():
            updates = []
            for i in numbers:
                grad = self.parameters[i][0].grad
                if grad is None:
                    continue
                self.state[i].mul_(self.momentum).add_(grad)
                updates.append((i, grad.add(self.state[i], alpha=self.momentum).reshape(-1, rows, columns)))
            if not updates:
                continue
            done = orthogonal(torch.cat([u for _, u in updates]))
            scale = self.rate * 0.2 * math.sqrt(max(rows, columns))
            for (i, u), new in zip(updates, done.split([len(u) for _, u in updates])):
                p = self.parameters[i][0]
                p.mul_(1 - self.rate * self.decay).add_(new.reshape(p.shape), alpha=-scale)


class Optimizer:
    """Both of them over a model, with the gradient clipped. Rates are for AdamW's scale in both."""

    def __init__(self, model: nn.Module, use_muon: bool = True, decay: float = 0.1) -> None:
        matrices: List[Tuple[Tensor, int]] = []
        others: List[Tensor] = []
        for name, p in model.named_parameters():
            if not p.requires_grad:
                continue
            if (
                use_muon
                and p.dim() >= 2
                and "embed_tokens" not in name
                and "lm_head" not in name
                and ".gate.weight" not in name
            ):
                matrices.append((p, 2 if "gate_up" in name else 1))
            else:
                others.append(p)
        self.all = [p for p, _ in matrices] + others
        self.muon = Muon(matrices, 0.95, decay)
        self.adam = torch.optim.AdamW(others, betas=(0.9, 0.95), eps=1e-10, weight_decay=0.0, fused=True)
        self.adam_share = 0.5
        """The rate of AdamW's parameters as a share of Muon's."""

    def step(self, rate: float, clip: float = 1.0) -> float:
        """One step; returns the norm of the gradient before clipping. Gradients are cleared."""
        norm = nn.utils.clip_grad_norm_([p for p in self.all if p.grad is not None], clip)
        self.muon.rate = rate
        for group in self.adam.param_groups:
            group["lr"] = rate * (self.adam_share if self.muon.parameters else 1.0)
        self.muon.step()
        self.adam.step()
        for p in self.all:
            p.grad = None
        return float(norm)

    def state(self) -> Dict[str, Any]:
        return {"adam": self.adam.state_dict(), "muon": self.muon.state}

    def load(self, state: Dict[str, Any]) -> None:
        self.adam.load_state_dict(state["adam"])
        for mine, saved in zip(self.muon.state, state["muon"]):
            mine.copy_(saved)


def schedule(done: float, rate: float, warm: float = 0.02, cool: float = 0.4, last: float = 0.05) -> float:
    """The rate at a share done of the training: a short rise, constant, then straight down (warm, stable, decay)."""
    if done < warm:
        return rate * max(done, 1e-3) / warm
    if done > 1 - cool:
        return rate * (last + (1 - last) * max(0.0, 1 - done) / cool)
    return rate
