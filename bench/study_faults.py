"""Kill a small sweep with SIGKILL at random moments, resume it, and compare its tables with an uninterrupted run's.

    python bench/study_faults.py results/faults

Writes `kills.csv`, a row for each kill, and says whether each sweep ended with the tables of the uninterrupted one in
every column but those of time and memory. Every second sweep runs its trials in two child processes. Each sweep is the
command itself in a process of its own, forked once torch is loaded, so that kills fall into the work. Takes minutes.
"""

import argparse
import os
import random
import sys
import tempfile
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from time import perf_counter

import pandas as pd
import torch

import lrbench.report.figures.draw
import lrbench.trials.sweep  # noqa: F401 - what the command would load, loaded once
from lrbench.cli import app
from lrbench.measure.environment import read_commit

NET = """
from torch import nn


def build(num_classes=10):
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(0.1),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, num_classes),
    )
"""
SPEC = """
model.name = "nets:build"
data = {image_size = 8, augment = "crop-flip"}
baseline = {epochs = 4}
finetune = {epochs = 5}
sweep = {schemes = ["channel", "writeback"], ranks = ["rank=2", "energy=0.5"]}
latency.devices = []
run.checkpoint_minutes = 0
"""
NOISE = [
    "started",
    "reused_weights",
    "truncate_s",
    "evaluate_s",
    "finetune_s",
    "peak_memory_bytes",
    "seconds",
    "commit",
]
TABLES = {
    "trials": ["trial"],
    "layers": ["trial", "layer"],
    "epochs": ["trial", "stage", "epoch"],
    "spectra": ["baseline", "trial", "scheme", "layer", "index"],
}


def read_tables(folder: Path) -> list[pd.DataFrame]:
    """The tables of a sweep without columns of time and memory, in an order of their own."""
    frames = [(pd.read_csv(folder / f"{name}.csv", dtype={"trial": str}), keys) for name, keys in TABLES.items()]
    return [frame.drop(columns=NOISE, errors="ignore").sort_values(keys, ignore_index=True) for frame, keys in frames]


def is_same(folder: Path, reference: Path) -> bool:
    return all(
        table.equals(expected) for table, expected in zip(read_tables(folder), read_tables(reference), strict=True)
    )


def sweep(place: Path, name: str, *words: str) -> None:
    """The command, silent, with a folder and a cache of its own."""
    os.chdir(place)
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    app(["sweep", "small.toml", "--out", name, "--cache", f"{name}-cache", *words])


def start(place: Path, name: str, *words: str) -> BaseProcess:
    process = get_context("fork").Process(target=sweep, args=(place, name, *words))
    process.start()
    return process


def state(place: Path, name: str) -> dict[str, object]:
    """What a kill left."""
    log = place / name / "records.jsonl"
    content = log.read_bytes() if log.exists() else b""
    return {
        "finished_trials": content.count(b'"kind":"trial"'),
        "torn": bool(content) and not content.endswith(b"\n"),
        "checkpoints": len(list((place / f"{name}-cache").rglob("*.checkpoint"))),
    }


def time_calm(place: Path, name: str, words: tuple[str, ...]) -> float:
    """Seconds of a sweep that is left alone, and whose tables must be those of the first such."""
    begun = perf_counter()
    process = start(place, name, *words)
    process.join()
    if process.exitcode != 0 or not is_same(place / name, place / "calm0"):
        raise SystemExit(f"the uninterrupted sweep {name} failed, or gave other tables")
    return perf_counter() - begun


def study(place: Path, kills: int) -> pd.DataFrame:
    """Sweep after sweep, until there were enough kills; each comes at any moment of a whole run, or later."""
    (place / "nets.py").write_text(NET)
    (place / "small.toml").write_text(SPEC)
    moments, rows, number, uninterrupted_s = random.Random(0), list[dict[str, object]](), 0, dict[int, float]()
    while len(rows) < kills:
        number, first, code = number + 1, len(rows), None
        children = 0 if number % 2 else 2
        words = ("--jobs", str(children)) if children else ()
        if children not in uninterrupted_s:
            uninterrupted_s[children] = time_calm(place, f"calm{children}", words)
        name = f"sweep{number}"
        while code is None:
            process, after_s = start(place, name, *words), moments.uniform(0, uninterrupted_s[children])
            process.join(after_s if len(rows) < kills else None)
            code = process.exitcode
            if code is None:
                process.kill()
                process.join()
                outcome = {"sweep": number, "child_processes": children, "after_s": after_s, **state(place, name)}
                rows.append({"kill": len(rows) + 1, "uninterrupted_s": uninterrupted_s[children], **outcome})
        same = code == 0 and is_same(place / name, place / "calm0")
        rows[first:] = [{**row, "tables_equal": same} for row in rows[first:]]
        print(f"{name}, {children} child processes, {len(rows) - first} kills: tables equal: {same}", flush=True)
    return pd.DataFrame(rows).assign(commit=read_commit())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=50)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        rows = study(Path(place), chosen.kills)
    chosen.folder.mkdir(parents=True, exist_ok=True)
    rows.to_csv(chosen.folder / "kills.csv", index=False)
    equal, halfway = rows["tables_equal"].all(), rows["finished_trials"].between(1, 4).sum()
    print(
        f"{len(rows)} kills in {rows['sweep'].nunique()} sweeps: {halfway} left some of the 5 trials finished, "
        f"{(rows['checkpoints'] > 0).sum()} a checkpoint, {rows['torn'].sum()} a torn line; final tables equal: {equal}"
    )
    sys.exit(not equal)


if __name__ == "__main__":
    main()
