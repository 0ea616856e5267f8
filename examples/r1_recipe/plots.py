"""Draws the curves from the logs of the stages: WORK/plots/*.png."""

from __future__ import annotations

import pathlib
from typing import List, Sequence

import settings
import store

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402


def smooth(values: Sequence[float], over: int) -> List[float]:
    """Means of up to so many values up to each point."""
    return [sum(values[max(0, i - over + 1) : i + 1]) / min(i + 1, over) for i in range(len(values))]


def learning(work: pathlib.Path, out: pathlib.Path) -> None:
    figure, axes = plt.subplots(1, 4, figsize=(14, 3.2))
    for axis, (name, title) in zip(
        axes,
        (
            ("cold_start", "cold start"),
            ("final", "after rejection sampling"),
            ("distill", "student"),
            ("mtp", "MTP layer"),
        ),
    ):
        lines = store.read_log(work / f"{name}.jsonl")
        steps = [line["step"] for line in lines]
        for key, label in (("loss", "main"), ("mtp_loss", "MTP")):
            if any(line[key] for line in lines):
                scale = 0.3 if name == "mtp" else 1.0
                axis.plot(steps, [line[key] * scale for line in lines], label=label)
        axis.set(title=title, xlabel="step", yscale="log")
        axis.legend()
    axes[0].set_ylabel("loss")
    figure.tight_layout()
    figure.savefig(out / "loss.png", dpi=110)


def reinforcement(work: pathlib.Path, out: pathlib.Path) -> None:
    lines = store.read_log(work / "grpo.jsonl")
    steps = [line["step"] for line in lines]
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.2))
    for axis, key, title in zip(
        axes,
        ("accuracy", "length", "logprob_difference"),
        ("accuracy of samples, temperature 1", "tokens of a reply", "mean |log p trainer - log p Abyssal|"),
    ):
        values = [line[key] for line in lines]
        axis.plot(steps, values, alpha=0.3)
        axis.plot(steps, smooth(values, 20))
        axis.set(title=title, xlabel="GRPO step")
    figure.tight_layout()
    figure.savefig(out / "grpo.png", dpi=110)


def balance(work: pathlib.Path, out: pathlib.Path) -> None:
    lines = store.read_log(work / "cold_start.jsonl") + store.read_log(work / "final.jsonl")
    count = len(lines[0]["load"])
    figure, axes = plt.subplots(1, count, figsize=(3.4 * count, 3.2), sharey=True)
    for i, axis in enumerate(axes):
        axis.plot([[len(line["load"][i]) * share for share in line["load"][i]] for line in lines], linewidth=0.8)
        axis.axhline(1, color="black", linewidth=0.5)
        axis.set(
            title="MTP layer" if i == count - 1 else f"layer {i + settings.MODEL['first_k_dense_replace']}",
            xlabel="log line",
        )
    axes[0].set_ylabel("load of an expert / mean")
    figure.tight_layout()
    figure.savefig(out / "experts.png", dpi=110)


def main() -> None:
    work = settings.work()
    out = work / "plots"
    out.mkdir(exist_ok=True)
    learning(work, out)
    reinforcement(work, out)
    balance(work, out)
    print(out)


if __name__ == "__main__":
    main()
