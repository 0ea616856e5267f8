"""Writes tokenize.json and chat.json, the reference for tests/text: what the Python packages `tokenizers` and `jinja2`
give. Needs both packages; when `transformers` is there too, every rendering is compared with its own.

    python make_reference.py
"""

import json
import pathlib
import re
import sys

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

from chat_cases import cases
from texts import texts

HERE = pathlib.Path(__file__).resolve().parent


def tokenizer_files():
    files = sorted(HERE.glob("*.tokenizer.json"))
    conformance = HERE.parent / "conformance"
    return files + [conformance / name / "tokenizer.json" for name in ("tiny-v3", "tiny-r1-distill-llama")]


def tokenize_reference():
    """Per tokenizer and text: the ids, and the ids when no marker is recognised."""
    result = {"texts": texts(), "tokenizers": {}}
    for path in tokenizer_files():
        content = json.loads(path.read_text(encoding="utf-8"))
        tokenizer = Tokenizer.from_str(json.dumps(content))
        plain = Tokenizer.from_str(json.dumps({**content, "added_tokens": []}))
        ids, plain_ids = [], []
        for text in result["texts"]:
            ids.append(tokenizer.encode(text, add_special_tokens=False).ids)
            plain_ids.append(plain.encode(text, add_special_tokens=False).ids)
        name = path.relative_to(HERE.parent).as_posix()
        result["tokenizers"][name] = {
            "vocab_size": max(tokenizer.get_vocab(with_added_tokens=True).values()) + 1,
            "ids": ids,
            "plain_ids": plain_ids,
        }
    return result


class GenerationTag(jinja2.ext.Extension):
    """{% generation %}: its contents, rendered in a scope of their own."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        call = self.call_method("_contents")
        return jinja2.nodes.CallBlock(call, [], [], body).set_lineno(line)

    def _contents(self, caller):
        return caller()


def environment():
    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(
            value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
        )

    env = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[GenerationTag, jinja2.ext.loopcontrols]
    )
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    return env


def with_reasoning_names(message):
    """transformers fills reasoning_content and thinking from whichever name the reasoning came under."""
    found = [message[n] for n in ("reasoning_content", "thinking", "reasoning") if message.get(n) is not None]
    return {"thinking": found[0], **message, "reasoning_content": found[0]} if found else message


def render(env, case):
    tokens = {k: v["content"] if isinstance(v, dict) else v for k, v in case["special_tokens"].items() if v}
    try:
        return env.from_string(case["template"]).render(
            messages=[with_reasoning_names(m) for m in case["messages"]],
            tools=case["tools"],
            documents=None,
            add_generation_prompt=case["add_generation_prompt"],
            **{**tokens, **case["variables"]},
        )
    except Exception as error:  # any exception: the template must fail in our renderer too
        return error


def render_transformers(case):
    from transformers.utils.chat_template_utils import render_jinja_template

    tokens = {k: v["content"] if isinstance(v, dict) else v for k, v in case["special_tokens"].items() if v}
    try:
        rendered, _ = render_jinja_template(
            conversations=[case["messages"]],
            tools=case["tools"],
            chat_template=case["template"],
            add_generation_prompt=case["add_generation_prompt"],
            **{**tokens, **case["variables"]},
        )
        return rendered[0]
    except Exception as error:
        return error


def chat_reference():
    try:
        import transformers

        print("comparing with transformers", transformers.__version__)
    except ImportError:
        transformers = None
        print("transformers is not installed: not compared with it")
    env = environment()
    result = []
    for case in cases(HERE / "templates"):
        expected = render(env, case)
        if transformers is not None:
            theirs = render_transformers(case)
            same = isinstance(theirs, Exception) if isinstance(expected, Exception) else theirs == expected
            if not same:
                sys.exit(f"{case['name']}: jinja2 gives\n{expected!r}\ntransformers gives\n{theirs!r}")
        if isinstance(expected, Exception):
            case["error"] = re.sub(r" at 0x[0-9a-f]+", "", f"{type(expected).__name__}: {expected}")
        else:
            case["expected"] = expected
        result.append(case)
    return compacted(result)


def compacted(chats):
    """What many renderings share is written once: a case holds indices into the lists beside it."""
    shared = {"template": [], "messages": [], "tools": [], "variables": [], "special_tokens": []}
    for case in chats:
        for name, values in shared.items():
            if case[name] not in values:
                values.append(case[name])
            case[name] = values.index(case[name])
    return {"shared": shared, "cases": chats}


def dump(value, levels):
    """JSON with a line for each item of the outer levels."""
    if levels == 0 or not value or not isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if isinstance(value, list):
        return "[\n" + ",\n".join(dump(item, levels - 1) for item in value) + "]"
    pairs = (json.dumps(key) + ":" + dump(item, levels - 1) for key, item in value.items())
    return "{\n" + ",\n".join(pairs) + "}"


if __name__ == "__main__":
    reference = tokenize_reference()
    chats = chat_reference()
    for name, value, levels in ("tokenize.json", reference, 4), ("chat.json", chats, 3):
        (HERE / name).write_text(dump(value, levels) + "\n", encoding="utf-8")
    failing = sum("error" in case for case in chats["cases"])
    print(len(reference["texts"]), "texts;", len(chats["cases"]), "renderings,", failing, "of them errors")
