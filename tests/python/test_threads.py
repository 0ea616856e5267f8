"""Several threads, and Ctrl-C."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest

import abyssal
from support import checkpoint, open_model, prompt

LONG = [5 + i % 1000 for i in range(2500)]


@pytest.fixture(scope="module")
def slow():
    """A model and a prompt that it takes long over: the reference backend, a token at a time."""
    return abyssal.Model.open(checkpoint("tiny-v3"), backend="reference", cache_tokens=6000)


def start_long_eval(sequence):
    """A thread inside a long evaluation; its outcome comes in a list."""
    outcome = []

    def work():
        try:
            sequence.eval(LONG, chunk=1)
            outcome.append("done")
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    while thread.is_alive():
        try:
            sequence.length
        except abyssal.Busy:
            break
        time.sleep(0.001)
    assert not outcome, "the evaluation was over before it could be looked at"
    return thread, outcome


def test_other_threads_run_during_an_evaluation(slow):
    steps = 0
    stop = threading.Event()

    def count():
        nonlocal steps
        while not stop.is_set():
            time.sleep(0.001)
            steps += 1

    thread = threading.Thread(target=count)
    thread.start()
    with slow.sequence() as sequence:
        before = steps
        sequence.eval(LONG[:300], chunk=1)
        during = steps - before
    stop.set()
    thread.join()
    # A call that held the GIL would let the other thread run once or twice, when it is entered and left.
    assert during >= 10


def test_busy_and_cancel(slow):
    sequence = slow.sequence()
    sequence.eval([7, 8])
    thread, outcome = start_long_eval(sequence)
    for call in (
        lambda: sequence.eval([5]),
        lambda: sequence.logits,
        lambda: sequence.truncate(0),
        lambda: sequence.fork(),
        lambda: slow.update({}),
    ):
        with pytest.raises(abyssal.Busy):
            call()
    sequence.cancel()
    thread.join()
    assert isinstance(outcome[0], abyssal.Cancelled)
    assert sequence.tokens.tolist() == [7, 8]
    sequence.cancel()  # nothing runs: does nothing
    sequence.eval([9])
    slow.update({})


def test_close_during_an_evaluation(slow):
    model = abyssal.Model.open(checkpoint("tiny-v3"), backend="reference", cache_tokens=6000)
    sequence = model.sequence()
    thread, outcome = start_long_eval(sequence)
    model.close()
    sequence.cancel()
    sequence.close()
    thread.join()
    assert isinstance(outcome[0], abyssal.Cancelled)
    assert sequence.closed and model.closed


def send_interrupt_soon():
    timer = threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    return timer


def test_interrupt_of_an_evaluation(slow):
    sequence = slow.sequence()
    sequence.eval([7, 8])
    send_interrupt_soon()
    with pytest.raises(KeyboardInterrupt):
        sequence.eval(LONG, chunk=1)
    assert sequence.tokens.tolist() == [7, 8]
    sequence.eval([9])


def test_interrupt_of_a_batch(slow):
    sequences = [slow.sequence(), slow.sequence()]
    send_interrupt_soon()
    with pytest.raises(KeyboardInterrupt):
        abyssal.eval_batch(sequences, [LONG, [5]], chunk=1)
    assert [len(sequence) for sequence in sequences] == [0, 0]


def test_interrupt_of_a_reply(slow):
    sequence = slow.sequence()
    stream = sequence.generate(LONG, max_tokens=50)
    send_interrupt_soon()
    with pytest.raises(KeyboardInterrupt):
        for _ in stream:
            pass
    assert list(stream) == []
    send_interrupt_soon()
    with pytest.raises(KeyboardInterrupt):
        slow.generate(LONG, max_tokens=50, chunk=1)


def test_interrupt_between_short_steps():
    """The main thread does them itself, without the helper that leaves it free to look for signals."""
    model = open_model("tiny-v3")
    send_interrupt_soon()
    with pytest.raises(KeyboardInterrupt):
        for _ in range(1000):
            for _ in model.generate([5, 6, 7], max_tokens=200, temperature=0, ignore_eos=True, stream=True):
                pass
    assert len(model.generate([5, 6, 7], max_tokens=4, temperature=0, ignore_eos=True).tokens) == 4


def test_interrupt_while_opening():
    def interrupt(stage, done, total):
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        abyssal.Model.open(checkpoint("tiny-v3"), progress=interrupt)


def test_signal_handler_that_does_not_raise(slow):
    """It runs during the evaluation, may use the library itself, and the evaluation goes on."""
    other = open_model("tiny-v3").sequence()
    calls = []

    def handle(number, frame):
        other.eval([5])
        calls.append(sequence.closed)

    with slow.sequence() as sequence:
        old = signal.signal(signal.SIGINT, handle)
        try:
            send_interrupt_soon().join()
            send_interrupt_soon()
            sequence.eval(LONG[:1200], chunk=1)
        finally:
            signal.signal(signal.SIGINT, old)
        assert len(sequence) == 1200
        assert calls and len(other) == len(calls)


def test_many_threads_on_one_model():
    model = open_model("tiny-v3", activations="f32")
    tokens = prompt("tiny-v3", "p2")
    with model.sequence() as sequence:
        sequence.eval(tokens)
        want = sequence.logits
    text = "Many threads, one model."
    ids = model.tokenize(text).tolist()
    reply = model.generate(tokens, max_tokens=5, temperature=0, ignore_eos=True).tokens
    failures = []

    def work(seed):
        chance = random.Random(seed)
        try:
            for _ in range(6):
                with model.sequence() as mine:
                    cut = chance.randint(1, 60)
                    mine.eval(tokens[:cut])
                    other = mine.fork()
                    other.eval(tokens[cut:])
                    np.testing.assert_allclose(other.logits, want, rtol=1e-3, atol=1e-4)
                    assert model.tokenize(text).tolist() == ids
                    assert model.generate(tokens, max_tokens=5, temperature=0, ignore_eos=True).tokens == reply
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def run_python(code):
    return subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=120)


def test_fork_is_refused_and_ends_cleanly():
    result = run_python(f"""
        import os, sys, warnings
        warnings.simplefilter("ignore")
        import abyssal
        model = abyssal.Model.open({str(checkpoint("tiny-v3"))!r}, threads=2)
        sequence = model.sequence()
        sequence.eval([5])
        child = os.fork()
        if child == 0:
            try:
                sequence.eval([6])
            except abyssal.StateError as error:
                assert "fork" in str(error)
                fresh = abyssal.Model.open({str(checkpoint("tiny-v3"))!r}, threads=2).sequence()
                fresh.eval([5, 6])
                sys.exit(7)
            sys.exit(1)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 7, status
        sequence.eval([6])
        print("good")
    """)
    assert result.stdout == "good\n", result.stderr


def test_everything_made_before_a_fork_is_refused():
    """At once and by name, and letting go of it is no error. What the child makes itself works, long prompts too."""
    result = run_python(f"""
        import asyncio, os, sys, warnings
        warnings.simplefilter("ignore")
        import numpy as np
        import abyssal
        from abyssal import ops
        path = {str(checkpoint("tiny-v3"))!r}
        model = abyssal.Model.open(path, threads=2)
        messages = [{{"role": "user", "content": "Hello"}}]
        sequence, device = model.sequence(), model.device
        sequence.eval([5 + i for i in range(300)])
        begun = model.generate([5, 6], max_tokens=3, stream=True)
        unbegun = model.chat(messages, max_tokens=3, stream=True)
        experts = ops.Experts(*np.zeros((3, 2, 4, 4), np.float32))

        async def events(stream):
            return [event async for event in stream]

        asyncio.run(events(model.generate([5, 6], max_tokens=3, stream=True)))  # its thread is there now
        child = os.fork()
        if child == 0:
            calls = [
                lambda: model.info,
                lambda: model.tokenize("x"),
                lambda: model.update({{}}),
                lambda: model.sequence(),
                lambda: model.generate("x"),
                lambda: model.chat(messages, stream=True),
                lambda: len(sequence),
                lambda: sequence.eval([5]),
                lambda: sequence.logits,
                lambda: sequence.tokens,
                lambda: sequence.fork(),
                lambda: sequence.cancel(),
                lambda: sequence.generate([5]),
                lambda: abyssal.eval_batch([sequence], [[5]]),
                lambda: next(begun),
                lambda: next(unbegun),
                lambda: asyncio.run(events(begun)),
                lambda: asyncio.run(events(unbegun)),
                lambda: device.info,
                lambda: abyssal.Model.open(path, device=device),
                lambda: experts(np.zeros((1, 4)), [[0]], [[1.0]]),
            ]
            for number, call in enumerate(calls):
                try:
                    call()
                    print("call", number, "was not refused", flush=True)
                except abyssal.StateError as error:
                    assert "before this process was forked" in str(error), error
            assert [repr(thing).endswith(" of another process>") for thing in (model, device)] == [True, True]
            for thing in (begun, unbegun, experts, sequence, device, model):
                thing.close()
                assert getattr(thing, "closed", True)
            with abyssal.Model.open(path, threads=2) as fresh:
                reply = asyncio.run(events(fresh.generate([5 + i for i in range(300)], max_tokens=3, stream=True)))
                assert reply[-1].kind == "end"
            sys.exit(7)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 7, status
        assert [event.kind for event in begun][-1] == [event.kind for event in unbegun][-1] == "end"
        print("good")
    """)
    assert result.stdout == "good\n", result.stdout + result.stderr


def test_exit_with_everything_alive():
    result = run_python(f"""
        import abyssal
        model = abyssal.Model.open({str(checkpoint("tiny-v3"))!r})
        sequence = model.sequence()
        stream = model.generate([5, 6], max_tokens=100, stream=True)
        next(stream); next(stream)
        sequence.eval([5])
        view = sequence.output("logits", copy=False)
        cycle = [model, sequence, stream, view]
        cycle.append(cycle)
        print("good")
    """)
    assert (result.stdout, result.stderr, result.returncode) == ("good\n", "", 0)
