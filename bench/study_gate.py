"""How often `lrbench regress` raises a false alarm, and how often it finds a factorized layer made 15 % slower.

    python bench/study_gate.py results/gate

Runs the real command in a clone of this repository: 20 times on unchanged code, every second time beside a neighbour
that keeps one core busy, and 10 times on code whose factorized layers wait for 15 % of their own time. Writes
`runs.csv`, a row for each run and workload, and prints what it says. Takes about half an hour; let nothing else run.
"""

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import pandas as pd

from lrbench.gate.verdicts import EXIT_CODES

ROOT = Path(__file__).resolve().parents[1]
UNCHANGED, PLANTED = 20, 10
PLANT = """

from time import perf_counter as _clock


def _slowly(self, inputs):
    started = _clock()
    outputs = nn.Sequential.forward(self, inputs)
    end = _clock() + 0.15 * (_clock() - started)
    while _clock() < end:
        pass
    return outputs


Factors.forward = _slowly
"""


def spin() -> None:
    """Keep one core busy."""
    while True:
        sum(range(10_000))


def regress(clone: Path, *, neighbour: bool) -> tuple[int, list[dict[str, Any]], float]:
    """Run the command; give its exit code, its verdicts and its seconds."""
    busy = multiprocessing.Process(target=spin, daemon=True)
    if neighbour:
        busy.start()
    started = perf_counter()
    try:
        words = ["regress", "--only", "timed", "--against", "HEAD", "--format", "json"]
        done = subprocess.run(
            [sys.executable, "-m", "lrbench.cli", *words],
            cwd=clone,
            env={**os.environ, "PYTHONPATH": str(clone)},
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        if neighbour:
            busy.terminate()
    if done.returncode not in EXIT_CODES.values():
        raise RuntimeError(done.stderr)
    return done.returncode, json.loads(done.stdout)["verdicts"], perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    plan = [("unchanged", run % 2 == 1) for run in range(UNCHANGED)] + [("planted", False)] * PLANTED
    rows: list[dict[str, Any]] = []
    with TemporaryDirectory() as place:
        clone = Path(place) / "clone"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        source = clone / "lrbench/lowrank/layers.py"
        clean = source.read_text()
        for run, (code, neighbour) in enumerate(plan):
            source.write_text(clean + PLANT * (code == "planted"))
            exit_code, verdicts, seconds = regress(clone, neighbour=neighbour)
            columns = {
                "run": run,
                "code": code,
                "busy_neighbour": neighbour,
                "exit_code": exit_code,
                "seconds": seconds,
            }
            names = {"name": "workload", "verdict": "verdict", "current": "ratio", "reason": "reason"}
            rows += [{**columns, **{ours: verdict[theirs] for theirs, ours in names.items()}} for verdict in verdicts]
            pd.DataFrame(rows).to_csv(folder / "runs.csv", index=False)
            print(
                f"run {run + 1} of {len(plan)}, {code}, neighbour {neighbour}: {exit_code}, {seconds:.0f} s", flush=True
            )
    runs = pd.DataFrame(rows).drop_duplicates("run")
    for (group_code, is_busy), group in runs.groupby(["code", "busy_neighbour"]):
        alarms = (group["exit_code"] == 1).sum()
        print(f"{group_code}, {'busy neighbour' if is_busy else 'quiet'}: {alarms} alarms in {len(group)} runs")


if __name__ == "__main__":
    main()
