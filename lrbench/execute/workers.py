"""How trials are to be run: by which executor, how many at a time, for how long, and what each holds of a cluster."""

from collections.abc import Mapping
from dataclasses import dataclass, field


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
class Workers:
    """How trials are run.

    Attributes:
        executor: an entry of `EXECUTORS`.
        jobs: trials at a time, where the executor asks for a number.
        timeout_s: what each may take, None as long as it wants; a baseline takes as long as it wants.
        cluster: for executors of one.
    """

    executor: str = "here"
    jobs: int = 1
    timeout_s: float | None = None
    cluster: Cluster = Cluster()


ALONE = Workers()
"""One trial after the other, in this process."""
