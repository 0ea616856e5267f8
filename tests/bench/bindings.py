"""What each language costs over C on the same model: greedy decoding, and having the logits of a prompt.

    python tests/bench/bindings.py [MODEL]       needs an idle machine, and what tests/run.sh leaves

In each round one process of each language writes the same reply, one after another, in an order that changes from round
to round so that each stands in each place, and follows each other one, equally often. A ratio is that of two times of
one round: what slows the machine down for longer than a round cancels. The processes are launched many times: where its
pages lie in the machine's caches makes a process one or two percent faster or slower than another one of the same
program for as long as it lives. The table gives the median over the launches of each launch's median ratio, and the
interval that holds the true median with 95 % confidence, whatever the distribution. C takes part twice: what the table
says of "C again" is what the measurement cannot tell from nothing.
"""

import argparse
import math
import pathlib
import statistics
import sys
import tempfile
import time
from typing import Dict, List, Optional, Tuple

from compare import Failure, cpu_model, physical_cores, positive_number
from workers import LANGUAGES, Worker, Workers, argument_parser, languages, same

LIMITS = {"Python": 0.03, "Node.js": 0.05, "Java": 0.03}  # per token, over C
AGAIN = "C again"
WARM_TOKENS = 16  # before each reply
WARM_PROMPTS = 10  # before those that are measured
PAUSE = 0.01  # seconds in which threads that spin after their work go to sleep


def orders(count: int) -> List[List[int]]:
    """Orders of so many programs, after which each has stood in each place, and has followed each other one, equally
    often: the rows of Williams' square (Australian Journal of Scientific Research A 2, 1949), and those rows reversed."""
    zigzag = [(-1) ** i * ((i + 1) // 2) % count for i in range(count)]
    rows = [[(place + shift) % count for place in zigzag] for shift in range(count)]
    return rows + [row[::-1] for row in rows]


def median_interval(values: List[float]) -> Optional[Tuple[float, float]]:
    """The values between which the true median is with 95 % confidence, by the binomial distribution of how many of
    them are below it. None: they are too few."""
    count, below, rank = len(values), 0.0, 0
    while below + math.comb(count, rank) / 2 ** count <= 0.025:
        below += math.comb(count, rank) / 2 ** count
        rank += 1
    ordered = sorted(values)
    return (ordered[rank - 1], ordered[count - rank]) if rank > 0 else None


def verdict(interval: Optional[Tuple[float, float]], limit: float) -> str:
    if interval is None:
        return "too few launches"
    return "kept" if interval[1] <= limit else "broken" if interval[0] > limit else "not decided"


def percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def decode_table(launches: List[Dict[str, List[float]]], tokens: int) -> str:
    """launches: of each, the seconds of each program's replies, round by round."""
    lines = ["| | tokens/s | per token over C | 95 % interval | limit |", "|---|---|---|---|---|"]
    for name in launches[0]:
        rate = f"| {name} | {tokens / statistics.median(second for times in launches for second in times[name]):.0f} |"
        if name == LANGUAGES["c"]:
            lines.append(rate + " | | |")
            continue
        over = [statistics.median(mine / of_c - 1 for mine, of_c in zip(times[name], times[LANGUAGES["c"]]))
                for times in launches]
        interval = median_interval(over)
        shown = f"{percent(interval[0])} to {percent(interval[1])}" if interval else ""
        limit = f"{percent(LIMITS[name])}: {verdict(interval, LIMITS[name])}" if name in LIMITS else ""
        lines.append(f"{rate} {percent(statistics.median(over))} | {shown} | {limit} |")
    return "\n".join(lines)


def logits_table(times: Dict[str, Dict[str, List[float]]]) -> str:
    """times: of each program, seconds of each way to have the logits, round by round. C's first way is the measure."""
    lines = ["| | | microseconds | of C's one copy |", "|---|---|---|---|"]
    measure = next(iter(times[LANGUAGES["c"]].values()))
    for name, ways in times.items():
        for way, seconds in ways.items():
            ratio = statistics.median(mine / of_c for mine, of_c in zip(seconds, measure))
            lines.append(f"| {name} | {way} | {1e6 * statistics.median(seconds):.1f} | {ratio:.2f} |")
    return "\n".join(lines)


def ask_in_turn(workers: List[Worker], index: int, *question) -> Dict[str, dict]:
    """Answers of all, by name, asked in the order of this round, each after a few tokens that bring its memory back into
    the caches."""
    every = orders(len(workers))
    answers = {}
    for place in every[index % len(every)]:
        time.sleep(PAUSE)
        workers[place].ask("decode", WARM_TOKENS)
        answers[workers[place].name] = workers[place].ask(*question)
    return answers


def measure_decode(workers: List[Worker], tokens: int, warm: int, rounds: int) -> Dict[str, List[float]]:
    times: Dict[str, List[float]] = {worker.name: [] for worker in workers}
    for worker in workers:
        for _ in range(warm):
            worker.ask("decode", tokens)
    for index in range(rounds):
        answers = ask_in_turn(workers, index, "decode", tokens)
        same(answers, "digest")
        for name, answer in answers.items():
            times[name].append(answer["seconds"])
    return times


def measure_logits(workers: List[Worker], tokens: int, rounds: int):
    """Seconds of each program's ways, and what all have had: elements, and C's seconds of evaluation."""
    times: Dict[str, Dict[str, List[float]]] = {}
    evaluations = []
    for index in range(-WARM_PROMPTS, rounds):
        answers = ask_in_turn(workers, index, "logits", tokens)
        same(answers, "elements", "last")
        if index < 0:
            continue
        evaluations.append(answers[LANGUAGES["c"]]["eval"])
        for worker in workers:
            for way, seconds in answers[worker.name]["ways"].items():
                times.setdefault(worker.name, {}).setdefault(way, []).append(seconds)
    return times, answers[LANGUAGES["c"]]["elements"], statistics.median(evaluations)


def parse_arguments(arguments: Optional[List[str]]) -> argparse.Namespace:
    parser = argument_parser(__doc__, "beside C (default c,python,node,java)")
    parser.add_argument("--tokens", type=positive_number, default=256, help="of a reply (default 256)")
    parser.add_argument("--prompt", type=positive_number, default=512, help="tokens whose logits are read (default 512)")
    parser.add_argument("--launches", type=positive_number, default=20, help="of all programs (default 20)")
    parser.add_argument("--rounds", type=positive_number, default=10, help="of replies in each launch (default 10)")
    parser.add_argument("--logits-rounds", type=positive_number, default=40, help="of prompts, in one launch (default 40)")
    parser.add_argument("--warm", type=positive_number, default=60,
                        help="replies of each before, in each launch: a compiler at work takes a core (default 60)")
    return parser.parse_args(arguments)


def main(arguments: Optional[List[str]] = None) -> int:
    options = parse_arguments(arguments)
    try:
        names = [name for name in languages(options.languages) if name != "c"]
        launches = []
        with tempfile.TemporaryDirectory() as work:
            for launch in range(options.launches):
                with Workers(options.model, options.build, pathlib.Path(work), node=options.node) as all_of_them:
                    workers = [all_of_them.start("c"), all_of_them.start("c", AGAIN), *map(all_of_them.start, names)]
                    launches.append(measure_decode(workers, options.tokens, options.warm, options.rounds))
                    print(f"{launch + 1} launches of {options.launches}", file=sys.stderr)
                    if launch + 1 == options.launches:
                        del workers[1]
                        logits, elements, evaluation = measure_logits(workers, options.prompt, options.logits_rounds)
    except Failure as failure:
        print(f"bindings: {failure}", file=sys.stderr)
        return 1
    cpuinfo = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8")
    print(f"{pathlib.Path(options.model).name} on {cpu_model(cpuinfo)}, {physical_cores(cpuinfo)} cores; medians.\n\n"
          f"Greedy decoding, {options.launches} launches, {options.rounds} rounds each of {options.tokens} tokens:\n\n"
          f"{decode_table(launches, options.tokens)}\n\n"
          f"Logits of a prompt of {options.prompt} tokens, {elements * 4 / 1e6:.2f} MB, after an evaluation of "
          f"{1e3 * evaluation:.1f} ms, {options.logits_rounds} rounds:\n\n{logits_table(logits)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
