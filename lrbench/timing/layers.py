"""The layer table: each distinct layer timed beside its factors, at the ranks where kernels step."""

from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import product
from math import ceil

import torch
from torch import nn

from lrbench.config.sections import LayerTableChoice
from lrbench.lowrank.compress import make_cut, refusal
from lrbench.lowrank.layers import Layer, Shape
from lrbench.lowrank.schemes import SCHEMES
from lrbench.measure.environment import now, read_commit
from lrbench.measure.kernels import backends, peak_bytes, traffic_bytes
from lrbench.measure.latency import block_of, call_of, place, quiet, time_side_by_side
from lrbench.measure.settings import settings
from lrbench.plan.spec import MIXED, SweepSpec
from lrbench.plan.trials import Skeleton, architecture_of, digest, layers_of
from lrbench.results.records import Record
from lrbench.results.sessions import Architecture, LayerSession, Replacement, Session, Setting
from lrbench.results.timings import complete_sessions
from lrbench.timing.models import build_untrained, bytes_of, missing_timings, renew_all, run_timings, until_fit
from lrbench.timing.processes import Notify, alone, in_fresh_process

ANCHORS = (0.25, 0.75)
"""Where on the staircase of ranks whole models are timed."""


@dataclass(frozen=True, kw_only=True)
class LayerJob:
    """One distinct layer with the (scheme, rank) pairs to time it at, in one setting."""

    spec: SweepSpec
    setting: Setting
    shape: str
    layers: tuple[Layer, ...]
    candidates: tuple[tuple[str, int], ...]
    classes: int
    environment: str
    commit: str
    series: str


def staircase(shape: Shape, scheme: str, choice: LayerTableChoice) -> tuple[int, ...]:
    """Multiples of the step up to the first at or above the break-even rank in MACs, thinned evenly to so many points.

    The last two, between which break-even in MACs lies, are always kept.
    """
    kind = SCHEMES[scheme]
    limit, largest = kind.breakeven_macs(shape), kind.max_rank(shape)
    if limit is None:
        return ()
    last = min(ceil(limit / choice.step) * choice.step, largest)
    ranks = [*range(choice.step, last, choice.step), last]
    if len(ranks) <= choice.points:
        return tuple(ranks)
    head = [ranks[round(i * (len(ranks) - 2) / (choice.points - 2))] for i in range(choice.points - 1)]
    return tuple(dict.fromkeys((*head, ranks[-1])))


def name_shape(module: nn.Module, shape: Shape) -> str:
    """What two layers must share to take equal time: `conv 64>128 3x3 56x56 stride 2 padding 1`."""
    if isinstance(module, nn.Linear):
        return f"linear {shape.in_channels}>{shape.out_channels} x{shape.positions}" + (" bias" if shape.bias else "")
    assert isinstance(module, nn.Conv2d)
    words = ["conv", f"{shape.in_channels}>{shape.out_channels}", f"{shape.kernel[0]}x{shape.kernel[1]}"]
    words += [f"{shape.in_size[0]}x{shape.in_size[1]}"]
    facts = {"stride": module.stride, "padding": module.padding, "dilation": module.dilation}
    words += [f"{name} {_one(value)}" for name, value in facts.items() if _one(value) != str(int(name != "padding"))]
    words += [f"padding_mode {module.padding_mode}"] if module.padding_mode != "zeros" else []
    words += [f"x{shape.positions}"] if shape.positions > 1 else []
    return " ".join([*words, *(["bias"] if shape.bias else [])])


def _one(value: object) -> str:
    """A pair of equal numbers as one."""
    return str(value[0]) if isinstance(value, tuple) and len(set(value)) == 1 else str(value)


def plan_layers(
    spec: SweepSpec, skeleton: Skeleton, held: Iterable[Record], *, environment: str
) -> tuple[LayerJob, ...]:
    """The distinct layers of the chosen layer sets, each with the (scheme, rank) pairs that are not yet timed here."""
    groups: dict[str, list[Layer]] = {}
    for layer in _chosen_layers(spec, skeleton):
        groups.setdefault(name_shape(skeleton.model.get_submodule(layer.name), layer.shape), []).append(layer)
    sessions = [one for one in held if isinstance(one, LayerSession) and one.environment == environment]
    commit, jobs = read_commit(), []
    for setting in settings(spec.latency):
        for shape, layers in groups.items():
            same = [one for one in sessions if (one.setting, one.shape, one.model) == (setting, shape, spec.model.name)]
            complete = complete_sessions(same, processes=spec.latency.processes)
            done = {(one.scheme, one.rank) for session in complete for one in session.replacements}
            candidates = tuple(pair for pair in _candidates(spec, skeleton, layers[0]) if pair not in done)
            if candidates:
                jobs.append(
                    LayerJob(
                        spec=spec,
                        setting=setting,
                        shape=shape,
                        layers=tuple(layers),
                        candidates=candidates,
                        classes=skeleton.classes,
                        environment=environment,
                        commit=commit,
                        series=digest([environment, now(), setting.label, shape]),
                    )
                )
    return tuple(jobs)


def _chosen_layers(spec: SweepSpec, skeleton: Skeleton) -> list[Layer]:
    """The layers of the chosen layer sets that some scheme can factorize."""
    chosen = {layer.name for name in spec.chosen_layer_sets() for layer in layers_of(spec, name, skeleton.layers)}
    return [layer for layer in skeleton.layers if layer.name in chosen and layer.refusal is None]


def _candidates(spec: SweepSpec, skeleton: Skeleton, layer: Layer) -> list[tuple[str, int]]:
    """The (scheme, rank) pairs to time a layer at."""
    return [
        (scheme, rank)
        for scheme in spec.sweep.schemes
        if scheme != MIXED and refusal(skeleton.model, layer, scheme=scheme) is None
        for rank in staircase(layer.shape, scheme, spec.layer_table)
    ]


def run_layers(jobs: Sequence[LayerJob], *, notify: Notify) -> Iterator[LayerSession]:
    """Time layers, with nothing else of lrbench timing on this machine."""
    for number, job in enumerate(jobs):
        choice = job.spec.latency

        def one(process: int, attempt: int, *, job: LayerJob = job, number: int = number) -> LayerSession:
            notify("layers", f"{job.shape}, {job.setting.label}, process {process + 1}", number, len(jobs))
            work = (job, process, attempt)
            return time_layer(*work) if job.spec.latency.processes == 1 else in_fresh_process(time_layer, *work)

        with alone(notify):
            yield from until_fit(choice, one)


def time_whole(
    spec: SweepSpec, skeleton: Skeleton, held: Iterable[Record], *, environment: str, notify: Notify
) -> Iterator[Session]:
    """Time the dense model and a few factorized ones whole, where this machine did not.

    Seconds of layers are shares of the dense model's; what whole models save corrects what sums of layers foresee.
    """
    timings = missing_timings(
        spec.latency,
        {one.key: one for one in _anchors(spec, skeleton)},
        [record for record in held if isinstance(record, Session)],
        environment=environment,
        model_bytes=bytes_of(skeleton.model),
    )
    yield from run_timings(spec, timings, classes=skeleton.classes, environment=environment, notify=notify)


def _anchors(spec: SweepSpec, skeleton: Skeleton) -> Iterator[Architecture]:
    """The dense model; for each scheme all layers at a quarter and at three quarters of the ranks they are timed at."""
    yield architecture_of(spec, (), classes=skeleton.classes)
    layers = _chosen_layers(spec, skeleton)
    for scheme, share in product(spec.sweep.schemes, ANCHORS):
        ranks = {layer: [rank for one, rank in _candidates(spec, skeleton, layer) if one == scheme] for layer in layers}
        cuts = [
            make_cut(layer, steps[int(share * len(steps))], scheme=scheme, truncation="plain")
            for layer, steps in ranks.items()
            if steps
        ]
        if cuts:
            yield architecture_of(spec, tuple(cuts), classes=skeleton.classes)


def time_layer(job: LayerJob, process: int, attempt: int) -> LayerSession:
    """Time a dense layer, its copy and its factors side by side."""
    layer, setting, started = job.layers[0], job.setting, now()
    with quiet(setting.threads):
        torch.manual_seed(0)
        dense = build_untrained(job.spec, classes=job.classes).get_submodule(layer.name)
        modules = [deepcopy(dense), deepcopy(dense)]
        modules += [SCHEMES[scheme].restructure(dense, rank) for scheme, rank in job.candidates]
        unfolded = replace(setting, folded=False)  # there is no batch norm in a layer
        modules = [place(module, unfolded) for module in modules]
        runs = [call_of(module, unfolded, shape=input_shape(layer)) for module in modules]
        timed = time_side_by_side(
            [block_of(run, setting) for run in runs],
            job.spec.latency,
            renew=lambda: renew_all(modules, setting),
            seed=process,
        )
        peaks = tuple(peak_bytes(m, run, device=setting.device) for m, run in zip(modules, runs, strict=True))
        kinds = [("dense", None), ("dense", None), *job.candidates]
        replacements = tuple(
            Replacement(
                scheme=scheme,
                rank=rank,
                backend=backends(run),
                macs=layer.shape.macs if rank is None else SCHEMES[scheme].macs(layer.shape, rank),
                traffic_bytes=traffic_bytes(module, run),
            )
            for (scheme, rank), module, run in zip(kinds, modules, runs, strict=True)
        )
    breakeven = {scheme: SCHEMES[scheme].breakeven_macs(layer.shape) for scheme, _ in job.candidates}
    return LayerSession(
        **vars(replace(timed, peak_bytes=peaks)),
        environment=job.environment,
        commit=job.commit,
        started=started,
        setting=setting,
        shape=job.shape,
        model=job.spec.model.name,
        image_size=job.spec.data.image_size,
        layers=tuple(layer.name for layer in job.layers),
        replacements=replacements,
        breakeven_macs=tuple((scheme, limit) for scheme, limit in breakeven.items() if limit is not None),
        series=job.series,
        process=process,
        attempt=attempt,
    )


def input_shape(layer: Layer) -> tuple[int, ...]:
    """Of one image's input to a layer, without the batch. A linear layer's positions stand in one dimension."""
    shape = layer.shape
    if layer.kind == "linear":
        return (shape.in_channels,) if shape.positions == 1 else (shape.positions, shape.in_channels)
    return (shape.in_channels, *shape.in_size)
