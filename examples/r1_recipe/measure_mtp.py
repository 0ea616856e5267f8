"""The share of the MTP layer's drafts that greedy decoding accepts, measured through Abyssal on held-out problems.

    python measure_mtp.py CHECKPOINT [--size 200] [--json FILE]

Each reply is written greedily; then the whole of it is evaluated with the MTP layer. Its draft for a position was made
from the text before; greedy decoding accepts it exactly if it is the token that the reply has there.
"""

from __future__ import annotations

import argparse
import json
import random

import settings
import numpy as np

import abyssal
from problems import dialogue
from rollouts import Rollouts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("--size", type=int, default=200)
    parser.add_argument("--json")
    args = parser.parse_args()
    writer = Rollouts.open(args.checkpoint, settings.threads())
    model = abyssal.Model.open(args.checkpoint, threads=1, mtp=True)
    figures = {}
    for name, problems in dialogue.held_out_sets(random.Random(settings.SEED + 1), args.size).items():
        prompts = [model.tokenize(dialogue.render(p.question)).tolist() for p in problems]
        accepted = drafted = 0
        for reply in writer.generate(prompts, 1, 0.0, settings.REPLY_LIMIT, 0):
            prompt = prompts[reply.prompt]
            ids = np.array([*prompt, *reply.tokens], np.int32)
            sequence = model.sequence()
            sequence.eval(ids, logits=len(ids), mtp=True)
            drafts = sequence.output("mtp_logits").argmax(1)
            # Row r predicts token r + 2; the reply's tokens but the first are drafted for.
            first = len(prompt) - 1
            accepted += int((drafts[first : len(ids) - 2] == ids[len(prompt) + 1 :]).sum())
            drafted += len(reply.tokens) - 1
        figures[name] = {"accepted": accepted, "drafted": drafted, "share": accepted / drafted}
        print(f"{name}: {accepted} of {drafted} drafts accepted, {accepted / drafted:.1%}")
    if args.json:
        with open(args.json, "w") as file:
            json.dump(figures, file, indent=1)


if __name__ == "__main__":
    main()
