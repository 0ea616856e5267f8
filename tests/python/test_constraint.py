"""Replies bound by masks, schemas, expressions and grammars."""

from __future__ import annotations

import asyncio
import json
import re
import threading

import numpy as np
import pytest

import abyssal
from support import ROOT, checkpoint, open_model

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string", "pattern": "^[a-z]{1,8}$"}, "done": {"type": "boolean"}},
    "required": ["name", "done"],
    "additionalProperties": False,
    "x-guidance": {"whitespace_flexible": False},
}
REGEX = "[a-f]{3}-[0-9]{2}"
GRAMMAR = 'start: item ("," item)?\nitem: /[a-c]{2}/ "=" /[0-9]/\n'
SAMPLED = dict(max_tokens=60, temperature=1.0, top_p=1.0, seed=3)


@pytest.fixture(scope="module")
def model():
    return open_model("tiny-v3")


def flags(model, *ids: int) -> np.ndarray:
    mask = np.zeros(model.info.vocab_size, bool)
    mask[list(ids)] = True
    return mask


def is_of_schema(text: str) -> bool:
    try:
        value = json.loads(text)
    except ValueError:
        return False
    return isinstance(value, dict) and re.fullmatch("[a-z]{1,8}", value["name"]) is not None and value["done"] in (True, False)


BOUND = {
    "json_schema": (SCHEMA, is_of_schema),
    "regex": (REGEX, lambda text: re.fullmatch(REGEX, text) is not None),
    "grammar": (GRAMMAR, lambda text: re.fullmatch("[a-c]{2}=[0-9](,[a-c]{2}=[0-9])?", text) is not None),
}


@pytest.mark.parametrize("name", BOUND)
def test_content_is_bound(model, name):
    constraint, holds = BOUND[name]
    reply = model.generate([5, 6, 7], **SAMPLED, **{name: constraint})
    assert holds(reply.content) and reply.finish_reason == "stop"
    assert not holds(model.generate([5, 6, 7], **SAMPLED).content)
    stream = model.sequence().generate([5, 6, 7], **SAMPLED, **{name: constraint})
    assert stream.reply().tokens == reply.tokens


def test_schema_as_text(model):
    as_text = model.generate([5], **SAMPLED, json_schema=json.dumps(SCHEMA)).content
    assert as_text == model.generate([5], **SAMPLED, json_schema=SCHEMA).content


def test_trained_model_reasons_then_answers():
    with abyssal.Model.open(ROOT / "examples/models/abyssal-tiny-r1") as trained:
        number = {"type": "integer", "minimum": 0, "maximum": 9999}
        only = {"required": ["answer"], "additionalProperties": False}
        schema = {"type": "object", "properties": {"answer": number}, **only}
        messages = [{"role": "user", "content": "What is 47 * 6 + 12?"}]
        free = trained.chat(messages, temperature=0, max_tokens=200)
        bound = trained.chat(messages, temperature=0, max_tokens=200, json_schema=schema)
        assert bound.reasoning == free.reasoning != ""
        assert isinstance(json.loads(bound.content)["answer"], int)


@pytest.mark.parametrize(
    "given, part",
    [
        ({"regex": "a("}, "regular expression: "),
        ({"json_schema": {"type": "integr"}}, "integr"),
        ({"json_schema": "{"}, "JSON schema: "),
        ({"grammar": "start: missing"}, "missing"),
        ({"regex": "a", "grammar": "b"}, "regex and grammar are given; expected one of them"),
        ({"mask": []}, "mask is empty"),
        ({"mask": np.arange(1280)}, "expected [vocab_size] bools"),
        ({"mask": [True] * 7}, "mask has 7 ids; the vocabulary has 1280"),
        ({"mask": np.zeros(1280, bool)}, "none of the 1280 ids is allowed"),
    ],
)
def test_refused(model, given, part):
    with pytest.raises(abyssal.InvalidArgument, match=re.escape(part)):
        model.generate([5], max_tokens=4, **given)


def test_a_compiled_constraint_is_shared(model):
    """By replies one after another and on several threads at once, with the results of one compiled for each."""
    with model.constraint(regex=REGEX) as constraint:
        want = {seed: model.generate([5, 6, 7], **{**SAMPLED, "seed": seed}, regex=REGEX).content for seed in range(6)}
        assert len(set(want.values())) > 1
        got = {}

        def write(seed):
            got[seed] = model.generate([5, 6, 7], **{**SAMPLED, "seed": seed}, constraint=constraint).content

        threads = [threading.Thread(target=write, args=(seed,)) for seed in want]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert got == want
        options = dict(SAMPLED, constraint=constraint)
        assert re.fullmatch(REGEX, model.sequence().generate([5, 6, 7], **options).reply().content)
        closing = model.generate("Hello", stream=True, **options)
        begun = model.generate([5], stream=True, **options)
    assert constraint.closed
    for stream in (begun, closing):  # they keep it
        assert re.fullmatch(REGEX, stream.reply().content)
    with pytest.raises(abyssal.StateError, match="constraint is closed"):
        model.generate([5], constraint=constraint)


def test_kinds_of_compiled_constraints(model):
    for name, (text, holds) in BOUND.items():
        assert holds(model.generate([5, 6, 7], **SAMPLED, constraint=model.constraint(**{name: text})).content)
    for given, part in (
        ({}, "nothing is given; expected one of json_schema, regex, grammar"),
        ({"regex": "a", "json_schema": True}, "json_schema and regex are given; expected one of them"),
        ({"regex": "a("}, "regular expression: "),
    ):
        with pytest.raises(abyssal.InvalidArgument, match=re.escape(part)):
            model.constraint(**given)
    constraint = model.constraint(regex="a")
    with pytest.raises(abyssal.InvalidArgument, match="regex and constraint are given"):
        model.generate([5], regex="a", constraint=constraint)
    with pytest.raises(abyssal.InvalidArgument, match="another model"):
        open_model("tiny-v2").generate([5], constraint=constraint)
    with pytest.raises(abyssal.EncodingError):
        model.constraint(regex="\ud800")
    with pytest.raises(TypeError, match="made by Model.constraint"):
        abyssal.Constraint()


def test_constraints_hold_any_character(model):
    assert model.generate([5], **SAMPLED, regex="a\0b").content == "a\0b"


def test_constraint_needs_a_tokenizer(tmp_path):
    for file in checkpoint("tiny-v3").iterdir():
        if not file.name.startswith("tokenizer"):
            (tmp_path / file.name).symlink_to(file)
    with abyssal.Model.open(tmp_path, cache_tokens=128) as silent:
        with pytest.raises(abyssal.StateError, match="needs a tokenizer"):
            silent.generate([5], regex="a")
        with pytest.raises(abyssal.StateError, match="needs a tokenizer"):
            silent.constraint(regex="a")


def test_mask_shapes(model):
    mask = flags(model, 40, 41)
    want = model.generate([5], max_tokens=6, temperature=0, mask=mask).tokens
    assert set(want) <= {40, 41}
    strided = np.zeros((len(mask), 2), bool)
    strided[:, 0] = mask
    for other in (mask.tolist(), mask.view(np.uint8), bytes(mask), strided[:, 0], mask[::-1].copy()[::-1]):
        assert model.generate([5], max_tokens=6, temperature=0, mask=other).tokens == want


def test_mask_changes_between_events(model):
    stream = model.sequence().generate([5, 6], max_tokens=6, temperature=0, ignore_eos=True, mask=flags(model, 40))
    tokens = []
    for event in stream:
        if event.kind == "token":
            tokens.append(event.token)
        if len(tokens) == 2:
            stream.set_mask(flags(model, 77))
        if len(tokens) == 4:
            with pytest.raises(abyssal.InvalidArgument):
                stream.set_mask(flags(model))
            stream.set_mask(None)
    assert tokens[:4] == [40, 40, 77, 77] and tokens[4:] != [77, 77] and len(tokens) == 6
    with pytest.raises(abyssal.StateError):
        stream.set_mask(None)


def test_mask_of_an_async_reply(model):
    async def run():
        stream = model.generate([5, 6], max_tokens=4, temperature=0, ignore_eos=True, stream=True)
        stream.set_mask(flags(model, 9))
        tokens = []
        async for event in stream:
            if event.kind == "token":
                tokens.append(event.token)
                stream.set_mask(flags(model, 9 + len(tokens)))
        return tokens

    assert asyncio.run(run()) == [9, 10, 11, 12]


def test_masks_of_a_stream_that_goes_ahead(model):
    """Between its events they would come too late; from its beginning on it is not ahead."""
    options = dict(max_tokens=6, temperature=0, ignore_eos=True, stream=True)
    stream = model.generate([5, 6], **options)
    first = next(stream)
    with pytest.raises(abyssal.StateError, match="begin it with one"):
        stream.set_mask(flags(model, 9))
    assert [first, *stream] == list(model.generate([5, 6], **options))

    def begin_with_option():
        return model.generate([5, 6], mask=flags(model, 9), **options)

    def begin_with_call():
        stream = model.generate([5, 6], **options)
        stream.set_mask(None)
        next(stream)
        stream.set_mask(flags(model, 9))
        return stream

    for begin in (begin_with_option, begin_with_call):
        tokens = []
        stream = begin()
        for event in stream:
            if event.kind == "token":
                tokens.append(event.token)
                stream.set_mask(flags(model, 9 + len(tokens)))
        assert tokens == [9, 10, 11, 12, 13, 14]


def test_nothing_left(model):
    stream = model.sequence().generate([5], max_tokens=8, temperature=0, regex="[ab]{3}", mask=flags(model, 40))
    next(stream)
    for _ in range(2):
        with pytest.raises(abyssal.StateError, match="no token is left"):
            next(stream)
    stream.set_mask(None)
    assert re.fullmatch("[ab]{3}", stream.reply().content)
