"""Writes a checkpoint of DeepSeek-V2-Lite's layer shapes with noise for weights, as safetensors: for speed and memory only.

    python tests/bench/make_checkpoint.py FOLDER [--weights bf16|fp8] [--layers 5]      needs numpy

A layer of experts has 1.18 GB as bf16 and 0.59 GB as fp8 (e4m3, a scale for each 128 x 128), the embedding and the head
0.84 GB as bf16. There is no tokenizer.
"""

import argparse
import json
import pathlib
import struct
from typing import Dict, Iterator, List, Tuple

import numpy as np

BLOCK = 128
CONFIG = {
    "architectures": ["DeepseekV2ForCausalLM"], "model_type": "deepseek_v2", "hidden_size": 2048, "vocab_size": 102400,
    "intermediate_size": 10944, "moe_intermediate_size": 1408, "num_attention_heads": 16, "num_key_value_heads": 16,
    "q_lora_rank": None, "kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128,
    "n_routed_experts": 64, "n_shared_experts": 2, "num_experts_per_tok": 6, "first_k_dense_replace": 1,
    "moe_layer_freq": 1, "n_group": 1, "topk_group": 1, "topk_method": "greedy", "scoring_func": "softmax",
    "norm_topk_prob": False, "routed_scaling_factor": 1.0, "hidden_act": "silu", "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0, "max_position_embeddings": 163840, "tie_word_embeddings": False, "attention_bias": False,
    "rope_scaling": {"type": "yarn", "factor": 40, "original_max_position_embeddings": 4096, "beta_fast": 32,
                     "beta_slow": 1, "mscale": 0.707, "mscale_all_dim": 0.707},
    "torch_dtype": "bfloat16", "bos_token_id": 100000, "eos_token_id": 100001,
}
FP8 = {"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic", "weight_block_size": [BLOCK, BLOCK]}


def swiglu(prefix: str, inter: int) -> Iterator[Tuple[str, List[int]]]:
    hidden = CONFIG["hidden_size"]
    yield f"{prefix}.gate_proj.weight", [inter, hidden]
    yield f"{prefix}.up_proj.weight", [inter, hidden]
    yield f"{prefix}.down_proj.weight", [hidden, inter]


def layer_matrices(layer: int) -> Iterator[Tuple[str, List[int]]]:
    hidden, heads, lora = CONFIG["hidden_size"], CONFIG["num_attention_heads"], CONFIG["kv_lora_rank"]
    nope, rope, v = CONFIG["qk_nope_head_dim"], CONFIG["qk_rope_head_dim"], CONFIG["v_head_dim"]
    prefix = f"model.layers.{layer}"
    yield f"{prefix}.self_attn.q_proj.weight", [heads * (nope + rope), hidden]
    yield f"{prefix}.self_attn.kv_a_proj_with_mqa.weight", [lora + rope, hidden]
    yield f"{prefix}.self_attn.kv_b_proj.weight", [heads * (nope + v), lora]
    yield f"{prefix}.self_attn.o_proj.weight", [hidden, heads * v]
    if layer < CONFIG["first_k_dense_replace"]:
        yield from swiglu(f"{prefix}.mlp", CONFIG["intermediate_size"])
        return
    for expert in range(CONFIG["n_routed_experts"]):
        yield from swiglu(f"{prefix}.mlp.experts.{expert}", CONFIG["moe_intermediate_size"])
    yield from swiglu(f"{prefix}.mlp.shared_experts", CONFIG["n_shared_experts"] * CONFIG["moe_intermediate_size"])


def tensors(layers: int, fp8: bool) -> Iterator[Tuple[str, str, List[int]]]:
    """Name, element type and shape of each."""
    hidden, vocabulary = CONFIG["hidden_size"], CONFIG["vocab_size"]
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        yield name, "BF16", [vocabulary, hidden]
    yield "model.norm.weight", "BF16", [hidden]
    for layer in range(layers):
        prefix = f"model.layers.{layer}"
        for name in ("input_layernorm", "post_attention_layernorm"):
            yield f"{prefix}.{name}.weight", "BF16", [hidden]
        yield f"{prefix}.self_attn.kv_a_layernorm.weight", "BF16", [CONFIG["kv_lora_rank"]]
        if layer >= CONFIG["first_k_dense_replace"]:
            yield f"{prefix}.mlp.gate.weight", "BF16", [CONFIG["n_routed_experts"], hidden]
        for name, shape in layer_matrices(layer):
            yield name, "F8_E4M3" if fp8 else "BF16", shape
            if fp8:
                yield f"{name}_scale_inv", "F32", [-(-side // BLOCK) for side in shape]


def bf16(values: np.ndarray) -> np.ndarray:
    return (values.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)


class Noise:
    """Values of a tensor: ones for norms, and weights that keep the size of what they are multiplied with."""

    def __init__(self) -> None:
        self.draw = np.random.default_rng(0)

    def of(self, name: str, dtype: str, shape: List[int]) -> np.ndarray:
        count = int(np.prod(shape))
        if len(shape) == 1:
            return bf16(np.ones(count))
        if dtype == "F32":
            return np.full(count, 2.0 ** -8, np.float32)
        if dtype == "BF16":
            return bf16(self.draw.standard_normal(count, dtype=np.float32) * shape[1] ** -0.5)
        codes = self.draw.integers(0x20, 0x48, count, dtype=np.uint8)  # 2^-3 to 4
        return codes | self.draw.integers(0, 2, count, dtype=np.uint8) << 7


def write(path: pathlib.Path, layers: int, fp8: bool) -> None:
    size = {"BF16": 2, "F8_E4M3": 1, "F32": 4}
    header: Dict[str, dict] = {}
    at = 0
    for name, dtype, shape in tensors(layers, fp8):
        end = at + int(np.prod(shape)) * size[dtype]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, end]}
        at = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 64)
    noise = Noise()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, tensor in header.items():
            file.write(noise.of(name, tensor["dtype"], tensor["shape"]).tobytes())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", metavar="FOLDER", type=pathlib.Path, help="made anew")
    parser.add_argument("--weights", choices=["bf16", "fp8"], default="bf16", help="default bf16")
    parser.add_argument("--layers", type=int, default=5, help="default 5; V2-Lite has 27")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True)
    fp8 = arguments.weights == "fp8"
    config = {**CONFIG, "num_hidden_layers": arguments.layers, **({"quantization_config": FP8} if fp8 else {})}
    (arguments.folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    write(arguments.folder / "model.safetensors", arguments.layers, fp8)


if __name__ == "__main__":
    main()
