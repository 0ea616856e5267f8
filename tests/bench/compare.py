"""Abyssal beside llama.cpp on one GGUF file: the two in turn, case by case, and the ratios as a Markdown table; and how
far the answers of both are from float32 arithmetic on the file, as a second one.

    python tests/bench/compare.py MODEL.gguf --llama-bench PATH
    python tests/bench/compare.py MODEL.gguf --build-llama FOLDER     fetches llama-cpp-python's source by pip, builds it

Each pair runs both programs once, the order changing from pair to pair; a ratio is that of one pair, and the table gives
the median of the ratios. Each program warms itself up. Nothing is fetched unless --build-llama asks for it.

Answers are compared over the positions of a text and of chats, for llama.cpp over the same token ids: those take its
library, and so --build-llama. A file of noise has no answers: --no-error.
"""

import argparse
import os
import pathlib
import re
import shutil
import statistics
import sys
from dataclasses import dataclass
from typing import Dict, List, Optional

from answers import TEXTS, answers_table, measure_answers
from llama_build import build_llama, build_logits
from programs import Failure, read_json, run

ROOT = pathlib.Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Case:
    kind: str  # "prompt" or "decode"
    tokens: int
    depth: int

    @property
    def title(self) -> str:
        if self.kind == "prompt":
            return f"prompt of {self.tokens}"
        return f"decode at depth {self.depth}"


@dataclass(frozen=True)
class Pair:
    abyssal: float  # tokens per second
    llama: float

    @property
    def ratio(self) -> float:
        return self.abyssal / self.llama


def cases_of(prompts: List[int], depths: List[int], decode: int) -> List[Case]:
    return [Case("prompt", count, 0) for count in prompts] + [Case("decode", decode, depth) for depth in depths]


def abyssal_command(program: str, model: str, case: Case, threads: int) -> List[str]:
    prompt, decode = (case.tokens, 0) if case.kind == "prompt" else (0, case.tokens)
    return [program, "bench", model, "-p", str(prompt), "-n", str(decode), "-d", str(case.depth), "-t", str(threads),
            "-r", "1", "--no-ceilings", "--json"]


def llama_command(program: str, model: str, case: Case, threads: int) -> List[str]:
    prompt, decode = (case.tokens, 0) if case.kind == "prompt" else (0, case.tokens)
    return [program, "-m", model, "-p", str(prompt), "-n", str(decode), "-d", str(case.depth), "-t", str(threads),
            "-r", "1", "-ngl", "0", "-o", "json"]


def parse_abyssal(text: str, case: Case) -> float:
    """Tokens per second of a case, from what `abyssal bench --json` prints."""
    for result in read_json(text, "abyssal bench").get("results", []):
        if (result["kind"], result["tokens"], result["depth"]) == (case.kind, case.tokens, case.depth):
            return positive(result["tokens_per_second"], "abyssal bench", case)
    raise Failure(f"abyssal bench printed no result for: {case.title}")


def parse_llama(text: str, case: Case) -> float:
    """Tokens per second of a case, from what `llama-bench -o json` prints."""
    wanted = (case.tokens, 0) if case.kind == "prompt" else (0, case.tokens)
    for result in read_json(text, "llama-bench"):
        if "n_depth" not in result:
            raise Failure("this llama-bench knows no depth (-d); a newer one is needed")
        if (result["n_prompt"], result["n_gen"], result["n_depth"]) == (*wanted, case.depth):
            return positive(result["avg_ts"], "llama-bench", case)
    raise Failure(f"llama-bench printed no result for: {case.title}")


def parse_llama_build(text: str) -> str:
    first = read_json(text, "llama-bench")[0]
    return f"{first['build_commit']} ({first['build_number']})"


def positive(rate: float, program: str, case: Case) -> float:
    if not rate > 0:
        raise Failure(f"{program} gave a rate of {rate} for: {case.title}")
    return rate


def cpu_model(cpuinfo: str) -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return found.group(1).strip() if found else "unknown processor"


def physical_cores(cpuinfo: str) -> int:
    """Cores without their second threads; the number of processors where the system does not say."""
    cores, processors = set(), 0
    for block in cpuinfo.split("\n\n"):
        fields = dict(re.findall(r"^(\S[^\t:]*?)\s*:\s*(.*)$", block, re.MULTILINE))
        processors += "processor" in fields
        if "core id" in fields:
            cores.add((fields.get("physical id"), fields["core id"]))
    return len(cores) or processors


def table(pairs: Dict[Case, List[Pair]]) -> str:
    lines = ["| | Abyssal tokens/s | llama.cpp tokens/s | ratio | least to most |", "|---|---|---|---|---|"]
    for case, measured in pairs.items():
        ratios = [pair.ratio for pair in measured]
        abyssal = statistics.median(pair.abyssal for pair in measured)
        llama = statistics.median(pair.llama for pair in measured)
        lines.append(f"| {case.title} | {abyssal:.2f} | {llama:.2f} | {statistics.median(ratios):.2f} | "
                     f"{min(ratios):.2f} to {max(ratios):.2f} |")
    return "\n".join(lines)


def measure(programs: Dict[str, str], model: str, cases: List[Case], threads: int, count: int, timeout: float):
    """All pairs of all cases, and which llama.cpp it was."""
    pairs: Dict[Case, List[Pair]] = {case: [] for case in cases}
    build = "unknown"
    for case in cases:
        for index in range(count):
            rates = {}
            for name in ("abyssal", "llama") if index % 2 == 0 else ("llama", "abyssal"):
                command = abyssal_command if name == "abyssal" else llama_command
                text = run(command(programs[name], model, case, threads), timeout)
                rates[name] = parse_abyssal(text, case) if name == "abyssal" else parse_llama(text, case)
                if name == "llama":
                    build = parse_llama_build(text)
            pairs[case].append(Pair(**rates))
            print(f"{case.title}, pair {index + 1}: {rates['abyssal']:.2f} and {rates['llama']:.2f} tokens/s",
                  file=sys.stderr)
    return pairs, build


def check_model(path: str) -> None:
    if not os.path.isfile(path):
        raise Failure(f"{path}: there is no such file")
    with open(path, "rb") as file:
        if file.read(4) != b"GGUF":
            raise Failure(f"{path}: is not a GGUF file")


def find_program(given: str, option: str, hint: str) -> str:
    found = shutil.which(given)
    if found is None:
        raise Failure(f"{given}: there is no such program; {hint}, or give its place with {option}")
    return found


def numbers(text: str) -> List[int]:
    try:
        values = [int(part) for part in text.split(",") if part]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of numbers such as 0,4096") from None
    if any(value < 0 for value in values):
        raise argparse.ArgumentTypeError(f"{text!r} holds a negative number")
    return values


def positive_number(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return int(text)


def parse_arguments(arguments: Optional[List[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="MODEL", help="a GGUF file that both programs can run")
    parser.add_argument("--abyssal", metavar="PATH", default=str(ROOT / "build/bin/abyssal"),
                        help="the abyssal command (default: build/bin/abyssal)")
    llama = parser.add_mutually_exclusive_group()
    llama.add_argument("--llama-bench", metavar="PATH", default="llama-bench",
                       help="llama.cpp's llama-bench (default: the one in PATH)")
    llama.add_argument("--build-llama", metavar="FOLDER", type=pathlib.Path,
                       help="build llama-bench there, for this machine, from the source that llama-cpp-python carries on "
                            "PyPI; taken as it is when it was built before")
    parser.add_argument("--threads", type=positive_number, default=0,
                        help="of both programs (default: one per core)")
    parser.add_argument("--prompts", type=numbers, default=[512, 4096], help="prompt lengths (default 512,4096)")
    parser.add_argument("--depths", type=numbers, default=[0, 4096], help="depths of decoding (default 0,4096)")
    parser.add_argument("--decode", type=positive_number, default=32, help="tokens decoded (default 32)")
    parser.add_argument("--pairs", type=positive_number, default=3, help="pairs of each case (default 3)")
    parser.add_argument("--no-error", action="store_true", help="do not compare the answers")
    parser.add_argument("--text", metavar="FILE", type=pathlib.Path, default=TEXTS / "prose.txt",
                        help="prose whose first 512 tokens the answers are compared on (default: texts/prose.txt)")
    parser.add_argument("--questions", metavar="FILE", type=pathlib.Path, default=TEXTS / "questions.json",
                        help="a JSON array of questions, each a chat with a reply (default: texts/questions.json)")
    parser.add_argument("--timeout", type=positive_number, default=3600, help="seconds that a run may take (default 3600)")
    parsed = parser.parse_args(arguments)
    if 0 in parsed.prompts:
        parser.error("argument --prompts: a prompt of 0 tokens")
    if not parsed.prompts and not parsed.depths:
        parser.error("there is nothing to measure: both --prompts and --depths are empty")
    return parsed


def print_answers(options: argparse.Namespace, abyssal: str, threads: int) -> None:
    llama_logits = build_logits(options.build_llama) if options.build_llama else None
    found = measure_answers(abyssal, llama_logits, options.model, options.text, options.questions, threads, options.timeout)
    print()
    print(answers_table(found))
    if llama_logits is None:
        print("\nThe answers of llama.cpp were not compared: that takes its library, which --build-llama FOLDER builds.")


def main(arguments: Optional[List[str]] = None) -> int:
    options = parse_arguments(arguments)
    try:
        check_model(options.model)
        programs = {"abyssal": find_program(options.abyssal, "--abyssal", "build it (README.md)")}
        if options.build_llama:
            options.llama_bench = build_llama(options.build_llama)
        programs["llama"] = find_program(options.llama_bench, "--llama-bench", "have it built with --build-llama FOLDER")
        cpuinfo = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8")
        cores = physical_cores(cpuinfo)
        threads = options.threads or cores
        cases = cases_of(options.prompts, options.depths, options.decode)
        pairs, build = measure(programs, options.model, cases, threads, options.pairs, options.timeout)
        version = run([programs["abyssal"], "--version"], 60).split()[-1]
        print(f"{pathlib.Path(options.model).name} on {cpu_model(cpuinfo)}, {cores} cores, {threads} threads; Abyssal "
              f"{version} beside llama.cpp {build}; medians of {options.pairs} pairs.\n")
        print(table(pairs), flush=True)
        if not options.no_error:
            print_answers(options, programs["abyssal"], threads)
    except Failure as failure:
        print(f"compare: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
