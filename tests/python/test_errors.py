"""One exception class per status, and what raises it."""

from __future__ import annotations

import pickle
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

import abyssal
from abyssal import _arrays, _errors, _sequence, ops
from support import ROOT, checkpoint, open_model

HEADER = (ROOT / "include" / "abyssal" / "abyssal.h").read_text()


def constants(prefix):
    return {name: int(value) for name, value in re.findall(rf"\b{prefix}(\w+) = (-?\d+)", HEADER)}


def test_every_status_has_its_class():
    statuses = constants("ABY_ERROR_")
    assert statuses.pop("STRUCT_SIZE") == -3  # only the binding could cause it
    assert statuses.pop("TOO_SMALL") == -16  # the binding has more room then
    assert {kind.code[len("ABY_ERROR_") :]: status for status, kind in _errors._BY_STATUS.items()} == statuses
    for status, kind in _errors._BY_STATUS.items():
        error = _errors.make_error(status, kind.code, "text")
        assert type(error) is kind and str(error) == "text"
        assert (error.status, error.code) == (status, kind.code)
        assert getattr(abyssal, kind.__name__) is kind
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is kind and str(again) == "text"
    unknown = _errors.make_error(-99, "ABY_ERROR_UNKNOWN", "new")
    assert type(unknown) is abyssal.Error and unknown.status == -99
    assert pickle.loads(pickle.dumps(unknown)).status == -99


def test_tables_are_those_of_the_header():
    assert {name.lower(): value for name, value in constants("ABY_OUTPUT_").items()} == _sequence.OUTPUTS
    assert {name.lower(): value for name, value in constants("ABY_DTYPE_").items()} == _arrays.DTYPES


@pytest.mark.parametrize(
    "kind, base",
    [
        (abyssal.InvalidArgument, ValueError),
        (abyssal.NoMemory, MemoryError),
        (abyssal.NotFound, FileNotFoundError),
        (abyssal.IoError, OSError),
        (abyssal.FormatError, ValueError),
        (abyssal.Unsupported, NotImplementedError),
        (abyssal.TemplateError, ValueError),
        (abyssal.EncodingError, ValueError),
    ],
)
def test_classes_are_also_pythons_own(kind, base):
    assert issubclass(kind, base) and issubclass(kind, abyssal.Error) and issubclass(kind, RuntimeError)


@pytest.fixture
def copy(tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(checkpoint("tiny-kimi-k2"), folder)
    for file in (folder, *folder.iterdir()):
        file.chmod(0o755)
    return folder


def test_not_found(tmp_path):
    with pytest.raises(abyssal.NotFound, match="nowhere") as caught:
        abyssal.Model.open(tmp_path / "nowhere")
    assert caught.value.status == -5 and caught.value.code == "ABY_ERROR_NOT_FOUND"
    with pytest.raises(abyssal.NotFound, match="reference"):
        abyssal.Device("no_such_backend")
    with pytest.raises(abyssal.NotFound):
        abyssal.Device("reference", index=7)
    with pytest.raises(abyssal.NotFound):
        abyssal.Model.plan(str(tmp_path / "nowhere").encode())


def test_format(copy):
    file = copy / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(abyssal.FormatError, match="model.safetensors"):
        abyssal.Model.open(copy)
    (copy / "config.json").write_text("{")
    with pytest.raises(abyssal.FormatError, match="config.json"):
        abyssal.Model.plan(copy)


def test_io(copy):
    (copy / "model.safetensors").unlink()
    (copy / "model.safetensors").mkdir()
    with pytest.raises(abyssal.IoError, match="model.safetensors"):
        abyssal.Model.open(copy)


def test_unsupported(copy):
    text = (copy / "config.json").read_text()
    (copy / "config.json").write_text(text.replace('"kimi_k2"', '"gpt2"'))
    with pytest.raises(abyssal.Unsupported, match="gpt2"):
        abyssal.Model.open(copy)
    with pytest.raises(abyssal.Unsupported):
        abyssal.Model.open(checkpoint("tiny-v2"), mtp=True)


def test_no_memory():
    """In a process that may not have the 2.7 TB that this cache takes."""
    code = f"""
import resource
import abyssal
resource.setrlimit(resource.RLIMIT_AS, (2**34, 2**34))
try:
    abyssal.Model.open({str(checkpoint("tiny-v3"))!r}, cache_tokens=2**31 - 128)
except abyssal.NoMemory as error:
    assert isinstance(error, MemoryError) and str(error)
    abyssal.Model.open({str(checkpoint("tiny-v3"))!r}, cache_tokens=64).sequence().eval([5])
    print("good")
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert result.stdout == "good\n", result.stderr


def test_cancelled_and_progress():
    seen = []
    abyssal.Model.open(checkpoint("tiny-v3"), progress=lambda *call: seen.append(call))
    assert {stage for stage, _, _ in seen} <= {"read", "weights"}
    assert any(stage == "weights" and done == total > 0 for stage, done, total in seen)
    assert all(0 <= done <= total for _, done, total in seen)
    with pytest.raises(abyssal.Cancelled):
        abyssal.Model.open(checkpoint("tiny-v3"), progress=lambda stage, done, total: True)

    def fail(stage, done, total):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        abyssal.Model(checkpoint("tiny-v3"), progress=fail)


def test_context_full():
    model = abyssal.Model.open(checkpoint("tiny-v3"), cache_tokens=64)
    assert model.info.cache_tokens == 64
    sequence = model.sequence()
    with pytest.raises(abyssal.ContextFull):
        sequence.eval([5] * 65)
    sequence.eval([5] * 64)
    assert sequence.length == 64


def test_cache_full():
    """What would fit into an empty cache may be tried again."""
    model = abyssal.Model.open(checkpoint("tiny-v3"), cache_tokens=128)
    first, second = model.sequence(), model.sequence()
    first.eval([5] * 65)
    with pytest.raises(abyssal.CacheFull) as caught:
        second.eval([5])
    assert (caught.value.status, caught.value.code) == (-17, "ABY_ERROR_CACHE_FULL")
    assert not isinstance(caught.value, abyssal.ContextFull)
    first.close()
    second.eval([5])
    with pytest.raises(abyssal.ContextFull):
        second.eval([5] * 128)


def test_template():
    model = open_model("tiny-v3")
    with pytest.raises(abyssal.TemplateError, match="mine"):
        model.render_chat([{"role": "user", "content": "x"}], chat_template="{{ raise_exception('mine') }}")
    with pytest.raises(abyssal.TemplateError):
        model.render_chat([], chat_template="{% if %}")


def test_encoding():
    model = open_model("tiny-v3")
    with pytest.raises(abyssal.EncodingError, match="2"):
        model.tokenize(b"ab\xff")
    with pytest.raises(abyssal.EncodingError):
        model.tokenize("lone \ud800 surrogate")


def test_state_after_close():
    model = abyssal.Model.open(checkpoint("tiny-v3"))
    sequence, device = model.sequence(), model.device
    stream = sequence.generate([5])
    for thing in (stream, device, model):
        thing.close()
        thing.close()
    sequence.eval([5])  # it keeps the model
    assert "closed" in repr(model) and "closed" in repr(device) and model.closed
    calls = [
        lambda: model.info,
        lambda: model.tokenize("x"),
        lambda: model.sequence(),
        lambda: model.update({}),
        lambda: device.info,
    ]
    sequence.close()
    sequence.close()
    assert "closed" in repr(sequence)
    calls += [lambda: sequence.eval([5]), lambda: sequence.logits, lambda: len(sequence), lambda: sequence.fork()]
    for call in calls:
        with pytest.raises(abyssal.StateError, match="closed"):
            call()
    assert list(stream) == []


def test_context_managers():
    with abyssal.Device("reference", threads=1) as device, abyssal.Model(checkpoint("tiny-v3"), device=device) as model:
        assert model.device.info == device.info and device.info.backend == "reference"
        with model.sequence() as sequence:
            sequence.eval([5])
    assert device.closed and model.closed and sequence.closed


def test_results_not_kept():
    sequence = open_model("tiny-v3").sequence()
    with pytest.raises(abyssal.StateError):
        sequence.logits
    sequence.eval([5])
    for kind in ("hidden", "route_index", "mtp_logits", "cache_k"):
        with pytest.raises(abyssal.StateError):
            sequence.output(kind, 1)


def test_options_are_checked():
    path = checkpoint("tiny-v3")
    bad = [
        {"threads": -1},
        {"activations": "f17"},
        {"cache_tokens": 2**64},
        {"attention": "flash"},
        {"attention": "absorbed", "absorb_below": 7},
        {"device": abyssal.Device("reference"), "backend": "reference"},
    ]
    for options in bad:
        with pytest.raises(abyssal.InvalidArgument):
            abyssal.Model.open(path, **options)
    with pytest.raises(abyssal.Unsupported):
        abyssal.Model.open(path, activations="f16")
    with pytest.raises(abyssal.Unsupported, match="cache_dtype"):
        abyssal.Model.open(path, cache_dtype="f16")
    with pytest.raises(TypeError):
        abyssal.Model.open(path, threads=1.5)
    model = open_model("tiny-v3")
    for options in (
        {"max_tokens": -1},
        {"temperature": -0.5},
        {"temperature": float("nan")},
        {"top_p": 1.5},
        {"top_p": -1},
        {"top_p": float("nan")},
        {"min_p": -0.5},
        {"min_p": 1.5},
        {"top_k": -1},
        {"top_k": 2**31},
        {"seed": -1},
        {"seed": 2**64 - 1},
    ):
        with pytest.raises(abyssal.InvalidArgument):
            model.generate([5], **options)


@pytest.mark.parametrize(
    "make",
    [
        lambda m: m,
        lambda m: m.sequence(),
        lambda m: m.device,
        lambda m: m.generate([5], stream=True),
        lambda m: m.constraint(regex="a"),
        lambda m: m.generate("Hello", stream=True),
        lambda m: ops.Experts(*np.zeros((3, 2, 4, 4), np.float32)),
        lambda m: ops.Mla(np.zeros((4, 4), np.float32), heads=1, qk_nope_head_dim=2, qk_rope_head_dim=2, v_head_dim=2),
    ],
    ids=["model", "sequence", "device", "stream", "constraint", "text stream", "experts", "mla"],
)
def test_pickling_is_refused(make):
    import copy as copying

    thing = make(open_model("tiny-v3"))
    for attempt in (pickle.dumps, copying.copy, copying.deepcopy):
        with pytest.raises(TypeError, match=f"abyssal.{type(thing).__name__} cannot be pickled or copied: it holds"):
            attempt(thing)


def test_plan_equals_what_opening_takes():
    for name in ("tiny-v3", "tiny-v3-fp8", "tiny-r1-distill-qwen"):
        plan, info = abyssal.Model.plan(checkpoint(name)), abyssal.Model.open(checkpoint(name)).info
        for field in (
            "parameters",
            "active_parameters",
            "file_bytes",
            "weight_bytes",
            "cache_bytes_per_token",
            "layers",
        ):
            assert getattr(plan, field) == getattr(info, field), field
        assert plan.total_bytes == plan.weight_bytes + plan.cache_bytes + plan.scratch_bytes
        assert plan.cache_bytes == plan.cache_tokens * plan.cache_bytes_per_token


def test_info():
    info = open_model("tiny-v3").info
    assert (info.architecture, info.attention, info.kv_lora_rank, info.experts, info.top_k) == (
        "deepseek_v3",
        "mla",
        64,
        32,
        4,
    )
    assert info.has_tokenizer and info.has_chat_template and info.reasons
    assert (info.activations, info.cache_dtype) == ("bf16", "bf16")
    exact = open_model("tiny-v3", activations="f32").info
    assert (exact.activations, exact.cache_dtype) == ("f32", "f32")
    assert open_model("tiny-v3").eos_tokens == [1]
    with pytest.raises(AttributeError):
        info.layers = 3
    assert open_model("tiny-r1-distill-qwen").info.kv_heads > 0
    assert np.isfinite(open_model("tiny-v3").device.info.memory_bytes)


def test_a_tokenizer_that_is_not_supported(tmp_path):
    original = (ROOT / "tests/data/conformance-gguf/tiny-v2-lite-Q4_1.gguf").read_bytes()
    assert original.count(b"deepseek-llm") == 1
    path = tmp_path / "model.gguf"
    path.write_bytes(original.replace(b"deepseek-llm", b"deepseek-llx"))
    with abyssal.Model.open(path, cache_tokens=256) as model:
        assert not model.info.has_tokenizer and not model.info.has_chat_template
        reply = model.generate([5, 6], max_tokens=3, ignore_eos=True)
        assert reply.text == "" and len(reply.tokens) == 3
        messages = [{"role": "user", "content": "Hi"}]
        for call in (lambda: model.tokenize("x"), lambda: model.detokenize([5]), lambda: model.render_chat(messages),
                     lambda: model.chat(messages), lambda: model.generate("x"),
                     lambda: model.generate([5], regex="a")):
            with pytest.raises(abyssal.Unsupported, match='tokenizer.ggml.pre "deepseek-llx" is not supported'):
                call()
