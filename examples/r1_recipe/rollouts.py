"""Many replies at once from Abyssal: prompts evaluated once, forked, and sampled side by side.

eval_batch takes one token of every running sequence in a pass; the samples of a prompt share its cache by fork();
places that finished replies leave are filled with new ones. Sampling is numpy on the logits.
"""

from __future__ import annotations

import concurrent.futures
from dataclasses import dataclass
from typing import Any, Dict, List, Sequence

import numpy as np

import abyssal

EOS = 1


@dataclass
class Rollout:
    """One reply."""

    prompt: int
    """Number of its prompt."""
    tokens: List[int]
    """The reply, its end-of-sequence token included if it got that far."""
    logprobs: List[float]
    """Log-probability of each token at the temperature it was drawn at; at temperature 0, at temperature 1."""


class Rollouts:
    """The weights in training, held by one Abyssal model for each thread.

    A model of one thread for each core is faster here than one model with many threads: the products of a model of
    this size are too small to be shared out.
    """

    def __init__(self, config: Dict[str, Any], tensors: Dict[str, Any], threads: int, width: int = 192) -> None:
        self.width = width
        self.models = [
            abyssal.Model.from_tensors(config, tensors, threads=1, cache_tokens=65536, activations="f32")
            for _ in range(threads)
        ]

    @classmethod
    def open(cls, path: str, threads: int, width: int = 192, **options: Any) -> "Rollouts":
        """Of a checkpoint's folder. options: of Model.open."""
        self = cls.__new__(cls)
        self.width = width
        self.models = [abyssal.Model.open(path, threads=1, cache_tokens=65536, **options) for _ in range(threads)]
        return self

    def update(self, tensors: Dict[str, Any]) -> None:
        """Takes new weights."""
        for model in self.models:
            model.update(tensors)

    def generate(
        self, prompts: Sequence[Sequence[int]], samples: int, temperature: float, limit: int, seed: int
    ) -> List[Rollout]:
        """samples replies for each prompt (token ids), of at most limit tokens; temperature 0 is greedy. The order is
        that of the prompts."""
        parts = len(self.models)
        with concurrent.futures.ThreadPoolExecutor(parts) as pool:
            jobs = [
                pool.submit(
                    self._run, model, prompts, range(i, len(prompts), parts), samples, temperature, limit, seed + i
                )
                for i, model in enumerate(self.models)
            ]
            out = [rollout for job in jobs for rollout in job.result()]
        return sorted(out, key=lambda rollout: rollout.prompt)

    def _run(
        self,
        model: abyssal.Model,
        prompts: Sequence[Sequence[int]],
        numbers: Sequence[int],
        samples: int,
        temperature: float,
        limit: int,
        seed: int,
    ) -> List[Rollout]:
        rng = np.random.default_rng(seed)
        waiting = list(reversed(numbers))
        sequences: List[abyssal.Sequence] = []
        running: List[Rollout] = []
        logits = np.empty((0, model.info.vocab_size), np.float32)
        finished: List[Rollout] = []
        while waiting or running:
            if waiting and len(running) <= self.width * 3 // 4:
                count = max(1, (self.width - len(running)) // samples)
                chosen = [waiting.pop() for _ in range(min(count, len(waiting)))]
                bases = [model.sequence() for _ in chosen]
                abyssal.eval_batch(bases, [np.asarray(prompts[i], np.int32) for i in chosen])
                rows = [base.logits[0] for base in bases]
                for i, base, row in zip(chosen, bases, rows):
                    sequences += [base.fork() for _ in range(samples - 1)] + [base]
                    running += [Rollout(i, [], []) for _ in range(samples)]
                logits = np.concatenate([logits, np.repeat(np.stack(rows), samples, 0)])
            tokens, logprobs = draw(logits, temperature, rng)
            keep = []
            for j, rollout in enumerate(running):
                rollout.tokens.append(int(tokens[j]))
                rollout.logprobs.append(float(logprobs[j]))
                if tokens[j] == EOS or len(rollout.tokens) >= limit:
                    finished.append(rollout)
                    sequences[j].close()
                else:
                    keep.append(j)
            sequences = [sequences[j] for j in keep]
            running = [running[j] for j in keep]
            if running:
                abyssal.eval_batch(sequences, [[rollout.tokens[-1]] for rollout in running])
                logits = np.concatenate([sequence.logits for sequence in sequences])
            else:
                logits = logits[:0]
        return finished


def draw(logits: np.ndarray, temperature: float, rng: np.random.Generator) -> "tuple[np.ndarray, np.ndarray]":
    """One token for each row of logits [n, vocab], and its log-probability. Adding Gumbel noise and taking the largest
    draws from the softmax."""
    scaled = logits / (temperature or 1.0)
    noisy = scaled if temperature == 0 else scaled - np.log(rng.standard_exponential(scaled.shape, np.float32) + 1e-30)
    tokens = noisy.argmax(1)
    top = scaled.max(1, keepdims=True)
    total = np.log(np.exp(scaled - top).sum(1)) + top[:, 0]
    return tokens, scaled[np.arange(len(tokens)), tokens] - total
