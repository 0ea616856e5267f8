"""Writes the files that the fuzzers start from: small ones, right in every part.

    python make_seeds.py
"""

import json
import pathlib
import struct

HERE = pathlib.Path(__file__).resolve().parent
SEEDS = HERE / "seeds"
DATA = HERE.parent / "data"


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


def index():
    names = {"a": "1.safetensors", "b": "2.safetensors"}
    return json.dumps({"metadata": {"total_size": 8}, "weight_map": names}).encode()


def vocabulary():
    """A byte-level BPE with a marker, small enough to be read thousands of times a second."""
    tokens = ["<s>", "</s>", "a", "b", "ab", "1", "2", "\u0120", "\u010a", "\u00c3", "\u00a9", "<think>"]
    return tokens, [3, 3] + [1] * 9 + [4], ["a b"]


def gguf_text(pre):
    tokens, types, merges = vocabulary()
    metadata = {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": pre, "tokenizer.ggml.tokens": tokens}
    metadata |= {"tokenizer.ggml.token_type": types, "tokenizer.ggml.merges": merges, "tokenizer.ggml.bos_token_id": 0}
    metadata |= {"tokenizer.ggml.eos_token_id": 1, "tokenizer.ggml.add_bos_token": True}
    metadata["tokenizer.chat_template"] = "{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}"
    return gguf(metadata, {})


def tokenizer(pattern):
    tokens, types, merges = vocabulary()
    steps = [{"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}]
    steps.append({"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False})
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    added = [{"id": i, "content": token, "special": kind == 3} | flags
             for i, (token, kind) in enumerate(zip(tokens, types)) if kind != 1]
    single = [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    special = {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}}
    all_ = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": {"type": "NFC"}}
    all_["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": steps}
    all_["post_processor"] = {"type": "TemplateProcessing", "single": single, "pair": single, "special_tokens": special}
    all_["decoder"] = steps[1] | {"add_prefix_space": True}
    all_["model"] = {"type": "BPE", "vocab": {token: i for i, token in enumerate(tokens)}, "merges": merges}
    config = {"add_bos_token": True, "bos_token": "<s>", "tokenizer_class": "LlamaTokenizerFast", "chat_template": "x"}
    return json.dumps(all_).encode() + b"\0" + json.dumps(config).encode()


def messages():
    call = {"type": "function", "function": {"name": "f", "arguments": "{\"x\": 1}"}}
    turns = [{"role": "user", "content": "u"}, {"role": "assistant", "content": "<think>r</think>c", "tool_calls": [call]}]
    turns.append({"role": "tool", "content": "1", "name": "f"})
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]
    return b"\0".join(json.dumps(part).encode() for part in (turns, tools, {"thinking": True}))


def write(target, name, data):
    (SEEDS / target).mkdir(parents=True, exist_ok=True)
    (SEEDS / target / name).write_bytes(data)


def main():
    write("gguf", "deepseek.gguf", deepseek())
    write("gguf", "llama.gguf", llama())
    write("safetensors", "two.safetensors", safetensors())
    write("safetensors", "index.json", index())
    for pre in ("deepseek-llm", "deepseek-v3", "qwen2", "llama-bpe"):
        write("gguf_text", f"{pre}.gguf", gguf_text(pre))
    write("tokenizer", "digits", tokenizer(r"\p{N}{1,3}"))
    write("tokenizer", "spaces", tokenizer(r"\s+(?!\S)|\s+"))
    for folder in sorted((DATA / "conformance").iterdir()):
        generation = (folder / "generation_config.json").read_bytes()
        write("config", folder.name, (folder / "config.json").read_bytes() + b"\0" + generation)
    for file in sorted((DATA / "text/templates").glob("*.jinja")):
        write("chat_template", file.stem, file.read_bytes() + b"\0" + messages())


main()
