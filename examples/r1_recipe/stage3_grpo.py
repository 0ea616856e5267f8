"""Stage 3: reinforcement learning by GRPO with a rule-based reward, rollouts by Abyssal from the weights in training.

Every step: fresh problems, several replies to each from Abyssal, reward 1 for the right last number and 0.1 for the
form; groups whose replies all got the same reward are left out; two updates on the rest; Model.update().
"""

from __future__ import annotations

import random
import time
from typing import List

import settings
import store
import torch

import rollouts as sampling
from problems import answers, dialogue
from training import policy, published
from training.model import Model
from training.optimizer import Optimizer
from training.text import Text

FORM_REWARD = 0.1


def problems(seed: int, count: int) -> List[dialogue.Example]:
    """Fresh training problems, some after other turns, as the examples of stage 1 have them."""
    rng = random.Random(seed)
    return [dialogue.example(rng, stories_share=0.7, chat_share=0.0, wide=True) for _ in range(count)]


def reward(reply: str, result: str) -> float:
    return float(answers.is_right(reply, result)) + FORM_REWARD * answers.has_format(reply)


def main() -> None:
    work, size = settings.work(), settings.size()
    if store.done(work, "stage3"):
        return
    torch.set_num_threads(settings.threads())
    text = Text(work / "tokenizer")
    model = Model(settings.MODEL, settings.CONTEXT)
    model.load_state_dict(store.load(work / "cold_start_weights.pt"))
    model.eval()
    optimizer = Optimizer(model, use_muon=False, decay=0.0)
    step, seconds = 0, 0.0
    state = store.load(work / "grpo.pt")
    if state:
        model.load_state_dict(state["model"])
        optimizer.load(state["optimizer"])
        step, seconds = state["step"], state["seconds"]
    config = published.config(settings.MODEL, settings.CONTEXT, fp8=False, mtp=False)
    actor = sampling.Rollouts(config, published.stored(model, fp8=False, mtp=False), settings.threads())
    while step < size.grpo_steps:
        began = time.perf_counter()
        examples = problems(settings.SEED + 7919 * (step + 1), size.grpo_prompts)
        prompts = [text.encode(e.prompt) for e in examples]
        written = actor.generate(prompts, settings.GRPO_SAMPLES, 1.0, settings.REPLY_LIMIT, settings.SEED + step)
        sampled = time.perf_counter()
        samples, right, form = [], 0, 0
        for i, example in enumerate(examples):
            group = written[i * settings.GRPO_SAMPLES : (i + 1) * settings.GRPO_SAMPLES]
            replies = [text.decode(r.tokens) for r in group]
            right += sum(answers.is_right(reply, example.result) for reply in replies)
            form += sum(answers.has_format(reply) for reply in replies)
            scaled = policy.advantages([reward(reply, example.result) for reply in replies])
            if scaled is not None:
                samples += [policy.Sample(prompts[i], r.tokens, r.logprobs, a) for r, a in zip(group, scaled)]
        exact = policy.exact_difference(model, samples[:8]) if step % 10 == 0 and samples else None
        random.Random(step).shuffle(samples)
        rate = settings.GRPO_RATE * min(1.0, (step + 1) / 10)
        figures = {"logprob_difference": 0.0, "clipped": 0.0}
        norm = 0.0
        for part in range(settings.GRPO_UPDATES):
            share = samples[part :: settings.GRPO_UPDATES]
            if share:
                now = policy.accumulate(model, share, size.batch_tokens)
                figures = now if part == 0 else {**figures, "clipped": now["clipped"]}
                norm = optimizer.step(rate)
        actor.update(published.stored(model, fp8=False, mtp=False))
        step += 1
        seconds += time.perf_counter() - began
        store.log(
            work / "grpo.jsonl",
            step=step,
            accuracy=right / len(written),
            form=form / len(written),
            length=sum(len(r.tokens) for r in written) / len(written),
            groups=len(samples) // settings.GRPO_SAMPLES,
            norm=norm,
            exact_difference=exact,
            **figures,
            rollout_tokens_per_second=round(sum(len(r.tokens) for r in written) / (sampled - began)),
            rollout_seconds=round(sampled - began, 2),
            seconds=round(seconds, 1),
        )
        if step % 10 == 0 or step == size.grpo_steps:
            line = store.read_log(work / "grpo.jsonl")[-1]
            print(
                f"grpo {step}/{size.grpo_steps}",
                {k: line[k] for k in ("accuracy", "length", "groups", "logprob_difference", "seconds")},
                flush=True,
            )
            store.save(
                work / "grpo.pt",
                {"model": model.state_dict(), "optimizer": optimizer.state(), "step": step, "seconds": seconds},
            )
    store.save(work / "grpo_weights.pt", model.state_dict())
    store.mark(work, "stage3")


if __name__ == "__main__":
    main()
