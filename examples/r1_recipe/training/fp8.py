"""FP8 as DeepSeek-V3 is published: e4m3 with one float32 scale for every 128x128 block."""

from __future__ import annotations

from typing import Any, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

BLOCK = 128
_LARGEST = 448.0


def quantise(weight: Tensor) -> Tuple[Tensor, Tensor]:
    """weight float32 [rows, columns] -> (float8_e4m3fn of the same shape, scales float32 [ceil(rows / 128),
    ceil(columns / 128)]); a weight is its stored value times its block's scale. Blocks at the edge are smaller."""
    rows, columns = weight.shape
    padded = F.pad(weight.float(), (0, -columns % BLOCK, 0, -rows % BLOCK))
    blocks = padded.unflatten(1, (-1, BLOCK)).unflatten(0, (-1, BLOCK))
    scale = blocks.abs().amax((1, 3)).clamp(min=1e-12) / _LARGEST
    stored = (blocks / scale[:, None, :, None]).flatten(2).flatten(0, 1)[:rows, :columns]
    return stored.to(torch.float8_e4m3fn), scale


def dequantise(stored: Tensor, scale: Tensor) -> Tensor:
    """What quantise() stored, float32."""
    spread = scale.repeat_interleave(BLOCK, 0).repeat_interleave(BLOCK, 1)
    return stored.float() * spread[: stored.shape[0], : stored.shape[1]]


class _Grid(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor) -> Tensor:
        if weight.dim() == 2:
            return dequantise(*quantise(weight))
        stacked = weight.reshape(
            -1, weight.shape[-1]
        )  # experts: each a multiple of 128 rows, so blocks do not straddle
        return dequantise(*quantise(stacked)).view(weight.shape)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad


def grid(weight: Tensor) -> Tensor:
    """The weight rounded to what FP8 can hold; its gradient passes unchanged. Set Linear.grid to this to train the
    model that will be published instead of one that is rounded afterwards."""
    return _Grid.apply(weight)
