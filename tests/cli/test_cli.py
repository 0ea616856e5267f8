"""The `abyssal` command as a user meets it: output, JSON, errors, exit statuses, pipes and Ctrl-C."""

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest

from abyssal_command import CLI, ROOT, fails, out_json, run

CHECKPOINTS = ROOT / "tests/data/conformance"
NAMES = sorted(path.name for path in CHECKPOINTS.iterdir() if path.is_dir())
TINY = str(CHECKPOINTS / "tiny-v3")


@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("name", NAMES)
def test_verify_every_checkpoint(name, backend):
    folder = CHECKPOINTS / name
    lines = run("verify", folder, folder / "expected.safetensors", "--backend", backend).stdout.decode().splitlines()
    assert lines[-1].endswith("tensors ok, 0 missed")
    assert any(line.startswith("p3.logits_last") and line.endswith("ok") for line in lines)
    assert not any("skipped" in line for line in lines)


def test_verify_takes_the_arithmetic_that_is_asked_for():
    folder = CHECKPOINTS / "tiny-r1-distill-qwen"
    arguments = ("verify", folder, folder / "expected.safetensors", "--json")
    exact, rounded = out_json(*arguments), out_json(*arguments, "--activations", "bf16")

    def hidden(result):
        return next(entry["error"] for entry in result["tensors"] if entry["name"] == "p2.hidden.1")

    assert hidden(exact) < 2e-5 < 1e-3 < hidden(rounded) < 1e-2


def test_verify_sees_a_wrong_value(tmp_path):
    source = CHECKPOINTS / "tiny-v2-lite/expected.safetensors"
    damaged = bytearray(source.read_bytes())
    header_length = int.from_bytes(damaged[:8], "little")
    header = json.loads(damaged[8:8 + header_length])
    begin, end = header["p2.hidden.2"]["data_offsets"]
    values = np.frombuffer(bytes(damaged[8 + header_length + begin:8 + header_length + end]), np.float32) * 1.001
    damaged[8 + header_length + begin:8 + header_length + end] = values.astype(np.float32).tobytes()
    (tmp_path / "wrong.safetensors").write_bytes(damaged)
    done = run("verify", CHECKPOINTS / "tiny-v2-lite", tmp_path / "wrong.safetensors", status=1)
    missed = [line.split()[0] for line in done.stdout.decode().splitlines() if line.endswith("MISS")]
    assert missed == ["p2.hidden.2"]
    fails(2, "wrong.nothing", "verify", TINY, tmp_path / "wrong.nothing")


def test_info_and_plan():
    info = out_json("info", TINY, "--json")
    assert info["architecture"] == "deepseek_v3" and info["experts"] == 32 and info["attention"] == "mla"
    assert info["mapped_bytes"] > 0.9 * info["weight_bytes"]
    plan = out_json("plan", TINY, "--json")
    assert plan["weight_bytes"] == info["weight_bytes"] and plan["total_bytes"] > plan["weight_bytes"]
    assert "deepseek_v3" in run("info", TINY).stdout.decode()
    assert "total" in run("plan", TINY).stdout.decode()
    small = out_json("info", TINY, "--cache", "int8", "--attention", "absorbed", "--json")
    assert small["cache_dtype"] == "int8" and (info["activations"], info["cache_dtype"]) == ("bf16", "bf16")
    exact = out_json("info", TINY, "--activations", "f32", "--json")
    assert (exact["activations"], exact["cache_dtype"]) == ("f32", "f32")
    assert exact["cache_bytes_per_token"] == 2 * info["cache_bytes_per_token"]
    small_plan = out_json("plan", TINY, "--cache", "int8", "--json")
    assert small["cache_bytes_per_token"] == small_plan["cache_bytes_per_token"]
    assert small["cache_bytes_per_token"] < exact["cache_bytes_per_token"] / 2
    assert run("devices").stdout.decode().splitlines()[-1].startswith("reference")
    assert run("--version").stdout.decode() == "abyssal 0.1.0\n"


@pytest.mark.parametrize("weights", ["int8", "int4"])
@pytest.mark.parametrize("name", ["tiny-v3-fp8", "tiny-r1-distill-qwen"])
def test_weights_rounded_while_they_are_loaded(name, weights):
    folder = CHECKPOINTS / name
    done = subprocess.run([CLI, "verify", folder, folder / "expected.safetensors", "--weights", weights, "--json"],
                          capture_output=True, timeout=120)
    errors = {entry["name"]: entry["error"] for entry in json.loads(done.stdout)["tensors"] if "error" in entry}
    # Behind it, rounding sends some tokens of random weights to other experts.
    assert errors["p2.hidden.1"] < {"int8": 2e-2, "int4": 1.5e-1}[weights]
    plan, stored = out_json("plan", folder, "--weights", weights, "--json"), out_json("plan", folder, "--json")
    assert plan["parameters"] == stored["parameters"] and plan["file_bytes"] == stored["file_bytes"]
    info = out_json("info", folder, "--weights", weights, "--json")
    assert info["weight_bytes"] == plan["weight_bytes"]
    assert {"int8": "as q8 (", "int4": "as q4 ("}[weights] in info["weight_layouts"]
    assert info["arithmetic"] == {"int8": "int16", "int4": "int8"}[weights]
    assert "kept            " in run("info", folder, "--weights", weights).stdout.decode()


def test_packed_cache(tmp_path):
    arguments = ["info", TINY, "--weights", "int8", "--packed-cache", tmp_path, "--json"]
    assert out_json(*arguments)["packed_cache"] is False
    assert out_json(*arguments)["packed_cache"] is True
    assert out_json(*arguments, "--packed-cache-check")["packed_cache"] is True
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-1])
    done = run(*arguments)
    assert json.loads(done.stdout)["packed_cache"] is False
    warning = done.stderr.decode()
    assert warning.startswith("abyssal: packed cache: ") and str(file) in warning and warning.count("\n") == 1


def test_quantize_writes_a_checkpoint_that_opens(tmp_path):
    for name in ("tiny-v3-fp8", "tiny-r1-distill-llama"):
        out = tmp_path / name
        run("quantize", CHECKPOINTS / name, out, "--weights", "int8")
        arguments = ["--tokens", "0,5,7,9", "-o", "-", "--weights", "int8"]
        assert run("logits", out, *arguments).stdout == run("logits", CHECKPOINTS / name, *arguments).stdout
        assert "q8_0" in out_json("info", out, "--json")["weight_types"]
        assert out_json("tokenize", out, "Hello", "--json") == out_json("tokenize", CHECKPOINTS / name, "Hello", "--json")
    fails(1, "config.json already", "quantize", TINY, tmp_path / "tiny-v3-fp8")
    fails(1, "GGUF", "quantize", ROOT / "tests/data/conformance-gguf/tiny-v2-lite-Q4_1.gguf", tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_generate_continues_as_expected():
    folder = CHECKPOINTS / "tiny-v2"
    whole = out_json("generate", folder, "--tokens", "0,5,7", "--max-tokens", 12, "--greedy", "--ignore-eos", "--json")
    assert len(whole["tokens"]) == 12 and whole["finish_reason"] == "length"
    assert whole["usage"] == {"prompt_tokens": 3, "completion_tokens": 12, "reasoning_tokens": 0, "total_tokens": 15}
    prompt = "0,5,7," + ",".join(map(str, whole["tokens"][:5]))
    rest = out_json("generate", folder, "--tokens", prompt, "--max-tokens", 7, "--greedy", "--ignore-eos", "--json")
    assert rest["tokens"] == whole["tokens"][5:]
    plain = run("generate", folder, "--tokens", "0,5,7", "--max-tokens", 12, "--greedy", "--ignore-eos").stdout.decode()
    assert plain == ",".join(map(str, whole["tokens"])) + "\n"


def test_tokens_come_from_files_too(tmp_path):
    (tmp_path / "tokens").write_text("[0, 5,\n 7]\n")
    (tmp_path / "bad").write_text("0 5 seven")
    arguments = ["--max-tokens", 3, "--greedy", "--ignore-eos"]
    listed = run("generate", TINY, "--tokens", "0,5,7", *arguments).stdout
    assert run("generate", TINY, "--tokens", f"@{tmp_path}/tokens", *arguments).stdout == listed
    fails(2, "seven", "generate", TINY, "--tokens", f"@{tmp_path}/bad")
    fails(2, "nothing", "generate", TINY, "--tokens", f"@{tmp_path}/nothing")
    fails(2, "none", "generate", TINY, "--tokens", ",")
    fails(1, "99999", "generate", TINY, "--tokens", "99999")


def test_logits_are_a_numpy_file(tmp_path):
    file = tmp_path / "logits.npy"
    run("logits", TINY, "--tokens", "0,5,7,9", "--last", 3, "-o", file)
    logits = np.load(file)
    assert logits.shape == (3, 1280) and logits.dtype == np.float32 and np.isfinite(logits).all()
    next_token = out_json("generate", TINY, "--tokens", "0,5,7,9", "--max-tokens", 1, "--greedy", "--json")["tokens"]
    assert [int(logits[-1].argmax())] == next_token
    assert run("logits", TINY, "--tokens", "0,5,7,9", "--last", 3, "-o", "-").stdout == file.read_bytes()
    fails(1, "nowhere", "logits", TINY, "--tokens", "1", "-o", tmp_path / "nowhere/x.npy")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["logits.npy"]


def test_tokenize():
    assert out_json("tokenize", TINY, "Hello, 世界", "--json")["tokens"]
    with_bos = out_json("tokenize", TINY, "<｜User｜>Hi", "--json", "--bos")["tokens"]
    assert with_bos[:2] == [0, 1264]
    assert 1264 not in out_json("tokenize", TINY, "<｜User｜>Hi", "--json", "--plain")["tokens"]
    assert out_json("tokenize", TINY, "-", "--json", stdin="Hi".encode())["tokens"] == \
        out_json("tokenize", TINY, "Hi", "--json")["tokens"]
    fails(2, "byte 1", "tokenize", TINY, b"a\xff".decode("utf-8", "surrogateescape"))


def test_run_json_and_stream():
    reply = out_json("run", TINY, "-p", "Hello", "--max-tokens", 6, "--greedy", "--json")
    assert set(reply) == {"reasoning", "content", "finish_reason", "usage"}
    assert reply["usage"]["completion_tokens"] <= 6 and reply["finish_reason"] in ("length", "stop")
    assert reply["reasoning"]  # the template opens <think>
    streamed = run("run", TINY, "-p", "Hello", "--max-tokens", 6, "--greedy").stdout.decode("utf-8", "replace")
    assert streamed.startswith("<think>\n") and "\033" not in streamed
    raw = out_json("run", TINY, "-p", "Hello", "--raw", "--max-tokens", 4, "--json")
    assert raw["reasoning"] == "" and raw["usage"]["completion_tokens"] <= 4
    from_stdin = out_json("run", TINY, "-p", "-", "--max-tokens", 6, "--greedy", "--json", stdin=b"Hello")
    assert from_stdin == reply
    assert out_json("run", TINY, "-p", "Hello", "--max-tokens", 6, "--seed", 7, "--json") == \
        out_json("run", TINY, "-p", "Hello", "--max-tokens", 6, "--seed", 7, "--json")


def test_chat_reads_a_pipe():
    done = run("chat", TINY, "--max-tokens", 4, "--greedy", stdin=b"Hello\n/clear\n\nAgain\n/quit\nnot read\n")
    text = done.stdout.decode("utf-8", "replace")
    assert text.count("<think>") == 2 and "> " not in text.split("<think>")[0] and "\033" not in text
    assert run("chat", TINY, stdin=b"").stdout == b""


def read_until(descriptor, part, seconds=30):
    seen, end = b"", time.monotonic() + seconds
    while part not in seen:
        assert time.monotonic() < end, seen
        seen += os.read(descriptor, 4096)
    return seen


def test_interrupt_stops_the_reply_and_not_the_program():
    child, terminal = pty.fork()
    if child == 0:
        os.environ["TERM"] = "xterm"
        os.execv(CLI, [CLI, "chat", TINY, "--backend", "reference", "--ignore-eos", "--cache-tokens", "2560"])
    read_until(terminal, b"> ")
    os.write(terminal, b"Hello\n")
    seen = read_until(terminal, b"\033[2m")  # reasoning, dimmed
    os.kill(child, signal.SIGINT)
    seen = read_until(terminal, b"(stopped)")
    os.write(terminal, b"/quit\n")
    end = time.monotonic() + 30
    done, status = 0, 0
    while done == 0 and time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        try:
            os.read(terminal, 4096)
        except OSError:  # the terminal closed with the program
            pass
    os.close(terminal)
    assert done == child and os.waitstatus_to_exitcode(status) == 0


def test_a_closed_pipe_ends_quietly():
    with subprocess.Popen([CLI, "generate", TINY, "--tokens", "1", "--max-tokens", "2000", "--ignore-eos"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 0


def test_a_full_disk_is_reported():
    with open("/dev/full", "wb") as full:
        done = subprocess.run([CLI, "info", TINY], stdout=full, stderr=subprocess.PIPE, timeout=60)
    assert done.returncode == 1 and b"standard output" in done.stderr


def test_errors_have_one_line_and_a_status(tmp_path):
    fails(2, "MODEL", "info")
    fails(2, "--threads", "info", TINY, "--threads", "0")
    fails(2, "--threads", "info", TINY, "--threads", "-3")
    fails(2, "--threads", "info", TINY, "--threads", "many")
    fails(2, "--activations", "info", TINY, "--activations", "int3")
    fails(2, "--cache", "info", TINY, "--cache", "int4")
    fails(2, "--attention", "info", TINY, "--attention", "flash")
    fails(1, "absorb_below", "info", TINY, "--attention", "expanded", "--absorb-below", "9")
    assert run(status=2).stderr.startswith(b"abyssal: ")
    fails(1, "/nowhere", "info", "/nowhere")
    fails(1, "is a file", "info", ROOT / "README.md")
    fails(1, "reference", "info", TINY, "--backend", "tpu")
    fails(1, "config.json", "plan", tmp_path)
    fails(1, "context", "bench", TINY, "-d", "100000", "--no-ceilings")
    for name in ("config.json", "model.safetensors"):
        shutil.copy(CHECKPOINTS / "tiny-v2-lite" / name, tmp_path)
    fails(1, "tokenizer", "run", tmp_path, "-p", "Hello")
    assert out_json("generate", tmp_path, "--tokens", "1", "--max-tokens", 2, "--ignore-eos", "--json")["tokens"]


@pytest.mark.parametrize("key, value, damaged", [("pre", b"deepseek-llm", b"deepseek-llx"), ("model", b"gpt2", b"bert")])
def test_a_tokenizer_that_is_not_supported(tmp_path, key, value, damaged):
    def text(value):
        return len(value).to_bytes(8, "little") + value

    name = f"tokenizer.ggml.{key}".encode()
    original = (ROOT / "tests/data/conformance-gguf/tiny-v2-lite-Q4_1.gguf").read_bytes()
    head = text(name) + (8).to_bytes(4, "little")
    assert original.count(head + text(value)) == 1
    file = tmp_path / "model.gguf"
    file.write_bytes(original.replace(head + text(value), head + text(damaged)))
    reason = f'model.gguf: tokenizer.ggml.{key} "{damaged.decode()}" is not supported'

    info = out_json("info", file, "--json")
    assert not info["has_tokenizer"] and reason in info["text_error"]
    lines = [line for line in run("info", file).stdout.decode().splitlines() if line.startswith("text ")]
    assert len(lines) == 1 and reason in lines[0]
    assert out_json("plan", file, "--json")["parameters"] == info["parameters"]
    assert len(out_json("generate", file, "--tokens", "5,6", "--max-tokens", 2, "--ignore-eos", "--json")["tokens"]) == 2
    run("logits", file, "--tokens", "5,6", "-o", tmp_path / "logits.npy")
    assert out_json("bench", file, "-p", 16, "-n", 2, "-r", 1, "--no-ceilings", "--json")["results"]
    fails(1, reason, "run", file, "-p", "Hello")
    fails(1, reason, "tokenize", file, "Hello")
    assert out_json("info", TINY, "--json")["text_error"] == ""
    with_folder = out_json("info", file, "--tokenizer", CHECKPOINTS / "tiny-v2-lite", "--json")
    assert with_folder["has_tokenizer"] and with_folder["text_error"] == ""


def test_bench_json():
    result = out_json("bench", TINY, "-p", 16, "-n", 4, "-d", "0,70", "-t", 1, "-r", 1, "--no-ceilings", "--json")
    assert [(r["kind"], r["tokens"], r["depth"], r["threads"]) for r in result["results"]] == \
        [("prompt", 16, 0, 1), ("decode", 4, 0, 1), ("prompt", 16, 70, 1), ("decode", 4, 70, 1)]
    assert all(r["tokens_per_second"] > 0 for r in result["results"]) and "ceilings" in result


def test_bench_names_the_work_and_what_it_reaches_of_the_ceilings():
    result = out_json("bench", TINY, "-p", 16, "-n", 4, "-t", 1, "-r", 1, "--json")
    prompt, decode = result["results"]
    ceilings = result["ceilings"]
    info = out_json("info", TINY, "--json")
    assert prompt["flops_per_token"] == 2 * info["active_parameters"] and "bytes_per_token" not in prompt
    assert 2 * info["active_parameters"] < decode["bytes_per_token"] < info["weight_bytes"]
    assert ceilings["threads"] == 1 and ceilings["read_bytes_per_second"] > 0 and ceilings["matmul_f32_flops"] > 0
    assert 64 << 20 <= ceilings["read_bytes"] <= 2 << 30

    def share(result, work, ceiling):
        return pytest.approx(result["tokens_per_second"] * result[work] / ceilings[ceiling])

    assert prompt["share_of_f32"] == share(prompt, "flops_per_token", "matmul_f32_flops")
    assert decode["share_of_read"] == share(decode, "bytes_per_token", "read_bytes_per_second")
    assert "share_of_read" not in prompt and "share_of_s8" not in decode
    assert ("share_of_s8" in prompt) == (ceilings["matmul_s8_ops"] > 0)
    assert bool(ceilings["loops"]) == (ceilings["matmul_s8_ops"] == 0)
    assert all(loop["ops"] > 0 for loop in ceilings["loops"]) and "loop" not in prompt and "loop" not in decode


@pytest.mark.parametrize("options, bits", [(["--weights", "int4"], 4), (["--weights", "int8"], 8), ([], 0),
                                           (["--weights", "int4", "--activations", "f32"], 0)])
def test_bench_names_the_loop_that_a_prompt_of_quantised_weights_is_measured_by(options, bits):
    result = out_json("bench", TINY, "-p", 16, "-n", 1, "-t", 1, "-r", 1, "--json", *options)
    prompt, decode = result["results"]
    loops = [loop for loop in result["ceilings"]["loops"] if loop["weight_bits"] >= bits > 0]
    assert ("loop" in prompt) == bool(loops) and "loop" not in decode
    if loops:
        assert prompt["loop"] == loops[0]["name"]
        assert prompt["share_of_loop"] == \
            pytest.approx(prompt["tokens_per_second"] * prompt["flops_per_token"] / loops[0]["ops"])


def test_bench_profile():
    arguments = ["bench", TINY, "-p", 16, "-n", 4, "-d", "0,70", "-t", 1, "-r", 1, "--no-ceilings", "--profile"]
    result = out_json(*arguments, "--json")
    profiles = result["profiles"]
    assert [(p["kind"], p["tokens"], p["depth"], p["threads"]) for p in profiles] == \
        [("prompt", 16, 0, 1), ("decode", 4, 0, 1), ("prompt", 16, 70, 1), ("decode", 4, 70, 1)]
    for profile in profiles:
        calls = {part["name"]: part["calls"] for part in profile["parts"]}
        passes = 1 if profile["kind"] == "prompt" else 4
        assert calls == {"embedding": passes, "norms": 9 * passes, "attention projections": 8 * passes,
                         "attention": 4 * passes, "router": 6 * passes, "experts": 3 * passes, "mlp": passes,
                         "head": passes, "sampling": 0 if profile["kind"] == "prompt" else 4}
        assert sum(part["seconds"] for part in profile["parts"]) <= profile["seconds"]
        assert profile["everything_else"] >= 0
    table = run(*arguments).stdout.decode()
    assert "decode of 4 at depth 70, 1 threads" in table and table.count("everything else") == 4
    assert "attention projections" in table and "GFLOP/s" in table and "GB/s" in table


def test_info_says_how_quantised_weights_are_kept():
    folder = ROOT / "tests/data/conformance-gguf"
    assert out_json("info", TINY, "--json")["weight_layouts"] == ""
    file = folder / "tiny-v2-lite-Q2_K.gguf"
    layouts = out_json("info", file, "--json")["weight_layouts"]
    assert "q2_k as q4_g16_bias (2.62 to " in layouts
    assert f"kept            {layouts}\n" in run("info", file).stdout.decode()
    assert "q8_0 as q8 (8.50 " in out_json("info", folder / "tiny-v2-lite-legacy-Q8_0.gguf", "--json")["weight_layouts"]
    exact = out_json("info", file, "--json", "--activations", "f32")
    assert exact["weight_layouts"] == "q4_0 as f32 (4.50 to 32.00 bits)"  # the halves of kv_b_proj, joined
    assert exact["weight_types"] == out_json("info", file, "--json")["weight_types"]


def test_constrained_replies(tmp_path):
    schema, grammar = tmp_path / "schema.json", tmp_path / "list.lark"
    schema.write_text('{"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"], '
                      '"additionalProperties": false, "x-guidance": {"whitespace_flexible": false}}')
    grammar.write_text('start: WORD "," WORD\nWORD: /[a-c]{2}/\n')
    prompt = ("run", TINY, "--raw", "-p", "Hello", "--max-tokens", 40, "--json")
    assert list(json.loads(out_json(*prompt, "--json-schema", schema)["content"])) == ["ok"]
    assert re.fullmatch("[a-c]{2},[a-c]{2}", out_json(*prompt, "--grammar", grammar)["content"])
    bound = out_json(*prompt, "--regex", "[0-9]{3}")
    assert re.fullmatch("[0-9]{3}", bound["content"]) and bound["finish_reason"] == "stop"
    assert not re.fullmatch("[0-9]{3}", out_json(*prompt)["content"])
    fails(1, "regular expression", *prompt, "--regex", "a(")
    fails(2, "absent", *prompt, "--grammar", tmp_path / "absent")
    fails(2, "--regex", *prompt, "--regex", "a", "--grammar", grammar)
