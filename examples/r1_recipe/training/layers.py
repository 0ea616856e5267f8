"""Layers of the model that trains: RMSNorm, RoPE, multi-head latent attention, dense SwiGLU.

Activations are bf16 rows and weights float32; products run in bf16 (2.3 times the rate of float32 on a processor with
AVX-512 BF16), the residual stream and the norms in float32. Names of parameters are those of published checkpoints.
"""

from __future__ import annotations

from typing import Any, Dict, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Config = Dict[str, Any]


class _Norm(torch.autograd.Function):
    """x float32 [n, d] -> x / rms(x) * w in the compute type; two passes each way, nothing kept but x and 1 / rms."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float, dtype: torch.dtype) -> Tensor:
        x = x.float()
        scale = torch.linalg.vector_norm(x, dim=-1, keepdim=True).square_().div_(x.shape[-1]).add_(epsilon).rsqrt_()
        ctx.save_for_backward(x, weight, scale)
        return (x * scale).mul_(weight).to(dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tuple[Tensor, Tensor, None, None]:
        x, weight, scale = ctx.saved_tensors
        grad = grad.float()
        unit = x * scale
        weight_grad = (grad * unit).sum(0)
        inner = grad * weight
        mean = (inner * unit).sum(-1, keepdim=True).div_(x.shape[-1])
        return inner.sub_(unit.mul_(mean)).mul_(scale), weight_grad, None, None


class Norm(nn.Module):
    """RMSNorm of rows [n, d]."""

    def __init__(self, size: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.epsilon = epsilon

    def forward(self, x: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        shape = x.shape
        return _Norm.apply(x.reshape(-1, shape[-1]), self.weight, self.epsilon, dtype).view(shape)


class Linear(nn.Module):
    """y = x W^T in the type of x, W float32 [out, in]. grid: rounds W before use (see fp8.py), gradients unchanged."""

    grid: Any = None

    def __init__(self, inputs: int, outputs: int, std: float = 0.02) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) * std)

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight if Linear.grid is None else Linear.grid(self.weight)
        return F.linear(x, weight.to(x.dtype))


def rope_tables(length: int, size: int, theta: float) -> Tuple[Tensor, Tensor]:
    """cos and sin, float32 [length, size / 2]."""
    frequency = theta ** (-torch.arange(0, size, 2, dtype=torch.float64) / size)
    angle = (torch.arange(length, dtype=torch.float64)[:, None] * frequency).float()
    return angle.cos(), angle.sin()


def rope_interleaved(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turns the pairs (2i, 2i + 1) of x [b, s, h, d] by cos, sin [s, d / 2]."""
    pairs = x.unflatten(-1, (-1, 2))
    a, b = pairs[..., 0], pairs[..., 1]
    cos, sin = cos[None, :, None].to(x.dtype), sin[None, :, None].to(x.dtype)
    return torch.stack((a * cos - b * sin, a * sin + b * cos), -1).flatten(-2)


class Attention(nn.Module):
    """Multi-head latent attention (DeepSeek-V2, section 2.1), un-absorbed: training sees all tokens at once."""

    def __init__(self, c: Config) -> None:
        super().__init__()
        d, self.heads = c["hidden_size"], c["num_attention_heads"]
        self.nope, self.rope, self.value = c["qk_nope_head_dim"], c["qk_rope_head_dim"], c["v_head_dim"]
        self.latent = c["kv_lora_rank"]
        out_std = 0.02 / (2 * c["num_hidden_layers"]) ** 0.5
        self.q_a_proj = Linear(d, c["q_lora_rank"])
        self.q_a_layernorm = Norm(c["q_lora_rank"], 1e-6)
        self.q_b_proj = Linear(c["q_lora_rank"], self.heads * (self.nope + self.rope))
        self.kv_a_proj_with_mqa = Linear(d, self.latent + self.rope)
        self.kv_a_layernorm = Norm(self.latent, 1e-6)
        self.kv_b_proj = Linear(self.latent, self.heads * (self.nope + self.value))
        self.o_proj = Linear(self.heads * self.value, d, out_std)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor) -> Tensor:
        """x [b, s, d], mask float32 [s, s] of 0 and minus infinity -> [b, s, d]."""
        b, s, _ = x.shape
        q = self.q_b_proj(self.q_a_layernorm(self.q_a_proj(x), x.dtype)).view(b, s, self.heads, -1)
        q_nope, q_pe = q.split((self.nope, self.rope), -1)
        latent, k_pe = self.kv_a_proj_with_mqa(x).split((self.latent, self.rope), -1)
        kv = self.kv_b_proj(self.kv_a_layernorm(latent, x.dtype)).view(b, s, self.heads, -1)
        k_nope, v = kv.split((self.nope, self.value), -1)
        q_pe = rope_interleaved(q_pe, cos, sin)
        k_pe = rope_interleaved(k_pe[:, :, None], cos, sin).expand(-1, -1, self.heads, -1)
        query = torch.cat((q_nope, q_pe), -1).transpose(1, 2)
        key = torch.cat((k_nope, k_pe), -1).transpose(1, 2)
        out = attend(query, key, v.transpose(1, 2), mask)
        return self.o_proj(out.transpose(1, 2).reshape(b, s, -1))


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(d) + mask) v; q, k [b, h, s, d], v [b, h, s, v]. Plain products: for the short sequences of
    this recipe they are faster here than the fused attention."""
    scores = torch.matmul(q * (q.shape[-1] ** -0.5), k.transpose(-1, -2))
    return torch.matmul(torch.softmax(scores.add_(mask.to(scores.dtype)), -1), v)


class _SwiGLU(torch.autograd.Function):
    """[n, 2i] = [gate | up] -> silu(gate) * up [n, i]."""

    @staticmethod
    def forward(ctx: Any, both: Tensor) -> Tensor:
        ctx.save_for_backward(both)
        gate, up = both.chunk(2, -1)
        return F.silu(gate).mul_(up)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (both,) = ctx.saved_tensors
        return swiglu_backward(both, grad)


def swiglu_backward(both: Tensor, grad: Tensor) -> Tensor:
    """Gradient of silu(gate) * up with respect to [gate | up]."""
    gate, up = both.chunk(2, -1)
    sigmoid = torch.sigmoid(gate)
    silu = gate * sigmoid
    out = torch.empty_like(both)
    half = both.shape[-1] // 2
    torch.mul(grad, silu, out=out[..., half:])
    slope = (1 - sigmoid).mul_(silu).add_(sigmoid)
    torch.mul(slope.mul_(up), grad, out=out[..., :half])
    return out


class MLP(nn.Module):
    """SwiGLU. gate_up holds gate_proj above up_proj, so that both are one product."""

    def __init__(self, d: int, inner: int, layers: int) -> None:
        super().__init__()
        self.gate_up = Linear(d, 2 * inner)
        self.down_proj = Linear(inner, d, 0.02 / (2 * layers) ** 0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(_SwiGLU.apply(self.gate_up(x)))
