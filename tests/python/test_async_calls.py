"""Opening and evaluating under asyncio: the loop runs on, and cancelling a task cancels its work."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
import time
import weakref

import numpy as np
import pytest

import abyssal
from support import BACKENDS, Ticks, checkpoint, open_model, prompt

LONG = [5 + i % 1000 for i in range(2500)]


@pytest.fixture(scope="module")
def slow():
    """A model that takes long over LONG."""
    return abyssal.Model.open(checkpoint("tiny-v3"), backend="reference", cache_tokens=6000)


def test_the_loop_runs_while_a_model_opens():
    threads = set()

    def progress(stage, done, total):
        threads.add(threading.current_thread().name.split("_")[0])
        time.sleep(0.02)

    async def main():
        async with Ticks() as ticks:
            model = await abyssal.Model.open_async(checkpoint("tiny-v3"), backend=BACKENDS[0], progress=progress)
            assert ticks.count >= 2  # opening on the loop's own thread would let no timer fire
        with model, model.sequence() as sequence:
            await sequence.eval_async(prompt("tiny-v3", "p2"))
            return sequence.logits

    got = asyncio.run(main())
    assert threads == {"abyssal"}
    with open_model("tiny-v3").sequence() as sequence:
        sequence.eval(prompt("tiny-v3", "p2"))
        assert (got == sequence.logits).all()


def test_cancelling_the_task_cancels_the_opening():
    calls = []
    inside = threading.Event()

    def progress(stage, done, total):
        calls.append(stage)
        inside.set()
        time.sleep(0.05)

    async def main():
        task = asyncio.ensure_future(abyssal.Model.open_async(checkpoint("tiny-v3"), progress=progress))
        while not inside.is_set():
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return len(calls)

    before = asyncio.run(main())
    uncancelled = []
    abyssal.Model.open(checkpoint("tiny-v3"), progress=lambda *call: uncancelled.append(call))
    assert 1 <= before == len(calls) < len(uncancelled)


def test_a_model_that_was_open_when_the_cancellation_came_is_closed():
    opened = []
    go_on = threading.Event()

    class Slow(abyssal.Model):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            opened.append(self)
            go_on.wait(60)

    async def main():
        task = asyncio.ensure_future(Slow.open_async(checkpoint("tiny-v3")))
        while not opened:
            await asyncio.sleep(0.001)
        task.cancel()
        asyncio.get_running_loop().call_later(0.05, go_on.set)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert opened[0].closed

    asyncio.run(main())


def test_errors_of_an_opening():
    def fail(stage, done, total):
        raise ZeroDivisionError("in progress")

    async def main():
        with pytest.raises(abyssal.NotFound, match="nowhere"):
            await abyssal.Model.open_async("nowhere")
        with pytest.raises(ZeroDivisionError, match="in progress"):
            await abyssal.Model.open_async(checkpoint("tiny-v3"), progress=fail)
        with pytest.raises(abyssal.Cancelled):
            await abyssal.Model.open_async(checkpoint("tiny-v3"), progress=lambda *call: True)
        with pytest.raises(abyssal.InvalidArgument, match="weights"):
            await abyssal.Model.open_async(checkpoint("tiny-v3"), weights="int5")
        with pytest.raises(TypeError, match="no_such_option"):
            await abyssal.Model.open_async(checkpoint("tiny-v3"), no_such_option=1)

    asyncio.run(main())


def test_the_thread_of_an_opening_is_the_model_s_own():
    before = set(threading.enumerate())

    async def main():
        model = await abyssal.Model.open_async(checkpoint("tiny-v3"))
        await model.generate([5, 6], max_tokens=2, stream=True)
        with model.sequence() as sequence:
            await sequence.eval_async([5])
        (thread,) = [one for one in set(threading.enumerate()) - before if one.name.startswith("abyssal")]
        return weakref.ref(model), thread

    gone, thread = asyncio.run(main())
    gc.collect()
    assert gone() is None
    thread.join(60)
    assert not thread.is_alive()


def test_the_loop_runs_during_a_long_evaluation(slow):
    async def main():
        with slow.sequence() as sequence:
            async with Ticks() as ticks:
                await sequence.eval_async(LONG[:600], logits=2, chunk=600)
                assert ticks.count >= 5
            return sequence.logits

    got = asyncio.run(main())
    with slow.sequence() as sequence:
        sequence.eval(LONG[:600], logits=2, chunk=600)
        assert (got == sequence.logits).all()


def test_tokens_are_copied(slow):
    async def main():
        tokens = np.array([5, 6, 7], np.int32)
        with slow.sequence() as first, slow.sequence() as second:
            ahead = asyncio.ensure_future(first.eval_async(LONG[:1200], chunk=1))
            task = asyncio.ensure_future(second.eval_async(tokens))
            await asyncio.sleep(0.01)
            assert not ahead.done()
            tokens[:] = 9  # it waits for its turn
            await task
            return second.tokens.tolist()

    assert asyncio.run(main()) == [5, 6, 7]


def test_cancelling_the_task_cancels_the_evaluation(slow):
    async def main():
        sequence = slow.sequence()
        sequence.eval([7, 8])
        task = asyncio.ensure_future(sequence.eval_async(LONG, chunk=len(LONG)))
        waiting = asyncio.ensure_future(slow.sequence().eval_async([5]))
        async with Ticks() as ticks:
            while ticks.count < 3:
                await asyncio.sleep(0.001)
        assert not task.done() and not waiting.done()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert sequence.tokens.tolist() == [7, 8]
        await sequence.eval_async([9])
        assert len(sequence) == 3

    asyncio.run(main())


def test_a_cancellation_at_any_moment_is_kept(slow):
    """Also one that comes when the thread has the work and the library has not begun it."""

    async def main():
        with slow.sequence() as sequence:
            for turns in range(20):
                task = asyncio.ensure_future(sequence.eval_async(LONG, chunk=1))
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert len(sequence) == 0

    asyncio.run(main())


def test_a_batch(slow):
    async def main():
        with slow.sequence() as a, slow.sequence() as b, slow.sequence() as alone:
            await abyssal.eval_batch_async([a, b], [[5, 6], [7]], logits=2)
            alone.eval([5, 6], logits=2)
            assert (a.logits == alone.logits).all()
            assert [len(a), len(b)] == [2, 1]
            task = asyncio.ensure_future(abyssal.eval_batch_async([a, b], [LONG, [5]], chunk=1))
            async with Ticks() as ticks:
                while ticks.count < 3:
                    await asyncio.sleep(0.001)
            assert not task.done()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert [len(a), len(b)] == [2, 1]
            with pytest.raises(abyssal.InvalidArgument, match="2 sequences"):
                await abyssal.eval_batch_async([a, b], [[5]])
            with pytest.raises(abyssal.InvalidArgument):
                await abyssal.eval_batch_async([], [])

    asyncio.run(main())


def test_errors_of_an_evaluation(slow):
    async def main():
        with slow.sequence() as sequence:
            with pytest.raises(abyssal.InvalidArgument):
                await sequence.eval_async([10**6])
            with pytest.raises(abyssal.ContextFull):
                await sequence.eval_async([5] * 7000)
            with pytest.raises(TypeError, match="no_such_option"):
                await sequence.eval_async([5], no_such_option=1)
            busy = asyncio.ensure_future(sequence.eval_async(LONG, chunk=1))
            await asyncio.sleep(0.02)
            with pytest.raises(abyssal.Busy):
                sequence.length
            busy.cancel()
            with pytest.raises(asyncio.CancelledError):
                await busy
        with pytest.raises(abyssal.StateError, match="closed"):
            await sequence.eval_async([5])

    asyncio.run(main())


def test_ctrl_c_ends_the_loop_and_the_evaluation(slow):
    sequence = slow.sequence()

    async def main():
        asyncio.get_running_loop().call_later(0.1, os.kill, os.getpid(), signal.SIGINT)
        await sequence.eval_async(LONG, chunk=1)

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())
    assert len(sequence) == 0
