"""Accuracy of a checkpoint on the held-out problems, greedy, through Abyssal. The last number of a reply is its answer.

    python evaluate.py CHECKPOINT [--size 1000] [--json FILE] [--show 5]

Four sets are made from the seed: arithmetic without a story; stories in the wordings of the cold start; wide, both, with
the wordings of the later stages; new_stories with names, things and templates that training never uses. No problem in them,
nor a rearranged copy, is in the training data. Two were written by hand without sight of the templates; their numbers are
not held out. hand_written: what an earlier model got wrong in it was looked at, and kinds of stories that were missing were
added. asked_once: only its accuracy was ever looked at.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import pathlib
import random
import time

import settings
from problems import answers, dialogue
from problems.problem import Problem
from rollouts import Rollouts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("--size", type=int, default=1000, help="problems in each set")
    parser.add_argument("--limit", type=int, default=256, help="most tokens of a reply")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--json", help="write the figures to this file")
    parser.add_argument("--show", type=int, default=0, help="print so many wrong replies of each set")
    args = parser.parse_args()
    rollouts = Rollouts.open(args.checkpoint, args.threads)
    figures = evaluate(rollouts, args.size, args.limit, args.show)
    if args.json:
        with open(args.json, "w") as file:
            json.dump(figures, file, indent=1)


def evaluate(rollouts: Rollouts, size: int, limit: int = 256, show: int = 0) -> "dict[str, dict]":
    """For each set: accuracy, by_kind, format (share of replies in the right form), tokens (mean length of a reply)."""
    model = rollouts.models[0]
    out = {}
    sets = dialogue.held_out_sets(random.Random(settings.SEED + 1), size)
    written = {name: by_hand(name) for name in ("hand_written", "asked_once")}
    for name, problems in {**sets, **written}.items():
        began = time.perf_counter()
        prompts = [
            model.tokenize(model.render_chat([{"role": "user", "content": p.question}])).tolist() for p in problems
        ]
        replies = rollouts.generate(prompts, 1, 0.0, limit, 0)
        right, total, form = collections.Counter(), collections.Counter(), 0
        wrong = []
        for problem, reply in zip(problems, replies):
            text = model.decode(reply.tokens, skip_special=True)
            good = answers.is_right(text, problem.result)
            right[problem.kind] += good
            total[problem.kind] += 1
            form += answers.has_format(text)
            if not good:
                wrong.append((problem, text))
        accuracy = sum(right.values()) / len(problems)
        out[name] = {
            "accuracy": accuracy,
            "problems": len(problems),
            "format": form / len(problems),
            "tokens": sum(len(reply.tokens) for reply in replies) / len(replies),
            "by_kind": {kind: [right[kind], total[kind]] for kind in sorted(total)},
        }
        print(
            f"{name}: {accuracy:.1%} of {len(problems)} right, format {out[name]['format']:.1%}, "
            f"{out[name]['tokens']:.0f} tokens a reply, {time.perf_counter() - began:.0f} s"
        )
        for problem, text in wrong[: show if name != "asked_once" else 0]:
            print(
                f"  {problem.kind}: {problem.question}\n    wrote:  {text!r}\n    should: {problem.reasoning!r} {problem.answer!r}"
            )
    return out


def by_hand(name: str) -> "list[Problem]":
    """The questions of NAME.tsv: a question, a tab, the answer."""
    lines = (pathlib.Path(__file__).parent / f"{name}.tsv").read_text().splitlines()
    pairs = [line.split("\t") for line in lines]
    return [Problem(name, question, "", "", result, ()) for question, result in pairs]


if __name__ == "__main__":
    main()
