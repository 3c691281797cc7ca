"""The frozen record of a machine."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Environment:
    """The machine and the versions: timings are only compared where these agree. `key` is their digest.

    A fact more changes every key, and makes recorded timings those of another environment: leave it out of the digest
    (`measure.environment.read_environment`) unless it decides latency.

    `cgroup_cpus` and `cgroup_memory_bytes` are the limits of the container, `variables` the environment variables that
    control kernels and threads.
    """

    kind: Literal["environment"] = "environment"
    key: str
    machine: str
    processor: str
    cpu_capability: str
    cpus: int
    memory_bytes: int
    gpu: str
    system: str
    python: str
    torch: str
    torchvision: str
    fvcore: str
    cuda: str
    mkldnn: bool
    blas: str
    isa: str = ""
    governor: str = ""
    cgroup_cpus: str = ""
    cgroup_memory_bytes: str = ""
    onednn: str = ""
    openmp: str = ""
    gpu_driver: str = ""
    variables: str = ""
