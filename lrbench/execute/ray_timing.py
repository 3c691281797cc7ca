"""DueTiming on the nodes of a Ray cluster: each session alone on its node, each node beside its own dense model."""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lrbench.config.sections import LatencyChoice
from lrbench.errors import InputError
from lrbench.execute.ray_cluster import POLL_S, Node, alive, call_on, connected, pinned, raylet_of, require_raylet
from lrbench.execute.workers import Workers
from lrbench.learn.architectures import bytes_of
from lrbench.measure.environment import now, read_environment
from lrbench.plan.run import Run
from lrbench.progress import silent
from lrbench.results.records import Record
from lrbench.results.sessions import Architecture, Session, TimingFailure
from lrbench.timing.architectures import DueTiming, missing_timings, run_timings

Outcome = Session | TimingFailure

RESOURCE = "timing"
"""The custom resource that a session holds beside the CPUs of its node, if the node has it."""


def time_on_nodes(
    run: Run, workers: Workers, wanted: Mapping[str, Architecture], held: Sequence[Record]
) -> Iterator[Record]:
    """Time architectures in each environment of the chosen nodes; nodes of one environment share its timings.

    A session holds all CPUs of its node, so that no trial of any program on the cluster runs beside it.

    Raises: InputError when no node has the requested labels, or all nodes that had them were lost.
    """
    cluster, choice = workers.cluster, run.spec.latency
    with connected(cluster) as ray:
        nodes = [node for node in alive(ray) if node.places(cluster) and cluster.on.items() <= node.labels.items()]
        if not nodes:
            raise InputError(f"no node has the labels {_words(cluster.on)}; the nodes are {_listing(alive(ray))}")
        node_environments = call_on(ray, read_environment, nodes)
        queues: dict[str, deque[DueTiming]] = {}
        for environment in dict.fromkeys(environment for _, environment in node_environments):
            if environment not in held:
                yield environment
            due = missing_timings(
                choice,
                wanted,
                [record for record in held if isinstance(record, Session | TimingFailure)],
                environment=environment.key,
                model_bytes=bytes_of(run.dense.model),
            )
            queues[environment.key] = deque(due)
        places = [Place(node=node, environment=environment.key) for node, environment in node_environments]
        yield from _run(ray, run, queues, places)


@dataclass(frozen=True, kw_only=True)
class Place:
    """A node and the key of its environment."""

    node: Node
    environment: str


def _run(ray: Any, run: Run, queues: Mapping[str, deque[DueTiming]], places: Sequence[Place]) -> Iterator[Outcome]:
    """Give each idle node the next timing of its environment, until all are done; lost timings are repeated."""
    idle, running, raylet = list(places), dict[Any, tuple[Place, DueTiming]](), raylet_of(ray)
    tries: Counter[DueTiming] = Counter()
    total = sum(map(len, queues.values()))
    while any(queues.values()) or running:
        for place in [place for place in idle if queues[place.environment]]:
            timing = queues[place.environment].popleft()
            running[_submit(ray, place, run, timing)] = (place, timing)
            idle.remove(place)
        left = sum(map(len, queues.values())) + len(running)
        run.progress("latency", f"{len(running)} of {len(places)} nodes are timing", total - left, total)
        _require_nodes(queues, [*idle, *(place for place, _ in running.values())])
        require_raylet(ray, raylet)
        done, _ = ray.wait(list(running), timeout=POLL_S)
        for ref in done:
            place, timing = running.pop(ref)
            sessions = _sessions(ray, ref, place)
            tries[timing] += 1
            if not sessions and tries[timing] > run.spec.run.retries:
                raise InputError(f"a timing was lost {tries[timing]} times, the last time on node {place.node.name}")
            if not sessions:
                queues[place.environment].appendleft(timing)
            if sessions or place.node.id in {node.id for node in alive(ray)}:
                idle.append(place)
            yield from sessions


def _sessions(ray: Any, ref: Any, place: Place) -> tuple[Outcome, ...]:
    """The sessions of a timing; none when it was lost with its worker or node.

    Raises: InputError when the timing failed.
    """
    try:
        return tuple(ray.get(ref))
    except ray.exceptions.RayTaskError as error:
        raise InputError(f"timing on node {place.node.name} failed: {error.cause}") from error
    except ray.exceptions.RayError:
        return ()


def _require_nodes(queues: Mapping[str, deque[DueTiming]], served: Iterable[Place]) -> None:
    """Raises: InputError when a timing waits for an environment whose nodes were all lost."""
    present = {place.environment for place in served}
    if lost := [key for key, queue in queues.items() if queue and key not in present]:
        raise InputError(
            f"all nodes of environment {', '.join(lost)} were lost. Finished timings are kept; repeat the command when "
            "such a node is available again"
        )


def _submit(ray: Any, place: Place, run: Run, timing: DueTiming) -> Any:
    """A task that holds its whole node."""
    node = place.node
    resources = {RESOURCE: 1} if node.resources.get(RESOURCE) else {}
    gpus = 1 if timing.setting.device == "cuda" else 0
    options = {"num_cpus": node.resources.get("CPU", 0), "num_gpus": gpus, "resources": resources}
    task = pinned(ray, time_on_node, node, **options)
    return task.remote(run.spec.latency, timing, run.dense.architecture, place.environment, node.id)


def time_on_node(
    choice: LatencyChoice, timing: DueTiming, dense: Architecture, environment: str, node: str
) -> tuple[Outcome, ...]:
    """On a node: make one timing, all its processes and attempts."""
    outcomes = run_timings(choice, [timing], dense=dense, environment=environment, progress=silent)
    return tuple(
        replace(outcome, node=node, finished=now()) if isinstance(outcome, Session) else outcome for outcome in outcomes
    )


def _words(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in labels.items())


def _listing(nodes: Iterable[Node]) -> str:
    """The nodes with their labels, without those that Ray sets."""
    return "; ".join(
        f"{node.name}: {_words({k: v for k, v in node.labels.items() if not k.startswith('ray.io/')}) or 'no labels'}"
        for node in nodes
    )
