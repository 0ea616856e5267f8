"""Weights from arrays, replaced between evaluations, as a training loop does: python update_weights.py MODEL.

MODEL is a folder with config.json and unquantised *.safetensors.
"""

import json
import pathlib
import sys

import numpy as np
import safetensors

import abyssal

TYPES = {"F32": "f4", "F16": "f2", "BF16": "u2"}


def main() -> None:
    folder = pathlib.Path(sys.argv[1])
    tensors = {}
    for shard in folder.glob("*.safetensors"):
        for name, content in safetensors.deserialize(shard.read_bytes()):
            if content["dtype"] in TYPES:
                array = np.frombuffer(bytes(content["data"]), TYPES[content["dtype"]]).reshape(content["shape"])
                tensors[name] = (array, content["dtype"])
    config = json.loads((folder / "config.json").read_text())
    with abyssal.Model.from_tensors(config, tensors) as model, model.sequence() as sequence:
        for step in range(3):
            sequence.eval([5, 6, 7])
            print(f"step {step}: first logits {sequence.logits[0, :3]}")
            # The new weights: here the final norm, grown a little.
            norm = np.full(model.info.hidden_size, 1 + 0.1 * step, np.float32)
            model.update({"model.norm.weight": norm})


if __name__ == "__main__":
    main()
