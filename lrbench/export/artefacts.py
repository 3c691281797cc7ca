"""The files that an export is made of, each for one runtime, which writes and opens it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import torch
from torch import Tensor, nn

from lrbench.config.axes import Setting
from lrbench.errors import InputError
from lrbench.export.load import load
from lrbench.export.plan import WEIGHTS, Plan, sha256_of, write_plan
from lrbench.learn.weights import save_weights
from lrbench.limits import writing
from lrbench.measure import runtimes
from lrbench.measure.prepared import Opened, Runtime, absent_packages
from lrbench.whole import replacing

Build = Callable[..., nn.Module]


@dataclass(frozen=True, kw_only=True)
class Artefact:
    """A file and the runtime that it is for.

    A runtime that takes only modules has the weights, with which the model is built again.

    `exact`: it must answer as the trial did; another runtime may answer near ties differently.
    """

    file: str
    runtime: str
    exact: bool = False


ARTEFACTS: Mapping[str, Artefact] = MappingProxyType(
    {
        "safetensors": Artefact(file=WEIGHTS, runtime="eager", exact=True),
        "pt2": Artefact(file="model.pt2", runtime="torch.export"),
        "onnx": Artefact(file="model.onnx", runtime="onnxruntime"),
    }
)
"""By the name that --format takes."""


def runtime_of(name: str) -> Runtime:
    """The runtime of an artefact."""
    return runtimes.RUNTIMES[ARTEFACTS[name].runtime]


def _write(name: str, model: nn.Module, folder: Path, images: Tensor) -> None:
    """Write one artefact; raises what its runtime raises."""
    file, in_file = folder / ARTEFACTS[name].file, runtime_of(name).in_file
    if in_file is not None:
        in_file.write(model, file, images)
    else:
        with replacing(file) as part:
            save_weights(model, part)


def open_artefact(name: str, folder: Path, *, setting: Setting, build: Build | None) -> Opened:
    """An artefact in its runtime: takes images (N, 3, H, W).

    Args:
        name: of the artefact.
        folder: of an export.
        setting: it is to run in.
        build: the builder of the user's own model.
    """
    runtime, own = runtime_of(name), replace(setting, runtime=ARTEFACTS[name].runtime)
    if runtime.in_file is not None:
        return runtime.in_file.open(folder / ARTEFACTS[name].file, own)
    model = load(folder, build)
    return lambda images: runtime.prepare(model, images, own)


def require_packages(names: Iterable[str]) -> None:
    """Raises: InputError when an artefact needs a package that is not installed."""
    for name in names:
        if absent := absent_packages(runtime_of(name)):
            raise InputError(f"--format {name} needs {', '.join(absent)}: pip install lrbench[export]")


def write_artefacts(model: nn.Module, plan: Plan, folder: Path, *, names: Iterable[str]) -> None:
    """Write artefacts of a model and the plan beside them; the plan's digest of the weights is filled in.

    Args:
        model: on the CPU, contiguous, in eval mode.
        plan: what it is.
        folder: an existing one.
        names: of artefacts, `safetensors` among them.

    Raises: InputError when a runtime cannot take the model.
    """
    size = plan.architecture.image_size
    images = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0))  # 1 would be taken as fixed
    for name in names:
        file = folder / ARTEFACTS[name].file
        with writing(file):
            try:
                _write(name, model, folder, images)
            except OSError:
                raise
            except Exception as error:  # exporters fail in many ways; each is a reason
                reason = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
                raise InputError(f"{file.name} cannot be made from this model: {reason}") from error
    write_plan(replace(plan, weights_sha256=sha256_of(folder / WEIGHTS)), folder)
