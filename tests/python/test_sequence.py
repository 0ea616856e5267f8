"""The same tokens give the same results, however they are cut, batched, truncated or forked."""

from __future__ import annotations

import numpy as np
import pytest

import abyssal
from support import BACKENDS, CHECKPOINTS, HIDDEN_LIMIT, open_model, prompt, relative_error

BACKEND_IDS = [path.rsplit("/", 1)[-1] for path in BACKENDS]
backends = pytest.mark.parametrize("backend", BACKENDS, ids=BACKEND_IDS)
checkpoints = pytest.mark.parametrize("name", CHECKPOINTS)


def results(sequence):
    return sequence.logits, sequence.hidden


def assert_same(got, want):
    for x, reference in zip(got, want):
        assert relative_error(x, reference) < HIDDEN_LIMIT


@backends
@checkpoints
def test_chunks_agree(name, backend):
    model = open_model(name, backend, activations="f32")
    tokens = prompt(name, "p3")
    with model.sequence() as whole:
        whole.eval(tokens, logits=5, hidden=True)
        want = results(whole)
    for chunk in (1, 7, 64):
        with model.sequence() as cut:
            cut.eval(tokens, logits=5, hidden=True, chunk=chunk)
            assert_same(results(cut), want)
    with model.sequence() as single:
        for token in tokens:
            single.eval([token])
        assert_same((single.logits,), (want[0][-1:],))
        assert np.array_equal(single.tokens, tokens)


@backends
@checkpoints
def test_ragged_batch_equals_alone(name, backend):
    model = open_model(name, backend, activations="f32")
    prompts = [prompt(name, which) for which in ("p2", "p0", "p3")]
    head = 100  # the last one has a context before the batch

    def make(i):
        sequence = model.sequence()
        if i == 2:
            sequence.eval(prompts[2][:head])
        return sequence, prompts[i][head:] if i == 2 else prompts[i]

    alone = []
    for i in range(3):
        sequence, tokens = make(i)
        with sequence:
            sequence.eval(tokens, logits=5, hidden=True)
            alone.append(results(sequence))
    for chunk in (0, 50):
        sequences, tokens = zip(*(make(i) for i in range(3)))
        abyssal.eval_batch(sequences, tokens, logits=5, hidden=True, chunk=chunk)
        for sequence, want, given in zip(sequences, alone, prompts):
            assert_same(results(sequence), want)
            assert len(sequence) == len(given)
            sequence.close()


@backends
def test_truncate_and_fork(backend):
    model = open_model("tiny-v3", backend, activations="f32")
    tokens = prompt("tiny-v3", "p3")
    head, tail = tokens[:100], tokens[100:]
    trunk = model.sequence()
    trunk.eval(head)
    branch = trunk.fork()
    with pytest.raises(abyssal.StateError):
        branch.logits  # results are not carried over
    branch.eval(tail[::-1], hidden=True)
    of_branch = results(branch)
    trunk.eval(tail, hidden=True)
    want = results(trunk)
    branch.truncate(100)
    assert branch.length == 100 and np.array_equal(branch.tokens, head)
    branch.eval(tail, hidden=True)
    assert_same(results(branch), want)
    trunk.truncate(100)
    trunk.eval(tail[::-1], hidden=True)
    assert_same(results(trunk), of_branch)


def test_mtp_in_chunks_and_after_a_fork():
    model = open_model("tiny-v3", mtp=True, activations="f32")
    tokens = prompt("tiny-v3", "p2")
    whole, cut, plain = model.sequence(), model.sequence(), model.sequence()
    whole.eval(tokens, logits=3, mtp=True)
    want = whole.output("mtp_logits")
    cut.eval(tokens, logits=3, mtp=True, chunk=7)
    assert relative_error(cut.output("mtp_logits"), want) < HIDDEN_LIMIT
    again = cut.fork()
    again.truncate(20)
    again.eval(tokens[20:], logits=3, mtp=True)
    assert relative_error(again.output("mtp_logits"), want) < HIDDEN_LIMIT
    plain.eval(tokens)
    with pytest.raises(abyssal.StateError):
        plain.eval([5], mtp=True)


@pytest.mark.parametrize("absorb_below", [1, 2**32 - 1])
def test_both_forms_of_mla(absorb_below):
    tokens = prompt("tiny-v3", "p3")
    other, usual = (
        open_model("tiny-v3", absorb_below=below, activations="f32").sequence() for below in (absorb_below, 0)
    )
    for sequence in (other, usual):
        sequence.eval(tokens, hidden=True)
    assert_same(results(other), results(usual))


@pytest.mark.parametrize("form", ["absorbed", "expanded"])
def test_one_form_of_mla(form):
    tokens = prompt("tiny-v3", "p3")
    one, usual = (open_model("tiny-v3", attention=which, activations="f32").sequence() for which in (form, "auto"))
    for sequence in (one, usual):
        sequence.eval(tokens, hidden=True)
    assert_same(results(one), results(usual))


def test_any_integers_are_tokens():
    sequence = open_model("tiny-v3").sequence()
    given = [[5, 6, 7], (5, 6, 7), range(5, 8), np.array([5, 6, 7], np.uint16), np.arange(5, 11, dtype=np.int64)[:3]]
    logits = []
    for tokens in given:
        sequence.truncate(0)
        sequence.eval(tokens)
        logits.append(sequence.logits)
    assert all(np.array_equal(logits[0], other) for other in logits)


def test_number_of_logits_rows():
    model = open_model("tiny-v3")
    sequence = model.sequence()
    for asked, rows in ((1, 1), (3, 3), (100, 7)):
        sequence.truncate(0)
        sequence.eval(prompt("tiny-v3", "p1"), logits=asked)
        assert sequence.logits.shape == (rows, model.info.vocab_size)
    sequence.eval([5], logits=0)
    with pytest.raises(abyssal.StateError):
        sequence.logits


def test_bad_arguments_leave_the_sequence_alone():
    sequence = open_model("tiny-v3").sequence()
    sequence.eval([5, 6])
    for tokens in ([], [1280], [-1], [[5]], [2**40]):
        with pytest.raises(abyssal.InvalidArgument):
            sequence.eval(tokens)
    for tokens in ([0.5], ["a"], [True]):
        with pytest.raises(TypeError):
            sequence.eval(tokens)
    with pytest.raises(abyssal.InvalidArgument):
        sequence.eval([5], logits=-1)
    with pytest.raises(abyssal.InvalidArgument):
        sequence.truncate(3)
    with pytest.raises(abyssal.InvalidArgument, match="kind is 'logit'"):
        sequence.output("logit")
    with pytest.raises(abyssal.InvalidArgument, match="twice"):
        abyssal.eval_batch([sequence, sequence], [[5], [6]])
    with pytest.raises(abyssal.InvalidArgument):
        abyssal.eval_batch([sequence], [])
    with pytest.raises(TypeError):
        abyssal.Sequence()
    assert sequence.tokens.tolist() == [5, 6]
    assert sequence  # an empty one too is true
