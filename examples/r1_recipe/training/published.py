"""The published names and files of a model: config.json, safetensors in FP8 or bf16, tokenizer."""

from __future__ import annotations

import json
import pathlib
import shutil
from typing import Any, Dict

import torch
from torch import Tensor

from .fp8 import quantise
from .model import Layer, Model


def config(c: Dict[str, Any], context: int, fp8: bool, mtp: bool = True) -> Dict[str, Any]:
    """config.json of a deepseek_v3 checkpoint."""
    out: Dict[str, Any] = {
        "architectures": ["DeepseekV3ForCausalLM"],
        "model_type": "deepseek_v3",
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "hidden_act": "silu",
        "initializer_range": 0.02,
        "max_position_embeddings": context,
        "moe_layer_freq": 1,
        "norm_topk_prob": True,
        "num_key_value_heads": c["num_attention_heads"],
        "num_nextn_predict_layers": 1 if mtp else 0,
        "rope_scaling": None,
        "scoring_func": "sigmoid",
        "tie_word_embeddings": False,
        "topk_method": "noaux_tc",
        "torch_dtype": "bfloat16",
        "use_cache": True,
        **c,
    }
    if fp8:
        out["quantization_config"] = {
            "activation_scheme": "dynamic",
            "fmt": "e4m3",
            "quant_method": "fp8",
            "weight_block_size": [128, 128],
        }
    return out


def _mlp(out: Dict[str, Tensor], name: str, gate_up: Tensor, down: Tensor) -> None:
    out[name + "gate_proj.weight"], out[name + "up_proj.weight"] = gate_up.chunk(2, 0)
    out[name + "down_proj.weight"] = down


def _layer(out: Dict[str, Tensor], name: str, layer: Layer) -> None:
    for key in ("input_layernorm", "post_attention_layernorm"):
        out[f"{name}{key}.weight"] = getattr(layer, key).weight
    for key, part in layer.self_attn.named_parameters():
        out[f"{name}self_attn.{key}"] = part
    mlp = layer.mlp
    if not layer.moe:
        _mlp(out, name + "mlp.", mlp.gate_up.weight, mlp.down_proj.weight)
        return
    out[name + "mlp.gate.weight"] = mlp.gate.weight
    out[name + "mlp.gate.e_score_correction_bias"] = mlp.gate.e_score_correction_bias
    shared = mlp.shared_experts
    _mlp(out, name + "mlp.shared_experts.", shared.gate_up.weight, shared.down_proj.weight)
    for e in range(mlp.gate.experts):
        _mlp(out, f"{name}mlp.experts.{e}.", mlp.gate_up[e], mlp.down[e])


def tensors(model: Model, mtp: bool = True) -> Dict[str, Tensor]:
    """All weights by their published names, float32 views. The MTP layer is the one after the last, with its copies of
    embedding and head as published."""
    out = {
        "model.embed_tokens.weight": model.embed_tokens,
        "model.norm.weight": model.norm.weight,
        "lm_head.weight": model.lm_head,
    }
    for i, layer in enumerate(model.layers):
        _layer(out, f"model.layers.{i}.", layer)
    if mtp:
        name = f"model.layers.{len(model.layers)}."
        _layer(out, name, model.mtp.layer)
        out[name + "enorm.weight"] = model.mtp.enorm.weight
        out[name + "hnorm.weight"] = model.mtp.hnorm.weight
        out[name + "eh_proj.weight"] = model.mtp.eh_proj.weight
        out[name + "embed_tokens.weight"] = model.embed_tokens
        out[name + "shared_head.norm.weight"] = model.mtp.norm.weight
        out[name + "shared_head.head.weight"] = model.lm_head
    return {key: value.detach() for key, value in out.items()}


def in_fp8(name: str) -> bool:
    """Whether V3 publishes this weight in FP8: the products of attention and MLPs, not gate, embeddings and head."""
    return name.endswith("_proj.weight") and "eh_proj" not in name or name.endswith("kv_a_proj_with_mqa.weight")


def stored(model: Model, fp8: bool, mtp: bool = True) -> Dict[str, Tensor]:
    """All weights as they are stored: bf16 or FP8 with scales, the router's bias in float32."""
    out: Dict[str, Tensor] = {}
    for name, weight in tensors(model, mtp).items():
        if name.endswith("e_score_correction_bias"):
            out[name] = weight.float().clone()
        elif fp8 and in_fp8(name):
            values, scale = quantise(weight)
            out[name], out[name + "_scale_inv"] = values.contiguous(), scale.contiguous()
        else:
            out[name] = weight.to(torch.bfloat16).clone(memory_format=torch.contiguous_format)
    return out


def write(
    folder: pathlib.Path, tensors_by_name: Dict[str, Tensor], configuration: Dict[str, Any], tokenizer: pathlib.Path
) -> int:
    """Writes a checkpoint folder; returns its size in bytes."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors_by_name, str(folder / "model.safetensors"), metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)
    (folder / "config.json").write_text(json.dumps(configuration, indent=2) + "\n")
    generation = {"bos_token_id": 0, "eos_token_id": 1, "do_sample": False}  # arithmetic has one answer: greedy
    (folder / "generation_config.json").write_text(json.dumps(generation, indent=2) + "\n")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(tokenizer / name, folder / name)
    return sum(file.stat().st_size for file in folder.iterdir())
