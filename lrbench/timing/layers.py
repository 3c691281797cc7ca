"""The layer table: each distinct layer timed beside its factors, at several ranks."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from lrbench.config.axes import Setting
from lrbench.config.sections import LatencyChoice
from lrbench.learn.architectures import build_dense
from lrbench.lowrank.copies import copy_of
from lrbench.lowrank.layers import Layer, Shape
from lrbench.lowrank.replace import restructure_layer
from lrbench.lowrank.schemes import SCHEMES
from lrbench.measure.environment import now, read_commit
from lrbench.measure.kernels import backends, traffic_bytes
from lrbench.measure.prepared import peaks_of, renew_all
from lrbench.measure.settings import settings
from lrbench.measure.side_by_side import block_of, prepare, quiet, time_side_by_side
from lrbench.progress import Progress
from lrbench.results.keys import digest
from lrbench.results.sessions import Architecture, LayerSession, Replacement, TimingFailure
from lrbench.results.timings import complete_sessions, incomplete_sessions
from lrbench.timing.lock import alone
from lrbench.timing.repeat import Series, Subject, in_process, resumed, until_fit

Pairs = tuple[tuple[str, int], ...]
"""(scheme, rank) pairs."""


@dataclass(frozen=True, kw_only=True)
class LayerJob:
    """One distinct layer with the (scheme, rank) pairs at which it is timed, in one setting.

    All `layers` have the shape named by `shape`; `dense` is the architecture that they belong to. `held` are its
    sessions that were made before it was interrupted.
    """

    choice: LatencyChoice
    dense: Architecture
    setting: Setting
    shape: str
    layers: tuple[Layer, ...]
    candidates: Pairs
    environment: str
    commit: str
    series: str
    held: tuple[LayerSession, ...] = ()
    process: int = 0
    attempt: int = 1


def name_shape(module: nn.Module, shape: Shape) -> str:
    """The shape that layers share when they take equal time: `conv 64>128 3x3 56x56 stride 2 padding 1`."""
    if isinstance(module, nn.Linear):
        return f"linear {shape.in_channels}>{shape.out_channels} x{shape.positions}" + (" bias" if shape.bias else "")
    assert isinstance(module, nn.Conv2d)
    words = ["conv", f"{shape.in_channels}>{shape.out_channels}", f"{shape.kernel[0]}x{shape.kernel[1]}"]
    words += [f"{shape.in_size[0]}x{shape.in_size[1]}"]
    facts = {"stride": module.stride, "padding": module.padding, "dilation": module.dilation}
    texts = {name: _scalar(value) for name, value in facts.items()}
    words += [f"{name} {text}" for name, text in texts.items() if text != str(int(name != "padding"))]
    words += [f"padding_mode {module.padding_mode}"] if module.padding_mode != "zeros" else []
    words += [f"x{shape.positions}"] if shape.positions > 1 else []
    return " ".join([*words, *(["bias"] if shape.bias else [])])


def _scalar(value: object) -> str:
    """A pair of equal numbers as a single number."""
    return str(value[0]) if isinstance(value, tuple) and len(set(value)) == 1 else str(value)


def missing_layers(
    choice: LatencyChoice,
    wanted: Mapping[Layer, Pairs],
    sessions: Iterable[LayerSession],
    *,
    model: nn.Module,
    dense: Architecture,
    environment: str,
) -> tuple[LayerJob, ...]:
    """The distinct layers, each with the pairs that are not yet timed on this machine.

    Args:
        choice: the `[latency]` section.
        wanted: layers, each with the pairs to time.
        sessions: those on disk.
        model: the model that the layers belong to.
        dense: its architecture.
        environment: key of this machine's environment.
    """
    groups: dict[str, list[Layer]] = {}
    for layer in wanted:
        groups.setdefault(name_shape(model.get_submodule(layer.name), layer.shape), []).append(layer)
    here = [session for session in sessions if (session.environment, session.model) == (environment, dense.model)]
    commit, jobs = read_commit(), []
    for setting in settings(choice):
        for shape, layers in groups.items():
            same = [session for session in here if (session.setting, session.shape) == (setting, shape)]
            complete = complete_sessions(same, processes=choice.processes)
            done = {(layer.scheme, layer.rank) for session in complete for layer in session.replacements}
            candidates = tuple(pair for pair in wanted[layers[0]] if pair not in done)
            parts = incomplete_sessions(same, processes=choice.processes)
            held = next((part for part in parts if _pairs(part[0]) == candidates), ())
            if candidates:
                jobs.append(
                    LayerJob(
                        choice=choice,
                        dense=dense,
                        setting=setting,
                        shape=shape,
                        layers=tuple(layers),
                        candidates=candidates,
                        environment=environment,
                        commit=commit,
                        series=held[0].series if held else digest([environment, now(), setting.label, shape]),
                        held=held,
                    )
                )
    return tuple(jobs)


def _pairs(session: LayerSession) -> Pairs:
    """The pairs that a session timed, without the dense layer and its copy."""
    return tuple((item.scheme, item.rank) for item in session.replacements if item.rank is not None)


def run_layers(jobs: Sequence[LayerJob], *, progress: Progress) -> Iterator[LayerSession | TimingFailure]:
    """Time layers, while no other timing of lrbench runs on this machine."""

    def series_of(number: int, job: LayerJob) -> Series[LayerSession]:
        def run(process: int, attempt: int) -> LayerSession:
            done, total = process * len(jobs) + number, job.choice.processes * len(jobs)
            progress("layers", f"{job.shape}, {job.setting.label}, process {process + 1}", done, total)
            with alone(progress):
                timed = replace(job, held=(), process=process, attempt=attempt)
                return in_process(job.choice, time_layer, timed, model=job.dense.model)

        subject = Subject(environment=job.environment, commit=job.commit, setting=job.setting, shape=job.shape)
        return resumed(run, subject, job.held)

    if jobs:
        yield from until_fit(jobs[0].choice, [series_of(number, job) for number, job in enumerate(jobs)])


def time_layer(job: LayerJob) -> LayerSession:
    """Time a dense layer, its copy and its factors side by side."""
    layer, setting, started = job.layers[0], job.setting, now()
    with quiet(setting.threads):
        torch.manual_seed(0)
        dense = build_dense(job.dense).get_submodule(layer.name)
        modules = [copy_of(dense), copy_of(dense)]
        modules += [restructure_layer(dense, rank, SCHEMES[scheme]) for scheme, rank in job.candidates]
        unfolded = replace(setting, folded=False)  # there is no batch norm in a layer
        models = [prepare(module, unfolded, shape=input_shape(layer)) for module in modules]
        timed = time_side_by_side(
            [block_of(model.call, setting) for model in models],
            job.choice,
            renew=lambda: renew_all(models),
            seed=job.process,
        )
        peaks = peaks_of(models)
        eager = replace(unfolded, runtime="eager")  # other runtimes may not call hooks
        candidates = [("dense", None), ("dense", None), *job.candidates]
        replacements = tuple(
            Replacement(
                scheme=scheme,
                rank=rank,
                backend=backends(model.call),
                macs=layer.shape.macs if rank is None else SCHEMES[scheme].macs(layer.shape, rank),
                traffic_bytes=traffic_bytes(module, prepare(module, eager, shape=input_shape(layer)).call),
            )
            for (scheme, rank), module, model in zip(candidates, modules, models, strict=True)
        )
    breakeven = {scheme: SCHEMES[scheme].breakeven_macs(layer.shape) for scheme, _ in job.candidates}
    return LayerSession(
        **vars(replace(timed, peak_bytes=peaks)),
        environment=job.environment,
        commit=job.commit,
        started=started,
        setting=setting,
        shape=job.shape,
        model=job.dense.model,
        image_size=job.dense.image_size,
        layers=tuple(layer.name for layer in job.layers),
        replacements=replacements,
        breakeven_macs=tuple((scheme, limit) for scheme, limit in breakeven.items() if limit is not None),
        series=job.series,
        process=job.process,
        attempt=job.attempt,
    )


def input_shape(layer: Layer) -> tuple[int, ...]:
    """Shape of a layer's input for one image, without the batch. A linear layer's positions are one dimension."""
    shape = layer.shape
    if layer.kind == "linear":
        return (shape.in_channels,) if shape.positions == 1 else (shape.positions, shape.in_channels)
    return layer.input_shape
