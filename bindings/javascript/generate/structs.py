"""Reads the structs and enumerations of the C headers, and writes what JavaScript needs to know about them.

Usage: structs.py HEADER... --fields struct_fields.h --types structs.d.ts

struct_fields.h: visit(struct, visitor), which names every field that a script can read or write, and tables of the
enumerations' names. structs.d.ts: the same as TypeScript interfaces, with the headers' comments. A field or an enumerator
that is added to a header reaches JavaScript without a line being written.
"""

from __future__ import annotations

import argparse
import pathlib
import re
from typing import Iterator, List, NamedTuple, Tuple

# The C API spells truth as an integer.
FLAGS = {
    "add_generation_prompt",
    "allow_dropped_tools",
    "has_chat_template",
    "has_tokenizer",
    "ignore_eos",
    "logprobs",
    "mtp",
    "norm_topk_prob",
    "packed_cache",
    "packed_cache_check",
    "plain",
    "reasons",
    "tools",
}
NUMBERS = {"uint32_t", "int32_t", "uint64_t", "int64_t", "float", "double", "aby_logprobs"}
ENUMS = {  # typedef: prefix of its constants
    "aby_dtype": "ABY_DTYPE_",
    "aby_stage": "ABY_STAGE_",
    "aby_output_kind": "ABY_OUTPUT_",
    "aby_event_kind": "ABY_EVENT_",
    "aby_text_kind": "ABY_TEXT_",
    "aby_finish_reason": "ABY_FINISH_",
    "aby_scoring": "ABY_SCORING_",
    "aby_topk_method": "ABY_TOPK_",
    "aby_weights_kind": "ABY_WEIGHTS_",
    "aby_attention_kind": "ABY_ATTENTION_",
    "aby_constraint_kind": "ABY_CONSTRAINT_",
}
INTERNAL = {"struct_size", "reserved", "stop_token_count", "mask_count"}
UNSEEN = {"aby_tensor", "aby_array", "aby_events"}  # these cross by hand


class Field(NamedTuple):
    type: str
    name: str
    comment: str

    @property
    def kind(self) -> str:
        """The visitor's method, "" for what a script cannot see."""
        if self.name in INTERNAL or "[" in self.name:
            return ""
        if self.type in ENUMS:
            return "choice"
        if self.type == "const char *":
            return "text"
        if self.type in NUMBERS:
            return "flag" if self.name in FLAGS else "number"
        return ""


def camel(name: str) -> str:
    return re.sub(r"_(\w)", lambda match: match[1].upper(), name)


def pascal(name: str) -> str:
    return camel("_" + name.removeprefix("aby_"))


def clean(comment: str) -> str:
    return " ".join(line.strip().lstrip("*").strip() for line in comment.strip("</* \n").splitlines()).strip()


def structs(text: str) -> Iterator[Tuple[str, List[Field]]]:
    for match in re.finditer(r"typedef struct (\w+) \{\n(.*?)\n\} \1;", text, re.S):
        if match[1] in UNSEEN:
            continue
        fields = re.findall(r"((?:const )?\w+[\s*]+)(\w+(?:\[\w+\])?);(?:[ \n]*/\*\*<?(.*?)\*/)?", match[2], re.S)
        yield match[1], [Field(kind.strip(), name, clean(comment)) for kind, name, comment in fields]


def enumerators(text: str, prefix: str) -> List[Tuple[str, str]]:
    plain = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    return [(name.lower(), value) for name, value in re.findall(rf"\b{prefix}(\w+) = (\d+)", plain)]


def goes_in(struct: str) -> bool:
    return struct.endswith(("_options", "_args", "_desc"))


def write_fields(text: str) -> str:
    lines = ["// Made by structs.py from the C headers.", "#pragma once", ""]
    lines += ["#include <abyssal/abyssal.hpp>", "", '#include "convert.h"', "", "namespace abyssal::node {", ""]
    for enum, prefix in ENUMS.items():
        names = ", ".join(f'{{"{name}", {value}}}' for name, value in enumerators(text, prefix))
        lines.append(f"inline constexpr Choice k{pascal(enum)}[] = {{{names}}};")
    for name, fields in structs(text):
        seen = [field for field in fields if field.kind]
        if fields[0].name != "struct_size" or not seen:
            continue
        lines.append("")
        if goes_in(name):
            lines.append(f"inline void init({name} &s) {{ check({name}_init(&s, sizeof s)); }}")
        lines.append(f"template <typename Visitor> void visit({name} &s, Visitor &v) {{")
        for field in seen:
            table = f", k{pascal(field.type)}" if field.kind == "choice" else ""
            lines.append(f'  v.{field.kind}("{camel(field.name)}", s.{field.name}{table});')
        lines.append("}")
    return "\n".join([*lines, "", "} // namespace abyssal::node", ""])


def type_of(field: Field) -> str:
    if field.kind == "choice":
        return pascal(field.type)
    if field.name == "seed":
        return "number | bigint"
    return {"text": "string", "flag": "boolean", "number": "number"}[field.kind]


def write_types(text: str) -> str:
    lines = ["// Made by structs.py from the C headers, whose comments these are. Do not edit.", ""]
    for enum, prefix in ENUMS.items():
        names = " | ".join(f"'{name}'" for name, _ in enumerators(text, prefix))
        lines.append(f"export type {pascal(enum)} = {names};")
    for name, fields in structs(text):
        seen = [field for field in fields if field.kind]
        if fields[0].name != "struct_size" or not seen:
            continue
        given = goes_in(name)
        lines += ["", f"export interface {pascal(name)} {{"]
        for field in seen:
            if field.comment:
                lines.append(f"  /** {field.comment} */")
            lines.append(f"  {'' if given else 'readonly '}{camel(field.name)}{'?' if given else ''}: {type_of(field)};")
        lines.append("}")
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("headers", nargs="+", type=pathlib.Path)
    parser.add_argument("--fields", type=pathlib.Path)
    parser.add_argument("--types", type=pathlib.Path)
    arguments = parser.parse_args()
    text = "\n".join(header.read_text() for header in arguments.headers)
    if arguments.fields:
        arguments.fields.write_text(write_fields(text))
    if arguments.types:
        arguments.types.write_text(write_types(text))


if __name__ == "__main__":
    main()
