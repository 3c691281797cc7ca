"""A Ray cluster (extra `lrbench[ray]`): connecting to it, its nodes, and calling functions on them."""

import atexit
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import psutil

from lrbench.errors import InputError, reading
from lrbench.execute.versions import read_versions
from lrbench.execute.workers import Cluster

T = TypeVar("T")

QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
"""A Ray started here sends no usage statistics, and leaves CUDA_* unchanged for tasks without GPUs."""

POLL_S = 1.0
"""Seconds between the driver's checks for new or lost nodes, and for trials that exceed their time limit."""


class RayletLostError(InputError):
    """Ray's own process on this machine has ended; whoever calls Ray after that is ended by it within seconds."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """A node that is alive: its id, a readable name, its amount of each resource, and its labels."""

    id: str
    name: str
    resources: Mapping[str, float]
    labels: Mapping[str, str]

    def places(self, cluster: Cluster) -> int:
        """The number of trials that it can run at a time."""
        by_gpu = self.resources.get("GPU", 0.0) / cluster.gpus if cluster.gpus else float("inf")
        return int(min(self.resources.get("CPU", 0.0) // cluster.cpus, by_gpu))


def import_ray() -> Any:
    """The package ray.

    Raises: InputError when it is not installed.
    """
    with reading(
        "--executor ray needs the package ray, which", "cannot be imported", hint="Run pip install 'lrbench[ray]'"
    ):
        import ray
    return ray


@contextmanager
def connected(cluster: Cluster) -> Iterator[Any]:
    """The package ray, connected to a cluster; a Ray that was started here is stopped at the end.

    Raises: InputError when the cluster cannot be reached, no node can run a trial, or versions differ on a node.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    ray, own = import_ray(), {} if cluster.address else {"include_dashboard": False}
    where = f"the Ray cluster at {cluster.address}" if cluster.address else "Ray on this machine"
    with reading(where, "cannot be reached" if cluster.address else "cannot be started"), _own_signals():
        ray.init(address=cluster.address or "local", log_to_driver=False, logging_level="ERROR", **own)
    with followed_by(ray.shutdown):
        nodes = alive(ray)
        if not any(node.places(cluster) for node in nodes):
            resources = ", ".join(f"{node.name}: {node.resources.get('CPU', 0):g} CPUs" for node in nodes)
            raise InputError(
                f"no node has the {cluster.cpus} CPUs and {cluster.gpus:g} GPUs that a trial needs ({resources})"
            )
        check_versions(ray, [node for node in nodes if node.places(cluster)])
        yield ray


@contextmanager
def followed_by(end: Callable[[], object]) -> Iterator[None]:
    """Call a function of Ray's at the end, unless the raylet is lost: Ray would end this process."""
    try:
        yield
    except RayletLostError:
        raise
    except BaseException:
        end()
        raise
    else:
        end()


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep this process's signal handlers: Ray's own would abort a driver that is asked to end."""
    is_main = threading.current_thread() is threading.main_thread()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM) if is_main}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def alive(ray: Any) -> list[Node]:
    """The nodes that are alive now."""
    return [
        Node(
            id=entry["NodeID"],
            name=f"{entry['NodeManagerAddress']} ({entry['NodeID'][:6]})",
            resources=entry["Resources"],
            labels=entry.get("Labels") or {},
        )
        for entry in ray.nodes()
        if entry["Alive"]
    ]


def raylet_of(ray: Any) -> psutil.Process | None:
    """Ray's own process on this machine; None where it is not seen."""
    own = ray.get_runtime_context().get_node_id()
    socket = next(entry["RayletSocketName"] for entry in ray.nodes() if entry["NodeID"] == own)
    processes = psutil.process_iter(["cmdline"])
    return next((one for one in processes if f"--raylet_socket_name={socket}" in (one.info["cmdline"] or ())), None)


def require_raylet(ray: Any, raylet: psutil.Process | None) -> None:
    """Look whether the raylet lives; the cluster learns of its end some seconds later, and then Ray ends this process.

    Raises: RayletLostError; after it, Ray must not be called, and this process ends without Ray's own clean-up.
    """
    with suppress(psutil.NoSuchProcess):
        if raylet is None or raylet.status() != psutil.STATUS_ZOMBIE:
            return
    atexit.unregister(ray.shutdown)
    atexit.register(_leave)
    raise RayletLostError(
        "the raylet, Ray's own process on this machine, has ended, perhaps because memory ran out. What is finished is "
        "kept; the same command continues, once Ray runs"
    )


def _leave() -> None:
    """End this process at once, told by now: what Ray would do at its end waits for the raylet, or crashes."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(2)


def pinned(ray: Any, work: Callable[..., Any], node: Node, **options: Any) -> Any:
    """A remote function that runs only on one node."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    where = NodeAffinitySchedulingStrategy(node_id=node.id, soft=False)
    return ray.remote(work).options(scheduling_strategy=where, max_retries=0, **{"num_cpus": 0, **options})


def call_on(ray: Any, function: Callable[[], T], nodes: Sequence[Node]) -> list[tuple[Node, T]]:
    """Call a function on each node and return the results; nodes that are lost meanwhile are left out."""
    refs, answers = [pinned(ray, function, node).remote() for node in nodes], []
    for node, ref in zip(nodes, refs, strict=True):
        with suppress(ray.exceptions.NodeDiedError, ray.exceptions.TaskUnschedulableError):
            answers.append((node, ray.get(ref)))
    return answers


def check_versions(ray: Any, nodes: Sequence[Node]) -> None:
    """Raises: InputError with both versions, when a node has another version of a compared package."""
    own_versions = read_versions()
    for node, node_versions in call_on(ray, read_versions, nodes):
        differences = [
            f"{name} {node_versions.get(name)} there, {version} here"
            for name, version in own_versions.items()
            if node_versions.get(name) != version
        ]
        if differences:
            raise InputError(f"node {node.name} has other versions than this machine: {'; '.join(differences)}")
