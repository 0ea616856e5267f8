"""Programs that compare.py runs: their output, and failures in one line."""

import json
import subprocess
from typing import List


class Failure(Exception):
    """What the user is told in one line."""


def run(command: List[str], timeout: float) -> str:
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)
    except OSError as error:
        raise Failure(f"{command[0]}: cannot be run: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise Failure(f"no result within {timeout:.0f} s: {' '.join(command)}") from error
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-3:]
        raise Failure(f"status {done.returncode} from: {' '.join(command)}\n  " + "\n  ".join(last))
    return done.stdout


def read_json(text: str, program: str):
    try:
        return json.loads(text)
    except ValueError as error:
        raise Failure(f"{program} printed no JSON ({error}): {text.strip()[:200]!r}") from error
