"""How often `make test` passes beside busy neighbours, and how long it takes: results/suite.

    python bench/study_suite.py results/suite

Runs the command 10 times beside 2 processes that each keep one core busy with pure Python. Writes `runs.csv`, a row
for each run as soon as it ends; a study that was interrupted continues where it stopped. Takes about an hour.
"""

import argparse
import csv
import multiprocessing
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

import pandas as pd

from lrbench.limits import usable_cpus
from lrbench.measure.environment import read_commit

ROOT = Path(__file__).resolve().parents[1]
COLUMNS = ("run", "seconds", "exit_code", "passed", "failed", "neighbours", "tests", "cpus", "commit")
COUNTS = re.compile(r"(\d+) (passed|failed|error|skipped)")


def spin() -> None:
    """Keep one core busy."""
    while True:
        sum(range(10_000))


@contextmanager
def busy(neighbours: int) -> Iterator[None]:
    """So many processes that each keep a core busy."""
    processes = [multiprocessing.Process(target=spin, daemon=True) for _ in range(neighbours)]
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.join()


def counts(output: str) -> dict[str, int]:
    """How many tests ended in which way, as the last line of pytest's that says so has it."""
    lines = [matches for line in output.splitlines() if (matches := COUNTS.findall(line)) and " in " in line]
    return {word: int(number) for number, word in lines[-1]} if lines else {}


def run(number: int, *, neighbours: int) -> tuple[dict[str, object], str]:
    """One run of `make test` beside busy neighbours: its row, and what it printed."""
    started = perf_counter()
    with busy(neighbours):
        done = subprocess.run(
            ["make", "test"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
    ended = counts(done.stdout)
    row = {
        "run": number,
        "seconds": perf_counter() - started,
        "exit_code": done.returncode,
        "passed": ended.get("passed", 0),
        "failed": ended.get("failed", 0) + ended.get("error", 0),
        "neighbours": neighbours,
        "tests": sum(ended.values()),
        "cpus": usable_cpus(),
        "commit": read_commit(),
    }
    return row, done.stdout


def append(path: Path, row: dict[str, object]) -> None:
    """Add a row to a table, under its heads when it is the first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    is_new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if is_new:
            writer.writeheader()
        writer.writerow(row)


def verdict(runs: pd.DataFrame) -> Sequence[str]:
    """What the runs say, a line for each number of neighbours."""
    return [
        f"{neighbours} busy neighbours: {(group['exit_code'] == 0).sum()} of {len(group)} runs green, "
        f"{group['seconds'].min():.0f} to {group['seconds'].max():.0f} s, median {group['seconds'].median():.0f} s"
        for neighbours, group in runs.groupby("neighbours")
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, default=10, help="in all, including those of an earlier call")
    parser.add_argument("--neighbours", type=int, default=2)
    chosen = parser.parse_args()
    path = chosen.folder / "runs.csv"
    done = len(pd.read_csv(path)) if path.exists() else 0
    subprocess.run(["make", "--silent", ".venv/.ready"], cwd=ROOT, check=True)
    for number in range(done + 1, chosen.runs + 1):
        row, output = run(number, neighbours=chosen.neighbours)
        append(path, row)
        if row["exit_code"]:
            (chosen.folder / f"run{number}.log").write_text(output)
        print(f"run {number} of {chosen.runs}: exit code {row['exit_code']}, {row['seconds']:.0f} s", flush=True)
    print("\n".join(verdict(pd.read_csv(path))))


if __name__ == "__main__":
    main()
