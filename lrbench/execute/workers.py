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
        executor: an entry of `EXECUTORS`; None for the first that takes what else is given.
        jobs: trials at a time, None for 1.
        timeout_s: time limit of a trial, and of a baseline, None for no limit.
        cluster: for executors that use one.
    """

    executor: str | None = None
    jobs: int | None = None
    timeout_s: float | None = None
    cluster: Cluster = Cluster()

    def given(self) -> tuple[str, ...]:
        """Names of what is not left to its default, as executors name what they take."""
        cluster, default = self.cluster, Cluster()
        values = {
            "jobs": self.jobs is not None,
            "timeout": self.timeout_s is not None,
            "address": cluster.address is not None,
            "cpus-per-trial": cluster.cpus != default.cpus,
            "gpus-per-trial": cluster.gpus != default.gpus,
            "on": bool(cluster.on),
        }
        return tuple(name for name, is_given in values.items() if is_given)


ALONE = Workers(executor="here")
"""One trial after the other, in this process."""
