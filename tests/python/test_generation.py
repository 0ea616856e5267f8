"""Replies: whole, as streams, with sampling and limits."""

from __future__ import annotations

import pytest

import abyssal
from support import BACKENDS, checkpoint, open_model

MESSAGES = [{"role": "user", "content": "Hello"}]


@pytest.fixture(scope="module")
def model():
    return open_model("tiny-v3")


def test_stream_equals_reply(model):
    options = dict(max_tokens=30, temperature=0.8, seed=4)
    reply = model.chat(MESSAGES, **options)
    events = list(model.chat(MESSAGES, stream=True, **options))
    assert [event.kind for event in events[:2]] == ["prompt", "token"] and events[-1].kind == "end"
    assert "".join(event.text for event in events) == reply.text
    assert "".join(event.text for event in events if event.text_kind == "reasoning") == reply.reasoning
    assert [event.token for event in events if event.kind == "token"] == reply.tokens
    assert events[-1].finish_reason == reply.finish_reason
    assert events[-1].usage == reply.usage
    assert all(event.finish_reason is None for event in events[:-1])
    assert reply.usage.prompt_tokens == len(model.tokenize(model.render_chat(MESSAGES)))


def test_reasoning_comes_first(model):
    """The template of this checkpoint ends in <think>: the reply begins inside the reasoning."""
    reply = model.chat(MESSAGES, max_tokens=5, temperature=0, ignore_eos=True)
    assert reply.reasoning and not reply.content
    assert reply.usage.reasoning_tokens == reply.usage.completion_tokens == 5
    plain = model.generate(model.render_chat(MESSAGES), max_tokens=5, temperature=0, ignore_eos=True)
    assert plain.tokens == reply.tokens and plain.content == plain.text and not plain.reasoning
    assert plain.content == reply.reasoning


def test_reasoning_ends(model):
    """A reply that continues after </think> is content."""
    stream = model.sequence().generate(
        model.tokenize(model.render_chat(MESSAGES) + "hm</think>"),
        max_tokens=5,
        temperature=0,
        ignore_eos=True,
        plain=False,
    )
    reply = stream.reply()
    assert reply.content and not reply.reasoning and reply.usage.reasoning_tokens == 0


def test_seed_and_sampling(model):
    def draw(**options):
        return model.generate([5, 6, 7], max_tokens=12, ignore_eos=True, **options).tokens

    greedy = draw(temperature=0)
    assert draw(temperature=0, seed=9) == greedy
    assert draw(temperature=5.0, seed=1) == draw(temperature=5.0, seed=1)
    assert len({tuple(draw(temperature=5.0, seed=seed)) for seed in range(4)}) > 1
    assert draw(temperature=5.0, top_k=1) == greedy
    assert draw(temperature=5.0, top_p=1e-6) == greedy
    assert draw(temperature=5.0, min_p=1.0) == greedy


def test_stop_tokens(model):
    free = model.generate([5, 6, 7], max_tokens=12, temperature=0, ignore_eos=True)
    stop = free.tokens[4]
    cut = free.tokens.index(stop)
    events = list(model.generate([5, 6, 7], temperature=0, ignore_eos=True, stop_tokens=[stop], stream=True))
    assert [event.token for event in events if event.kind == "token"] == free.tokens[:cut]
    assert (events[-1].finish_reason, events[-1].token) == ("stop", stop)


def test_context_ends_a_reply():
    small = abyssal.Model.open(checkpoint("tiny-v3"), cache_tokens=64, backend=BACKENDS[0])
    reply = small.generate([5] * 60, temperature=0, ignore_eos=True)
    assert reply.finish_reason == "length" and 4 <= len(reply.tokens) <= 5
    small.sequence().eval([5] * 64)  # the reply gave its blocks back


def test_leaving_a_stream_early_gives_the_cache_back():
    small = abyssal.Model.open(checkpoint("tiny-v3"), cache_tokens=64, backend=BACKENDS[0])
    for _ in range(3):
        for event in small.generate([5] * 40, ignore_eos=True, stream=True):
            if event.completion_tokens == 3:
                break
        del event
    with small.generate([5] * 40, ignore_eos=True, stream=True) as stream:
        next(stream)
    assert list(stream) == []
    stream.close()
    small.sequence().eval([5] * 64)


def test_cancel(model):
    stream = model.generate([5, 6], ignore_eos=True, stream=True)
    for event in stream:
        if event.completion_tokens == 2:
            stream.cancel()
    assert event.kind == "end" and event.finish_reason == "cancelled" and event.completion_tokens == 2
    stream.cancel()
    with model.generate([5, 6], ignore_eos=True, stream=True) as other:
        next(other)
        other.cancel()
        assert other.reply().finish_reason == "cancelled"


def test_prompt_in_chunks(model):
    events = list(model.generate([5] * 30, max_tokens=1, chunk=8, stream=True, ignore_eos=True))
    assert [event.prompt_done for event in events if event.kind == "prompt"] == [8, 16, 24, 30]
    assert all(event.prompt_total == 30 for event in events)


def test_a_sequence_goes_on(model):
    with model.sequence() as sequence:
        first = sequence.generate([5, 6, 7], max_tokens=4, temperature=0, ignore_eos=True).reply()
        assert sequence.tokens.tolist() == [5, 6, 7, *first.tokens[:3]]  # the last one is evaluated when it is needed
        second = sequence.generate(first.tokens[3:], max_tokens=4, temperature=0, ignore_eos=True).reply()
    whole = model.generate([5, 6, 7], max_tokens=8, temperature=0, ignore_eos=True)
    assert first.tokens + second.tokens == whole.tokens


def test_no_prompt(model):
    with model.sequence() as sequence:
        with pytest.raises(abyssal.StateError):
            sequence.generate()
        sequence.eval([5, 6, 7])
        reply = sequence.generate(max_tokens=3, temperature=0, ignore_eos=True).reply()
    assert reply.tokens == model.generate([5, 6, 7], max_tokens=3, temperature=0, ignore_eos=True).tokens


def test_a_conversation_computes_only_what_is_new(model):
    options = dict(max_tokens=6, temperature=0, ignore_eos=True)
    with model.sequence() as sequence:
        first = model.chat(MESSAGES, sequence=sequence, **options)
        assert first.tokens == model.chat(MESSAGES, **options).tokens
        again = model.chat(MESSAGES, sequence=sequence, **options)
        assert again.tokens == first.tokens and again.usage.prompt_tokens == 1
        longer = [*MESSAGES, {"role": "assistant", "content": "ok"}, {"role": "user", "content": "And?"}]
        third = model.chat(longer, sequence=sequence, **options)
        assert third.tokens == model.chat(longer, **options).tokens
        assert 1 < third.usage.prompt_tokens < len(model.tokenize(model.render_chat(longer)))
        assert not sequence.closed


def test_without_a_tokenizer():
    from support import config, raw_tensors

    bare = abyssal.Model.from_tensors(config("tiny-kimi-k2"), raw_tensors("tiny-kimi-k2"))
    reply = bare.generate([5, 6], max_tokens=3, ignore_eos=True)
    assert reply.text == "" and len(reply.tokens) == 3
    for call in (lambda: bare.generate("x"), lambda: bare.chat(MESSAGES), lambda: bare.detokenize([5])):
        with pytest.raises(abyssal.StateError):
            call()
