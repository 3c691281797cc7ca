"""What happens on a node of a Ray cluster: one job runs there, with the data sent to it and the results sent back."""

import faulthandler
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import fsspec
from filelock import FileLock

from lrbench.execute.jobs import Job, Records, Work, Worker
from lrbench.learn.datasets import load_dataset
from lrbench.learn.weights import weights_path
from lrbench.limits import writing
from lrbench.measure.environment import read_environment
from lrbench.progress import silent
from lrbench.whole import write_whole


@dataclass(frozen=True, kw_only=True)
class Payload:
    """What is sent with a job: references to the images (empty: the node reads its own) and to weights by key."""

    run: str
    data: tuple[Any, ...]
    weights: Mapping[str, Any]
    uri: str


def run_job(work: Work, job: Job, payload: Payload, timeout_s: float | None) -> tuple[Records, dict[str, bytes]]:
    """On a node: run one job, and return its records with the weights that it made.

    The first record is the node's environment. When the time limit is reached, the process ends at once.
    """
    import ray

    folder = node_folder() / payload.run
    for key, ref in payload.weights.items():
        path = weights_path(folder / "weights", key)
        with writing(folder):
            path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            if not path.exists():
                write_whole(path, ray.get(ref))
    environment = read_environment()
    job = replace(job, cache=folder, environment=environment.key)
    worker = _worker_of(payload, job, ray)
    if timeout_s is not None:
        faulthandler.dump_traceback_later(timeout_s, exit=True)
    try:
        records = work(job, worker)
    finally:
        faulthandler.cancel_dump_traceback_later()
    new_keys = {key for trial in job.trials for key in (trial.baseline, trial.key)} - set(payload.weights)
    paths = {key: path for key in new_keys if (path := weights_path(folder / "weights", key)).exists()}
    weights = {key: path.read_bytes() for key, path in paths.items()}
    for trial in job.trials:
        if trial.key in weights and trial.key != trial.baseline:
            paths[trial.key].unlink()
            if payload.uri:
                _put(payload.uri, trial.key, weights.pop(trial.key))
    return (environment, *records), weights


_workers: dict[str, Worker] = {}
"""The worker of this process, by run: of one run at a time."""


def _worker_of(payload: Payload, job: Job, ray: Any) -> Worker:
    if payload.run not in _workers:
        _workers.clear()
        images = node_folder() / "images"
        data = ray.get(payload.data[0]) if payload.data else load_dataset(job.spec.data, cache=images)
        _workers[payload.run] = Worker(silent, data=data)
    return _workers[payload.run]


def node_folder() -> Path:
    """Where a node keeps what it was sent: the node's LRBENCH_NODE_CACHE, or a folder for temporary files."""
    chosen = os.environ.get("LRBENCH_NODE_CACHE")
    return Path(chosen) if chosen else Path(tempfile.gettempdir()) / f"lrbench-{os.getuid()}"


def forget(run: str) -> None:
    """On a node: remove the files of a run."""
    shutil.rmtree(node_folder() / run, ignore_errors=True)


def _put(uri: str, key: str, content: bytes) -> None:
    """Write the weights of a trial to a URI that all nodes can write."""
    system, folder = fsspec.url_to_fs(uri)
    system.makedirs(folder, exist_ok=True)
    with system.open(f"{folder.rstrip('/')}/{key}.safetensors", "wb") as file:
        file.write(content)
