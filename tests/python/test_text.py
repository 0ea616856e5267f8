"""Token ids as `tokenizers` has them, and chat text as jinja2 renders it."""

from __future__ import annotations

import json

import jinja2
import jinja2.ext
import jinja2.sandbox
import numpy as np
import pytest
import tokenizers

import abyssal
from support import CHECKPOINTS, checkpoint, open_model

TEXTS = [
    "",
    " ",
    "Hello, world!",
    "  leading and trailing  ",
    "tabs\tand\nlines\r\n\n\n   mixed \u00a0 white\u2003space\u200b",
    "def f(x):\n    return {'a': [1, 2.5e-3, 0xFF], \"b\": x**2}  # comment\n",
    "3.14159 1234567890 1,000,000 ½ ² ٣",
    "深度求索是一家人工智能公司。你好，世界！",
    "日本語とかな、한국어, русский, ελληνικά, עברית, العربية",
    "emoji 😀👩‍👩‍👧‍👦🇩🇪 and signs ∑∞≠",
    "e\u0301 combining and é composed",
    "I'll we've don't IT'S",
    "<｜User｜>hi<｜Assistant｜><think>\nhm</think>done<｜end▁of▁sentence｜>",
    "almost a marker: <｜User|> <think <|im_start|>",
    "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{}<｜tool▁call▁end｜>",
    "a" * 300 + " " * 50 + "\n" * 20,
    "\x00\x01\x7f control",
    "https://example.org/a?b=c&d=%20 user@example.org #tag $x_1",
]


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_ids_equal_tokenizers(name):
    reference = tokenizers.Tokenizer.from_file(str(checkpoint(name) / "tokenizer.json"))
    model = open_model(name)
    for text in TEXTS:
        ids = model.tokenize(text)
        assert ids.dtype == np.int32 and ids.ndim == 1
        assert ids.tolist() == reference.encode(text, add_special_tokens=False).ids, text
        assert model.detokenize(ids) == text.encode(), text
        assert model.decode(ids) == text
        assert model.tokenize(text.encode()).tolist() == ids.tolist()


def test_bos():
    model = open_model("tiny-v3")
    assert model.tokenize("hi", add_bos=True).tolist() == [model.info.bos_token, *model.tokenize("hi").tolist()]
    marked = model.decode([model.info.bos_token]) + "hi"
    assert model.tokenize(marked, add_bos=True).tolist() == model.tokenize(marked).tolist()


def test_plain_and_special():
    model = open_model("tiny-v3")
    text = "a<｜User｜>b"
    special, plain = model.tokenize(text), model.tokenize(text, plain=True)
    assert len(plain) > len(special)
    assert model.decode(plain) == model.decode(special) == text
    eos = [5, *model.eos_tokens, 6]
    assert model.detokenize(eos, skip_special=True) == model.detokenize([5]) + model.detokenize([6])


def test_pieces_of_a_character():
    model = open_model("tiny-v3")
    ids = model.tokenize("🜁")  # not in the vocabulary: several tokens
    assert len(ids) > 1
    assert b"".join(model.detokenize([token]) for token in ids) == "🜁".encode()
    assert "\ufffd" in model.decode(ids[:1])


def environment():
    """As Hugging Face makes it."""

    def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    result = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[jinja2.ext.loopcontrols]
    )
    result.filters["tojson"] = tojson
    return result


CONVERSATIONS = [
    [{"role": "user", "content": "Hi"}],
    [{"role": "system", "content": 'Be <brief> & "exact".'}, {"role": "user", "content": "你好\n"}],
    [
        {"role": "user", "content": "1+1?"},
        {"role": "assistant", "content": "<think>easy</think>2"},
        {"role": "user", "content": "Sure?"},
    ],
    [],
]


@pytest.mark.parametrize("name", CHECKPOINTS)
@pytest.mark.parametrize("add_generation_prompt", [True, False])
def test_the_checkpoints_template_equals_jinja2(name, add_generation_prompt):
    settings = json.loads((checkpoint(name) / "tokenizer_config.json").read_text())
    template = environment().from_string(settings["chat_template"])
    for messages in CONVERSATIONS:
        want = template.render(
            messages=messages,
            add_generation_prompt=add_generation_prompt,
            bos_token=settings["bos_token"],
            eos_token=settings["eos_token"],
        )
        got = open_model(name).render_chat(messages, add_generation_prompt=add_generation_prompt)
        assert got == want
        assert open_model(name).render_chat(json.dumps(messages), add_generation_prompt=add_generation_prompt) == want


TEMPLATES = [
    "{% for m in messages %}{{ loop.index }}:{{ m.role | upper }}={{ m['content'] | trim }}\n{% endfor %}",
    "{{ tools | tojson }}|{{ tools | tojson(indent=2) }}",
    "{%- if thinking is defined and thinking %}T{{ level + 1 }}{% else %}-{% endif %}",
    "{{ messages[0].content.split('<')[0] ~ messages[-1]['content'][::-1] }}",
    "{% set ns = namespace(n=0) %}{% for m in messages if m.role == 'user' %}{% set ns.n = ns.n + 1 %}{% endfor %}"
    "{{ ns.n }}",
    "   {% if true %}\n  kept\n   {% endif %}\n{{ messages | length }} {{ 7 // 2 }} {{ 'x' if none else 'y' }}",
]


@pytest.mark.parametrize("template", TEMPLATES)
def test_templates_and_variables_equal_jinja2(template):
    tools = [{"type": "function", "function": {"name": "f", "description": "<b> & 'é'", "parameters": {"n": [1, 2.5]}}}]
    messages = CONVERSATIONS[2]
    want = environment().from_string(template).render(messages=messages, tools=tools, thinking=True, level=3)
    options = dict(chat_template=template, allow_dropped_tools="tools" not in template)
    got = open_model("tiny-v3").render_chat(messages, tools, thinking=True, level=3, **options)
    assert got == want


def test_content_may_be_none():
    """As in a message of the assistant that only calls tools."""
    model = open_model("tiny-v3")
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": None}]
    empty = [messages[0], {"role": "assistant", "content": ""}]
    added = "{% for m in messages %}{{ m.content + '.' }}{% endfor %}"
    assert model.render_chat(messages, chat_template=added) == "Hi.."
    assert model.render_chat(messages, chat_template="{{ messages[1].content is none }}") == "True"
    assert model.render_chat(messages) == model.render_chat(empty)
    assert model.chat([*messages, messages[0]], max_tokens=1).usage.completion_tokens == 1


TOOLS = [{"type": "function", "function": {"name": "f"}}]


def test_tools_that_the_template_drops():
    model = open_model("tiny-v3")
    messages = [{"role": "user", "content": "Hi"}]
    options = dict(max_tokens=2, temperature=0, ignore_eos=True)
    for call in (
        lambda: model.render_chat(messages, TOOLS),
        lambda: model.chat(messages, tools=TOOLS, **options),
        lambda: model.chat(messages, tools=TOOLS, stream=True, **options).reply(),
    ):
        with pytest.raises(abyssal.Unsupported, match="tools"):
            call()
    assert model.render_chat(messages, TOOLS, allow_dropped_tools=True) == model.render_chat(messages)
    without = model.chat(messages, **options)
    assert model.chat(messages, tools=TOOLS, allow_dropped_tools=True, **options) == without
    named = "{% if tools %}{{ tools[0].function.name }}{% endif %}"
    assert model.render_chat(messages, TOOLS, chat_template=named) == "f"
    assert model.render_chat(messages, [], chat_template="x") == "x"


def test_info_says_whether_there_is_a_place_for_tools(tmp_path):
    assert open_model("tiny-v3").info.tools is False
    for file in checkpoint("tiny-v3").iterdir():
        if file.name != "tokenizer_config.json":
            (tmp_path / file.name).symlink_to(file)
    settings = json.loads((checkpoint("tiny-v3") / "tokenizer_config.json").read_text())
    settings["chat_template"] = "{% if tools %}{{ tools | tojson }}{% endif %}" + settings["chat_template"]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    with abyssal.Model.open(tmp_path, cache_tokens=128) as model:
        assert model.info.tools is True
        assert '"f"' in model.render_chat([{"role": "user", "content": "Hi"}], TOOLS)
