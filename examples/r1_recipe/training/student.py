"""The student: a dense Qwen2, grouped-query attention with biases, half-split RoPE, tied embeddings."""

from __future__ import annotations

from typing import Any, Dict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import MLP, Config, Linear, Norm, attend, rope_tables


def rope_half(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turns (i, i + d / 2) of x [b, s, h, d] by cos, sin [s, d / 2]."""
    a, b = x.chunk(2, -1)
    cos, sin = cos[None, :, None].to(x.dtype), sin[None, :, None].to(x.dtype)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


class _Layer(nn.Module):
    def __init__(self, c: Config) -> None:
        super().__init__()
        d, self.heads, self.kv = c["hidden_size"], c["num_attention_heads"], c["num_key_value_heads"]
        self.size = d // self.heads
        self.input_layernorm, self.post_attention_layernorm = (Norm(d, c["rms_norm_eps"]) for _ in range(2))
        self.qkv = Linear(d, (self.heads + 2 * self.kv) * self.size)
        self.bias = nn.Parameter(torch.zeros((self.heads + 2 * self.kv) * self.size))
        self.o_proj = Linear(d, d, 0.02 / (2 * c["num_hidden_layers"]) ** 0.5)
        self.mlp = MLP(d, c["intermediate_size"], c["num_hidden_layers"])

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor, dtype: torch.dtype) -> Tensor:
        b, s, d = x.shape
        both = self.qkv(self.input_layernorm(x, dtype)) + self.bias.to(dtype)
        q, k, v = both.view(b, s, -1, self.size).split((self.heads, self.kv, self.kv), 2)
        times = self.heads // self.kv
        q = rope_half(q, cos, sin).transpose(1, 2)
        k = rope_half(k, cos, sin).repeat_interleave(times, 2).transpose(1, 2)
        out = attend(q, k, v.repeat_interleave(times, 2).transpose(1, 2), mask)
        x = x + self.o_proj(out.transpose(1, 2).reshape(b, s, d))
        return x + self.mlp(self.post_attention_layernorm(x, dtype))


class Student(nn.Module):
    """Has what the trainer asks of a model: hidden(), logits(), routers()."""

    def __init__(self, c: Config, context: int) -> None:
        super().__init__()
        self.config, self.dtype = c, torch.bfloat16
        self.embed_tokens = nn.Parameter(torch.randn(c["vocab_size"], c["hidden_size"]) * 0.02)
        self.layers = nn.ModuleList(_Layer(c) for _ in range(c["num_hidden_layers"]))
        self.norm = Norm(c["hidden_size"], c["rms_norm_eps"])
        cos, sin = rope_tables(context, c["hidden_size"] // c["num_attention_heads"], c["rope_theta"])
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        self.register_buffer("mask", torch.full((context, context), float("-inf")).triu(1), persistent=False)

    def hidden(self, ids: Tensor, real: Tensor) -> Tensor:
        """ids int64 [b, s] -> float32 [b, s, d] after the norm."""
        s = ids.shape[1]
        x = F.embedding(ids, self.embed_tokens)
        for layer in self.layers:
            x = layer(x, self.cos[:s], self.sin[:s], self.mask[:s, :s], self.dtype)
        return self.norm(x)

    def logits(self, rows: Tensor) -> Tensor:
        return F.linear(rows.to(self.dtype), self.embed_tokens.to(self.dtype)).float()

    def routers(self) -> list:
        return []


def config(c: Config, context: int) -> Dict[str, Any]:
    """config.json of a qwen2 checkpoint."""
    return {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "attention_dropout": 0.0,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "hidden_act": "silu",
        "initializer_range": 0.02,
        "max_position_embeddings": context,
        "sliding_window": None,
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
        "use_cache": True,
        "use_sliding_window": False,
        **c,
    }


def stored(model: Student) -> Dict[str, Tensor]:
    """All weights in bf16 by their published names."""
    out = {"model.embed_tokens.weight": model.embed_tokens, "model.norm.weight": model.norm.weight}
    for i, layer in enumerate(model.layers):
        name = f"model.layers.{i}."
        sizes = [layer.heads * layer.size, layer.kv * layer.size, layer.kv * layer.size]
        for key, weight, bias in zip("qkv", layer.qkv.weight.split(sizes), layer.bias.split(sizes)):
            out[f"{name}self_attn.{key}_proj.weight"], out[f"{name}self_attn.{key}_proj.bias"] = weight, bias
        out[name + "self_attn.o_proj.weight"] = layer.o_proj.weight
        gate, up = layer.mlp.gate_up.weight.chunk(2)
        out[name + "mlp.gate_proj.weight"], out[name + "mlp.up_proj.weight"] = gate, up
        out[name + "mlp.down_proj.weight"] = layer.mlp.down_proj.weight
        for key in ("input_layernorm", "post_attention_layernorm"):
            out[f"{name}{key}.weight"] = getattr(layer, key).weight
    return {key: value.detach().to(torch.bfloat16).contiguous() for key, value in out.items()}
