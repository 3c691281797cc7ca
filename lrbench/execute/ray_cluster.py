"""A Ray cluster (extra `lrbench[ray]`): connecting to one, its nodes, and what is asked of them."""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from lrbench.errors import InputError
from lrbench.execute.versions import read_versions
from lrbench.execute.workers import Cluster

T = TypeVar("T")

QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
"""A Ray started here sends no usage statistics, and leaves CUDA_* as they are for a task without GPUs."""

POLL_S = 1.0
"""How often the driver looks for nodes that came or went, and for trials that take too long."""


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
