"""Replies: whole, as streams, with sampling and limits."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest

import abyssal
from support import BACKENDS, ROOT, checkpoint, open_model

MESSAGES = [{"role": "user", "content": "Hello"}]
GREEDY = {"temperature": 0, "ignore_eos": True}


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
    assert draw(temperature=5.0, top_k=0, top_p=1.0, min_p=0.0) != greedy  # all off


def test_zero_and_none_are_not_the_same(tmp_path):
    """None is the checkpoint's own, 0 is off."""
    for file in checkpoint("tiny-v3").iterdir():
        if file.name != "generation_config.json":
            (tmp_path / file.name).symlink_to(file)
    own = {"do_sample": True, "temperature": 5.0, "top_k": 1, "eos_token_id": 1}
    (tmp_path / "generation_config.json").write_text(json.dumps(own))
    with abyssal.Model.open(tmp_path, cache_tokens=256) as model:
        options = dict(max_tokens=12, ignore_eos=True, seed=1)
        greedy = model.generate([5, 6, 7], temperature=0, **options).tokens
        assert model.generate([5, 6, 7], **options).tokens == greedy  # the checkpoint's top_k
        assert model.generate([5, 6, 7], top_k=0, **options).tokens != greedy


def test_a_random_seed_is_told(model):
    options = dict(max_tokens=16, temperature=5.0, ignore_eos=True)
    replies = [model.generate([5, 6, 7], **options) for _ in range(3)]
    assert len({reply.seed for reply in replies}) == len({tuple(reply.tokens) for reply in replies}) == 3
    assert all(0 <= reply.seed < 2**53 for reply in replies)
    assert model.generate([5, 6, 7], seed=replies[0].seed, **options) == replies[0]
    stream = model.generate("Hello", stream=True, **options)
    with pytest.raises(abyssal.StateError, match="not begun"):
        stream.seed
    next(stream)
    seed = stream.seed
    assert stream.reply().seed == seed == stream.seed
    assert model.generate([5], seed=2**63 + 1, stream=True).seed == 2**63 + 1
    assert model.generate([5], max_tokens=1, seed=7).seed == 7


def test_logprobs(model):
    options = dict(max_tokens=8, temperature=0.7, top_k=3, seed=5, ignore_eos=True)
    reply = model.generate([5, 6, 7], logprobs=True, **options)
    events = list(model.generate([5, 6, 7], logprobs=True, stream=True, **options))
    drawn = [event for event in events if event.kind == "token"]
    assert reply.logprobs == [event.logprob for event in drawn] and len(reply.logprobs) == 8
    assert all(event.logprob is None for event in events if event.token < 0)
    with model.sequence() as sequence:
        sequence.eval([5, 6, 7, *reply.tokens], logits=9)
        logits = sequence.logits[:-1].astype(np.float64)
    most = logits.max(1, keepdims=True)
    want = logits - most - np.log(np.exp(logits - most).sum(1, keepdims=True))
    np.testing.assert_allclose(reply.logprobs, want[np.arange(8), reply.tokens], atol=0.05)  # of bf16
    unasked = model.generate([5, 6, 7], **options)
    assert unasked.tokens == reply.tokens and unasked.logprobs == []
    stop = reply.tokens[4]
    ended = list(model.generate([5, 6, 7], stop_tokens=[stop], logprobs=True, stream=True, **options))[-1]
    assert (ended.token, ended.logprob) == (stop, reply.logprobs[reply.tokens.index(stop)])


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
    assert reply.finish_reason == "context" and len(reply.tokens) == 5
    small.sequence().eval([5] * 64)  # the reply gave its blocks back
    bounded = small.generate([5] * 60, max_tokens=5, temperature=0, ignore_eos=True)
    assert (bounded.finish_reason, bounded.tokens) == ("length", reply.tokens)
    for begin in (small.sequence().generate, small.generate):
        with pytest.raises(abyssal.ContextFull):  # when it begins
            begin([5] * 65)


def test_a_full_cache_is_an_error_of_the_step():
    """It may be tried again, and changes nothing of the reply."""
    small = abyssal.Model.open(checkpoint("tiny-v3"), cache_tokens=128, backend=BACKENDS[0])
    want = small.generate([5] * 60, max_tokens=10, **GREEDY)
    stream = small.generate([5] * 60, max_tokens=10, stream=True, **GREEDY)
    events = [next(stream), next(stream)]
    with small.sequence() as other:
        other.eval([7] * 64)
        with pytest.raises(abyssal.CacheFull):
            small.sequence().eval([7])
        with pytest.raises(abyssal.CacheFull):
            events.extend(stream)
        with pytest.raises(abyssal.CacheFull):
            next(stream)
    events.extend(stream)
    assert [event.token for event in events if event.kind == "token"] == want.tokens
    assert (events[-1].finish_reason, events[-1].usage) == (want.finish_reason, want.usage)


def test_sixteen_chats_at_once_by_default():
    model = abyssal.Model.open(ROOT / "examples/models/abyssal-tiny-r1")
    replies = {}

    def ask(i):
        replies[i] = model.chat([{"role": "user", "content": f"What is {40 + i} * 6 + {i}?"}])

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(replies) == list(range(16))
    for reply in replies.values():
        assert reply.content and reply.tokens and reply.finish_reason in ("stop", "length"), reply
    assert model.info.cache_tokens >= 32768


def test_no_tokens(model):
    with model.sequence() as sequence:
        reply = sequence.generate([5, 6, 7], max_tokens=0).reply()
        assert (reply.finish_reason, reply.tokens, reply.text) == ("length", [], "")
        assert reply.usage == abyssal.Usage(3, 0, 0)
        assert sequence.tokens.tolist() == [5, 6, 7] and sequence.logits.shape == (1, model.info.vocab_size)
        more = sequence.generate(max_tokens=3, **GREEDY).reply()
    assert more.tokens == model.generate([5, 6, 7], max_tokens=3, **GREEDY).tokens


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
    with model.sequence() as sequence:
        stream = sequence.generate([5, 6], ignore_eos=True)
        for event in stream:
            if event.completion_tokens == 2:
                stream.cancel()
        assert event.kind == "end" and event.finish_reason == "cancelled" and event.completion_tokens == 2
        stream.cancel()
        assert len(sequence) == 4
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
        assert sequence.tokens.tolist() == [5, 6, 7, *first.tokens] and len(sequence) == 7
        second = sequence.generate(max_tokens=4, temperature=0, ignore_eos=True).reply()
    whole = model.generate([5, 6, 7], max_tokens=8, temperature=0, ignore_eos=True)
    assert first.tokens + second.tokens == whole.tokens


def test_a_sequence_holds_the_reply_however_it_ends(model):
    want = model.generate([5, 6, 7], max_tokens=8, **GREEDY).tokens
    stop = want[4]
    cut = want.index(stop)

    def stopped(sequence):
        assert sequence.generate([5, 6, 7], stop_tokens=[stop], **GREEDY).reply().finish_reason == "stop"
        return cut

    def cancelled(sequence):
        stream = sequence.generate([5, 6, 7], **GREEDY)
        for event in stream:
            if event.completion_tokens == 3:
                stream.cancel()
        assert event.finish_reason == "cancelled"
        return 3

    def left(sequence):
        with sequence.generate([5, 6, 7], **GREEDY) as stream:
            for event in stream:
                if event.completion_tokens == 3:
                    break
        return 3

    for end in (stopped, cancelled, left):
        with model.sequence() as sequence:
            count = end(sequence)
            assert sequence.tokens.tolist() == [5, 6, 7, *want[:count]]
            sequence.eval(want[count : count + 1], logits=1)
            assert len(sequence) == 4 + count
            if count + 1 < len(want):
                assert int(sequence.logits[-1].argmax()) == want[count + 1]


def test_a_sequence_is_busy_until_its_reply_has_ended(model):
    with model.sequence() as sequence, model.sequence() as other:
        stream = sequence.generate([5, 6, 7], max_tokens=2, **GREEDY)
        for _ in range(2):
            for change in (
                lambda: sequence.eval([5]),
                lambda: sequence.truncate(0),
                lambda: sequence.generate([5]),
                lambda: model.chat(MESSAGES, sequence=sequence),
                lambda: abyssal.eval_batch([other, sequence], [[5], [6]]),
            ):
                with pytest.raises(abyssal.Busy):
                    change()
            next(stream)
        assert len(sequence) == 3 and len(other) == 0
        assert len(list(stream)) == 2
        sequence.eval([5])
        stream = sequence.generate([5, 6, 7])
        next(stream)
        stream.close()
        sequence.truncate(0)


def test_only_a_stream_of_its_own_goes_ahead(model):
    """A caller's sequence is where the last event says."""
    with model.sequence() as sequence:
        for event in sequence.generate([5, 6, 7], max_tokens=30, **GREEDY):
            drawn = event.completion_tokens
            # The token drawn last is evaluated when the next one is wanted.
            assert len(sequence) == 3 + (drawn if event.kind == "end" else max(drawn - 1, 0))


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
