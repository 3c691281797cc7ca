"""Fail one system call of a small sweep once, as a disk may, resume it, and compare its tables with an untouched run's.

    python -m bench.study_refusals results/faults

A library built by `cc` from `bench/shim.c` and preloaded fails the first, or the third, write, fsync, rename, open or
unlink of the log, a table, a decoded image, kept weights or a figure with EIO, ENOSPC or EACCES. Writes `refusals.csv`,
a row for each call that was met. Each sweep is the command itself, forked once torch is loaded. Takes minutes.
"""

import argparse
import ctypes
import errno
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image

import lrbench.report.figures.draw
import lrbench.trials.sweep  # noqa: F401 - what the command would load, loaded once
from bench.study_faults import NET, is_same
from lrbench.cli import app
from lrbench.measure.environment import read_commit

SPEC = """
model.name = "nets:build"
data = {name = "folder", root = "images", image_size = 8}
baseline = {epochs = 1}
finetune = {epochs = 1}
sweep = {schemes = ["channel"], ranks = ["rank=2"]}
latency.devices = []
run.checkpoint_minutes = 0
"""
PLACES = {
    "log": ("records.jsonl", "cache"),
    "table": ("/sweep/", "figures"),
    "images": ("/cache/images/", ""),
    "weights": ("/cache/weights/", ""),
    "figure": ("/sweep/figures/", ""),
}
"""What a path holds, and what it does not hold."""

CALLS = ("write", "fsync", "rename", "open", "unlink")
ERRORS = ("EIO", "ENOSPC", "EACCES")
PRELOADED = "LRBENCH_STUDY_SHIM"


def build_shim(folder: Path) -> Path | None:
    """The library, built; None where there is no compiler."""
    compiler, made = shutil.which("cc"), folder / "shim.so"
    if compiler is None:
        return None
    source = Path(__file__).with_name("shim.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", str(made), str(source), "-ldl"], check=True)
    return made


def prepare(place: Path) -> None:
    """A model, a spec and 40 images to work with."""
    (place / "nets.py").write_text(NET)
    (place / "small.toml").write_text(SPEC)
    random = np.random.default_rng(0)
    for split, shade, number in product(("train", "val"), (60, 180), range(10)):
        folder = place / "images" / split / str(shade)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(shade - 50, shade + 50, (9, 9, 3)).astype(np.uint8)).save(
            folder / f"{number}.png"
        )


def run(place: Path, where: Path, armed: tuple[str, str, str, int, int] | None) -> None:
    """The command in this forked process, its output kept; the last line says whether the call was met."""
    where.mkdir(exist_ok=True)
    os.chdir(place)
    output = os.open(where / "output", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    shim = ctypes.CDLL(None)
    if armed:
        call, text, other, nth, code = armed
        shim.shim_arm(call.encode(), text.encode(), other.encode(), nth, code)
    try:
        app(["sweep", "small.toml", "--out", str(where / "sweep"), "--cache", str(where / "cache")])
    finally:
        os.write(output, f"\nmet {shim.shim_met()}\n".encode())


def command(place: Path, where: Path, armed: tuple[str, str, str, int, int] | None = None) -> tuple[int, bool, str]:
    """Run it: exit code, whether the call was met, and the output."""
    process = get_context("fork").Process(target=run, args=(place, where, armed))
    process.start()
    process.join()
    output, _, met = (where / "output").read_text().rpartition("\nmet ")
    return process.exitcode or 0, met.strip() == "1", output


def cases(limit: int | None) -> Iterator[tuple[str, str, str, int]]:
    """What is failed, by which call, with which error, at its first or third time."""
    every = list(product(PLACES, CALLS, ERRORS, (1, 3)))
    yield from every if limit is None else every[:: max(1, len(every) // limit)][:limit]


def study(place: Path, limit: int | None) -> pd.DataFrame:
    """Each case in a folder of its own: refused, then the same command again."""
    prepare(place)
    code, _, output = command(place, place / "calm")
    if code:
        raise SystemExit(f"the untouched sweep failed:\n{output}")
    rows = []
    for number, (what, call, error, nth) in enumerate(cases(limit)):
        where = place / f"case{number}"
        code, met, output = command(place, where, (call, *PLACES[what], nth, getattr(errno, error)))
        if not met:
            if code:
                raise SystemExit(f"a sweep of which nothing was refused failed:\n{output}")
            shutil.rmtree(where)
            continue
        log = where / "sweep" / "records.jsonl"
        kept = log.read_bytes() if log.exists() else b""
        again, _, more = command(place, where)
        rest = log.read_bytes() if log.exists() else b""
        row = {
            "what": what,
            "call": call,
            "error": error,
            "nth": nth,
            "exit_code": code,
            "errors": sum(line.startswith("error: ") for line in output.splitlines()),
            "traceback": "Traceback" in output + more,
            "exit_code_again": again,
            "log_kept": rest.startswith(kept[: kept.rfind(b"\n") + 1]),
            "figures": len(list((where / "sweep" / "figures").glob("*.png"))),
            "parts": len([*where.rglob(".*.part*")]),
            "tables_equal": again == 0 and is_same(where / "sweep", place / "calm" / "sweep"),
        }
        rows.append(row)
        if row["traceback"] or again or not row["log_kept"] or not row["tables_equal"] or code not in (0, 1, 2):
            print(row, output, more, sep="\n", flush=True)
        shutil.rmtree(where)
    return pd.DataFrame(rows).assign(commit=read_commit())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--limit", type=int, help="cases at most; all when not given")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        if PRELOADED not in os.environ:
            shim = build_shim(Path(made))
            if shim is None:
                raise SystemExit("skipped: no compiler cc on the path")
            known = {**os.environ, PRELOADED: "1", "LD_PRELOAD": str(shim)}
            words = [sys.executable, "-m", "bench.study_refusals", *sys.argv[1:]]
            raise SystemExit(subprocess.run(words, env=known, check=False).returncode)
        torch.set_num_threads(1)
        rows = study(Path(made), chosen.limit)
    chosen.folder.mkdir(parents=True, exist_ok=True)
    rows.to_csv(chosen.folder / "refusals.csv", index=False)
    good = rows["tables_equal"] & rows["log_kept"] & ~rows["traceback"] & rows["exit_code"].isin([0, 1, 2])
    print(
        f"{len(rows)} refused calls: {(rows['exit_code'] == 2).sum()} ended with exit code 2, "
        f"{(rows['exit_code'] == 0).sum()} with 0; nothing lost and the same tables from the same command: {good.sum()}"
    )
    sys.exit(not good.all())


if __name__ == "__main__":
    main()
