"""Files that survive being stopped at any moment: marks of finished stages, and checkpoints written beside and renamed."""

from __future__ import annotations

import json
import os
import pathlib
from typing import Any, Dict, Optional


def done(work: pathlib.Path, stage: str) -> bool:
    """Whether a stage has finished before."""
    if (work / f"{stage}.done").exists():
        print(f"{stage} is done already")
        return True
    return False


def mark(work: pathlib.Path, stage: str) -> None:
    """Notes that a stage has finished."""
    (work / f"{stage}.done").touch()


def save(path: pathlib.Path, state: Dict[str, Any]) -> None:
    """Writes a checkpoint (torch.save); a reader sees the old one or the new one, whole."""
    import torch

    beside = path.with_suffix(".part")
    torch.save(state, beside)
    os.replace(beside, path)


def load(path: pathlib.Path) -> Optional[Dict[str, Any]]:
    """A checkpoint, or None if there is none."""
    import torch

    return torch.load(path, map_location="cpu", weights_only=False) if path.exists() else None


def log(path: pathlib.Path, **values: Any) -> None:
    """Appends one line of JSON."""
    with open(path, "a") as file:
        file.write(json.dumps(values) + "\n")


def read_log(path: pathlib.Path) -> "list[dict]":
    """Every line that log() wrote; where a stage was resumed, the later line of a step counts."""
    if not path.exists():
        return []
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return list({line.get("step", i): line for i, line in enumerate(lines)}.values())
