"""What formats of weights, activations and cache cost in quality, on a trained model: a Markdown table.

    python measure_formats.py CHECKPOINT [--size 1000]

For each format: accuracy, greedy, on held-out arithmetic and on the mixture of all stages, and the
mean log-probability of a token of the worked solutions to those problems, which differences in accuracy hide.
"""

from __future__ import annotations

import argparse
import random

import settings
import numpy as np

import abyssal
from problems import answers, dialogue
from rollouts import Rollouts

FORMATS = {
    "as stored, float32 arithmetic": dict(activations="f32"),
    "bf16 activations and cache": dict(activations="bf16"),
    "int8 weights": dict(weights="int8"),
    "int4 weights": dict(weights="int4"),
    "float32 arithmetic, bf16 cache": dict(activations="f32", cache_dtype="bf16"),
    "float32 arithmetic, int8 cache": dict(activations="f32", cache_dtype="int8"),
    "int8 weights, int8 cache": dict(weights="int8", cache_dtype="int8"),
    "int4 weights, int8 cache": dict(weights="int4", cache_dtype="int8"),
}


def accuracy(writer: Rollouts, prompts: "list[list[int]]", problems: "list") -> float:
    model = writer.models[0]
    replies = writer.generate(prompts, 1, 0.0, settings.REPLY_LIMIT, 0)
    right = sum(
        answers.is_right(model.decode(reply.tokens, skip_special=True), problem.result)
        for problem, reply in zip(problems, replies)
    )
    return right / len(problems)


def log_probability(model: abyssal.Model, prompts: "list[list[int]]", problems: "list") -> float:
    """Mean of the natural logarithm over all tokens of the worked solutions."""
    total, count = 0.0, 0
    for prompt, problem in zip(prompts, problems):
        reply = model.tokenize(dialogue.reply(problem.reasoning, problem.answer))
        ids = np.concatenate([np.asarray(prompt, np.int32), reply])
        with model.sequence() as sequence:
            sequence.eval(ids[:-1], logits=len(reply))
            logits = sequence.logits.astype(np.float64)
        top = logits.max(1)
        normaliser = top + np.log(np.exp(logits - top[:, None]).sum(1))
        total += float((logits[np.arange(len(reply)), reply] - normaliser).sum())
        count += len(reply)
    return total / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("--size", type=int, default=1000, help="problems of arithmetic, and as many word problems")
    args = parser.parse_args()
    sets = dialogue.held_out_sets(random.Random(settings.SEED + 1), args.size)
    problems = sets["arithmetic"] + sets["wide"]
    print("| format | arithmetic | mixture of all stages | mean log-probability of a token |")
    print("|---|---|---|---|")
    for name, options in FORMATS.items():
        writer = Rollouts.open(args.checkpoint, settings.threads(), **options)
        model = writer.models[0]
        prompts = [model.tokenize(dialogue.render(p.question)).tolist() for p in problems]
        half = len(sets["arithmetic"])
        first = accuracy(writer, prompts[:half], problems[:half])
        second = accuracy(writer, prompts[half:], problems[half:])
        print(f"| {name} | {first:.1%} | {second:.1%} | {log_probability(model, prompts, problems):.4f} |", flush=True)


if __name__ == "__main__":
    main()
