"""Writes the weights of a stage as a bf16 checkpoint: python export.py cold_start grpo"""

from __future__ import annotations

import sys

import settings
import store

from training import published
from training.model import Model


def main() -> None:
    work = settings.work()
    for stage in sys.argv[1:]:
        model = Model(settings.MODEL, settings.CONTEXT)
        state = store.load(work / f"{stage}_weights.pt") or store.load(work / f"{stage}.pt")
        if state is None:
            raise SystemExit(f"{work} has no weights of {stage}")
        model.load_state_dict(state.get("model", state))
        published.write(
            work / stage,
            published.stored(model, fp8=False),
            published.config(settings.MODEL, settings.CONTEXT, fp8=False),
            work / "tokenizer",
        )
        print(work / stage)


if __name__ == "__main__":
    main()
