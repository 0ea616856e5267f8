"""Checks checkpoints: the same logits in transformers and in Abyssal, float32 arithmetic on the stored weights.

    python check_logits.py CHECKPOINT... [--store FILE]

transformers is given the dequantised weights where they are FP8 (its own FP8 products need a GPU). --store writes the
prompts and transformers' logits as safetensors, for a test that needs neither torch nor transformers.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import random
import tempfile

import settings
import numpy as np
import torch
from safetensors.torch import load_file, save_file

import abyssal
from problems import dialogue
from training.fp8 import dequantise


def reference(folder: pathlib.Path) -> "torch.nn.Module":
    """The model of transformers in float32, holding exactly the stored weights; it leaves the MTP layer out itself."""
    from transformers import AutoModelForCausalLM

    stored = load_file(str(folder / "model.safetensors"))
    weights = {}
    for name, tensor in stored.items():
        if not name.endswith("_scale_inv"):
            scale = stored.get(name + "_scale_inv")
            weights[name] = tensor.float() if scale is None else dequantise(tensor, scale)
    config = json.loads((folder / "config.json").read_text())
    config.pop("quantization_config", None)
    with tempfile.TemporaryDirectory() as beside:
        save_file(weights, f"{beside}/model.safetensors", metadata={"format": "pt"})
        pathlib.Path(beside, "config.json").write_text(json.dumps(config))
        return AutoModelForCausalLM.from_pretrained(beside, dtype=torch.float32, attn_implementation="eager").eval()


ROWS = 16
"""The last logits of each text that are stored."""


def check(folder: pathlib.Path) -> "tuple[dict[str, torch.Tensor], float]":
    """(what is stored of it, the largest relative error of a text's logits)."""
    model = abyssal.Model.open(folder, threads=1, activations="f32")
    theirs = reference(folder)
    kept, worst = {}, 0.0
    sets = dialogue.held_out_sets(random.Random(settings.SEED + 1), 2)
    for i, problem in enumerate(p for problems in sets.values() for p in problems):
        text = dialogue.render(problem.question) + dialogue.reply(problem.reasoning, problem.answer)
        ids = model.tokenize(text)
        sequence = model.sequence()
        sequence.eval(ids, logits=len(ids))
        with torch.no_grad():
            expected = theirs(torch.from_numpy(ids.astype(np.int64))[None]).logits[0]
        error = np.linalg.norm(sequence.logits - expected.numpy()) / np.linalg.norm(expected.numpy())
        worst = max(worst, float(error))
        kept[f"{folder.name}.p{i}.input_ids"] = torch.from_numpy(ids.copy())
        kept[f"{folder.name}.p{i}.logits"] = expected[-ROWS:].contiguous()
    return kept, worst


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", nargs="+", type=pathlib.Path, metavar="CHECKPOINT")
    parser.add_argument("--store", type=pathlib.Path)
    args = parser.parse_args()
    torch.set_num_threads(settings.threads())
    kept, worst = {}, 0.0
    for folder in args.checkpoints:
        values, error = check(folder)
        print(f"{folder.name}: relative error of the logits {error:.1e}")
        kept.update(values)
        worst = max(worst, error)
    if args.store:
        save_file(kept, str(args.store))
    if worst > 1e-4:
        raise SystemExit("the logits differ")


if __name__ == "__main__":
    main()
