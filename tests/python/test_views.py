"""Results are the caller's own; a view of the library's memory never changes under the caller's hands."""

from __future__ import annotations

import gc

import numpy as np
import pytest

import abyssal
from support import checkpoint, open_model, prompt


@pytest.fixture
def sequence():
    sequence = open_model("tiny-v3").sequence()
    sequence.eval(prompt("tiny-v3", "p1"), logits=3, hidden=True)
    return sequence


def test_copies_are_owned_and_stay(sequence):
    logits = sequence.logits
    assert logits.flags.writeable and logits.flags.c_contiguous and logits.dtype == np.float32
    before = logits.copy()
    sequence.eval([5], hidden=True)
    assert np.array_equal(logits, before)
    logits[:] = 0
    assert sequence.logits.any()


def test_view_has_no_copy_and_cannot_be_written(sequence):
    view, again = sequence.output("logits", copy=False), sequence.output("logits", copy=False)
    assert np.shares_memory(view, again)
    assert np.array_equal(view, sequence.logits)
    assert not view.flags.writeable and not view.flags.owndata
    with pytest.raises(ValueError):
        view[0, 0] = 1
    with pytest.raises(ValueError):
        view.flags.writeable = True


def test_view_refuses_what_would_overwrite_it(sequence):
    model = abyssal.Model.open(checkpoint("tiny-v3"))
    sequence = model.sequence()
    sequence.eval(prompt("tiny-v3", "p1"), hidden=True)
    view = sequence.output("hidden", copy=False)
    slice_of_it = view[1:]
    before = slice_of_it.copy()
    del view
    gc.collect()
    other = model.sequence()
    changes = [
        lambda: sequence.eval([5]),
        lambda: sequence.truncate(0),
        lambda: sequence.generate([5], max_tokens=1).reply(),
        lambda: abyssal.eval_batch([other, sequence], [[5], [6]]),
        lambda: model.update({}),
    ]
    for change in changes:
        with pytest.raises(BufferError):
            change()
    assert sequence.length == 7 and other.length == 0
    other.eval([5])  # another sequence is free
    assert sequence.fork().length == 7
    assert np.array_equal(slice_of_it, before)
    del slice_of_it
    gc.collect()
    sequence.eval([5])
    model.update({})
    assert sequence.length == 0


def test_view_outlives_sequence_and_model(sequence):
    model = abyssal.Model.open(checkpoint("tiny-v3"))
    sequence = model.sequence()
    sequence.eval([5, 6])
    want = sequence.logits
    view = sequence.output("logits", copy=False)
    sequence.close()
    model.close()
    del sequence, model
    gc.collect()
    assert np.array_equal(view, want)


def test_view_of_cached_rows(sequence):
    view = sequence.output("cache_c_kv", 0, copy=False)
    with pytest.raises(BufferError):
        sequence.output("cache_k_rope", 0)
    sequence.output("hidden")
    del view
    gc.collect()
    assert sequence.output("cache_k_rope", 0).shape == (7, 16)


def test_a_failed_view_does_not_count(sequence):
    with pytest.raises(abyssal.StateError):
        sequence.output("route_index", 1, copy=False)
    sequence.eval([5])
