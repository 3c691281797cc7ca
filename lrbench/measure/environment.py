"""The machine and the versions: the fingerprint that two timings must share to be compared.

The commit of lrbench is not part of it: comparing two commits on one machine is what the regression gate is for. It is
recorded beside each timing.
"""

import hashlib
import json
import os
import platform
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil
import torch

from lrbench.limits import usable_cpus
from lrbench.measure import cuda
from lrbench.programs import run_program
from lrbench.results.environment import Environment
from lrbench.results.sessions import Gpu
from lrbench.shown import shown

ISA = ("avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_bf16")
ISA_ARM = ("asimd", "asimdhp", "bf16", "i8mm", "sve", "sve2")
VARIABLES = (
    "OMP_",
    "GOMP_",
    "KMP_",
    "MKL_",
    "ONEDNN_",
    "DNNL_",
    "ATEN_",
    "OPENBLAS_",
    "MALLOC_",
    "LD_PRELOAD",
    "CUDA_",
)
"""Beginnings of environment variables that may change kernels, threads or memory."""

IGNORED_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "KMP_DUPLICATE_LIB_OK",
    "KMP_INIT_AT_FORK",
    "CUDA_MODULE_LOADING",
)
"""Not recorded: sessions set threads themselves, and libraries set the others where they are imported or first used
(scikit-learn, torch), so that a sweep and `lrbench time` would seem two machines."""


@dataclass(frozen=True, kw_only=True)
class Watch:
    """What may change from round to round: run queue over the last minute, stolen seconds so far, the GPU."""

    load: float | None
    steal_s: float | None
    gpu: Gpu | None


def read_watch() -> Watch:
    """Look at the machine's load."""
    steal = getattr(psutil.cpu_times(), "steal", None)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return Watch(load=load, steal_s=steal, gpu=cuda.read_gpu())


def read_environment() -> Environment:
    """Look at the machine and the installed packages."""
    gpu = torch.cuda.is_available()
    built = torch.__config__.show() + torch.__config__.parallel_info()
    facts = Environment(
        key="",
        machine=platform.machine(),
        processor=_of_cpuinfo("model name") or platform.processor() or "unknown",
        cpu_capability=torch.backends.cpu.get_cpu_capability(),
        cpus=usable_cpus(),
        memory_bytes=psutil.virtual_memory().total,
        gpu=torch.cuda.get_device_name() if gpu else "none",
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        torch=torch.__version__,
        torchvision=version("torchvision"),
        fvcore=version("fvcore"),
        cuda=torch.version.cuda or "none" if gpu else "none",
        mkldnn=bool(torch.backends.mkldnn.is_available()),  # type: ignore[no-untyped-call]
        blas=_first_match(r"BLAS_INFO=(\w+)", built),
        isa=" ".join(
            flag for flag in (*ISA, *ISA_ARM) if flag in (_of_cpuinfo("flags") or _of_cpuinfo("Features")).split()
        ),
        governor=read_governor(),
        cgroup_cpus=_cgroup("cpu.max"),
        cgroup_memory_bytes=_cgroup("memory.max"),
        onednn=_first_match(r"MKL-DNN (v[\d.]+)", built),
        openmp=_first_match(r"OpenMP (\d+)", built),
        gpu_driver=cuda.driver(),
        variables=" ".join(
            f"{shown(name)}={shown(value)}"
            for name, value in sorted(os.environ.items())
            if name.startswith(VARIABLES) and name not in IGNORED_VARIABLES
        ),
    )
    text = json.dumps(asdict(facts), sort_keys=True)
    return Environment(**{**asdict(facts), "key": hashlib.sha256(text.encode()).hexdigest()[:12]})


def now() -> str:
    """The time in UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _first_match(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    return match[1] if match else "unknown"


def _of_cpuinfo(name: str) -> str:
    """A fact of the first processor; "" where the system does not say."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(errors="replace").splitlines() if info.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == name), "")


def read_governor() -> str:
    """How the processor's frequency is governed; "unknown" where the system does not say, as in many containers."""
    path = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    return path.read_text().strip() if path.exists() else "unknown"


def _cgroup(name: str) -> str:
    """A limit of the container (cgroup 2); "none" where there is no such limit."""
    path = Path("/sys/fs/cgroup") / name
    text = path.read_text().strip() if path.exists() else "max"
    return "none" if text.startswith("max") else text


DESCRIBE = ("describe", "--always", "--abbrev=12", "--dirty", "--exclude=*")
"""The commit as git says it, `-dirty` when a tracked file differs from it."""


def read_commit() -> str:
    """The commit of the running lrbench, `-dirty` when its files differ from it, its version when not from git."""
    own = _own_repository()
    return (_git(Path(own), *DESCRIBE) if own else "") or f"v{version('lrbench')}"


def read_repository_commit(folder: Path) -> str:
    """The commit of the git repository that a folder lies in, `-dirty` when its files differ from it.

    "" where there is no repository, no commit or no git, and in lrbench's own, whose commit `read_commit` tells.
    """
    top = _git(folder, "rev-parse", "--show-toplevel")
    return _git(folder, *DESCRIBE) if top and top != _own_repository() else ""


def _own_repository() -> str:
    """The top of the repository that keeps these files; "" when installed, be it below a repository of the user's."""
    here = Path(__file__)
    kept = _git(here.parent, "ls-files", here.name)
    return _git(here.parent, "rev-parse", "--show-toplevel") if kept else ""


def _git(folder: Path, *words: str) -> str:
    """What git says in a folder; "" when it fails, is absent, or does not end in time."""
    answer = run_program(["git", *words], folder=folder)
    return "" if answer.failure else answer.output.strip()


def peak_memory_bytes() -> int:
    """The largest resident memory of this process so far, or the largest CUDA allocation when that is larger."""
    import resource

    unit = 1 if platform.system() == "Darwin" else 1024
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    cuda_bytes = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
    return max(resident, cuda_bytes)
