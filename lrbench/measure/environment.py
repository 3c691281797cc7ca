"""What machine this is, in which versions: the fingerprint that two timings must share to be compared."""

import hashlib
import json
import os
import platform
import subprocess
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import psutil
import torch

from lrbench.records import Environment


def read_environment() -> Environment:
    """Look at the machine and the installed packages."""
    facts = Environment(
        key="",
        machine=platform.machine(),
        processor=_processor(),
        cpu_capability=torch.backends.cpu.get_cpu_capability(),
        cpus=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1),
        memory_bytes=psutil.virtual_memory().total,
        gpu=torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        torch=torch.__version__,
        torchvision=version("torchvision"),
        fvcore=version("fvcore"),
        cuda=torch.version.cuda or "none" if torch.cuda.is_available() else "none",
        mkldnn=bool(torch.backends.mkldnn.is_available()),  # type: ignore[no-untyped-call]
        blas="mkl" if torch.backends.mkl.is_available() else "other",  # type: ignore[no-untyped-call]
    )
    text = json.dumps(asdict(facts), sort_keys=True)
    return Environment(**{**asdict(facts), "key": hashlib.sha256(text.encode()).hexdigest()[:12]})


def _processor() -> str:
    """The processor's model name."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def read_commit() -> str:
    """The commit of the running lrbench, `-dirty` when its files differ from it, its version when not from git."""
    command = ["git", "describe", "--always", "--abbrev=12", "--dirty", "--exclude=*"]
    try:
        found = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=10, check=False
        )
    except OSError:
        return f"v{version('lrbench')}"
    return found.stdout.strip() if found.returncode == 0 else f"v{version('lrbench')}"


def peak_memory_bytes() -> int:
    """The largest resident memory of this process so far, or the largest CUDA allocation when that is larger."""
    import resource

    unit = 1 if platform.system() == "Darwin" else 1024
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    cuda = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
    return max(resident, cuda)
