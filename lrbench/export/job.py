"""An export from beginning to end: write, load back, check, time; only what passes reaches its folder."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
from torch import nn

from lrbench.config.axes import Setting
from lrbench.errors import InputError
from lrbench.export.artefacts import ARTEFACTS, open_artefact, require_packages, write_artefacts
from lrbench.export.check import Images, check_artefacts, checks_table, images_of, right_answers, threads_of
from lrbench.export.find import Source, recall_model
from lrbench.export.plan import WEIGHTS, Plan
from lrbench.export.timing import Job, builder_of, rounds_table, time_artefacts, timing_table
from lrbench.guard import guarded, user_code
from lrbench.learn.architectures import build_dense, cut_architecture
from lrbench.limits import require_cpus
from lrbench.measure.environment import read_environment
from lrbench.measure.settings import settings
from lrbench.progress import Progress
from lrbench.results.log import write_table
from lrbench.results.sessions import Architecture
from lrbench.whole import new_folder, rename_whole


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is to be exported: artefacts by name; `within`: the difference of a logit that is always allowed.

    `named_data`: the user named the data set in this command, so that code of their own may be run for it. `timed`:
    whether artefacts are timed.
    """

    names: tuple[str, ...]
    within: float
    named_data: bool
    timed: bool = True


@dataclass(frozen=True, kw_only=True)
class Export:
    """The result of an export; `timing` is None when nothing was timed. When a check failed, nothing was kept."""

    checks: pd.DataFrame
    timing: pd.DataFrame | None
    images: str

    @property
    def kept(self) -> bool:
        """Whether every check passed."""
        return bool(self.checks["ok"].all())


@user_code()
def export_trial(source: Source, out: Path, request: Request, *, cache: Path, progress: Progress) -> Export:
    """Write, check and time artefacts of a trial; nothing is left behind unless every check passes.

    Args:
        source: the trial.
        out: folder that does not exist yet, or is empty.
        request: what is wanted.
        cache: directory of decoded images.
        progress: called as work goes on.

    Raises: InputError when something is missing, or a runtime cannot take the model.
    """
    if request.timed:
        require_cpus(max(source.spec.latency.threads), what="latency.threads")
    require_packages(request.names)
    require_free(out)
    with _unfinished(out) as (folder, dense):
        progress("export", "writing", 0, 1)
        model, images = recall_model(source), images_of(source, cache=cache, named=request.named_data)
        plan = _plan(source, source.measurement.architecture, class_names=images.class_names)
        write_artefacts(model, plan, folder, names=request.names)
        progress("export", "checking", 0, 1)
        with guarded(f"model.name={source.spec.model.name!r} cannot be checked, it raised"):
            checks = _check(model, source, request, images=images, folder=folder)
        write_table(checks, folder / "checks.csv")
        if not checks["ok"].all():
            return Export(checks=checks, timing=None, images=images.words)
        timing = _time(source, request, folder=folder, dense=dense, progress=progress) if request.timed else None
        rename_whole(folder, out)
    return Export(checks=checks, timing=timing, images=images.words)


def require_free(out: Path) -> None:
    """Raises: InputError when the path is a folder that is not empty, or a file."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(
            f"--to {out} already exists: choose a new or empty folder, or pass --fresh to move it to NAME.old-N"
        )


@contextmanager
def _unfinished(out: Path) -> Iterator[tuple[Path, Path]]:
    """Two folders beside `out`, for the export and for the dense model it is timed against; both vanish at the end."""
    with new_folder(out.absolute()) as work:
        folders = work / "export", work / "dense"
        for folder in folders:
            folder.mkdir()
        yield folders


def _plan(source: Source, shape: Architecture, *, class_names: tuple[str, ...] = ()) -> Plan:
    """The plan of a trial in its architecture, or of the dense model beside it."""
    measurement, data = source.measurement, source.spec.data
    size = measurement.architecture.image_size
    fitted = f"; the shorter side resized to {data.resize}, the middle cut, {data.interpolation}"
    if not data.resize:
        fitted = "" if data.interpolation == "bilinear" else f"; resized, {data.interpolation}"
    return Plan(
        input=f"images (batch, 3, {size}, {size}), float32, RGB scaled to 0..1, less mean, over std{fitted}",
        trial=measurement.trial.key,
        label=measurement.trial.label,
        architecture=shape,
        mean=data.mean,
        std=data.std,
        correct=measurement.kept_accuracy.correct,
        samples=measurement.kept_accuracy.samples,
        weights_sha256="",
        class_names=class_names,
    )


def _check(model: nn.Module, source: Source, request: Request, *, images: Images, folder: Path) -> pd.DataFrame:
    """The table of checks."""
    measurement = source.measurement
    build = builder_of(measurement.architecture.model)
    with threads_of(measurement) as threads:
        batch_size = source.spec.finetune.batch_size
        setting = Setting(device="cpu", batch_size=batch_size, threads=threads, memory_format="contiguous")
        checks = check_artefacts(
            model,
            {name: open_artefact(name, folder, setting=setting, build=build) for name in request.names},
            images.batches,
            correct=right_answers(measurement, environment=read_environment().key),
            within=request.within,
        )
    return checks_table(checks, measurement=measurement, folder=folder)


def _time(source: Source, request: Request, *, folder: Path, dense: Path, progress: Progress) -> pd.DataFrame:
    """Time the artefacts in `folder` beside those of the dense model, written to `dense`; give the table."""
    shape, choice = source.measurement.architecture, source.spec.latency
    uncut = cut_architecture(shape, ())
    write_artefacts(build_dense(shape).eval(), _plan(source, uncut), dense, names=request.names)
    jobs = [
        Job(
            artefact=name,
            folder=folder,
            dense=dense,
            model=shape.model,
            image_size=shape.image_size,
            choice=choice,
            setting=replace(setting, runtime=ARTEFACTS[name].runtime),
        )
        for setting in settings(choice)
        for name in request.names
    ]
    timings = time_artefacts(jobs, progress=progress)
    table = timing_table(timings)
    write_table(table, folder / "timing.csv")
    write_table(rounds_table(timings), folder / "rounds.csv")
    return table


def chosen_names(formats: Sequence[str]) -> tuple[str, ...]:
    """The artefacts of these formats, in the order of the table: all when none is given, the weights always."""
    return tuple(
        name for name, artefact in ARTEFACTS.items() if not formats or name in formats or artefact.file == WEIGHTS
    )
