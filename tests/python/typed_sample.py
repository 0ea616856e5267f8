"""Uses the package as a typed program would: checked with `mypy --strict`, and run."""

from __future__ import annotations

import asyncio
from typing import List

import numpy as np
import numpy.typing as npt

import abyssal
from abyssal import ops


def show(stage: str, done: int, total: int) -> bool:
    return done > total


def evaluate(model: abyssal.Model) -> npt.NDArray[np.float32]:
    with model.sequence() as sequence, sequence.fork() as other:
        sequence.eval(model.tokenize("Hello"), logits=2, hidden=True, routes=True)
        abyssal.eval_batch([sequence, other], [[5], np.array([6, 7])], hidden=True)
        rows: npt.NDArray[np.float32] = sequence.logits
        length: int = len(sequence) + sequence.length
        assert length == 2 * int(sequence.tokens.size)
        return rows


def talk(model: abyssal.Model) -> str:
    messages = [{"role": "user", "content": "Hello"}]
    reply: abyssal.Reply = model.chat(messages, max_tokens=4)
    pieces: List[str] = []
    for event in model.chat(messages, max_tokens=4, stream=True):
        pieces.append(event.text)
        if event.finish_reason is not None:
            tokens: int = event.usage.completion_tokens
            assert tokens == reply.usage.completion_tokens
    stream: abyssal.Stream = model.generate("Hello", max_tokens=2, temperature=0.0, stream=True, regex="[a-c]+")
    stream.set_mask(np.ones(model.info.vocab_size, bool))
    stream.set_mask([True] * model.info.vocab_size)
    stream.close()
    with model.constraint(regex="[a-c]{2}") as constraint:
        bound = model.generate("Hello", max_tokens=4, seed=None, logprobs=True, constraint=constraint)
        seed: int = bound.seed
        logprobs: List[float] = bound.logprobs
        assert seed >= 0 and len(logprobs) == len(bound.tokens)
    assert model.chat(messages, max_tokens=4, json_schema={"type": "boolean"}, mask=None).usage
    return "".join(pieces)


async def evaluate_on(path: str) -> int:
    model: abyssal.Model = await abyssal.Model.open_async(path, threads=2, progress=show)
    with model, model.sequence() as sequence, sequence.fork() as other:
        await sequence.eval_async([5, 6], logits=2, hidden=True)
        await abyssal.eval_batch_async([sequence, other], [[5], np.array([6, 7])])
        return sequence.length


async def talk_on(model: abyssal.Model) -> str:
    text = ""
    async with model.chat([{"role": "user", "content": "Hello"}], max_tokens=4, stream=True) as stream:
        async for event in stream:
            text += event.text
    reply: abyssal.Reply = await model.generate("Hello", max_tokens=2, stream=True)
    return text + reply.content


def main(path: str) -> None:
    plan: abyssal.ModelPlan = abyssal.Model.plan(path)
    device = abyssal.Device(threads=2)
    with abyssal.Model.open(path, device=device, progress=show) as model:
        assert model.info.parameters == plan.parameters
        assert evaluate(model).shape == (1, model.info.vocab_size)
        assert talk(model) and asyncio.run(talk_on(model))
        text: bytes = model.detokenize(model.tokenize("x", add_bos=True))
        assert model.decode([5]) and text
        try:
            model.update({"no.such.weight": np.zeros(3, np.float32)})
        except abyssal.NotFound as error:
            status: int = error.status
            assert status == -5
    assert asyncio.run(evaluate_on(path)) == 3
    index, weight = ops.moe_route(np.zeros((2, 8), np.float32), 2, device=device)
    experts = ops.Experts(*np.zeros((3, 8, 4, 4), np.float32), device=device)
    out: npt.NDArray[np.float32] = experts(np.zeros((2, 4)), index, weight)
    assert out.shape == (2, 4)
