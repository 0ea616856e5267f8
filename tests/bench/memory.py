"""That opening, closing and replying leave nothing behind: resident memory of one process for each language.

    python tests/bench/memory.py [MODEL]       needs what tests/run.sh leaves

Each language opens and closes the model 200 times, evaluating and reading logits in between, and then writes 2,000 short
replies on one model. Resident memory is read after each quarter, when the language has collected its garbage. The first
half is for what settles: allocators' arenas, compiled code, a heap's pages. What comes in the second half is growth, and
more than LIMIT of it fails. Node.js has the smallest young generation there is, and Java a heap of fixed size that
is touched beforehand, so that neither shows up as growth; C is the measure of what the library itself does.
"""

import argparse
import pathlib
import sys
import tempfile
from typing import List, Optional, Tuple

from compare import Failure, positive_number
from workers import LANGUAGES, Workers, argument_parser, languages

QUARTERS = 4
LIMIT = 1024  # KiB. A leak of 1 KiB a reply, or of 10 KiB a model, is as much in the second half of a whole run.
REPLY_TOKENS = 4


def grown(resident: List[int]) -> int:
    """KiB from the half to the end."""
    return resident[-1] - resident[QUARTERS // 2 - 1]


def measure(workers: Workers, language: str, cycles: int, replies: int) -> List[Tuple[str, List[int]]]:
    """Resident KiB after each quarter of the two."""
    worker = workers.start(language)
    every = []
    for title, question in ((f"{cycles} cycles", ("cycles", cycles // QUARTERS)),
                            (f"{replies} replies", ("replies", replies // QUARTERS, REPLY_TOKENS))):
        resident = []
        for _ in range(QUARTERS):
            worker.ask(*question)
            resident.append(worker.resident())
        every.append((title, resident))
    worker.close()
    return every


def quarters(text: str) -> int:
    count = positive_number(text)
    if count % QUARTERS != 0:
        raise argparse.ArgumentTypeError(f"{text} is no multiple of {QUARTERS}")
    return count


def parse_arguments(arguments: Optional[List[str]]) -> argparse.Namespace:
    parser = argument_parser(__doc__, "default c,python,node,java")
    parser.add_argument("--cycles", type=quarters, default=200, help="models opened and closed (default 200)")
    parser.add_argument("--replies", type=quarters, default=2000, help="replies written (default 2000)")
    return parser.parse_args(arguments)


def main(arguments: Optional[List[str]] = None) -> int:
    options = parse_arguments(arguments)
    failures = []
    try:
        names = languages(options.languages)
        print("| MiB after | | 25 % | 50 % | 75 % | 100 % | KiB from 50 % to 100 % |\n|---|---|---|---|---|---|---|")
        with tempfile.TemporaryDirectory() as work, \
                Workers(options.model, options.build, pathlib.Path(work), memory=True, node=options.node) as workers:
            for language in names:
                for title, resident in measure(workers, language, options.cycles, options.replies):
                    shown = " | ".join(f"{kib / 1024:.1f}" for kib in resident)
                    print(f"| {LANGUAGES[language]} | {title} | {shown} | {grown(resident)} |", flush=True)
                    if grown(resident) > LIMIT:
                        failures.append(f"{LANGUAGES[language]} grew by {grown(resident)} KiB in the second half of "
                                        f"{title}; expected at most {LIMIT}")
    except Failure as failure:
        failures.append(str(failure))
    for failure in failures:
        print(f"memory: {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
