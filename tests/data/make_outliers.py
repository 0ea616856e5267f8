"""Writes conformance-gguf/tiny-llama-outliers-Q4_K_M.gguf and its expected values: activations as trained models have them.

    python tests/data/make_outliers.py        needs numpy, gguf and safetensors

The file is tiny-llama-Q4_K_M.gguf with other norms: in every layer a few channels are thirty times as large as the rest,
so that a scale which many activations share leaves the small ones no steps. The expected values are computed here, in
float64, from the values dequantised by the gguf package.
"""

import pathlib
import shutil

import gguf
import numpy as np
from safetensors.numpy import load_file, save_file

FOLDER = pathlib.Path(__file__).parent / "conformance-gguf"
SOURCE, TARGET = FOLDER / "tiny-llama-Q4_K_M", FOLDER / "tiny-llama-outliers-Q4_K_M"
USUAL, OUTLIER = 0.2, 6.0
GREEDY_STEPS = 48


def write_norms(path):
    """Sets the layers' norms in the copied file, in place."""
    reader = gguf.GGUFReader(path)
    random = np.random.default_rng(7)
    with open(path, "r+b") as file:
        for tensor in reader.tensors:
            if tensor.name.startswith("blk.") and tensor.name.endswith("norm.weight"):
                weight = np.full(tensor.n_elements, USUAL, np.float32)
                weight[random.choice(weight.size, 5, replace=False)] = OUTLIER
                file.seek(tensor.data_offset)
                file.write(weight.tobytes())


class Llama:
    def __init__(self, path):
        reader = gguf.GGUFReader(path)

        def number(key):
            return reader.fields[f"llama.{key}"].contents()

        self.w = {t.name: gguf.dequantize(t.data, t.tensor_type).astype(np.float64) for t in reader.tensors}
        self.layers, self.heads = number("block_count"), number("attention.head_count")
        self.kv_heads, self.epsilon = number("attention.head_count_kv"), number("attention.layer_norm_rms_epsilon")
        self.base = number("rope.freq_base")
        self.d = self.w["blk.0.attn_q.weight"].shape[0] // self.heads

    def norm(self, x, name):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + self.epsilon) * self.w[name]

    def rope(self, x):
        """x: [tokens, heads, d], pairs of neighbours."""
        frequency = (self.base ** (-np.arange(0, self.d, 2) / self.d)).astype(np.float32)
        if "rope_freqs.weight" in self.w:
            frequency = (frequency / self.w["rope_freqs.weight"]).astype(np.float32)
        angle = np.arange(x.shape[0])[:, None, None] * frequency.astype(np.float64)
        cos, sin = np.cos(angle), np.sin(angle)
        out = np.empty_like(x)
        out[..., 0::2] = x[..., 0::2] * cos - x[..., 1::2] * sin
        out[..., 1::2] = x[..., 0::2] * sin + x[..., 1::2] * cos
        return out

    def attention(self, h, prefix):
        tokens = h.shape[0]
        q = self.rope((h @ self.w[prefix + "attn_q.weight"].T).reshape(tokens, self.heads, self.d))
        k = self.rope((h @ self.w[prefix + "attn_k.weight"].T).reshape(tokens, self.kv_heads, self.d))
        v = (h @ self.w[prefix + "attn_v.weight"].T).reshape(tokens, self.kv_heads, self.d)
        shared = self.heads // self.kv_heads
        later = np.triu(np.full((tokens, tokens), -np.inf), 1)
        out = np.empty_like(q)
        for head in range(self.heads):
            scores = q[:, head] @ k[:, head // shared].T / np.sqrt(self.d) + later
            weights = np.exp(scores - scores.max(-1, keepdims=True))
            out[:, head] = weights / weights.sum(-1, keepdims=True) @ v[:, head // shared]
        return out.reshape(tokens, -1) @ self.w[prefix + "attn_output.weight"].T

    def run(self, ids):
        """Logits [tokens, vocab], and the hidden states after every layer, the last one after the final norm."""
        x = self.w["token_embd.weight"][ids]
        hidden = [x]
        for layer in range(self.layers):
            prefix = f"blk.{layer}."
            x = x + self.attention(self.norm(x, prefix + "attn_norm.weight"), prefix)
            h = self.norm(x, prefix + "ffn_norm.weight")
            gate = h @ self.w[prefix + "ffn_gate.weight"].T
            middle = gate / (1 + np.exp(-gate)) * (h @ self.w[prefix + "ffn_up.weight"].T)
            x = x + middle @ self.w[prefix + "ffn_down.weight"].T
            hidden.append(x)
        hidden[-1] = self.norm(x, "output_norm.weight")
        return hidden[-1] @ self.w.get("output.weight", self.w["token_embd.weight"]).T, hidden


def greedy(model, ids):
    """The likeliest ids, one after the other, and by how much each was the likeliest."""
    ids, gaps = list(ids), []
    for _ in range(GREEDY_STEPS):
        logits = model.run(ids)[0][-1]
        best = np.argsort(logits)[-2:]
        gaps.append(logits[best[1]] - logits[best[0]])
        ids.append(int(best[1]))
    return ids[-GREEDY_STEPS:], gaps


def main():
    target = TARGET.with_suffix(".gguf")
    shutil.copyfile(SOURCE.with_suffix(".gguf"), target)
    target.chmod(0o644)
    write_norms(target)
    model = Llama(target)
    given = load_file(SOURCE.with_suffix(".expected.safetensors"))
    expected = {}
    for prompt in ("p0", "p1", "p2", "p3"):
        ids = given[f"{prompt}.input_ids"]
        logits, hidden = model.run(ids)
        expected[f"{prompt}.input_ids"] = ids
        expected[f"{prompt}.logits_last"] = logits[-min(len(ids), 4):].astype(np.float32)
        if f"{prompt}.greedy_ids" in given:
            tokens, gaps = greedy(model, ids)
            expected[f"{prompt}.greedy_ids"] = np.array(tokens, given[f"{prompt}.greedy_ids"].dtype)
            expected[f"{prompt}.greedy_gap"] = np.array(gaps, np.float32)
        if prompt == "p2":
            for layer, states in enumerate(hidden):
                expected[f"p2.hidden_last8.{layer}"] = states[-8:].astype(np.float32)
    save_file(expected, TARGET.with_suffix(".expected.safetensors"))


if __name__ == "__main__":
    main()
