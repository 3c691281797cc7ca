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

from lrbench.errors import InputError, reading
from lrbench.progress import Progress

WORKER = Path(__file__).with_name("worker.py")


@dataclass(frozen=True, kw_only=True)
class TimingOptions:
    """How versions are timed: fresh processes in a row, rounds of each, least seconds of a timed block, CPU threads."""

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
class Round:
    """One round of one workload: seconds a call by version, taken right after one another in shuffled order."""

    workload: str
    process: int
    round: int
    seconds: dict[str, float]


Errors = dict[tuple[str, str], str]
"""By (workload, version), why it could not be run."""


@dataclass(frozen=True, kw_only=True)
class Occasion:
    """All processes of a timing: their rounds, and by workload why a version could not run it."""

    rounds: tuple[Round, ...]
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
            [sys.executable, "-P", str(WORKER), str(file), str(os.getpid())],
            cwd=version.root,
            env={**os.environ, **steering, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def request(self, **request: Any) -> dict[str, Any]:
        """Send a request and wait for its answer; a worker that died answers with an error too."""
        self.send(**request)
        return self.receive()

    def send(self, **request: Any) -> None:
        """Send a request."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # the worker died; the answer will say so
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()

    def receive(self) -> dict[str, Any]:
        """Wait for the next answer."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            return {"error": f"its process ended with exit code {self._process.wait()}", "died": True}
        answer: dict[str, Any] = json.loads(line)
        return answer

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

    Raises: InputError when the file cannot be run or does not have that form.
    """
    with start([version], file, threads=1) as (worker,):
        listed = worker.request(do="list")
    if "error" in listed:
        raise InputError(f"workloads file {file} cannot be used: {listed['error']}")
    with reading(f"{file}: BOUNDS", "must map a name to (reference name, largest ratio)"):
        bounds = {name: (str(reference), float(limit)) for name, (reference, limit) in listed["bounds"].items()}
    unknown = [name for pair in bounds.items() for name in (pair[0], pair[1][0]) if name not in listed["names"]]
    if unknown:
        raise InputError(f"{file}: BOUNDS names {unknown[0]!r}, which is not in WORKLOADS")
    return tuple(listed["names"]), bounds


def time_versions(
    versions: Sequence[Version],
    file: Path,
    *,
    names: Sequence[str],
    options: TimingOptions,
    progress: Progress,
) -> Occasion:
    """Run workloads of all versions in turn, in fresh processes several times.

    Args:
        versions: what is timed; their names must differ.
        file: the workloads, the same file for every version.
        names: of the workloads to run.
        options: how long, and on how many threads of torch and BLAS.
        progress: called at each process.
    """
    rounds: list[Round] = []
    errors: Errors = {}
    for process in range(options.processes):
        labels = ", ".join(version.name for version in versions)
        progress("timed", f"process {process + 1} of {options.processes}: {labels}", process, options.processes)
        done = None
        while done is None:
            runnable = [name for name in names if not any(name == failed for failed, _ in errors)]
            with start(versions, file, threads=options.threads) as workers:
                done = _run(workers, runnable, options=options, process=process, errors=errors)
        rounds += done
    return Occasion(rounds=tuple(rounds), errors=errors)


def _run(
    workers: Sequence[Worker], names: Sequence[str], *, options: TimingOptions, process: int, errors: Errors
) -> list[Round] | None:
    """All rounds of fresh workers; None when one failed at a workload, now in `errors`: start again without it."""
    ready = _build(workers, names, errors)
    if ready is None:
        return None
    rounds, calls, shuffle = [], {}, random.Random(process)
    for name in ready:  # calls that fill a block, after two untimed ones; the same for all versions
        warm = _time_round(workers, name, 2, errors)
        if warm is None:
            return None
        calls[name] = max(1, min(10_000, round(options.block_s / max(min(warm.values()), 1e-9))))
    for number in range(options.rounds):
        for name in shuffle.sample(ready, len(ready)):
            seconds = _time_round(shuffle.sample(workers, len(workers)), name, calls[name], errors)
            if seconds is None:
                return None
            rounds.append(Round(workload=name, process=process, round=number, seconds=seconds))
    return rounds


def _build(workers: Sequence[Worker], names: Sequence[str], errors: Errors) -> list[str] | None:
    """Build every workload in every worker, all workers at once; the names that all could build, None if one died."""
    for name in names:
        for worker in workers:
            worker.send(do="build", name=name)
        for worker in workers:
            answer = worker.receive()
            if "error" in answer:
                errors[name, worker.version.name] = answer["error"]
            if "died" in answer:
                return None
    return [name for name in names if not any(name == failed for failed, _ in errors)]


def _time_round(workers: Sequence[Worker], name: str, calls: int, errors: Errors) -> dict[str, float] | None:
    """Seconds a call of each version, one after another; None, and the reason kept, when one fails."""
    seconds = {}
    for worker in workers:
        answer = worker.request(do="run", name=name, calls=calls)
        if "error" in answer:
            errors[name, worker.version.name] = answer["error"]
            return None
        seconds[worker.version.name] = answer["seconds"]
    return seconds
