"""The V3 model that trains, with its multi-token-prediction layer."""

from __future__ import annotations

from typing import List, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .experts import MoE, Router
from .layers import MLP, Attention, Config, Linear, Norm, rope_tables


class Layer(nn.Module):
    """Attention and an MLP or a mixture, each after its norm, on the float32 residual stream."""

    def __init__(self, c: Config, moe: bool) -> None:
        super().__init__()
        self.input_layernorm = Norm(c["hidden_size"], c["rms_norm_eps"])
        self.self_attn = Attention(c)
        self.post_attention_layernorm = Norm(c["hidden_size"], c["rms_norm_eps"])
        self.mlp = MoE(c) if moe else MLP(c["hidden_size"], c["intermediate_size"], c["num_hidden_layers"])
        self.moe = moe

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor, real: Tensor, dtype: torch.dtype) -> Tensor:
        """x float32 [b, s, d], real bool [b, s] -> the same shape."""
        x = x + self.self_attn(self.input_layernorm(x, dtype), cos, sin, mask)
        h = self.post_attention_layernorm(x, dtype).flatten(0, 1)
        out = self.mlp(h, real.flatten()) if self.moe else self.mlp(h)
        return x + out.view(x.shape)


class MTP(nn.Module):
    """Predicts the token after the next one from the last hidden state and the next token (DeepSeek-V3, section 2.2).
    Embedding and head are the main model's, as in V3."""

    def __init__(self, c: Config) -> None:
        super().__init__()
        d = c["hidden_size"]
        self.enorm, self.hnorm = Norm(d, c["rms_norm_eps"]), Norm(d, c["rms_norm_eps"])
        self.eh_proj = Linear(2 * d, d)
        self.layer = Layer(c, True)
        self.norm = Norm(d, c["rms_norm_eps"])


class Model(nn.Module):
    """dtype: the type of the products, bf16 for training; float32 to check values."""

    def __init__(self, c: Config, context: int) -> None:
        super().__init__()
        self.config = c
        self.dtype = torch.bfloat16
        self.embed_tokens = nn.Parameter(torch.randn(c["vocab_size"], c["hidden_size"]) * 0.02)
        dense = c["first_k_dense_replace"]
        self.layers = nn.ModuleList(Layer(c, i >= dense) for i in range(c["num_hidden_layers"]))
        self.norm = Norm(c["hidden_size"], c["rms_norm_eps"])
        self.lm_head = nn.Parameter(torch.randn(c["vocab_size"], c["hidden_size"]) * 0.02)
        self.mtp = MTP(c)
        cos, sin = rope_tables(context, c["qk_rope_head_dim"], c["rope_theta"])
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        self.register_buffer("mask", torch.full((context, context), float("-inf")).triu(1), persistent=False)

    def _run(self, layer: Layer, x: Tensor, real: Tensor) -> Tensor:
        s = x.shape[1]
        return layer(x, self.cos[:s], self.sin[:s], self.mask[:s, :s], real, self.dtype)

    def hidden(self, ids: Tensor, real: Tensor) -> Tensor:
        """ids int64 [b, s], real bool [b, s] (False: padding on the right) -> float32 [b, s, d] after the norm."""
        x = F.embedding(ids, self.embed_tokens)
        for layer in self.layers:
            x = self._run(layer, x, real)
        return self.norm(x)

    def logits(self, rows: Tensor) -> Tensor:
        """Rows [n, d] after the norm -> float32 [n, vocab]."""
        return F.linear(rows.to(self.dtype), self.lm_head.to(self.dtype)).float()

    def mtp_hidden(self, ids: Tensor, hidden: Tensor, real: Tensor) -> Tensor:
        """Row t from hidden[:, t] and the token at t + 1: [b, s - 1, d], after the head's norm; predicts t + 2."""
        following = self.mtp.enorm(F.embedding(ids[:, 1:], self.embed_tokens), self.dtype)
        both = torch.cat((following, self.mtp.hnorm(hidden[:, :-1], self.dtype)), -1)
        x = self._run(self.mtp.layer, self.mtp.eh_proj(both).float(), real[:, 1:])
        return self.mtp.norm(x)

    def routers(self) -> List[Router]:
        """Of every mixture, the MTP layer's last."""
        return [m for m in self.modules() if isinstance(m, Router)]


def losses(model: Model, ids: Tensor, real: Tensor, learned: Tensor, mtp_rows: int) -> Tuple[Tensor, Tensor]:
    """Mean cross entropy of the main model and of the MTP layer.

    ids int64 [b, s], real bool [b, s]; learned bool [b, s]: tokens that are to be predicted (those of the reply).
    mtp_rows: the MTP layer sees the first so many rows of the batch only; 0 leaves it out.
    """
    hidden = model.hidden(ids, real)
    loss = F.cross_entropy(*selected(model, hidden[:, :-1], ids[:, 1:], learned[:, 1:]))
    if not mtp_rows:
        return loss, torch.zeros(())
    part = slice(0, mtp_rows)
    after = model.mtp_hidden(ids[part], hidden[part], real[part])[:, :-1]
    return loss, F.cross_entropy(*selected(model, after, ids[part, 2:], learned[part, 2:]))


def selected(model: Model, hidden: Tensor, targets: Tensor, chosen: Tensor, tile: int = 256) -> Tuple[Tensor, Tensor]:
    """(logits, targets) of the chosen positions, filled up to a multiple of tile with rows that count for nothing.

    hidden [b, s, d], targets int64 [b, s], chosen bool [b, s].
    """
    at = chosen.flatten().nonzero()[:, 0]
    more = -len(at) % tile
    rows = hidden.flatten(0, 1)[torch.cat((at, at.new_zeros(more)))]
    wanted = torch.cat((targets.flatten()[at], at.new_full((more,), -100)))
    return model.logits(rows), wanted
