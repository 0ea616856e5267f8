"""bindings.py and memory.py: what they compute, and that the C and the Python program answer them. Those of Node.js and
Java are asked by the benchmarks alone: their packages are made for their own tests, which look at memory too."""

import pathlib
import random
import statistics
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import bindings  # noqa: E402
import memory  # noqa: E402
import workers  # noqa: E402
from compare import ROOT, Failure  # noqa: E402

MODEL = str(ROOT / "tests/data/conformance/tiny-r1-distill-qwen")


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_orders_are_balanced(count):
    rows = bindings.orders(count)
    places, followers = {}, {}
    for row in rows:
        assert sorted(row) == list(range(count))
        for place, program in enumerate(row):
            places[program, place] = places.get((program, place), 0) + 1
        for pair in zip(row, row[1:]):
            followers[pair] = followers.get(pair, 0) + 1
    assert len(places) == count * count and len(set(places.values())) == 1
    assert len(followers) == count * (count - 1) and len(set(followers.values())) == 1


def test_the_interval_holds_the_median():
    assert bindings.median_interval([1.0] * 5) is None
    assert bindings.median_interval([6, 1, 5, 2, 4, 3]) == (1, 6)
    assert bindings.median_interval(list(range(20))) == (5, 14)  # as in the tables of the sign test
    chance = random.Random(1)
    draws = [[chance.expovariate(1) for _ in range(25)] for _ in range(2000)]
    held = statistics.mean(low <= 0.6931 <= high for low, high in map(bindings.median_interval, draws))
    assert 0.94 < held < 0.98  # 25 values allow 95.7 %


def test_the_tables_compare_times_of_one_round():
    # The machine slows down tenfold between the rounds; the ratios of the rounds are 1.02 but for one. One launch of
    # seven is slow as a whole.
    of_c = [1.0, 10.0, 1.0, 10.0, 1.0]
    launch = {"C": of_c, "C again": of_c, "Python": [1.02 * second for second in of_c[:-1]] + [5.0]}
    slow = {**launch, "Python": [1.05 * second for second in of_c]}
    lines = bindings.decode_table([launch] * 6 + [slow], 100).splitlines()
    assert lines[2:] == ["| C | 100 | | | |", "| C again | 100 | 0.0 % | 0.0 % to 0.0 % |  |",
                         "| Python | 20 | 2.0 % | 2.0 % to 5.0 % | 3.0 %: not decided |"]
    logits = bindings.logits_table({"C": {"one copy": [1e-6, 1e-5]}, "Python": {"numpy view": [5e-7, 5e-6]}})
    assert logits.splitlines()[2:] == ["| C | one copy | 5.5 | 1.00 |", "| Python | numpy view | 2.8 | 0.50 |"]


@pytest.mark.parametrize("interval, said", [
    (None, "too few launches"), ((0.01, 0.03), "kept"), ((0.02, 0.04), "not decided"), ((0.031, 0.04), "broken")])
def test_a_limit_is_decided_by_the_interval(interval, said):
    assert bindings.verdict(interval, 0.03) == said


def test_both_languages_are_measured(capsys):
    assert bindings.main([MODEL, "--languages", "python", "--launches", "2", "--rounds", "1", "--warm", "1", "--logits-rounds", "1",
                          "--tokens", "4", "--prompt", "8"]) == 0
    out = capsys.readouterr().out
    assert "| C again |" in out and "| Python |" in out and "too few launches" in out
    assert "| C | one copy |" in out and "| Python | numpy view |" in out


def test_memory_does_not_grow(capsys):
    """Fewer times than the benchmark: what a model or a whole reply leaves behind is seen, some bytes are not."""
    assert memory.main([MODEL, "--languages", "c,python", "--cycles", "24", "--replies", "200"]) == 0
    rows = [line.split(" | ")[:2] for line in capsys.readouterr().out.splitlines()[2:]]
    assert rows == [["| C", "24 cycles"], ["| C", "200 replies"], ["| Python", "24 cycles"], ["| Python", "200 replies"]]


def test_growth_fails(monkeypatch, capsys):
    monkeypatch.setattr(memory, "measure", lambda *_: [("8 cycles", [9000, 5000, 5000, 5000 + memory.LIMIT]),
                                                       ("8 replies", [100, 200, 300, 201 + memory.LIMIT])])
    assert memory.main([MODEL, "--languages", "c"]) == 1
    assert capsys.readouterr().err == (f"memory: C grew by {memory.LIMIT + 1} KiB in the second half of 8 replies; expected "
                                       f"at most {memory.LIMIT}\n")


def test_what_goes_wrong_is_told(tmp_path, capsys):
    shell = workers.Worker("sh", ["sh", "-c", "read line; echo $line; read line; exit 3"], 60)
    with pytest.raises(Failure, match="answered 'decode 1' with no JSON: 'decode 1'"):
        shell.ask("decode", 1)
    with pytest.raises(Failure, match="sh ended with status 3 at 'decode 2'"):
        shell.ask("decode", 2)
    slow = workers.Worker("slow", ["sleep", "60"], 0.1)
    with pytest.raises(Failure, match="did not answer 'decode 1' within"):
        slow.ask("decode", 1)
    with pytest.raises(Failure, match="differ in digest.*'C': 1, 'Python': 2"):
        workers.same({"C": {"digest": 1}, "Python": {"digest": 2}}, "digest")
    assert bindings.main([MODEL, "--languages", "cobol"]) == 1
    assert bindings.main([MODEL, "--build", str(tmp_path)]) == 1
    assert bindings.main([str(tmp_path), "--languages", "c"]) == 1
    error = capsys.readouterr().err
    for part in ("'cobol' is no language", "there is no such program", "ended with status 1 at 'decode 256'"):
        assert part in error
