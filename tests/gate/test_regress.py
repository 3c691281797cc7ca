"""`lrbench regress` on a small repository whose workloads say themselves how long they took: no clock, no chance."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from click.testing import Result

SPEED = "SECONDS = {seconds}\n"
WORKLOADS = """
import math
import random

import speed

noise = random.Random(speed.SECONDS)


def timed(factor):
    return lambda: lambda: factor * speed.SECONDS * math.exp(noise.gauss(0, 0.005))


WORKLOADS = {"dense": timed(2.0), "cut": timed(1.0)}
BOUNDS = {"cut": ("dense", 0.5)}
"""


TURNS = """
from itertools import count
from pathlib import Path

place = Path(__file__).with_name("turns")
place.mkdir(exist_ok=True)
for turn in count():
    try:
        (place / str(turn)).touch(exist_ok=False)
        break
    except FileExistsError:
        continue
SECONDS = {even} if turn % 2 else {odd}
"""
"""The processes that import it have one speed and the other in turn: the two heads of a session never share one."""


def git(folder: Path, *words: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of two commits; its second is the head."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench/workloads.py").write_text(WORKLOADS)
    (tmp_path / "speed.py").write_text(SPEED.format(seconds=1.0))
    git(tmp_path, "init", "-q")
    for message in ("one", "two"):
        git(tmp_path, "add", "-A")
        git(tmp_path, "commit", "-qm", message, "--allow-empty")
    return tmp_path


@pytest.fixture
def regress(lrbench) -> Callable[..., Result]:
    return lambda *words: lrbench("regress", "--only", "timed", "--format", "json", "--processes", "3", *words)


def words(result: Result) -> dict[str, str]:
    return {one["name"]: one["verdict"] for one in json.loads(result.stdout)["verdicts"]}


def test_unchanged_code_is_ok_and_its_rounds_are_kept(repository: Path, regress) -> None:
    result = regress()
    assert (result.exit_code, words(result)) == (0, {"dense": "ok", "cut": "ok"})
    rounds = pd.read_csv(repository / "build/gate/rounds.csv")
    assert rounds.groupby(["workload", "version", "process"]).size().tolist() == [8] * 18
    assert not list(repository.glob("**/base")), "the worktree is gone"


def test_fifteen_percent_slower_is_worse_once_a_second_session_confirms_it(repository: Path, regress) -> None:
    (repository / "speed.py").write_text(SPEED.format(seconds=1.15))
    result = regress()
    assert (result.exit_code, words(result)) == (1, {"dense": "worse", "cut": "worse"})
    rounds = pd.read_csv(repository / "build/gate/rounds.csv")
    assert rounds["process"].max() == 5, "three more processes"


@pytest.mark.parametrize(("seconds", "word"), [(1.03, "ok"), (0.8, "better")])
def test_within_the_slack_is_ok_and_faster_is_better(seconds: float, word: str, repository: Path, regress) -> None:
    (repository / "speed.py").write_text(SPEED.format(seconds=seconds))
    result = regress()
    assert (result.exit_code, set(words(result).values())) == (0, {word})


def test_a_renamed_workload_is_missing(repository: Path, regress) -> None:
    (repository / "bench/workloads.py").write_text(WORKLOADS.replace('"cut"', '"slice"'))
    result = regress()
    assert (result.exit_code, words(result)) == (1, {"dense": "ok", "slice": "ok", "cut": "missing"})


def test_what_the_base_cannot_run_is_new_and_what_the_head_cannot_run_is_worse(repository: Path, regress) -> None:
    added = 'WORKLOADS["fresh"] = lambda: lambda: speed.FRESH\nWORKLOADS["broken"] = lambda: speed.BROKEN\n'
    (repository / "bench/workloads.py").write_text(WORKLOADS + added)
    (repository / "speed.py").write_text("SECONDS = 1.0\nFRESH = 1.0\n")
    result = regress()
    assert (result.exit_code, words(result)) == (1, {"dense": "ok", "cut": "ok", "fresh": "new", "broken": "worse"})
    assert "has no attribute 'BROKEN'" in result.stdout


def test_a_head_that_differs_from_its_own_copy_is_inconclusive(repository: Path, regress) -> None:
    (repository / "speed.py").write_text(TURNS.format(odd=1.0, even=9.0))
    result = regress()
    assert (result.exit_code, set(words(result).values())) == (3, {"inconclusive"})
    assert "unfit" in result.stdout


def test_much_slower_is_worse_even_where_the_control_strays(repository: Path, regress) -> None:
    (repository / "speed.py").write_text(TURNS.format(odd=9.0, even=10.5))
    result = regress("--processes", "8")
    assert (result.exit_code, set(words(result).values())) == (1, {"worse"})


@pytest.mark.parametrize(("bound", "code"), [(0.5, 0), (0.4, 1)])
def test_without_a_revision_the_references_judge(bound: float, code: int, repository: Path, regress) -> None:
    (repository / "bench/workloads.py").write_text(WORKLOADS.replace("0.5)}", f"{bound})}}"))
    result = regress("--against", "nowhere")
    assert (result.exit_code, words(result)) == (code, {"cut": "worse" if code else "ok", "base": "inconclusive"})
    assert "no usable revision 'nowhere'" in result.stderr


@pytest.mark.parametrize("text", ["WORKLOADS = {}", WORKLOADS.replace("BOUNDS", "NO_BOUNDS")])
def test_with_no_workload_to_compare_nothing_is_judged(text: str, repository: Path, regress) -> None:
    (repository / "bench/workloads.py").write_text(text)
    result = regress("--against", "nowhere")
    assert (result.exit_code, json.loads(result.stdout)["outcome"]) == (3, "nothing judged")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 / 0", "workloads.py cannot be used: ZeroDivisionError"),
        ("WORKLOADS = {}\nBOUNDS = {'a': ('b', 1.0)}", "BOUNDS names 'a', which is not in WORKLOADS"),
        ("", "workloads.py cannot be used: KeyError: 'WORKLOADS'"),
        (None, "the timed half needs bench/workloads.py"),
    ],
)
def test_unusable_workloads_exit_2(text: str | None, message: str, repository: Path, regress) -> None:
    path = repository / "bench/workloads.py"
    path.unlink() if text is None else path.write_text(text)
    result = regress()
    assert (result.exit_code, message in result.stderr, "Traceback" in result.output) == (2, True, False), result.output


def test_a_worker_that_dies_is_worse_and_the_others_are_judged(repository: Path, regress) -> None:
    added = 'import os\nWORKLOADS["deadly"] = lambda: lambda: os._exit(3) if speed.SECONDS != 1.0 else 1.0\n'
    (repository / "bench/workloads.py").write_text(WORKLOADS + added)
    (repository / "speed.py").write_text(SPEED.format(seconds=1.01))
    result = regress()
    assert result.exit_code == 1
    assert words(result)["deadly"] == "worse"
    assert "ended with exit code 3" in result.stdout


@pytest.mark.long
def test_the_recorded_half_sweeps_anew_and_checks(
    workplace: Path, lrbench, undrawn: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(workplace))
    made = lrbench("sweep", "tiny.toml", "--only", "accuracy", "--out", "baseline", "--set", "sweep.ranks=['rank=2']")
    assert made.exit_code == 0, made.output
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    where = ("--only", "recorded", "--spec", "tiny.toml", "--baseline", "baseline", "--format", "json")
    result = lrbench("regress", *where)
    assert result.exit_code == 0, result.output
    assert set(words(result).values()) == {"ok", "new"}, "the other rank rule of the spec is new"
    (workplace / "nets.py").write_text(
        (workplace / "nets.py").read_text().replace("(8, 16, 3", "(8, 17, 3").replace("16", "17")
    )
    assert lrbench("regress", *where).exit_code == 1


ENDS = {
    "exits": "sys.exit(0)",
    "interrupts": "raise_(KeyboardInterrupt())",
    "leaves": "os._exit(0)",
    "aborts": "os.abort()",
    "speechless": "raise_(Odd())",
    "negative": "-1.0",
    "infinite": "float('inf')",
    "none": "1 / 0",
}


def test_a_workload_that_ends_its_process_or_raises_anything_is_named(repository: Path, regress) -> None:
    lines = [f"WORKLOADS[{name!r}] = lambda: lambda: {body}" for name, body in ENDS.items()]
    helper = (
        "import os, sys\nclass Odd(BaseException):\n    def __str__(self): 1 / 0\ndef raise_(error):\n    raise error\n"
    )
    (repository / "bench/workloads.py").write_text(helper + WORKLOADS + "\n".join(lines) + "\n")
    result = regress()
    assert result.exit_code == 1, result.output
    found = words(result)
    assert {name: found.pop(name) for name in ("dense", "cut")} == {"dense": "ok", "cut": "ok"}
    assert set(found) == set(ENDS)
    assert set(found.values()) <= {"worse", "inconclusive", "incomparable", "missing"}
    assert "Traceback" not in result.output


@pytest.mark.parametrize("line", ["sys.exit(0)", "raise KeyboardInterrupt", "WORKLOADS = 3", "WORKLOADS = {1: 2}"])
def test_a_file_of_workloads_that_raises_anything_is_an_input_error(line: str, repository: Path, regress) -> None:
    (repository / "bench/workloads.py").write_text(f"import sys\n{line}\n")
    result = regress()
    assert (result.exit_code, "Traceback" in result.output) != (0, True), result.output
    assert result.exit_code in (1, 2)


@pytest.mark.parametrize("words_", [("regress", "--threads"), ("doctor", "--threads")])
def test_more_threads_than_cpus_are_refused(words_: tuple[str, str], repository: Path, lrbench) -> None:
    result = lrbench(*words_, 10**6)
    assert (result.exit_code, "--threads must lie in 1.." in result.output) == (2, True), result.output
