"""Timing on the nodes of a Ray cluster: each session alone on its node, each node beside its own dense model."""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lrbench.errors import InputError
from lrbench.execute.ray_jobs import POLL_S, Cluster, Node, alive, ask, connected, pinned
from lrbench.measure.environment import now, read_environment
from lrbench.plan.spec import SweepSpec
from lrbench.results.records import Record
from lrbench.results.sessions import Architecture, Session
from lrbench.timing.models import Timing, missing_timings, run_timings
from lrbench.timing.processes import Notify

RESOURCE = "timing"
"""The custom resource, one of each node, that a session holds beside the node's CPUs, where the node has it."""


def time_on_nodes(
    spec: SweepSpec,
    wanted: Mapping[str, Architecture],
    held: Iterable[Record],
    *,
    cluster: Cluster,
    classes: int,
    model_bytes: int,
    notify: Notify,
) -> Iterator[Record]:
    """Time architectures in each environment among the nodes that may time; where several share one, on any of them.

    A session holds all CPUs of its node, so that no trial of any program on the cluster runs beside it.

    Raises: InputError when no node has the labels asked for, or those that had were lost.
    """
    records = list(held)
    with connected(cluster) as ray:
        nodes = [node for node in alive(ray) if node.places(cluster) and cluster.on.items() <= node.labels.items()]
        if not nodes:
            raise InputError(f"no node has the labels {_words(cluster.on)}; there are {_listing(alive(ray))}")
        known = ask(ray, read_environment, nodes)
        queues: dict[str, deque[Timing]] = {}
        for environment in dict.fromkeys(environment for _, environment in known):
            if environment not in records:
                yield environment
            due = missing_timings(
                spec.latency,
                wanted,
                [one for one in records if isinstance(one, Session)],
                environment=environment.key,
                model_bytes=model_bytes,
            )
            queues[environment.key] = deque(due)
        places = [Place(node=node, environment=environment.key) for node, environment in known]
        yield from _run(ray, spec, queues, places, classes=classes, notify=notify)


@dataclass(frozen=True, kw_only=True)
class Place:
    """A node and the environment that timings made there belong to."""

    node: Node
    environment: str


def _run(
    ray: Any,
    spec: SweepSpec,
    queues: Mapping[str, deque[Timing]],
    places: Sequence[Place],
    *,
    classes: int,
    notify: Notify,
) -> Iterator[Session]:
    """Give each idle node the next timing of its environment, until all are made; one that is lost is made again."""
    idle, running = list(places), dict[Any, tuple[Place, Timing]]()
    tries: Counter[Timing] = Counter()
    total = sum(map(len, queues.values()))
    while any(queues.values()) or running:
        for place in [one for one in idle if queues[one.environment]]:
            timing = queues[place.environment].popleft()
            running[_submit(ray, place, spec, timing, classes)] = (place, timing)
            idle.remove(place)
        left = sum(map(len, queues.values())) + len(running)
        notify("latency", f"{len(running)} of {len(places)} nodes are timing", total - left, total)
        _require_nodes(queues, [*idle, *(place for place, _ in running.values())])
        done, _ = ray.wait(list(running), timeout=POLL_S)
        for ref in done:
            place, timing = running.pop(ref)
            sessions = _sessions(ray, ref, place)
            tries[timing] += 1
            if not sessions and tries[timing] > spec.run.retries:
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


def _submit(ray: Any, place: Place, spec: SweepSpec, timing: Timing, classes: int) -> Any:
    """A task that holds its whole node."""
    node = place.node
    resources = {RESOURCE: 1} if node.resources.get(RESOURCE) else {}
    gpus = 1 if timing.setting.device == "cuda" else 0
    options = {"num_cpus": node.resources.get("CPU", 0), "num_gpus": gpus, "resources": resources}
    return pinned(ray, time_here, node, **options).remote(spec, timing, classes, place.environment, node.id)


def time_here(spec: SweepSpec, timing: Timing, classes: int, environment: str, node: str) -> tuple[Session, ...]:
    """On a node: make one timing, all its processes and attempts."""
    sessions = run_timings(
        spec, [timing], classes=classes, environment=environment, notify=lambda what, stage, done, total: None
    )
    return tuple(replace(session, node=node, finished=now()) for session in sessions)


def _words(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in labels.items())


def _listing(nodes: Iterable[Node]) -> str:
    """The nodes with the labels that people gave them."""
    return "; ".join(
        f"{node.name}: {_words({k: v for k, v in node.labels.items() if not k.startswith('ray.io/')}) or 'no labels'}"
        for node in nodes
    )
