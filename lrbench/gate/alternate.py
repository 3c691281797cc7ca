"""Two versions of the code timed in turn: a process each, and one more of the newer version as its A/A control."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrbench.errors import InputError
from lrbench.progress import Progress

WORKER = Path(__file__).with_name("worker.py")


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How a session is run: fresh processes in a row, rounds of each, least seconds of a timed block, CPU threads."""

    processes: int = 8
    rounds: int = 8
    block_s: float = 0.01
    threads: int = 1


@dataclass(frozen=True, kw_only=True)
class Version:
    """A version of the code: the name it has in a report, and the root that its modules are imported from."""

    name: str
    root: Path


@dataclass(frozen=True, kw_only=True)
class Lap:
    """One round of one workload: seconds a call by version, taken right after one another in shuffled order."""

    workload: str
    process: int
    round: int
    seconds: dict[str, float]


Errors = dict[tuple[str, str], str]
"""By (workload, version), why it could not be run."""


@dataclass(frozen=True, kw_only=True)
class Laps:
    """What a session saw: its laps, and by workload why a version could not run it."""

    laps: tuple[Lap, ...]
    errors: Errors


class Worker:
    """A running worker process; use `start`."""

    def __init__(self, version: Version, file: Path, *, threads: int) -> None:
        """Start it in the version's root, its modules first on the path."""
        self.version = version
        count = str(threads)
        path = os.pathsep.join(filter(None, (str(version.root), os.environ.get("PYTHONPATH"))))
        steering = {"OMP_NUM_THREADS": count, "MKL_NUM_THREADS": count, "OPENBLAS_NUM_THREADS": count}
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(WORKER), str(file)],
            cwd=version.root,
            env={**os.environ, **steering, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request and wait for its answer; one that died answers with an error too."""
        self.tell(**request)
        return self.hear()

    def tell(self, **request: Any) -> None:
        """Send a request."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it died; the answer will say so
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        """Wait for the next answer."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            return {"error": f"its process ended with exit code {self._process.wait()}", "died": True}
        found: dict[str, Any] = json.loads(line)
        return found

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()


@contextmanager
def start(versions: Sequence[Version], file: Path, *, threads: int) -> Iterator[list[Worker]]:
    """A worker for each version, ended afterwards."""
    with ExitStack() as stack:
        workers = []
        for version in versions:
            workers.append(Worker(version, file, threads=threads))
            stack.callback(workers[-1].close)
        yield workers


def list_workloads(version: Version, file: Path) -> tuple[tuple[str, ...], dict[str, tuple[str, float]]]:
    """The names of a version's workloads, and its bounds: by name, (reference, largest ratio to it).

    Raises: InputError when the file cannot be run or is not of that form.
    """
    with start([version], file, threads=1) as (worker,):
        found = worker.ask(do="list")
    if "error" in found:
        raise InputError(f"{file} cannot be used as workloads: {found['error']}")
    try:
        bounds = {name: (str(reference), float(limit)) for name, (reference, limit) in found["bounds"].items()}
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(f"{file}: BOUNDS must map a name to (reference name, largest ratio): {error}") from error
    strange = [name for pair in bounds.items() for name in (pair[0], pair[1][0]) if name not in found["names"]]
    if strange:
        raise InputError(f"{file}: BOUNDS names {strange[0]!r}, which is not in WORKLOADS")
    return tuple(found["names"]), bounds


def time_versions(
    versions: Sequence[Version],
    file: Path,
    *,
    names: Sequence[str],
    pace: Pace,
    progress: Progress,
) -> Laps:
    """Run workloads of all versions in turn, in fresh processes several times.

    Args:
        versions: whose modules are used; names must differ.
        file: the workloads, the same file for every version.
        names: of the workloads to run.
        pace: how long, and on how many threads of torch and BLAS.
        progress: told of each process.
    """
    laps: list[Lap] = []
    errors: Errors = {}
    for process in range(pace.processes):
        names_of = ", ".join(one.name for one in versions)
        progress("timed", f"process {process + 1} of {pace.processes}: {names_of}", process, pace.processes)
        done = None
        while done is None:
            runnable = [name for name in names if not any(name == failed for failed, _ in errors)]
            with start(versions, file, threads=pace.threads) as workers:
                done = _run(workers, runnable, pace=pace, process=process, errors=errors)
        laps += done
    return Laps(laps=tuple(laps), errors=errors)


def _run(
    workers: Sequence[Worker], names: Sequence[str], *, pace: Pace, process: int, errors: Errors
) -> list[Lap] | None:
    """All rounds of fresh workers; None when one failed at a workload, now in `errors`: start anew without it."""
    ready = _build(workers, names, errors)
    if ready is None:
        return None
    laps, calls, shuffle = [], {}, random.Random(process)
    for name in ready:  # calls that fill a block, after two untimed ones; the same for all versions
        warm = _lap(workers, name, 2, errors)
        if warm is None:
            return None
        calls[name] = max(1, min(10_000, round(pace.block_s / max(min(warm.values()), 1e-9))))
    for turn in range(pace.rounds):
        for name in shuffle.sample(ready, len(ready)):
            seconds = _lap(shuffle.sample(workers, len(workers)), name, calls[name], errors)
            if seconds is None:
                return None
            laps.append(Lap(workload=name, process=process, round=turn, seconds=seconds))
    return laps


def _build(workers: Sequence[Worker], names: Sequence[str], errors: Errors) -> list[str] | None:
    """Build every workload in every worker, all workers at once; the names that all could build, None if one died."""
    for name in names:
        for worker in workers:
            worker.tell(do="build", name=name)
        for worker in workers:
            found = worker.hear()
            if "error" in found:
                errors[name, worker.version.name] = found["error"]
            if "died" in found:
                return None
    return [name for name in names if not any(name == failed for failed, _ in errors)]


def _lap(workers: Sequence[Worker], name: str, calls: int, errors: Errors) -> dict[str, float] | None:
    """Seconds a call of each version, one after another; None, and the reason kept, when one fails."""
    seconds = {}
    for worker in workers:
        found = worker.ask(do="run", name=name, calls=calls)
        if "error" in found:
            errors[name, worker.version.name] = found["error"]
            return None
        seconds[worker.version.name] = found["seconds"]
    return seconds
