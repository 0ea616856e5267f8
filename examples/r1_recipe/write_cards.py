"""Puts the two models and their cards together: python write_cards.py FOLDER, usually examples/models.

Every figure of a card comes from the files that evaluate.py, measure_mtp.py and the stages wrote.
"""

from __future__ import annotations

import json
import math
import pathlib
import shutil
import sys

import settings
import store

SETS = {
    "arithmetic": "arithmetic, held out",
    "stories": "word problems in wordings of the cold start",
    "wide": "both, with wordings of the later stages",
    "new_stories": "word problems with names, things and wordings of no stage",
    "hand_written": "300 written by hand",
    "asked_once": "200 more, not looked at",
}
WEAK = 0.95
STAGES = {
    "cold_start": "after the cold start (stage 2)",
    "grpo": "after reinforcement learning (stage 3)",
    "abyssal-tiny-r1-bf16": "finished, bf16 twin",
    "abyssal-tiny-r1": "**finished, FP8: this model**",
    "abyssal-tiny-r1-distill-qwen": "the distilled student",
}

FRONT = """---
license: apache-2.0
language: en
tags: [{tags}]
---
"""


def accuracy_table(work: pathlib.Path) -> str:
    figures = {stage: json.loads((work / f"{stage}.accuracy.json").read_text()) for stage in STAGES}
    lines = [
        "| | " + " | ".join(SETS.values()) + " | tokens of a reply (word problems) |",
        "|---" * (len(SETS) + 2) + "|",
    ]
    for stage, title in STAGES.items():
        cells = [f"{figures[stage][name]['accuracy']:.1%}" for name in SETS]
        lines.append(f"| {title} | " + " | ".join(cells) + f" | {figures[stage]['stories']['tokens']:.0f} |")
    return "\n".join(lines)


def by_kind(work: pathlib.Path, stage: str) -> str:
    """The kinds of problems with less than WEAK right, weakest first."""
    sums: "dict[str, list[int]]" = {}
    for name in ("arithmetic", "stories", "wide"):
        for kind, (right, total) in json.loads((work / f"{stage}.accuracy.json").read_text())[name]["by_kind"].items():
            entry = sums.setdefault(kind.replace("story_", "story: ").replace("_", " "), [0, 0])
            entry[0] += right
            entry[1] += total
    weak = [(kind, right, total) for kind, (right, total) in sums.items() if right < WEAK * total]
    weak.sort(key=lambda entry: entry[1] / entry[2])
    return f"{len(weak)} of {len(sums)}: " + ", ".join(f"{kind} {right}/{total}" for kind, right, total in weak)


def load_line(work: pathlib.Path) -> str:
    """The spread of the expert loads of the last logged steps of stage 4."""
    load = store.read_log(work / "final.jsonl")[-1]["load"]
    first = settings.MODEL["first_k_dense_replace"]
    names = [f"layer {i + first}" for i in range(len(load) - 1)] + ["MTP layer"]
    return ", ".join(
        f"{name} {min(shares) * len(shares):.2f} to {max(shares) * len(shares):.2f}" for name, shares in zip(names, load)
    )


def parameters(folder: pathlib.Path) -> int:
    """How many parameters a checkpoint has, scales not counted."""
    file = folder / "model.safetensors"
    with open(file, "rb") as opened:
        header = json.loads(opened.read(int.from_bytes(opened.read(8), "little")))
    shapes = [entry["shape"] for name, entry in header.items() if name != "__metadata__" and "_scale_inv" not in name]
    return sum(math.prod(shape) for shape in shapes)


def tiny_card(work: pathlib.Path, held_out: int) -> str:
    cold, final = store.read_log(work / "cold_start.jsonl")[-1], store.read_log(work / "final.jsonl")[-1]
    grpo = store.read_log(work / "grpo.jsonl")
    mtp = json.loads((work / "mtp.json").read_text())
    exact = max((line["exact_difference"] for line in grpo if line["exact_difference"] is not None), default=0.0)
    mean = sum(line["logprob_difference"] for line in grpo) / len(grpo)
    window = max(1, len(grpo) // 10)
    first = sum(line["accuracy"] for line in grpo[:window]) / window
    last = sum(line["accuracy"] for line in grpo[-window:]) / window
    drafts = ", ".join(f"{share['share']:.1%} ({SETS[name]})" for name, share in mtp.items())
    return (
        FRONT.format(tags="deepseek_v3, moe, mla, reasoning, arithmetic")
        + f"""# abyssal-tiny-r1

A DeepSeek-V3 of 8.5 M parameters, 1.9 M of them at work for a token, that reasons about arithmetic inside `<think>` ...
`</think>` and then answers. It exists so that Abyssal has a model in the box: for the quickstart, for end-to-end tests, and to
measure speculation, quantisation and routing on weights that were trained. Made from random weights by R1's recipe in
miniature, [`examples/r1_recipe`](../../r1_recipe/README.md); its teacher was a program that writes worked solutions, and
nothing was downloaded.

```sh
build/bin/abyssal run -p "A bakery packs 12 rolls in each box. How many rolls are in 7 boxes?"
```

## What it is

`deepseek_v3` as published: MLA with `q_lora_rank` 128 and `kv_lora_rank` 64, sigmoid `noaux_tc` routing over 16 experts in 4
groups (2 groups, 2 experts a token, a shared expert), one dense layer and three with experts, an MTP layer; FP8 e4m3 in
blocks of 128x128; byte-level BPE of 768 tokens with DeepSeek's special tokens and a token for each digit; context
{settings.CONTEXT}. It opens in transformers with the same logits (`tests/models`). `generation_config.json` asks for greedy decoding.

## Accuracy

Greedy, the last number of the reply is its answer, measured through Abyssal by `evaluate.py`; {held_out} problems in each of the
first four sets, all held out: such a problem occurs in training neither as it is nor rearranged, nor as a step of another's
solution, and `check_split.py` looks for them in the training set. The questions of the last two sets were written by hand
without sight of the templates, and their numbers are not held out. What an earlier model got wrong in the first of them
was looked at, and kinds of stories that were missing were added; of the second only the accuracy was ever looked at.

{accuracy_table(work)}

Kinds of problems with less than {WEAK:.0%} right, right / asked over the first three sets: {by_kind(work, "abyssal-tiny-r1")}.

## Training

| stage | |
|---|---|
| 2, cold start | {cold["step"]} steps of {settings.size().batch_tokens} tokens of worked solutions; loss {cold["loss"]:.3f} |
| 3, GRPO | {grpo[-1]["step"]} steps of {settings.size().grpo_prompts} problems, {settings.GRPO_SAMPLES} replies each, written by Abyssal from the weights in training; accuracy of samples at temperature 1 from {first:.1%} (first {window} steps) to {last:.1%} (last {window}) |
| 4, rejection sampling | {settings.size().reject_problems} problems, {settings.REJECT_SAMPLES} replies each, the shortest right one kept; {final["step"]} steps on those and on chat, on the FP8 grid |
| 6, MTP layer | its drafts that greedy decoding accepts: {drafts} |

Abyssal's log-probabilities of what it sampled, beside the trainer's: {mean:.4f} apart on average (the trainer multiplies in
bf16), {exact:.1e} at most for any token where both used the same bf16 weights in float32 arithmetic.

![GRPO: accuracy, length of replies, difference of log-probabilities](grpo.png)

![Losses](loss.png)

Routing is balanced by V3's bias update alone. Load of an expert over the mean, last {settings.size().log_every} steps of stage 4: {load_line(work)}.

![Load per expert](experts.png)

## Limits

- It knows arithmetic of the trained sizes: sums and differences to three digits, products with a factor of one digit, exact
  quotients by one digit, small quotients by 10 to 25, two or three of these with brackets, comparisons of whole numbers, `ax + b = c`, and stories
  of one to three steps built from them. Larger numbers, two-digit by two-digit products, fractions, decimals,
  percentages, units that must be converted, and stories of another kind get a confident wrong answer.
- Its English is that of its templates. It reads past names and things it has not seen, and can be led astray by a wording
  it has not: see the columns of hand-written questions above.
- It writes one or two sentences of chat (a greeting, who it is, what it can do) and declines other questions; it has no
  other knowledge. `hi` alone, in small letters, it takes for a goodbye; `Hi` and the other greetings that were tried it knows.
- An answer can be wrong although every step is laid out. Do not use it to calculate.
"""
    )


def student_card(work: pathlib.Path) -> str:
    last = store.read_log(work / "distill.jsonl")[-1]
    return (
        FRONT.format(tags="qwen2, distillation, arithmetic")
        + f"""# abyssal-tiny-r1-distill-qwen

A dense Qwen2 of {parameters(work / "abyssal-tiny-r1-distill-qwen") / 1e6:.1f} M parameters, about half of what works for a token in its teacher,
[`abyssal-tiny-r1`](../abyssal-tiny-r1/README.md), whose distributions over every next token it learned in {last["step"]} steps of
{settings.size().batch_tokens} tokens: stage 5 of [`examples/r1_recipe`](../../r1_recipe/README.md). Hidden size 128, five layers, grouped-query
attention of 4 heads over 2, bf16, the teacher's tokenizer and chat template.

{accuracy_table(work)}

The columns and the limits are those of the teacher's card; this model is weaker, and wrong with the same confidence.
"""
    )


def main() -> None:
    work, out = settings.work(), pathlib.Path(sys.argv[1])
    problems = json.loads((work / "abyssal-tiny-r1.accuracy.json").read_text())["arithmetic"]["problems"]
    cards = {"abyssal-tiny-r1": tiny_card(work, problems), "abyssal-tiny-r1-distill-qwen": student_card(work)}
    for name, card in cards.items():
        folder = out / name
        shutil.copytree(work / name, folder, dirs_exist_ok=True)
        (folder / "README.md").write_text(card)
        print(folder)
    for plot in ("grpo", "loss", "experts"):
        shutil.copyfile(work / "plots" / f"{plot}.png", out / "abyssal-tiny-r1" / f"{plot}.png")


if __name__ == "__main__":
    main()
