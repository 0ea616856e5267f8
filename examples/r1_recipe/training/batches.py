"""Batches of similar lengths: little padding, about the same number of tokens each."""

from __future__ import annotations

import random
from typing import Iterator, List, Sequence, Tuple

import numpy as np
import torch
from torch import Tensor


WIDTH = 8
"""Batches are a multiple of this wide: few shapes occur, so that few kernels must be made (see experts.py)."""


def wide(length: int) -> int:
    return (length + WIDTH - 1) // WIDTH * WIDTH


def plan(lengths: Sequence[int], tokens: int, seed: int, window: int = 8192) -> List[List[int]]:
    """Batches of example numbers in random order. Within a window of shuffled examples, those of like length go
    together; a batch has at most so many tokens, padding included. What does not fill a batch is left out."""
    rng = random.Random(seed)
    order = list(range(len(lengths)))
    rng.shuffle(order)
    out: List[List[int]] = []
    for begin in range(0, len(order), window):
        part = sorted(order[begin : begin + window], key=lambda i: -lengths[i])
        batches: List[List[int]] = []
        at = 0
        while at < len(part):
            rows = max(1, tokens // wide(lengths[part[at]]))
            if at + rows <= len(part) or len(part) < rows:
                batches.append(part[at : at + rows])
            at += rows
        rng.shuffle(batches)
        for batch in batches:
            rng.shuffle(batch)
        out.extend(batches)
    return out


def pad(rows: Sequence[np.ndarray], replies: Sequence[int], fill: int = 2) -> Tuple[Tensor, Tensor, Tensor]:
    """(ids int64 [b, s], real bool [b, s], learned bool [b, s]); rows are token ids, replies where each reply starts."""
    longest = wide(max(len(row) for row in rows))
    ids = np.full((len(rows), longest), fill, np.int64)
    real = np.zeros((len(rows), longest), bool)
    learned = np.zeros((len(rows), longest), bool)
    for i, (row, reply) in enumerate(zip(rows, replies)):
        ids[i, : len(row)] = row
        real[i, : len(row)] = True
        learned[i, reply : len(row)] = True
    return torch.from_numpy(ids), torch.from_numpy(real), torch.from_numpy(learned)


class Examples:
    """Examples as stage 1 stores them."""

    def __init__(self, path: "str | object") -> None:
        data = np.load(path)  # type: ignore[arg-type]
        self.tokens, self.starts, self.replies = data["tokens"], data["starts"], data["replies"]

    def __len__(self) -> int:
        return len(self.replies)

    def lengths(self) -> "list[int]":
        return np.diff(self.starts).tolist()

    def batch(self, numbers: Sequence[int]) -> Tuple[Tensor, Tensor, Tensor]:
        starts, ends = self.starts[numbers], self.starts[np.asarray(numbers) + 1]
        rows = [self.tokens[a:b] for a, b in zip(starts, ends)]
        return pad(rows, (self.replies[numbers] - starts).tolist())

    def epochs(self, tokens: int, seed: int, skip: int = 0) -> Iterator[Tuple[Tensor, Tensor, Tensor]]:
        """Batches without end, every epoch in a new order; the first skip batches are left out."""
        epoch = 0
        while True:
            for numbers in plan(self.lengths(), tokens, seed + epoch):
                if skip > 0:
                    skip -= 1
                    continue
                yield self.batch(numbers)
            epoch += 1
