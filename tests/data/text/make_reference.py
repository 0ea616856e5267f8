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
    return result


def write(name, value):
    (HERE / name).write_text(json.dumps(value, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")


if __name__ == "__main__":
    reference = tokenize_reference()
    lines = json.dumps(reference, ensure_ascii=False).replace('"ids": [[', '"ids":\n[[').replace('"plain_ids"', '\n"plain_ids"')
    (HERE / "tokenize.json").write_text(lines + "\n", encoding="utf-8")
    chats = chat_reference()
    write("chat.json", chats)
    failing = sum("error" in case for case in chats)
    print(len(reference["texts"]), "texts;", len(chats), "renderings,", failing, "of them errors")
