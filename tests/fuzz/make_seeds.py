"""Writes the files that the fuzzers start from: small ones, right in every part.

    python make_seeds.py
"""

import json
import pathlib
import struct

SEEDS = pathlib.Path(__file__).resolve().parent / "seeds"


def text(value):
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def value(item):
    if isinstance(item, bool):
        return struct.pack("<IB", 7, item)
    if isinstance(item, int):
        return struct.pack("<II", 4, item)
    if isinstance(item, float):
        return struct.pack("<If", 6, item)
    if isinstance(item, str):
        return struct.pack("<I", 8) + text(item)
    if isinstance(item[0], str):
        return struct.pack("<IIQ", 9, 8, len(item)) + b"".join(text(part) for part in item)
    return struct.pack(f"<IIQ{len(item)}i", 9, 5, len(item), *item)


def gguf(metadata, tensors):
    """tensors: name -> (dims as the file lists them, number of the type, bytes)."""
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata))
    head += b"".join(text(key) + value(item) for key, item in metadata.items())
    data = b""
    for name, (dims, kind, size) in tensors.items():
        data += bytes(-len(data) % 32)
        head += text(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, len(data))
        data += bytes(range(256)) * (size // 256) + bytes(size % 256)
    return head + bytes(-len(head) % 32) + data


def deepseek():
    prefix = "deepseek2."
    metadata = {"general.architecture": "deepseek2", "general.alignment": 32, "tokenizer.ggml.tokens": ["a", "b", "ab"]}
    metadata |= {"tokenizer.ggml.merges": ["a b"], "tokenizer.ggml.token_type": [1, 1, 3]}
    numbers = {"context_length": 64, "embedding_length": 32, "feed_forward_length": 32, "block_count": 1, "vocab_size": 3}
    numbers |= {"attention.head_count": 2, "attention.kv_lora_rank": 32, "attention.key_length_mla": 34}
    numbers |= {"attention.value_length_mla": 32, "rope.dimension_count": 2, "attention.layer_norm_rms_epsilon": 1e-6}
    numbers |= {"expert_count": 2, "expert_used_count": 1, "expert_feed_forward_length": 32, "expert_gating_func": 2}
    numbers |= {"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0, "expert_weights_norm": True}
    metadata |= {prefix + key: number for key, number in numbers.items()}
    tensors = {
        "blk.0.attn_k_b.weight": ([32, 32, 2], 2, 2 * 32 * 18),
        "blk.0.attn_v_b.weight": ([32, 32, 2], 8, 2 * 32 * 34),
        "blk.0.ffn_up_exps.weight": ([32, 4, 2], 20, 2 * 4 * 18),
        "blk.0.exp_probs_b.bias": ([2], 0, 8),
    }
    return gguf(metadata, tensors)


def llama():
    metadata = {"general.architecture": "llama", "split.count": 1, "general.sampling.temp": 0.5}
    numbers = {"context_length": 64, "embedding_length": 8, "feed_forward_length": 8, "block_count": 1}
    numbers |= {"attention.head_count": 2, "attention.layer_norm_rms_epsilon": 1e-5}
    metadata |= {"llama." + key: number for key, number in numbers.items()}
    tensors = {
        "token_embd.weight": ([8, 3], 1, 48),
        "rope_freqs.weight": ([2], 0, 8),
        "blk.0.attn_q.weight": ([8, 8], 30, 128),
        "blk.0.attn_q.bias": ([8], 0, 32),
    }
    return gguf(metadata, tensors)


def safetensors():
    header = {"__metadata__": {"format": "pt"}}
    header["a"] = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}
    header["b"] = {"dtype": "BF16", "shape": [4], "data_offsets": [24, 32]}
    raw = json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + bytes(32)


def main():
    (SEEDS / "gguf" / "deepseek.gguf").write_bytes(deepseek())
    (SEEDS / "gguf" / "llama.gguf").write_bytes(llama())
    (SEEDS / "safetensors" / "two.safetensors").write_bytes(safetensors())


main()
