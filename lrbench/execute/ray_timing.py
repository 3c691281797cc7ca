"""Timing on the nodes of a Ray cluster: each session alone on its node, each node beside its own dense model."""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lrbench.config.sections import LatencyChoice
from lrbench.errors import InputError
from lrbench.execute.ray_cluster import POLL_S, Node, alive, ask, connected, pinned
from lrbench.execute.workers import Workers
from lrbench.learn.architectures import bytes_of
from lrbench.measure.environment import now, read_environment
from lrbench.plan.run import Run
from lrbench.progress import silent
from lrbench.results.records import Record
from lrbench.results.sessions import Architecture, Session
from lrbench.timing.models import Timing, missing_timings, run_timings

RESOURCE = "timing"
"""The custom resource, one of each node, that a session holds beside the node's CPUs, where the node has it."""


def time_on_nodes(
    run: Run, workers: Workers, wanted: Mapping[str, Architecture], held: Sequence[Record]
) -> Iterator[Record]:
    """Time architectures in each environment among the nodes that may time; where several share one, on any of them.

    A session holds all CPUs of its node, so that no trial of any program on the cluster runs beside it.

    Raises: InputError when no node has the labels asked for, or those that had were lost.
    """
    cluster, choice = workers.cluster, run.spec.latency
    with connected(cluster) as ray:
        nodes = [node for node in alive(ray) if node.places(cluster) and cluster.on.items() <= node.labels.items()]
        if not nodes:
            raise InputError(f"no node has the labels {_words(cluster.on)}; there are {_listing(alive(ray))}")
        known = ask(ray, read_environment, nodes)
        queues: dict[str, deque[Timing]] = {}
        for environment in dict.fromkeys(environment for _, environment in known):
            if environment not in held:
                yield environment
            due = missing_timings(
                choice,
                wanted,
                [one for one in held if isinstance(one, Session)],
                environment=environment.key,
                model_bytes=bytes_of(run.dense.model),
            )
            queues[environment.key] = deque(due)
        places = [Place(node=node, environment=environment.key) for node, environment in known]
        yield from _run(ray, run, queues, places)


@dataclass(frozen=True, kw_only=True)
class Place:
    """A node and the environment that timings made there belong to."""

    node: Node
    environment: str


def _run(ray: Any, run: Run, queues: Mapping[str, deque[Timing]], places: Sequence[Place]) -> Iterator[Session]:
    """Give each idle node the next timing of its environment, until all are made; one that is lost is made again."""
    idle, running = list(places), dict[Any, tuple[Place, Timing]]()
    tries: Counter[Timing] = Counter()
    total = sum(map(len, queues.values()))
    while any(queues.values()) or running:
        for place in [one for one in idle if queues[one.environment]]:
            timing = queues[place.environment].popleft()
            running[_submit(ray, place, run, timing)] = (place, timing)
            idle.remove(place)
        left = sum(map(len, queues.values())) + len(running)
        run.progress("latency", f"{len(running)} of {len(places)} nodes are timing", total - left, total)
        _require_nodes(queues, [*idle, *(place for place, _ in running.values())])
        done, _ = ray.wait(list(running), timeout=POLL_S)
        for ref in done:
            place, timing = running.pop(ref)
            sessions = _sessions(ray, ref, place)
            tries[timing] += 1
            if not sessions and tries[timing] > run.spec.run.retries:
                raise InputError(f"a timing was lost {tries[timing]} times, on node {place.node.name} at last")
            if not sessions:
                queues[place.environment].appendleft(timing)
            if sessions or place.node.id in {one.id for one in alive(ray)}:
                idle.append(place)
            yield from sessions


def _sessions(ray: Any, ref: Any, place: Place) -> tuple[Session, ...]:
    """What a timing gave; nothing when it was lost with its worker or node.

    Raises: InputError when it could not be made.
    """
    try:
        return tuple(ray.get(ref))
    except ray.exceptions.RayTaskError as error:
        raise InputError(f"timing on node {place.node.name} failed: {error.cause}") from error
    except ray.exceptions.RayError:
        return ()


def _require_nodes(queues: Mapping[str, deque[Timing]], served: Iterable[Place]) -> None:
    """Raises: InputError when a timing waits for nodes that are all gone."""
    there = {place.environment for place in served}
    if lost := [key for key, queue in queues.items() if queue and key not in there]:
        raise InputError(
            f"all nodes of environment {', '.join(lost)} were lost; what is finished is kept, and the same command "
            "goes on once one is there again"
        )


def _submit(ray: Any, place: Place, run: Run, timing: Timing) -> Any:
    """A task that holds its whole node."""
    node = place.node
    resources = {RESOURCE: 1} if node.resources.get(RESOURCE) else {}
    gpus = 1 if timing.setting.device == "cuda" else 0
    options = {"num_cpus": node.resources.get("CPU", 0), "num_gpus": gpus, "resources": resources}
    task = pinned(ray, time_there, node, **options)
    return task.remote(run.spec.latency, timing, run.dense.architecture, place.environment, node.id)


def time_there(
    choice: LatencyChoice, timing: Timing, dense: Architecture, environment: str, node: str
) -> tuple[Session, ...]:
    """On a node: make one timing, all its processes and attempts."""
    sessions = run_timings(choice, [timing], dense=dense, environment=environment, progress=silent)
    return tuple(replace(session, node=node, finished=now()) for session in sessions)


def _words(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in labels.items())


def _listing(nodes: Iterable[Node]) -> str:
    """The nodes with the labels that people gave them."""
    return "; ".join(
        f"{node.name}: {_words({k: v for k, v in node.labels.items() if not k.startswith('ray.io/')}) or 'no labels'}"
        for node in nodes
    )
