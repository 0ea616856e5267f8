"""How far the predictions of the two programs are from float32 arithmetic on the same file, by `abyssal compare`."""

import array
import json
import pathlib
import tempfile
from dataclasses import dataclass
from typing import Dict, List, Optional, Tuple

from programs import Failure, read_json, run

TEXTS = pathlib.Path(__file__).resolve().parent / "texts"
REPLY = 64  # tokens of the reply to each question


@dataclass(frozen=True)
class Gap:
    positions: int
    mean: float  # KL from float32 arithmetic, in nats, and so are the next two
    p99: float
    largest: float
    same_top1: float


def prose_arguments(file: pathlib.Path) -> List[str]:
    return ["--text", str(file)]


def chat_arguments(questions: List[str], folder: pathlib.Path) -> List[str]:
    """Each question is a chat of its own; they are written into the folder, since `compare` reads files."""
    arguments = ["--chat", "--reply", str(REPLY)]
    for index, question in enumerate(questions):
        file = folder / f"question{index}.txt"
        file.write_text(question, encoding="utf-8")
        arguments += ["--text", str(file)]
    return arguments


def read_questions(file: pathlib.Path) -> List[str]:
    try:
        questions = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise Failure(f"{file}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise Failure(f"{file}: is not JSON: {error}") from error
    if not isinstance(questions, list) or not questions or not all(isinstance(one, str) for one in questions):
        raise Failure(f"{file}: is not a JSON array of questions")
    return questions


def parse_gap(text: str) -> Tuple[Gap, List[List[int]]]:
    """What `abyssal compare --json` found, and the token ids that it found it on."""
    found = read_json(text, "abyssal compare")
    return Gap(found["positions"], found["mean_kl"], found["p99_kl"], found["max_kl"], found["same_top1"]), found["ids"]


def write_ids(ids: List[List[int]], file: pathlib.Path) -> None:
    """As llama_logits reads them: int32, of each sequence its length and its ids."""
    flat = array.array("i", [value for tokens in ids for value in (len(tokens), *tokens)])
    assert flat.itemsize == 4
    file.write_bytes(flat.tobytes())


def llama_gap(abyssal: str, llama_logits: str, model: str, ids: List[List[int]], threads: int, timeout: float,
              folder: pathlib.Path) -> Gap:
    write_ids(ids, folder / "ids.bin")
    (folder / "ids.json").write_text(json.dumps(ids))
    logits = folder / "logits.bin"
    try:
        run([llama_logits, model, str(folder / "ids.bin"), str(logits), str(threads)], timeout)
        return parse_gap(run([abyssal, "compare", model, "--ids", str(folder / "ids.json"), "--logits", str(logits),
                              "--threads", str(threads), "--json"], timeout))[0]
    finally:
        logits.unlink(missing_ok=True)  # it is large


def measure_answers(abyssal: str, llama_logits: Optional[str], model: str, prose: pathlib.Path,
                    questions: pathlib.Path, threads: int, timeout: float) -> Dict[str, Dict[str, Gap]]:
    """By text and program. Without llama_logits, of Abyssal alone."""
    found: Dict[str, Dict[str, Gap]] = {}
    with tempfile.TemporaryDirectory(prefix="abyssal-answers-") as name:
        folder = pathlib.Path(name)
        for title, arguments in (("prose", prose_arguments(prose)),
                                 ("chat", chat_arguments(read_questions(questions), folder))):
            gap, ids = parse_gap(run([abyssal, "compare", model, *arguments, "--threads", str(threads), "--json"], timeout))
            found[title] = {"Abyssal": gap}
            if llama_logits:
                found[title]["llama.cpp"] = llama_gap(abyssal, llama_logits, model, ids, threads, timeout, folder)
    return found


def answers_table(found: Dict[str, Dict[str, Gap]]) -> str:
    lines = ["| KL from float32 arithmetic, nats | mean | 99th percentile | largest | same top-1 |", "|---|---|---|---|---|"]
    for title, programs in found.items():
        for program, gap in programs.items():
            lines.append(f"| {title}, {gap.positions} positions: {program} | {gap.mean:.3g} | {gap.p99:.3g} | "
                         f"{gap.largest:.3g} | {100 * gap.same_top1:.1f} % |")
    return "\n".join(lines)
