"""The scenario through the Python package. Usage: scenario_python.py STEPS     Prints the transcript."""

from __future__ import annotations

import json
import struct
import sys
import threading
from typing import Any, Dict, List

import numpy as np

import abyssal


def floats(text: str) -> "np.ndarray[Any, Any]":
    return np.array([struct.unpack(">f", bytes.fromhex(word))[0] for word in text.split()], np.float32)


class Step:
    """Fields of a line of steps, by what they hold."""

    def __init__(self, line: str) -> None:
        self.number, self.kind, *fields = line.rstrip("\n").split("\t")
        self.fields = dict(field.split("=", 1) for field in fields)

    def text(self, name: str) -> Any:
        return json.loads(self.fields[name]) if name in self.fields else None

    def integer(self, name: str, default: int = 0) -> int:
        return int(self.fields.get(name, default))

    def integers(self, name: str) -> List[int]:
        return [int(word) for word in self.fields.get(name, "").split()]

    def lists(self, name: str) -> List[List[int]]:
        return [[int(word) for word in part.split()] for part in self.fields[name].split(";")]

    def floats(self, name: str, *shape: int) -> Any:
        return floats(self.fields[name]).reshape(shape) if name in self.fields else None

    def number_of(self, name: str) -> Any:
        return float(floats(self.fields[name])[0]) if name in self.fields else None

    def say(self, *words: Any) -> None:
        print(self.number, *words)

    def say_error(self, error: abyssal.Error) -> None:
        self.say("error", error.code, error.status, quoted(str(error)))

    def say_array(self, array: "np.ndarray[Any, Any]") -> None:
        self.say("shape", "i32" if array.dtype == np.int32 else "f32", *array.shape)
        if array.dtype == np.int32:
            self.say("integers", *array.ravel())
            return
        words = [int(word) for word in array.ravel().view(np.uint32)]
        hashed = 2166136261  # FNV-1a, word by word
        for word in words:
            hashed = (hashed ^ word) * 16777619 & 0xFFFFFFFF
        if len(array):
            self.say("largest", int(array[-1].argmax()))
        self.say("local bits", f"{hashed:08x}", *(f"{word:08x}" for word in words[:4]))


def quoted(text: str) -> str:
    escaped = "".join("\\" + c if c in '"\\' else c if c >= " " else f"\\u{ord(c):04x}" for c in text)
    return f'"{escaped}"'


models: Dict[int, abyssal.Model] = {}
sequences: Dict[int, abyssal.Sequence] = {}
devices: Dict[int, abyssal.Device] = {}
tensors: Dict[str, Any] = {}
layers: Dict[str, Any] = {}


def model(step: Step) -> abyssal.Model:
    return models[step.integer("model")]


def sequence(step: Step) -> abyssal.Sequence:
    return sequences[step.integer("sequence")]


def model_options(step: Step) -> Dict[str, Any]:
    return {
        "device": devices[step.integer("device")] if "device" in step.fields else None,
        "backend": step.text("backend"),
        "threads": step.integer("threads", 1) if "device" not in step.fields else 0,
        "activations": step.text("activations") or "auto",
        "cache_dtype": step.text("cache_dtype") or "auto",
        "cache_tokens": step.integer("cache_tokens"),
        "absorb_below": step.integer("absorb_below"),
        "mtp": step.integer("mtp") != 0,
    }


def version(step: Step) -> None:
    step.say("version", abyssal.version)


def backends(step: Step) -> None:
    for backend in abyssal.backends():
        step.say("backend", backend.name, backend.device_count)


def device(step: Step) -> None:
    made = abyssal.Device(step.text("backend"), step.integer("threads", 1), step.integer("index"))
    devices[step.integer("device")] = made
    step.say("device", made.info.backend, made.info.threads)
    step.say("local device", quoted(made.info.name), quoted(made.info.isa), made.info.memory_bytes)


def plan(step: Step) -> None:
    made = abyssal.Model.plan(step.text("path"), **model_options(step))
    step.say("plan", made.layers, made.parameters, made.active_parameters, made.file_bytes)
    step.say("cache", made.cache_bytes_per_token, made.cache_tokens, made.cache_bytes)
    step.say("local memory", made.weight_bytes, made.mapped_bytes, made.scratch_bytes, made.total_bytes)


def open_with(step: Step, make: Any) -> None:
    seen = []

    def progress(stage: str, done: int, total: int) -> bool:
        seen.append((stage, int(done == total)))
        return step.text("progress") == "cancel"

    models[step.integer("model")] = make(progress if "progress" in step.fields else None)
    step.say("opened", *(("progress", *seen[-1]) if seen else ()))


def open_model(step: Step) -> None:
    options = {"tokenizer": step.text("tokenizer"), **model_options(step)}
    open_with(step, lambda progress: abyssal.Model.open(step.text("path"), progress=progress, **options))


def tensor(step: Step) -> None:
    tensors[step.text("name")] = step.floats("data", *step.integers("shape"))


def open_tensors(step: Step) -> None:
    options = {"tokenizer": step.text("tokenizer"), **model_options(step)}
    given = dict(tensors)
    tensors.clear()
    config = step.text("config")
    open_with(step, lambda progress: abyssal.Model.from_tensors(config, given, progress=progress, **options))


def update(step: Step) -> None:
    given = dict(tensors)
    tensors.clear()
    model(step).update(given)
    step.say("updated")


def info(step: Step) -> None:
    i = model(step).info
    step.say("model", i.architecture, i.attention, quoted(i.weight_types), i.layers, i.hidden_size, i.vocab_size)
    step.say("heads", i.heads, i.kv_heads, i.kv_lora_rank, i.rope_dim)
    step.say("experts", i.experts, i.top_k, i.context_length, i.mtp_layers)
    step.say("text", i.bos_token, int(i.has_tokenizer), int(i.has_chat_template), int(i.reasons), int(i.tools))
    step.say("types", i.activations, i.cache_dtype)
    step.say("sizes", i.parameters, i.active_parameters, i.file_bytes, i.cache_bytes_per_token, i.cache_tokens)
    step.say("local memory", i.weight_bytes, i.mapped_bytes)
    step.say("eos", *model(step).eos_tokens)
    step.say("on", model(step).device.info.backend)


def tokenize(step: Step) -> None:
    add_bos, plain = step.integer("add_bos") != 0, step.integer("plain") != 0
    step.say("tokens", *model(step).tokenize(step.text("text"), add_bos=add_bos, plain=plain))


def detokenize(step: Step) -> None:
    skip_special = step.integer("skip_special") != 0
    step.say("bytes", model(step).detokenize(step.integers("tokens"), skip_special=skip_special).hex())


def render_chat(step: Step) -> None:
    flag = step.text("flag")
    text = model(step).render_chat(
        step.text("messages"),
        tools=step.text("tools"),
        add_generation_prompt=step.integer("add_generation_prompt", 1) != 0,
        chat_template=step.text("chat_template"),
        allow_dropped_tools=step.integer("allow_dropped_tools") != 0,
        **({flag: True} if flag else {}),
    )
    step.say("text", quoted(text))


def new_sequence(step: Step) -> None:
    sequences[step.integer("sequence")] = model(step).sequence()


def eval_options(step: Step) -> Dict[str, Any]:
    return {
        "logits": step.integer("logits", 1),
        "hidden": step.integer("hidden") != 0,
        "hidden_layers": step.integer("hidden_layers") != 0,
        "routes": step.integer("routes") != 0,
        "mtp": step.integer("mtp") != 0,
        "chunk": step.integer("chunk"),
    }


def evaluate(step: Step) -> None:
    sequence(step).eval(step.integers("tokens"), **eval_options(step))
    step.say("length", sequence(step).length)


def eval_batch(step: Step) -> None:
    batch = [sequences[i] for i in step.integers("sequences")]
    abyssal.eval_batch(batch, step.lists("tokens"), **eval_options(step))
    step.say("lengths", *(one.length for one in batch))


def interrupt(step: Step) -> None:
    """Evaluates a token over and over on another thread: forks until that is refused, then cancels it."""
    on = sequence(step)
    ended = threading.Event()
    errors: List[abyssal.Error] = []

    def run() -> None:
        while not ended.is_set():
            try:
                on.eval([step.integer("token")] * step.integer("count"))
                ended.set()
            except abyssal.Busy:
                pass  # a fork was in it
            except abyssal.Error as error:
                errors.append(error)
                ended.set()

    thread = threading.Thread(target=run)
    thread.start()
    refused = False
    while not refused and not ended.is_set():
        try:
            on.fork().close()
        except abyssal.Error as error:
            step.say_error(error)
            refused = True
    on.cancel()
    thread.join()
    for error in errors:
        step.say_error(error)
    step.say("length", on.length)


def output(step: Step) -> None:
    step.say_array(sequence(step).output(step.text("output"), step.integer("layer", -1)))


def tokens(step: Step) -> None:
    step.say("length", sequence(step).length)
    step.say("tokens", *sequence(step).tokens)


def truncate(step: Step) -> None:
    sequence(step).truncate(step.integer("length"))
    step.say("length", sequence(step).length)


def fork(step: Step) -> None:
    sequences[step.integer("into")] = sequence(step).fork()


def reply_options(step: Step) -> Dict[str, Any]:
    return {
        "max_tokens": step.integer("max_tokens") if "max_tokens" in step.fields else None,
        "temperature": step.number_of("temperature"),
        "top_p": step.number_of("top_p"),
        "top_k": step.integer("top_k") if "top_k" in step.fields else None,
        "min_p": step.number_of("min_p"),
        "seed": step.integer("seed"),
        "logprobs": step.integer("logprobs") != 0,
        "ignore_eos": step.integer("ignore_eos") != 0,
        "stop_tokens": step.integers("stop_tokens"),
        "chunk": step.integer("chunk"),
        "json_schema": step.text("json_schema"),
        "regex": step.text("regex"),
        "grammar": step.text("grammar"),
        "mask": mask(step) if "mask" in step.fields and "mask_after" not in step.fields else None,
    }


def mask(step: Step) -> np.ndarray:
    """A flag for each of mask_size ids: whether it is listed."""
    flags = np.zeros(step.integer("mask_size"), bool)
    flags[step.integers("mask")] = True
    return flags


def generate(step: Step) -> None:
    plain = step.integer("plain", 1) != 0
    stream = sequence(step).generate(step.integers("tokens"), plain=plain, **reply_options(step))
    if step.integer("cancel"):
        stream.cancel()
    left = step.integer("leave")
    for seen, event in enumerate(stream, 1):
        step.say("event", event.kind, event.token, event.text_kind, quoted(event.text))
        if event.logprob is not None:
            step.say("local logprob", f"{event.logprob:.4f}")
        if event.kind == "prompt":
            step.say("prompt", event.prompt_done, event.prompt_total)
        if event.kind == "end":
            step.say("end", event.finish_reason, event.completion_tokens, event.reasoning_tokens)
        if seen == step.integer("mask_after"):
            stream.set_mask(mask(step))
        if seen == step.integer("lift_after"):
            stream.set_mask(None)
        left -= 1
        if left == 0:
            break
    stream.close()
    step.say("length", sequence(step).length)


def chat(step: Step) -> None:
    reply = model(step).chat(step.text("messages"), **reply_options(step))
    step.say("reasoning", quoted(reply.reasoning))
    step.say("content", quoted(reply.content))
    step.say("tokens", *reply.tokens)
    usage = reply.usage
    step.say("end", reply.finish_reason, usage.prompt_tokens, usage.completion_tokens, usage.reasoning_tokens)


def route(step: Step) -> None:
    experts = step.integer("experts")
    index, weight = abyssal.ops.moe_route(
        step.floats("logits", -1, experts),
        step.integer("top_k"),
        n_group=step.integer("n_group", 1),
        topk_group=step.integer("topk_group", 1),
        scoring=step.text("scoring"),
        topk_method=step.text("topk_method"),
        norm_topk_prob=step.integer("norm_topk_prob") != 0,
        routed_scaling_factor=step.number_of("routed_scaling_factor"),
        bias=step.floats("bias", experts),
        device=devices[step.integer("device")],
    )
    step.say_array(index)
    step.say_array(weight)


def experts(step: Step) -> None:
    e, d, inter, shared = (step.integer(name) for name in ("experts", "hidden", "inter", "shared_inter"))
    layers["experts"] = abyssal.ops.Experts(
        step.floats("gate", e, inter, d),
        step.floats("up", e, inter, d),
        step.floats("down", e, d, inter),
        shared=(
            step.floats("shared_gate", shared, d),
            step.floats("shared_up", shared, d),
            step.floats("shared_down", d, shared),
        ),
        device=devices[step.integer("device")],
    )


def run_experts(step: Step) -> None:
    top_k = step.integer("top_k")
    index = np.array(step.integers("index"), np.int32).reshape(-1, top_k)
    step.say_array(layers["experts"](step.floats("x", len(index), -1), index, step.floats("weight", len(index), top_k)))


def mla(step: Step) -> None:
    rows = step.integer("heads") * (step.integer("nope") + step.integer("v"))
    layers["mla"] = abyssal.ops.Mla(
        step.floats("kv_b", rows, -1),
        heads=step.integer("heads"),
        qk_nope_head_dim=step.integer("nope"),
        qk_rope_head_dim=step.integer("rope"),
        v_head_dim=step.integer("v"),
        device=devices[step.integer("device")],
    )


def attend(step: Step) -> None:
    row_begin, context = step.integers("row_begin"), step.integers("context")
    out = layers["mla"].attend(
        step.floats("q", row_begin[-1], step.integer("heads"), -1),
        step.floats("cache", step.integer("blocks"), 64, -1),
        row_begin=row_begin,
        context=context,
        block_table=np.array(step.integers("block_table"), np.int32).reshape(len(context), -1),
        scale=step.number_of("scale"),
        absorb_below=step.integer("absorb_below"),
    )
    step.say_array(out)


def close(step: Step) -> None:
    for name, objects in (("model", models), ("sequence", sequences), ("device", devices)):
        if name in step.fields:
            objects[step.integer(name)].close()  # type: ignore[attr-defined]
    if "layer" in step.fields:
        layers[step.text("layer")].close()


KINDS = {
    "version": version, "backends": backends, "device": device, "plan": plan, "open": open_model, "tensor": tensor,
    "open_tensors": open_tensors, "update": update, "info": info, "tokenize": tokenize, "detokenize": detokenize,
    "render_chat": render_chat, "sequence": new_sequence, "eval": evaluate, "eval_batch": eval_batch,
    "interrupt": interrupt, "output": output, "tokens": tokens, "truncate": truncate, "fork": fork,
    "generate": generate, "chat": chat, "route": route, "experts": experts, "run_experts": run_experts, "mla": mla,
    "attend": attend, "close": close,
}  # fmt: skip

for line in open(sys.argv[1], encoding="ascii"):
    now = Step(line)
    try:
        KINDS[now.kind](now)
    except abyssal.Error as error:
        now.say_error(error)
    now.say("done")
