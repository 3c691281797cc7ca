"""The two halves of `lrbench regress`: a sweep judged against a committed baseline, and workloads timed in turn."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from lrbench.errors import InputError
from lrbench.gate.alternate import Occasion, Round, TimingOptions, Version, list_workloads, time_versions
from lrbench.gate.check import check_folders
from lrbench.gate.regress import AGAIN, BASE, HEAD, against_base, against_references, judge_pairs, missing_workloads
from lrbench.gate.tolerances import Tolerances
from lrbench.gate.verdicts import Verdict
from lrbench.gate.versions import checked_out, commit_of, repository_root
from lrbench.limits import writing
from lrbench.progress import Progress
from lrbench.whole import make_room, refuse_link, replacing, write_whole

MARK = ".lrbench-regress"
"""In a folder of `lrbench regress`: what has one of its names there is lrbench's own, which the next run replaces."""

NAMES = ("sweep", "rounds.csv")
"""What `lrbench regress` writes."""


def make_ready(out: Path) -> tuple[str, ...]:
    """Make the folder of a run, without what the run before left there; says what of somebody else's was moved away.

    Raises: InputError when the folder cannot be written.
    """
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
        refuse_link(out / MARK)
        is_ours = (out / MARK).is_file()
        moved = {name: make_room(out / name, is_ours=is_ours) for name in NAMES}
        for name in NAMES:
            if (out / name).is_dir() and not (out / name).is_symlink():
                shutil.rmtree(out / name)
            else:
                (out / name).unlink(missing_ok=True)
        write_whole(out / MARK, b"what lrbench regress writes here, the next run replaces\n")
    return tuple(f"{out / name} is not of lrbench regress: moved to {place}" for name, place in moved.items() if place)


SWEEP = """
import sys

from lrbench.processes import end_with_parent

end_with_parent(int(sys.argv.pop(1)))
from lrbench.cli import app

app()
"""
"""The command line in a process that ends with this one."""


def judge_sweep(spec: Path, baseline: Path, tolerances: Tolerances, *, out: Path) -> tuple[Verdict, ...]:
    """Sweep a spec into `out`, which does not exist, accuracy only, and check it.

    Raises: InputError when the sweep cannot run or a side cannot be read; a failed trial is a row that is judged.
    """
    with TemporaryDirectory(prefix="lrbench-gate-") as cache:
        words = ["sweep", str(spec), "--only", "accuracy", "--out", str(out), "--cache", cache]
        done = subprocess.run(
            [sys.executable, "-c", SWEEP, str(os.getpid()), *words], stdout=2, check=False
        )  # stdout is for verdicts
    if done.returncode not in (0, 1):
        raise InputError(f"the sweep of {spec} failed with exit code {done.returncode}")
    return check_folders(baseline, out, tolerances)


def judge_workloads(
    file: Path, revision: str, tolerances: Tolerances, *, options: TimingOptions, out: Path, progress: Progress
) -> tuple[Verdict, ...]:
    """Time the workloads of this checkout and of a revision in turn, and judge; raw times go to `out`/rounds.csv.

    Without a usable revision each workload that has a bound is judged against its reference.

    Raises: InputError when the file cannot be used.
    """
    file = file.resolve()
    root = repository_root(Path.cwd()).resolve()
    names, bounds = list_workloads(Version(name=HEAD, root=root), file)
    head = [Version(name=HEAD, root=root), Version(name=AGAIN, root=root)]

    with checked_out(root, revision) as base:
        if isinstance(base, str):
            no_base = f"no usable revision {revision!r} ({base}): judged against the references in {file.name}"
            progress("timed", no_base, 0, 1)
            pairs, versions = against_references(bounds), head
        else:
            progress("timed", f"comparing with {revision}, commit {commit_of(base)}", 0, 1)
            pairs, versions = against_base(names), [*head, Version(name=BASE, root=base)]
        base_names = () if isinstance(base, str) else _workloads_of(base, file, root)

        def run(chosen: Sequence[str]) -> Occasion:
            return time_versions(versions, file, names=chosen, options=options, progress=progress)

        verdicts, rounds = judge_pairs(pairs, run, tolerances.timed)
    _write_rounds(rounds, out)
    if isinstance(base, str):  # a ratio below its bound is no gain over an earlier version
        verdicts = [replace(judged, verdict="ok") if judged.verdict == "better" else judged for judged in verdicts]
        verdicts.append(Verdict(name="base", tier="timed", figure="revision", verdict="inconclusive", reason=no_base))
    return (*verdicts, *missing_workloads(base_names, names))


def _workloads_of(base: Path, file: Path, root: Path) -> tuple[str, ...]:
    """The names in the revision's own file; none when it has no usable one."""
    own = base / file.relative_to(root) if file.is_relative_to(root) else base / file.name
    if not own.is_file():
        return ()
    try:
        return list_workloads(Version(name=BASE, root=base), own)[0]
    except InputError:
        return ()


def _write_rounds(rounds: tuple[Round, ...], out: Path) -> None:
    """A row for each round and version: seconds of a call."""
    rows = [
        {**{k: v for k, v in asdict(timed).items() if k != "seconds"}, "version": version, "latency_s": seconds}
        for timed in rounds
        for version, seconds in timed.seconds.items()
    ]
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    with replacing(out / "rounds.csv") as part:
        pd.DataFrame(rows).to_csv(part, index=False)
