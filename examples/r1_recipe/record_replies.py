"""Writes down what checkpoints reply to fixed questions, greedy, for the tests to compare with; wrong answers are left out.

    python record_replies.py CHECKPOINT... --store FILE
"""

from __future__ import annotations

import argparse
import json
import pathlib

import abyssal
from problems import answers

QUESTIONS = {
    "What is 47 * 6 + 12?": "294",
    "Compute 812 - 377.": "435",
    "What is (19 + 7) * 4?": "104",
    "What is 252 / 7?": "36",
    "Which is larger, 314 or 341?": "341",
    "Solve for x: 3x + 7 = 25.": "6",
    "Gunther had 53 thimbles and gave 18 of them to his sister. How many thimbles are left?": "35",
    "A bakery packs 12 rolls in each box. How many rolls are in 7 boxes?": "84",
    "Priscilla shares 72 candies equally among 8 friends. How many candies does each friend get?": "9",
    "A train travels at 80 km per hour. How far does it go in 5 hours?": "400",
    "Otto buys 4 notebooks at 6 euros each and a pen for 2 euros. How much does he pay?": "26",
    "Who are you?": "",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", nargs="+", type=pathlib.Path, metavar="CHECKPOINT")
    parser.add_argument("--store", type=pathlib.Path, required=True)
    args = parser.parse_args()
    replies = {}
    for folder in args.checkpoints:
        model = abyssal.Model.open(folder, threads=1, activations="f32")
        replies[folder.name] = {}
        for question, result in QUESTIONS.items():
            reply = model.chat([{"role": "user", "content": question}], max_tokens=200, temperature=0.0)
            right = not result or answers.last_number(reply.content) == result
            print(f"{folder.name}: {question} {reply.content}{'' if right else '   (wrong, left out)'}")
            if right:
                replies[folder.name][question] = {"reasoning": reply.reasoning, "content": reply.content}
    args.store.write_text(json.dumps(replies, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
