"""Model.profile: what evaluations spend their time on."""

import time

import numpy as np
import pytest
from support import BACKENDS, checkpoint

import abyssal


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_profile_names_every_part_and_changes_nothing(backend):
    with abyssal.Model.open(checkpoint("tiny-v3"), backend=backend, cache_tokens=512) as model:
        plain, measured = model.sequence(), model.sequence()
        tokens = np.arange(3, 15)
        plain.eval(tokens)
        assert not any(part.calls for part in model.profile_parts)
        model.profile()
        begin = time.perf_counter()
        measured.eval(tokens)
        wall = time.perf_counter() - begin
        model.profile(False)
        measured_parts = model.profile_parts
        np.testing.assert_array_equal(measured.logits, plain.logits)
        parts = {part.name: part for part in measured_parts}
        assert parts["experts"].calls == 3 and parts["experts"].flops == 2 * 12 * 3 * 5 * 3 * 48 * 128
        assert parts["router"].calls == 6 and parts["sampling"].calls == 0 and parts["norms"].flops == 0
        assert 0 < sum(part.seconds for part in measured_parts) <= wall
        plain.eval(tokens)
        assert model.profile_parts == measured_parts


def test_weight_layouts_are_told():
    folder = checkpoint("tiny-v3").parents[1] / "conformance-gguf"
    with abyssal.Model.open(folder / "tiny-v2-lite-Q4_1.gguf", cache_tokens=512) as model:
        assert "q4_1 as q4_bias (5.00" in model.info.weight_layouts
    with abyssal.Model.open(checkpoint("tiny-v3"), cache_tokens=512) as model:
        assert model.info.weight_layouts == ""
