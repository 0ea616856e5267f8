"""Replies under asyncio: the loop runs on, cancelling a task cancels its reply, and many take turns."""

from __future__ import annotations

import asyncio
import contextlib
import threading

import pytest

import abyssal
from support import BACKENDS, Ticks, checkpoint, open_model

MESSAGES = [{"role": "user", "content": "Hello"}]
LONG = [5 + i % 1000 for i in range(2500)]
GREEDY = {"temperature": 0, "ignore_eos": True}


@pytest.fixture(scope="module")
def model():
    return open_model("tiny-v3")


@pytest.fixture(scope="module")
def slow():
    """A model that takes long over LONG, all of it in one step."""
    return abyssal.Model.open(checkpoint("tiny-v3"), backend="reference", cache_tokens=6000)


async def gather(stream):
    return [event async for event in stream]


def test_events_are_those_of_a_plain_loop(model):
    options = {"max_tokens": 30, "temperature": 0.8, "seed": 4, "stream": True}
    for begin in (lambda: model.chat(MESSAGES, **options), lambda: model.generate("Hello", **options)):
        want = list(begin())
        assert want[-1].kind == "end"
        assert asyncio.run(gather(begin())) == want

        async def whole():
            return await begin()

        assert asyncio.run(whole()) == begin().reply()


def test_a_sequence_s_own_reply(model):
    async def continued():
        with model.sequence() as sequence:
            first = await sequence.generate([5, 6, 7], max_tokens=4, **GREEDY)
            second = await sequence.generate(max_tokens=4, **GREEDY)
            return first.tokens + second.tokens

    assert asyncio.run(continued()) == model.generate([5, 6, 7], max_tokens=8, **GREEDY).tokens


def test_the_loop_runs_during_a_long_prompt(slow):
    async def main():
        async with Ticks() as ticks:
            stream = slow.generate(LONG[:600], max_tokens=1, chunk=600, stream=True)
            first = await stream.__anext__()
            assert (first.kind, first.prompt_done) == ("prompt", 600)
            return ticks.count

    # A step on the loop's own thread would let no timer fire before it ends.
    assert asyncio.run(main()) >= 5


def test_the_loop_runs_while_a_prompt_is_rendered(model):
    template = (
        "{% for i in range(1000) %}{% for j in range(1000) %}{% endfor %}{% endfor %}{{ raise_exception('at the end') }}"
    )

    async def main():
        async with Ticks() as ticks:
            stream = model.chat(MESSAGES, chat_template=template, stream=True)
            assert ticks.count == 0
            with pytest.raises(abyssal.TemplateError, match="at the end"):
                await stream
            return ticks.count

    assert asyncio.run(main()) >= 5


def test_cancelling_the_task_cancels_the_reply(slow):
    async def main():
        sequence = slow.sequence()
        sequence.eval([7, 8])
        task = asyncio.ensure_future(gather(sequence.generate(LONG, chunk=len(LONG))))
        async with Ticks() as ticks:
            while ticks.count < 3:
                await asyncio.sleep(0.001)
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        # Free at once, and the interrupted step never happened.
        assert sequence.tokens.tolist() == [7, 8]
        sequence.eval([9])

    asyncio.run(main())


def test_a_timeout_ends_a_reply(slow):
    stream = slow.generate(LONG, chunk=len(LONG), stream=True)

    async def main():
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(stream, 0.05)

    asyncio.run(main())
    assert list(stream) == []


def test_cancelled_before_its_turn(slow):
    async def main():
        first = asyncio.ensure_future(gather(slow.generate(LONG, chunk=len(LONG), stream=True)))
        await asyncio.sleep(0.02)
        second = asyncio.ensure_future(gather(slow.generate([5], stream=True)))
        await asyncio.sleep(0.02)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        assert not first.done()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first

    asyncio.run(main())


def test_many_at_once_take_turns(model):
    prompts = [[5 + i, 6, 7 + i] for i in range(20)]
    want = [model.generate(prompt, max_tokens=6, **GREEDY).tokens for prompt in prompts]
    order = []

    async def one(i):
        stream = model.generate(prompts[i], max_tokens=6, stream=True, **GREEDY)
        tokens = []
        async for event in stream:
            order.append(event.completion_tokens if event.kind == "token" else 0)
            tokens += [event.token] * (event.kind == "token")
        return tokens

    async def main():
        return await asyncio.gather(*(one(i) for i in range(len(prompts))))

    assert asyncio.run(main()) == want
    # All have their first token before one has its third.
    assert [count for count in order if count][:20] == [1] * 20
    assert len([thread for thread in threading.enumerate() if thread.name.startswith("abyssal")]) >= 1


def test_leaving_early_gives_the_cache_back():
    small = abyssal.Model.open(checkpoint("tiny-v3"), cache_tokens=64, backend=BACKENDS[0])

    async def main():
        for _ in range(3):
            async for event in small.generate([5] * 40, ignore_eos=True, stream=True):
                if event.completion_tokens == 3:
                    break
            async with small.generate([5] * 40, ignore_eos=True, stream=True) as stream:
                await stream.__anext__()
            async with contextlib.aclosing(small.generate([5] * 40, ignore_eos=True, stream=True)) as stream:
                await stream.__anext__()
        assert await gather(stream) == []

    asyncio.run(main())
    small.sequence().eval([5] * 64)


def test_errors_come_from_the_loop(model):
    async def main():
        with pytest.raises(abyssal.ContextFull):
            await model.generate([5] * 3000, stream=True)
        with pytest.raises(abyssal.EncodingError):
            await model.generate("lone \ud800 surrogate", stream=True)
        with model.sequence() as sequence:
            stream = sequence.generate([5], **GREEDY)
        with pytest.raises(abyssal.StateError, match="closed"):
            await abyssal.Model.chat(closed, MESSAGES, stream=True)
        assert (await stream.__anext__()).kind == "prompt"  # it keeps the sequence

    closed = abyssal.Model.open(checkpoint("tiny-v3"))
    closed.close()
    asyncio.run(main())


def test_a_stream_outlives_its_model_and_ends_its_thread():
    model = abyssal.Model.open(checkpoint("tiny-v3"))
    want = model.chat(MESSAGES, max_tokens=5, **GREEDY)

    async def main():
        stream = model.chat(MESSAGES, max_tokens=5, stream=True, **GREEDY)
        model.close()
        return await stream

    before = set(threading.enumerate())
    assert asyncio.run(main()) == want
    (thread,) = set(threading.enumerate()) - before
    del model
    thread.join(60)
    assert not thread.is_alive()


def test_loops_of_several_threads(model):
    prompts = [[5 + i, 6] for i in range(4)]
    want = [model.generate(prompt, max_tokens=8, **GREEDY).tokens for prompt in prompts]
    got = [None] * len(prompts)

    def work(i):
        async def main():
            return (await model.generate(prompts[i], max_tokens=8, stream=True, **GREEDY)).tokens

        got[i] = asyncio.run(main())

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(prompts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == want


def test_cancel_of_a_stream_ends_it_with_an_event(model):
    async def main():
        stream = sequence.generate([5, 6], ignore_eos=True)
        kinds = []
        async for event in stream:
            kinds.append(event.kind)
            if event.completion_tokens == 2:
                stream.cancel()
        return kinds, event.finish_reason

    with model.sequence() as sequence:
        assert asyncio.run(main()) == (["prompt", "token", "token", "end"], "cancelled")

    unbegun = model.generate("Hello", stream=True)
    unbegun.cancel()
    assert [event.finish_reason for event in unbegun] == ["cancelled"]
