"""A Ray cluster (extra `lrbench[ray]`): connecting to one, and running jobs there as tasks of Ray Core.

A node keeps nothing between runs but decoded images: weights are sent to it, and those it makes come back. Images and
the dense model lie in Ray's object store, of which a node holds each once. Only the driver writes results.
"""

import faulthandler
import os
import shutil
import signal
import tempfile
import threading
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

import fsspec
import numpy as np
from filelock import FileLock

from lrbench.errors import InputError
from lrbench.execute.versions import read_versions
from lrbench.learn.datasets import Dataset, load_dataset
from lrbench.limits import in_words, writing
from lrbench.measure.environment import read_environment
from lrbench.plan.budgets import NOTHING, Evidence
from lrbench.results.records import Fault, Record
from lrbench.trials.dense import weights_path
from lrbench.trials.jobs import Desk, Job, TrialTimeoutError, WorkerDiedError, failures

T = TypeVar("T")
Records = tuple[Record, ...]
Work = Callable[[Job, Desk], Records]

QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
"""A Ray started here sends no usage statistics, and leaves CUDA_* as they are for a task without GPUs."""

STORE_SHARE = 0.5
"""Of the smallest object store that images may fill; of larger sets each node reads its own copy from `data.root`."""

POLL_S = 1.0
"""How often the driver looks for nodes that came or went, and for trials that take too long."""

CLEAN_S = 60.0
"""How long a node that is there may take to forget a run before the driver leaves; one that is lost takes no time."""

AHEAD = 2
"""Trials handed out for each place there is, so that no place waits for the driver; one where their time is limited."""


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Which Ray cluster, and what a trial holds of it.

    Attributes:
        address: `auto`, `host:port` or `ray://host:port`; None starts a Ray of this machine that ends with the command.
        cpus: CPUs of a trial, which are its threads too.
        gpus: GPUs of a trial, or a share of one.
        on: labels that a node must have to time on it.
    """

    address: str | None = None
    cpus: int = 1
    gpus: float = 0.0
    on: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Node:
    """A node that is alive: its id, a name for people, and what it has of each resource."""

    id: str
    name: str
    resources: Mapping[str, float]
    labels: Mapping[str, str]

    def places(self, cluster: Cluster) -> int:
        """How many trials it takes at a time."""
        by_gpu = self.resources.get("GPU", 0.0) / cluster.gpus if cluster.gpus else float("inf")
        return int(min(self.resources.get("CPU", 0.0) // cluster.cpus, by_gpu))


def import_ray() -> Any:
    """The package.

    Raises: InputError when it is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise InputError("--executor ray needs the package ray: pip install 'lrbench[ray]'") from error
    return ray


@contextmanager
def connected(cluster: Cluster) -> Iterator[Any]:
    """The package ray, connected; a Ray that was started here ends with it.

    Raises: InputError when there is no such cluster, or when versions differ between this machine and a node.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    ray, own = import_ray(), {} if cluster.address else {"include_dashboard": False}
    try:
        with _own_signals():
            ray.init(address=cluster.address or "local", log_to_driver=False, logging_level="ERROR", **own)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise InputError(f"no Ray cluster at {cluster.address or 'this machine'}: {error}") from error
    try:
        nodes = alive(ray)
        if not any(node.places(cluster) for node in nodes):
            there = ", ".join(f"{node.name}: {node.resources.get('CPU', 0):g} CPUs" for node in nodes)
            raise InputError(f"no node has the {cluster.cpus} CPUs and {cluster.gpus:g} GPUs of a trial ({there})")
        check_versions(ray, [node for node in nodes if node.places(cluster)])
        yield ray
    finally:
        ray.shutdown()


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep this process's handlers of signals: Ray's own would abort a driver that is asked to end."""
    mine = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM) if mine}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def alive(ray: Any) -> list[Node]:
    """The nodes that are there now."""
    return [
        Node(
            id=one["NodeID"],
            name=f"{one['NodeManagerAddress']} ({one['NodeID'][:6]})",
            resources=one["Resources"],
            labels=one.get("Labels") or {},
        )
        for one in ray.nodes()
        if one["Alive"]
    ]


def pinned(ray: Any, work: Callable[..., Any], node: Node, **options: Any) -> Any:
    """A remote function that runs on one node only."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    where = NodeAffinitySchedulingStrategy(node_id=node.id, soft=False)
    return ray.remote(work).options(scheduling_strategy=where, max_retries=0, **{"num_cpus": 0, **options})


def ask(ray: Any, question: Callable[[], T], nodes: Sequence[Node]) -> list[tuple[Node, T]]:
    """What a function returns on each node; a node that is lost meanwhile gives no answer."""
    refs, found = [pinned(ray, question, node).remote() for node in nodes], []
    for node, ref in zip(nodes, refs, strict=True):
        with suppress(ray.exceptions.NodeDiedError, ray.exceptions.TaskUnschedulableError):
            found.append((node, ray.get(ref)))
    return found


def check_versions(ray: Any, nodes: Sequence[Node]) -> None:
    """Raises: InputError naming both, when a node has another version of anything that counts."""
    here = read_versions()
    for node, there in ask(ray, read_versions, nodes):
        odd = [f"{name} {there.get(name)} there, {mine} here" for name, mine in here.items() if there.get(name) != mine]
        if odd:
            raise InputError(f"node {node.name} has other versions than this machine: {'; '.join(odd)}")


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """What is sent with a job: references to the images (None: each node reads its own) and to weights by their key."""

    run: str
    data: tuple[Any, ...]
    weights: Mapping[str, Any]
    uri: str


class Hall:
    """The driver's side: hands out jobs, takes records and weights back, tries again what was lost."""

    def __init__(self, ray: Any, cluster: Cluster, desk: Desk) -> None:
        """Name the package (connected), the cluster, and the driver's own desk with the images."""
        self._ray, self._cluster, self._desk = ray, cluster, desk
        self._run = uuid.uuid4().hex[:12]
        self._evidence: tuple[Evidence, Any] | None = None
        self._weights: dict[str, Any] = {}
        self._data: tuple[Any, ...] | None = None

    def execute(self, work: Work, jobs: Sequence[Job], timeout_s: float | None) -> Iterator[Records]:
        """Run jobs on the nodes; one whose worker or node is lost is tried again as often as `run.retries` says.

        What runs when the caller stops is ended by Ray when this driver disconnects. To cancel it first would be a
        risk: in Ray 2.60 a forced cancel of a task that ends at the same moment aborts the driver.
        """
        waiting, running = deque(enumerate(jobs)), dict[Any, tuple[int, Job, float]]()
        tries: Counter[int] = Counter()
        ended, nodes, looked = 0, alive(self._ray), monotonic()
        while waiting or running:
            if monotonic() - looked > POLL_S:
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
        self._desk.notify(what, work.__name__.replace("_", " "), ended, total)

    def _submit(self, work: Work, job: Job, timeout_s: float | None) -> Any:
        ray, cluster = self._ray, self._cluster
        if self._evidence is None or self._evidence[0] is not job.evidence:
            self._evidence = (job.evidence, ray.put(job.evidence))
        bare, (_, evidence) = replace(job, evidence=NOTHING), self._evidence
        task = ray.remote(run_job).options(num_cpus=cluster.cpus, num_gpus=cluster.gpus, max_retries=0)
        return task.remote(work, bare, evidence, self._parcel(job), timeout_s)

    def _parcel(self, job: Job) -> Parcel:
        if self._data is None:
            self._data = self._ship(self._desk.bench(job).data)
        keys = {key for trial in job.trials for key in (trial.baseline, trial.key)}
        paths = {key: weights_path(job.cache / "weights", key) for key in keys}
        for key, path in paths.items():
            if key not in self._weights and path.exists():
                self._weights[key] = self._ray.put(path.read_bytes())
        weights = {key: self._weights[key] for key in keys & set(self._weights)}
        return Parcel(run=self._run, data=self._data, weights=weights, uri=job.spec.run.weights_uri)

    def _ship(self, data: Dataset) -> tuple[Any, ...]:
        """The images in the object store, where they fit."""
        arrays = {id(split.images): split.images for split in (data.train, data.search, data.test)}
        size = sum(array.nbytes for array in arrays.values())
        room = STORE_SHARE * min(node.resources.get("object_store_memory", 0.0) for node in alive(self._ray))
        if size > room:
            self._desk.notify(f"{in_words(size)} of images, read by each node from its own data.root", "images", 1, 1)
            return ()
        self._desk.notify(f"{in_words(size)} of images, sent to each node once", "images", 1, 1)
        plain = {key: np.ascontiguousarray(array).view(np.ndarray) for key, array in arrays.items()}
        train, search, test = (
            replace(split, images=plain[id(split.images)]) for split in (data.train, data.search, data.test)
        )
        return (self._ray.put(replace(data, train=train, search=search, test=test)),)

    def _outcome(self, ref: Any, job: Job, *, seconds: float, timeout_s: float | None) -> Records | None:
        """The records of a job that ended; None when it was lost with its worker or node."""
        errors = self._ray.exceptions
        try:
            records, weights = self._ray.get(ref)
        except errors.RayTaskError as error:
            if isinstance(error.cause, InputError):
                raise InputError(f"on a node of the cluster: {error.cause}") from error
            if isinstance(error.cause, errors.RayError):  # what Ray lost on the way to the worker
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
        """Write what came back into the cache, and let go of what only this job needed."""
        for key, content in weights.items():
            _write(weights_path(job.cache / "weights", key), content)
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
        """How a job was lost, and in Ray's words."""
        try:
            self._ray.get(ref)
        except self._ray.exceptions.OutOfMemoryError as error:
            return "oom", str(error).strip().splitlines()[0]
        except self._ray.exceptions.RayError as error:
            return "killed", str(error).strip().splitlines()[0]
        return "killed", "unknown"

    def clean(self) -> None:
        """Let every node forget what this run left there."""
        with suppress(self._ray.exceptions.RayError):
            refs = [pinned(self._ray, forget, node).remote(self._run) for node in alive(self._ray)]
            self._ray.wait(refs, num_returns=len(refs), timeout=CLEAN_S)


def run_job(
    work: Work, job: Job, evidence: Evidence, parcel: Parcel, timeout_s: float | None
) -> tuple[Records, dict[str, bytes]]:
    """On a node: run one job, and give its records with the weights that it made.

    The first record is the node's environment. When time is up the process ends, whatever it is doing.
    """
    import ray

    folder = node_folder() / parcel.run
    for key, ref in parcel.weights.items():
        path = weights_path(folder / "weights", key)
        with writing(folder):
            path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            if not path.exists():
                _write(path, ray.get(ref))
    environment = read_environment()
    job = replace(job, evidence=evidence, cache=folder, environment=environment.key)
    desk = _desk_of(parcel, job, ray)
    if timeout_s is not None:
        faulthandler.dump_traceback_later(timeout_s, exit=True)
    try:
        records = work(job, desk)
    finally:
        faulthandler.cancel_dump_traceback_later()
    made = {key for trial in job.trials for key in (trial.baseline, trial.key)} - set(parcel.weights)
    paths = {key: path for key in made if (path := weights_path(folder / "weights", key)).exists()}
    weights = {key: path.read_bytes() for key, path in paths.items()}
    for trial in job.trials:
        if trial.key in weights and trial.key != trial.baseline:
            paths[trial.key].unlink()
            if parcel.uri:
                _put(parcel.uri, trial.key, weights.pop(trial.key))
    return (environment, *records), weights


_desks: dict[str, Desk] = {}
"""A worker's own, by run: of one run at a time."""


def _desk_of(parcel: Parcel, job: Job, ray: Any) -> Desk:
    if parcel.run not in _desks:
        _desks.clear()
        images = node_folder() / "images"
        data = ray.get(parcel.data[0]) if parcel.data else load_dataset(job.spec.data, cache=images)
        _desks[parcel.run] = Desk(lambda what, stage, done, total: None, data)
    return _desks[parcel.run]


def node_folder() -> Path:
    """Where a node keeps what it was sent: LRBENCH_NODE_CACHE as the node has it, or a folder for temporary files."""
    chosen = os.environ.get("LRBENCH_NODE_CACHE")
    return Path(chosen) if chosen else Path(tempfile.gettempdir()) / f"lrbench-{os.getuid()}"


def forget(run: str) -> None:
    """On a node: remove what a run left there."""
    shutil.rmtree(node_folder() / run, ignore_errors=True)


def _put(uri: str, key: str, content: bytes) -> None:
    """Keep the weights of a trial where all nodes can."""
    system, folder = fsspec.url_to_fs(uri)
    system.makedirs(folder, exist_ok=True)
    with system.open(f"{folder.rstrip('/')}/{key}.safetensors", "wb") as file:
        file.write(content)


def _write(path: Path, content: bytes) -> None:
    part = path.with_suffix(f".{os.getpid()}.part")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content)
        part.replace(path)
