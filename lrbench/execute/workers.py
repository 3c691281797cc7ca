"""How trials are run: by which executor, how many at a time, with which time limit, and on which cluster."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Which Ray cluster, and the resources of a trial.

    Attributes:
        address: `auto`, `host:port` or `ray://host:port`; None starts Ray on this machine for the command.
        cpus: CPUs of a trial, also its number of threads.
        gpus: GPUs of a trial, or a share of one GPU.
        on: labels that a node must have for timings.
    """

    address: str | None = None
    cpus: int = 1
    gpus: float = 0.0
    on: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Workers:
    """How trials are run.

    Attributes:
        executor: an entry of `EXECUTORS`.
        jobs: trials at a time, if the executor takes a number.
        timeout_s: time limit of a trial, None for no limit; baselines have no limit.
        cluster: for executors that use one.
    """

    executor: str = "here"
    jobs: int = 1
    timeout_s: float | None = None
    cluster: Cluster = Cluster()


ALONE = Workers()
"""One trial after the other, in this process."""
