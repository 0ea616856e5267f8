"""The mixture of experts that trains: V3's router without an auxiliary loss, and grouped products.

Tokens are sorted by expert and every expert multiplies its own slice: no padding to a capacity and hardly a product
that is thrown away. The loop is over experts, 16 here, so that the cost of a call (some 10 us) does not matter.
"""

from __future__ import annotations

from typing import Any, List, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import MLP, Config, Linear, swiglu_backward


_TILE = 64
"""Every expert's slice is padded to a multiple of this: oneDNN makes a kernel for each new number of rows, which costs
more than the product itself; so few numbers may occur."""


class _Grouped(torch.autograd.Function):
    """Each token through its experts, weighted and summed.

    x [n, d]; weight float32 [n, k]; gate_up [e, 2i, d]; down [e, d, i]; place int64 [n * k]: the row of each (token,
    choice) in the sorted and padded order; bounds: e + 1 row numbers of that order. Returns [n, d]. Both directions
    only gather; nothing is scattered with addition.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, gate_up: Tensor, down: Tensor, place: Tensor, bounds: List[int]
    ) -> Tensor:
        n, k = weight.shape
        up16, down16 = gate_up.to(x.dtype), down.to(x.dtype)
        rows = x.new_zeros(bounds[-1], x.shape[1])
        rows[place] = x.repeat_interleave(k, 0)
        both = x.new_empty(bounds[-1], gate_up.shape[1])
        for e, (start, end) in enumerate(zip(bounds, bounds[1:])):
            if end > start:
                torch.mm(rows[start:end], up16[e].t(), out=both[start:end])
        gate, up = both.chunk(2, -1)
        inner = F.silu(gate).mul_(up)
        out = torch.empty_like(rows)
        for e, (start, end) in enumerate(zip(bounds, bounds[1:])):
            if end > start:
                torch.mm(inner[start:end], down16[e].t(), out=out[start:end])
        chosen = out[place].view(n, k, -1)
        ctx.save_for_backward(rows, both, inner, chosen, weight, up16, down16, place)
        ctx.bounds = bounds
        return torch.bmm(weight.to(x.dtype)[:, None], chosen)[:, 0]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tuple[Any, ...]:
        rows, both, inner, chosen, weight, up16, down16, place = ctx.saved_tensors
        bounds = ctx.bounds
        n, k = weight.shape
        grad_weight = torch.bmm(chosen, grad[:, :, None])[..., 0].float()
        out = rows.new_zeros(bounds[-1], rows.shape[1])
        out[place] = (grad[:, None] * weight.to(grad.dtype)[..., None]).flatten(0, 1)
        grad_inner = torch.empty_like(inner)
        grad_down, grad_up = torch.zeros_like(down16), torch.zeros_like(up16)
        for e, (start, end) in enumerate(zip(bounds, bounds[1:])):
            if end > start:
                torch.mm(out[start:end], down16[e], out=grad_inner[start:end])
                torch.mm(out[start:end].t(), inner[start:end], out=grad_down[e])
        grad_both = swiglu_backward(both, grad_inner)
        for e, (start, end) in enumerate(zip(bounds, bounds[1:])):
            if end > start:
                torch.mm(grad_both[start:end], up16[e], out=out[start:end])
                torch.mm(grad_both[start:end].t(), rows[start:end], out=grad_up[e])
        grad_x = out[place].view(n, k, -1).sum(1)
        return grad_x, grad_weight, grad_up.float(), grad_down.float(), None, None


def placed(index: Tensor, experts: int) -> Tuple[Tensor, List[int]]:
    """index int64 [n, k] -> (place, bounds) of _Grouped."""
    flat = index.flatten()
    order = torch.argsort(flat)
    counts = torch.bincount(flat, minlength=experts)
    padded = (counts + _TILE - 1) // _TILE * _TILE
    shift = (padded.cumsum(0) - padded) - (counts.cumsum(0) - counts)
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order)) + shift[flat[order]]
    return place, [0, *padded.cumsum(0).tolist()]


class Router(nn.Module):
    """noaux_tc of DeepSeek-V3: sigmoid scores, the best groups by their two best biased scores, the best experts in
    them; weights are the unbiased scores, normalised and scaled."""

    def __init__(self, c: Config) -> None:
        super().__init__()
        self.experts, self.k = c["n_routed_experts"], c["num_experts_per_tok"]
        self.groups, self.kept, self.scale = c["n_group"], c["topk_group"], c["routed_scaling_factor"]
        self.weight = nn.Parameter(torch.randn(self.experts, c["hidden_size"]) * 0.02)
        self.register_buffer("e_score_correction_bias", torch.zeros(self.experts))
        self.register_buffer("load", torch.zeros(self.experts), persistent=False)

    def forward(self, x: Tensor, real: Tensor) -> Tuple[Tensor, Tensor]:
        """x [n, d], real bool [n] -> (index int64 [n, k], weight float32 [n, k]). Counts the load of real tokens."""
        scores = torch.sigmoid(F.linear(x.float(), self.weight))
        with torch.no_grad():
            choice = scores.detach() + self.e_score_correction_bias
            grouped = choice.view(len(x), self.groups, -1)
            best = grouped.topk(2, -1).values.sum(-1).topk(self.kept, -1).indices
            keep = torch.zeros(len(x), self.groups, dtype=torch.bool).scatter_(1, best, True)
            masked = grouped.masked_fill(~keep[..., None], float("-inf")).view(len(x), -1)
            index = masked.topk(self.k, -1).indices
            if self.training:
                self.load += torch.bincount(index[real].flatten(), minlength=self.experts)
        weight = scores.gather(1, index)
        return index, weight / (weight.sum(-1, keepdim=True) + 1e-20) * self.scale

    def balance(self, rate: float) -> Tensor:
        """V3's bias update: down by rate for experts above the mean load, up for those below. Returns the load."""
        load = self.load.clone()
        self.e_score_correction_bias += rate * torch.sign(load.mean() - load)
        self.load.zero_()
        return load


class MoE(nn.Module):
    """Routed experts and a shared one."""

    def __init__(self, c: Config) -> None:
        super().__init__()
        d, inner, e = c["hidden_size"], c["moe_intermediate_size"], c["n_routed_experts"]
        self.gate = Router(c)
        self.gate_up = nn.Parameter(torch.randn(e, 2 * inner, d) * 0.02)
        self.down = nn.Parameter(torch.randn(e, d, inner) * 0.02 / (2 * c["num_hidden_layers"]) ** 0.5)
        self.shared_experts = MLP(d, inner * c["n_shared_experts"], c["num_hidden_layers"])

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        """x [n, d], real bool [n] -> [n, d]."""
        index, weight = self.gate(x, real)
        place, bounds = placed(index, self.gate.experts)
        gate_up, down = self.gate_up, self.down
        if Linear.grid is not None:
            gate_up, down = Linear.grid(gate_up), Linear.grid(down)
        routed = _Grouped.apply(x, weight, gate_up, down, place, bounds)
        return routed + self.shared_experts(x)
