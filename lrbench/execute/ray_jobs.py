"""Running jobs on a Ray cluster as tasks of Ray Core: the driver's side.

A node keeps only decoded images between runs: weights are sent to it, and new weights come back. Images and the dense
model are in Ray's object store, which holds each once per node. Only the driver writes results.
"""

import uuid
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from time import monotonic
from typing import Any

import numpy as np

from lrbench.errors import InputError
from lrbench.execute.jobs import Execute, Job, Records, TrialTimeoutError, Work, Worker, WorkerDiedError, failures
from lrbench.execute.ray_cluster import POLL_S, Node, alive, connected, followed_by, pinned, raylet_of, require_raylet
from lrbench.execute.ray_node import Payload, forget, run_job
from lrbench.execute.workers import Cluster, Workers
from lrbench.learn.datasets import Dataset
from lrbench.learn.weights import weights_path
from lrbench.limits import in_words, writing
from lrbench.results.sessions import Fault
from lrbench.whole import write_whole

STORE_SHARE = 0.5
"""Share of the smallest object store that images may fill; nodes read a larger data set from their own `data.root`."""

CLEAN_S = 60.0
"""Seconds that nodes may take to remove a run's files before the driver leaves; lost nodes are not waited for."""

AHEAD = 2
"""Trials submitted for each free place, so that no place waits for the driver; one with a time limit."""


class Driver:
    """The driver's side: submits jobs, takes back records and weights, repeats lost jobs."""

    def __init__(self, ray: Any, cluster: Cluster, worker: Worker) -> None:
        """Take the connected package, the cluster, and the driver's own worker with the images."""
        self._ray, self._cluster, self._worker = ray, cluster, worker
        self._run, self._raylet = uuid.uuid4().hex[:12], raylet_of(ray)
        self._weights: dict[str, Any] = {}
        self._data: tuple[Any, ...] | None = None

    def execute(self, work: Work, jobs: Sequence[Job], timeout_s: float | None) -> Iterator[Records]:
        """Run jobs on the nodes; a job whose worker or node is lost is repeated up to `run.retries` times.

        When the caller stops, Ray ends running tasks as this driver disconnects. Cancelling them first would be a
        risk: in Ray 2.60 a forced cancel of a task that ends at the same moment aborts the driver.
        """
        waiting, running = deque(enumerate(jobs)), dict[Any, tuple[int, Job, float]]()
        tries: Counter[int] = Counter()
        ended, nodes, looked = 0, alive(self._ray), monotonic()
        while waiting or running:
            if monotonic() - looked > POLL_S:
                require_raylet(self._ray, self._raylet)
                nodes, looked = alive(self._ray), monotonic()
            places = sum(node.places(self._cluster) for node in nodes)
            while waiting and len(running) < places * (1 if timeout_s else AHEAD):
                number, job = waiting.popleft()
                running[self._submit(work, job, timeout_s)] = (number, job, monotonic())
            self._tell(work, nodes, places, running=len(running), ended=ended, total=len(jobs))
            done, _ = self._ray.wait(list(running), timeout=POLL_S) if running else ([], [])
            for ref in done:
                number, job, since = running.pop(ref)
                records = self._outcome(ref, job, seconds=monotonic() - since, timeout_s=timeout_s)
                if records is None and tries[number] < job.spec.run.retries:
                    tries[number] += 1
                    waiting.appendleft((number, job))
                    continue
                ended += 1
                yield records if records is not None else self._lost(ref, job, seconds=monotonic() - since)

    def _tell(self, work: Work, nodes: Sequence[Node], places: int, *, running: int, ended: int, total: int) -> None:
        what = f"{min(running, places)} running on {len(nodes)} nodes" if places else "waiting for a node"
        self._worker.progress(what, work.__name__.replace("_", " "), ended, total)

    def _submit(self, work: Work, job: Job, timeout_s: float | None) -> Any:
        ray, cluster = self._ray, self._cluster
        task = ray.remote(run_job).options(num_cpus=cluster.cpus, num_gpus=cluster.gpus, max_retries=0)
        return task.remote(work, job, self._payload(job), timeout_s)

    def _payload(self, job: Job) -> Payload:
        if self._data is None:
            self._data = self._ship(self._worker.data(job))
        keys = {key for trial in job.trials for key in (trial.baseline, trial.key)}
        paths = {key: weights_path(job.weights, key) for key in keys}
        for key, path in paths.items():
            if key not in self._weights and path.exists():
                self._weights[key] = self._ray.put(path.read_bytes())
        weights = {key: self._weights[key] for key in keys & set(self._weights)}
        return Payload(run=self._run, data=self._data, weights=weights, uri=job.spec.run.weights_uri)

    def _ship(self, data: Dataset) -> tuple[Any, ...]:
        """Put the images in the object store, if they fit."""
        arrays = {id(split.images): split.images for split in (data.train, data.search, data.test)}
        size = sum(array.nbytes for array in arrays.values())
        room = STORE_SHARE * min(node.resources.get("object_store_memory", 0.0) for node in alive(self._ray))
        if size > room:
            self._worker.progress(
                f"{in_words(size)} of images: each node reads them from its own data.root", "images", 1, 1
            )
            return ()
        self._worker.progress(f"{in_words(size)} of images: sent to each node once", "images", 1, 1)
        plain = {key: np.ascontiguousarray(array).view(np.ndarray) for key, array in arrays.items()}
        train, search, test = (
            replace(split, images=plain[id(split.images)]) for split in (data.train, data.search, data.test)
        )
        return (self._ray.put(replace(data, train=train, search=search, test=test)),)

    def _outcome(self, ref: Any, job: Job, *, seconds: float, timeout_s: float | None) -> Records | None:
        """The records of a finished job; None when it was lost with its worker or node."""
        errors = self._ray.exceptions
        try:
            records, weights = self._ray.get(ref)
        except errors.RayTaskError as error:
            if isinstance(error.cause, InputError):
                raise InputError(f"on a node of the cluster: {error.cause}") from error
            if isinstance(error.cause, errors.RayError):  # lost by Ray on the way to the worker
                return None
            return failures(job, error.cause, stage="trial", seconds=seconds)
        except errors.RayError:
            if timeout_s is None or seconds < timeout_s:
                return None
            late = TrialTimeoutError(f"not finished after {timeout_s:g} s")
            return failures(job, late, stage="trial", seconds=seconds, failure="timeout")
        self._keep(job, weights)
        return tuple(records)

    def _keep(self, job: Job, weights: Mapping[str, bytes]) -> None:
        """Write returned weights into the cache, and free those that only this job needed."""
        with writing(job.weights):
            job.weights.mkdir(parents=True, exist_ok=True)
        for key, content in weights.items():
            write_whole(weights_path(job.weights, key), content)
        for trial in job.trials:
            if trial.key != trial.baseline:
                self._weights.pop(trial.key, None)

    def _lost(self, ref: Any, job: Job, *, seconds: float) -> Records:
        """The records of a job that was lost too often."""
        fault, reason = self._why(ref)
        again = f" {1 + job.spec.run.retries} times" if job.spec.run.retries else ""
        error = WorkerDiedError(f"its worker or node was lost{again}: {reason}")
        return failures(job, error, stage="trial", seconds=seconds, failure=fault)

    def _why(self, ref: Any) -> tuple[Fault, str]:
        """How a job was lost, with Ray's message."""
        try:
            self._ray.get(ref)
        except self._ray.exceptions.OutOfMemoryError as error:
            return "oom", str(error).strip().splitlines()[0]
        except self._ray.exceptions.RayError as error:
            return "killed", str(error).strip().splitlines()[0]
        return "killed", "unknown"

    def clean(self) -> None:
        """Remove the files of this run from every node."""
        with suppress(self._ray.exceptions.RayError):
            refs = [pinned(self._ray, forget, node).remote(self._run) for node in alive(self._ray)]
            self._ray.wait(refs, num_returns=len(refs), timeout=CLEAN_S)


@contextmanager
def open_ray(workers: Workers, worker: Worker) -> Iterator[Execute]:
    """Run jobs as tasks on the nodes of a Ray cluster; a job that is lost with its node is repeated on another."""
    with connected(workers.cluster) as ray:
        driver = Driver(ray, workers.cluster, worker)
        with followed_by(driver.clean):
            yield driver.execute
