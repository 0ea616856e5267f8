"""compare.py without a model: what it reads from the programs, the ratios, the tables and the errors."""

import array
import json
import pathlib
import stat
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import answers  # noqa: E402
import compare  # noqa: E402
import llama_build  # noqa: E402

PROMPT, DECODE = compare.Case("prompt", 512, 0), compare.Case("decode", 32, 4096)

# What the two programs print, cut to the fields around those that are read.
ABYSSAL = """{"results": [
  {"kind": "prompt", "tokens": 512, "depth": 0, "threads": 2, "tokens_per_second": 127.25, "min": 127.25, "max": 127.25},
  {"kind": "decode", "tokens": 32, "depth": 4096, "threads": 2, "tokens_per_second": 17.7, "min": 17.7, "max": 17.7}
], "ceilings": {}}"""
LLAMA = """[
  {
    "build_commit": "3a7f1c2d",
    "build_number": 8123,
    "cpu_info": "AMD EPYC 9R14",
    "backends": "CPU",
    "model_type": "deepseek2 16B Q4_0",
    "n_batch": 2048,
    "n_threads": 2,
    "n_prompt": 512,
    "n_gen": 0,
    "n_depth": 0,
    "avg_ns": 6081947743,
    "stddev_ns": 0,
    "avg_ts": 84.183559,
    "stddev_ts": 0.000000,
    "samples_ns": [ 6081947743 ],
    "samples_ts": [ 84.1836 ]
  },
  {
    "build_commit": "3a7f1c2d",
    "build_number": 8123,
    "n_prompt": 0,
    "n_gen": 32,
    "n_depth": 4096,
    "avg_ts": 12.500000
  }
]
"""


def test_rates_are_those_of_the_case():
    assert compare.parse_abyssal(ABYSSAL, PROMPT) == 127.25
    assert compare.parse_abyssal(ABYSSAL, DECODE) == 17.7
    assert compare.parse_llama(LLAMA, PROMPT) == pytest.approx(84.183559)
    assert compare.parse_llama(LLAMA, DECODE) == 12.5
    assert compare.parse_llama_build(LLAMA) == "3a7f1c2d (8123)"


@pytest.mark.parametrize("text, case, part", [
    ("", PROMPT, "no JSON"),
    ("[]", PROMPT, "no result"),
    (LLAMA, compare.Case("prompt", 4096, 0), "no result"),
    (LLAMA, compare.Case("decode", 32, 0), "no result"),
    (LLAMA.replace('"n_depth": 0', '"n_dept": 0'), PROMPT, "newer"),
    (LLAMA.replace("84.183559", "0.0"), PROMPT, "rate of 0.0"),
])
def test_output_that_does_not_answer_is_refused(text, case, part):
    with pytest.raises(compare.Failure, match=part):
        compare.parse_llama(text, case)


def test_an_abyssal_result_of_another_case_is_not_taken():
    with pytest.raises(compare.Failure, match="depth 0"):
        compare.parse_abyssal(ABYSSAL, compare.Case("decode", 32, 0))


def test_the_table_gives_medians_of_ratios_of_pairs():
    # The median of the ratios (2.0) is not the ratio of the medians (30 / 20).
    pairs = {PROMPT: [compare.Pair(10, 5), compare.Pair(30, 20), compare.Pair(80, 40)],
             DECODE: [compare.Pair(17.7, 12.5)]}
    lines = compare.table(pairs).splitlines()
    assert len(lines) == 4 and lines[1] == "|---|---|---|---|---|"
    assert lines[2] == "| prompt of 512 | 30.00 | 20.00 | 2.00 | 1.50 to 2.00 |"
    assert lines[3] == "| decode at depth 4096 | 17.70 | 12.50 | 1.42 | 1.42 to 1.42 |"
    assert all(line.count("|") == 6 for line in lines)


def test_both_programs_are_asked_for_the_same():
    abyssal = compare.abyssal_command("a", "m.gguf", DECODE, 2)
    llama = compare.llama_command("l", "m.gguf", DECODE, 2)
    for option, value in (("-p", "0"), ("-n", "32"), ("-d", "4096"), ("-t", "2"), ("-r", "1")):
        assert abyssal[abyssal.index(option) + 1] == llama[llama.index(option) + 1] == value
    assert compare.cases_of([512, 4096], [0, 4096], 32) == [
        PROMPT, compare.Case("prompt", 4096, 0), compare.Case("decode", 32, 0), DECODE]


def test_the_machine_is_named():
    block = "processor\t: {}\nmodel name\t: AMD EPYC 9R14\nphysical id\t: 0\ncore id\t\t: {}\n"
    cpuinfo = "\n".join(block.format(i, i // 2) for i in range(4))
    assert compare.cpu_model(cpuinfo) == "AMD EPYC 9R14" and compare.physical_cores(cpuinfo) == 2
    assert compare.physical_cores("processor\t: 0\n\nprocessor\t: 1\n") == 2
    assert compare.cpu_model("") == "unknown processor"


def program(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "model.gguf").write_bytes(b"GGUF\3\0\0\0")
    (tmp_path / "abyssal.json").write_text(ABYSSAL)
    (tmp_path / "llama.json").write_text(LLAMA)
    program(tmp_path / "abyssal", f'echo abyssal >> {tmp_path}/order\n[ "$1" = --version ] && echo "abyssal 0.1.0" && exit\n'
                                  f"cat {tmp_path}/abyssal.json")
    program(tmp_path / "llama-bench", f"echo llama >> {tmp_path}/order\ncat {tmp_path}/llama.json")
    return tmp_path


def arguments(folder, *more, llama=("--llama-bench", "llama-bench")):
    return [str(folder / "model.gguf"), "--abyssal", str(folder / "abyssal"), llama[0], str(folder / llama[1]),
            "--prompts", "512", "--depths", "4096", "--pairs", "2", *more]


def test_pairs_are_interleaved_and_the_table_is_printed(folder, capsys):
    assert compare.main(arguments(folder, "--no-error")) == 0
    order = (folder / "order").read_text().split()
    assert order == 2 * ["abyssal", "llama", "llama", "abyssal"] + ["abyssal"]
    out = capsys.readouterr().out
    assert "| prompt of 512 | 127.25 | 84.18 | 1.51 | 1.51 to 1.51 |" in out
    assert "model.gguf on " in out and "cores" in out and "llama.cpp 3a7f1c2d (8123)" in out and "Abyssal 0.1.0" in out
    assert "KL" not in out


# An `abyssal compare` whose figures tell what it was asked: of --logits, the size of that file; of --text, how many.
FAKE_COMPARE = """#!/usr/bin/env python3
import json, os, sys
words = sys.argv[1:]
with open("{folder}/order", "a") as log:
    log.write(" ".join(words) + "\\n")
if words[0] == "--version":
    sys.exit(print("abyssal 0.1.0"))
if words[0] == "bench":
    sys.exit(print(open("{folder}/abyssal.json").read()))
value = lambda name: words[words.index(name) + 1]
if "--logits" in words:
    ids, kl = json.load(open(value("--ids"))), os.path.getsize(value("--logits")) / 1000
else:
    texts = [open(word).read() for at, word in enumerate(words) if words[at - 1] == "--text"]
    ids, kl = [[7] * len(text.split()) for text in texts], 0.25
positions = sum(map(len, ids))
print(json.dumps(dict(positions=positions, mean_kl=kl, p99_kl=0.5, max_kl=0.75, same_top1=0.9375, ids=ids)))
"""


@pytest.fixture
def answering(folder):
    """With a command that compares, texts, and what is left of a build of llama.cpp: four bytes of logits for a token."""
    (folder / "abyssal").write_text(FAKE_COMPARE.format(folder=folder))
    (folder / "prose").write_text("four words of prose")
    (folder / "questions").write_text(json.dumps(["Who?", "Why not?"]))
    binaries = folder / "llama/build/bin"
    binaries.mkdir(parents=True)
    (folder / "llama-bench").rename(binaries / "llama-bench")
    (folder / "llama/llama_cpp_python-0.0.1/vendor/llama.cpp").mkdir(parents=True)
    for name in llama_build.LIBRARIES:
        (folder / "llama/build" / name).touch()
    program(folder / "llama/llama_logits", f'cp "$2" {folder}/ids.bin; head -c $(($(wc -c < "$2") - 4)) /dev/zero > "$3"')
    return folder


def test_answers_of_both_programs_are_compared_on_the_same_tokens(answering, capsys):
    texts = ("--text", str(answering / "prose"), "--questions", str(answering / "questions"))
    assert compare.main(arguments(answering, *texts, llama=("--build-llama", "llama"))) == 0
    out = capsys.readouterr().out
    assert "| prose, 4 positions: Abyssal | 0.25 | 0.5 | 0.75 | 93.8 % |\n" in out
    assert "| prose, 4 positions: llama.cpp | 0.016 | 0.5 | 0.75 | 93.8 % |\n" in out
    assert "| chat, 3 positions: Abyssal | 0.25 |" in out and "| chat, 3 positions: llama.cpp | 0.016 |" in out
    assert out.index("| prompt of 512 |") < out.index("| prose,") < out.index("| chat,")
    ids = array.array("i", (answering / "ids.bin").read_bytes())
    assert list(ids) == [1, 7, 2, 7, 7]
    asked = [line.split() for line in (answering / "order").read_text().splitlines() if line.startswith("compare")]
    assert len(asked) == 4 and all("--threads" in words and "--json" in words for words in asked)
    assert "--chat" not in asked[0] and "--chat" in asked[2] and asked[2].count("--text") == 2 and "--reply" in asked[2]


def test_without_a_build_the_answers_of_llama_are_left_out_with_the_reason(answering, capsys):
    given = arguments(answering, llama=("--llama-bench", "llama/build/bin/llama-bench"))
    assert compare.main(given) == 0
    out = capsys.readouterr().out
    assert "positions: Abyssal |" in out and "positions: llama.cpp" not in out
    assert "llama.cpp were not compared: that takes its library, which --build-llama FOLDER builds" in out
    assert answers.read_questions(answers.TEXTS / "questions.json")


def test_answers_that_fail_leave_the_rates_and_say_why(answering, capsys):
    def fails(part, *more):
        assert compare.main(arguments(answering, *more, llama=("--build-llama", "llama"))) == 1
        got = capsys.readouterr()
        assert "compare: " in got.err and part in got.err and "| prompt of 512 |" in got.out, got.err

    (answering / "wrong").write_text("{}")
    fails("not a JSON array", "--questions", str(answering / "wrong"))
    fails("cannot be read", "--questions", str(answering / "absent"))
    program(answering / "llama/llama_logits", "echo 'llama.cpp cannot load it' >&2; exit 1")
    fails("cannot load it")
    (answering / "llama/build/libllama.a").unlink()
    fails("libllama.a is not there")


def test_what_is_missing_is_named(folder, capsys):
    def fails(part, given):
        assert compare.main(given) == 1
        error = capsys.readouterr().err
        assert error.startswith("compare: ") and part in error, error

    fails("nothing.gguf: there is no such file", [str(folder / "nothing.gguf")])
    fails("is not a GGUF file", [str(folder / "llama.json")])
    fails("--abyssal", [str(folder / "model.gguf"), "--abyssal", str(folder / "nothing")])
    fails("--build-llama", [str(folder / "model.gguf"), "--abyssal", str(folder / "abyssal"), "--llama-bench", "/nothing"])
    program(folder / "llama-bench", "echo 'error: unknown model architecture' >&2; exit 3")
    fails("status 3", arguments(folder))
    fails("unknown model architecture", arguments(folder))
    program(folder / "llama-bench", "exec sleep 60")
    fails("no result within 1 s", arguments(folder, "--timeout", "1"))


@pytest.mark.parametrize("option, value, part", [
    ("--prompts", "many", "list of numbers"), ("--prompts", "0", "0 tokens"), ("--depths", "-1", "negative"),
    ("--pairs", "0", "positive"), ("--threads", "x", "positive"),
])
def test_wrong_use_is_refused(folder, capsys, option, value, part):
    with pytest.raises(SystemExit) as ended:
        compare.main([str(folder / "model.gguf"), f"{option}={value}"])
    assert ended.value.code == 2 and part in capsys.readouterr().err
