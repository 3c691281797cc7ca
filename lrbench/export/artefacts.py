"""The files that an export is made of: how each is written, and how it is run again.

To add one, write two functions and add one entry to `ARTEFACTS`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from safetensors.torch import save_model
from torch import Tensor, nn

from lrbench.errors import InputError
from lrbench.export.load import load
from lrbench.export.plan import WEIGHTS, Plan, sha256_of, write_plan
from lrbench.limits import writing
from lrbench.measure.latency import renew_

Build = Callable[..., nn.Module]

BATCH = ({0: torch.export.Dim("batch")},)
"""Of the one input, the first dimension is free."""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """An artefact in its runtime: images (N, 3, H, W) to logits (N, classes); `renew` lays it out anew in memory."""

    run: Callable[[Tensor], Tensor]
    renew: Callable[[], None]


@dataclass(frozen=True, kw_only=True)
class Artefact:
    """A file, the runtime it is for, and the packages that it needs beside torch.

    `write` takes a model, the file and example images; `load` an export's folder, CPU threads and the builder of an own
    model. `exact`: it must answer as the trial did; another runtime may answer near ties otherwise.
    """

    file: str
    runtime: str
    write: Callable[[nn.Module, Path, Tensor], None]
    load: Callable[[Path, int, Build | None], Opened]
    needs: tuple[str, ...] = ()
    exact: bool = False


def _write_weights(model: nn.Module, file: Path, _: Tensor) -> None:
    save_model(model, str(file))
    file.chmod(file.parent.stat().st_mode & 0o666)  # safetensors lets nobody else read it


def _load_weights(folder: Path, _: int, build: Build | None) -> Opened:
    model = load(folder, build)
    return Opened(run=model, renew=lambda: renew_(model))


def _write_pt2(model: nn.Module, file: Path, images: Tensor) -> None:
    torch.export.save(torch.export.export(model, (images,), dynamic_shapes=BATCH), file)


def _load_pt2(folder: Path, _: int, __: Build | None) -> Opened:
    model = torch.export.load(folder / ARTEFACTS["pt2"].file).module()
    return Opened(run=lambda images: model(images.contiguous()), renew=lambda: renew_(model))


def _write_onnx(model: nn.Module, file: Path, images: Tensor) -> None:
    program = torch.onnx.export(
        model,
        (images,),
        dynamo=True,
        dynamic_shapes=BATCH,
        input_names=["images"],
        output_names=["logits"],
        verbose=False,
    )
    assert program is not None
    program.save(str(file))


def _load_onnx(folder: Path, threads: int, _: Build | None) -> Opened:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry("session.force_spinning_stop", "1")  # or its threads slow the session beside it

    def session() -> Any:
        file = str(folder / ARTEFACTS["onnx"].file)
        return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])

    held = [session()]

    def renew() -> None:
        held[0] = session()

    def run(images: Tensor) -> Tensor:
        return torch.from_numpy(held[0].run(None, {"images": images.contiguous().numpy()})[0])

    return Opened(run=run, renew=renew)


ARTEFACTS: Mapping[str, Artefact] = MappingProxyType(
    {
        "safetensors": Artefact(file=WEIGHTS, runtime="eager", write=_write_weights, load=_load_weights, exact=True),
        "pt2": Artefact(file="model.pt2", runtime="torch.export", write=_write_pt2, load=_load_pt2),
        "onnx": Artefact(
            file="model.onnx",
            runtime="onnxruntime",
            write=_write_onnx,
            load=_load_onnx,
            needs=("onnx", "onnxscript", "onnxruntime"),
        ),
    }
)
"""By the name that --format takes."""


def require_packages(names: Iterable[str]) -> None:
    """Raises: InputError when an artefact needs a package that is not installed."""
    for name in names:
        absent = [package for package in ARTEFACTS[name].needs if find_spec(package) is None]
        if absent:
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
        artefact = ARTEFACTS[name]
        with writing(folder / artefact.file):
            try:
                artefact.write(model, folder / artefact.file, images)
            except OSError:
                raise
            except Exception as error:  # exporters fail in many ways; each is a reason
                reason = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
                raise InputError(f"{artefact.file} cannot be made of this model: {reason}") from error
    write_plan(replace(plan, weights_sha256=sha256_of(folder / WEIGHTS)), folder)
