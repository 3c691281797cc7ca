"""One trial: choose ranks, truncate, measure, finetune, measure again."""

import time
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from typing import TypeVar

import torch
from torch import nn

from lrbench.learn.batches import Batching, test_batches
from lrbench.learn.train import batching
from lrbench.lowrank.compress import Cut, compress, layer_rank, refusal, singular_values
from lrbench.lowrank.moments import reestimate_batch_norm_
from lrbench.lowrank.schemes import SCHEMES
from lrbench.lowrank.sequential import compress_sequentially
from lrbench.lowrank.svd import Decomposition
from lrbench.measure.accuracy import evaluate
from lrbench.measure.cost import denormal_share, measure_cost
from lrbench.measure.environment import now, peak_memory_bytes
from lrbench.plan.budgets import NOTHING, Evidence
from lrbench.plan.cuts import choose_cuts
from lrbench.plan.trials import architecture_of, layer_cost
from lrbench.results.records import Accuracy, Layer, LayerSpectrum, Measurement, Spectra, Trial
from lrbench.trials.dense import Bench, Dense, Notify, trained

T = TypeVar("T")


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    """What a function returns, and the seconds it took."""
    started = time.perf_counter()
    return work(), time.perf_counter() - started


def run_trial(
    trial: Trial, dense: Dense, *, bench: Bench, notify: Notify, evidence: Evidence = NOTHING
) -> tuple[Measurement, nn.Module]:
    """Run one trial; `evidence` is what budget rules go by.

    Returns: its measurement, and the finetuned model.

    Raises: whatever goes wrong on the way; the caller makes a record of it.
    """
    spec, started = bench.spec, now()
    how = batching(spec.finetune, spec.data)
    skeleton = dense.skeleton
    notify("truncate", 0, 1)
    cuts, predicted = choose_cuts(
        trial, spec, model=dense.model, skeleton=skeleton, decompose=dense.decompose, evidence=evidence
    )
    ranks = {cut.layer.name: (cut.scheme, cut.rank) for cut in cuts if cut.rank is not None}

    def truncate() -> nn.Module:
        if ranks and trial.truncation == "sequential":
            where = batching(spec.baseline, spec.data)  # the dense model's device, perhaps not that of finetuning
            return compress_sequentially(dense.model, ranks, batches=lambda: bench.calibration(where))
        return _truncate(dense, cuts)

    model, truncate_s = _timed(truncate)
    cost = measure_cost(model, (3, spec.data.image_size, spec.data.image_size))
    model.to(device=how.device, memory_format=how.memory_format)  # type: ignore[call-overload]
    notify("evaluate", 0, 1)
    truncated, evaluate_s = (
        _timed(lambda: evaluate(model, test_batches(bench.data.test, how))) if ranks else (dense.accuracy, 0.0)
    )
    teacher = dense.model.to(how.device) if spec.finetune.distill else None
    recalibrated, recalibrate_s = _timed(lambda: _recalibrate_(model, bench, how))
    (epochs, reused), finetune_s = _timed(
        lambda: trained(
            model, trial.key, bench=bench, stage="finetune", seed=trial.seed, notify=notify, teacher=teacher
        )
    )
    notify("evaluate", 0, 1)
    finetuned, again_s = _timed(lambda: evaluate(model, test_batches(bench.data.test, how)))
    search = evaluate(model, test_batches(bench.data.search, how)) if len(bench.data.search) else None
    measurement = Measurement(
        trial=trial,
        architecture=architecture_of(spec, cuts, classes=skeleton.classes),
        environment=bench.environment,
        commit=bench.commit,
        started=started,
        cost=cost,
        dense_cost=skeleton.cost,
        layers=tuple(_describe(cut, dense=dense, model=model) for cut in cuts),
        epochs=(*dense.epochs, *epochs),
        dense=dense.accuracy,
        truncated=truncated,
        finetuned=finetuned,
        recalibrated=recalibrated,
        search=search,
        reused_weights=reused,
        truncate_s=truncate_s,
        evaluate_s=evaluate_s + recalibrate_s + again_s,
        finetune_s=finetune_s,
        peak_memory_bytes=peak_memory_bytes(),
        deterministic={batching(spec.baseline, spec.data).device.type, how.device.type} == {"cpu"},
        threads=torch.get_num_threads(),
        predicted=predicted,
    )
    return measurement, model


def _truncate(dense: Dense, cuts: Iterable[Cut]) -> nn.Module:
    """A copy of the dense model with its layers cut, one scheme after the other."""
    model = deepcopy(dense.model)
    schemes: dict[str, dict[str, Cut]] = {}
    for cut in cuts:
        if cut.rank is not None:
            schemes.setdefault(cut.scheme, {})[cut.layer.name] = cut
    for scheme, mine in schemes.items():

        def decompose(name: str, mine: Mapping[str, Cut] = mine) -> Decomposition:
            return dense.decompose(name, mine[name].scheme, mine[name].truncation)

        ranks = {name: cut.rank for name, cut in mine.items() if cut.rank is not None}
        model = compress(model, ranks, scheme=scheme, decompose=decompose)
    return model


def _recalibrate_(model: nn.Module, bench: Bench, how: Batching) -> Accuracy | None:
    """Re-estimate batch norm on the calibration images (in place), and measure what that is worth."""
    if bench.spec.calibration.images == 0:
        return None
    reestimate_batch_norm_(model, bench.calibration(how))
    return evaluate(model, test_batches(bench.data.test, how))


def _describe(cut: Cut, *, dense: Dense, model: nn.Module) -> Layer:
    """The record of one layer, once the model is trained."""
    layer, shape, scheme = cut.layer, cut.layer.shape, SCHEMES.get(cut.scheme)
    module = model.get_submodule(layer.name)
    readable = scheme is not None and refusal(dense.model, layer, scheme=cut.scheme) is None
    cut_from = dense.decompose(layer.name, cut.scheme, cut.truncation) if cut.rank is not None else None
    params, macs = layer_cost(cut)
    if cut.rank is not None:
        trained_rank = layer_rank(module, cut.scheme)
    elif cut.reason == "dense control" and refusal(dense.model, layer, scheme="writeback") is None:
        trained_rank = layer_rank(module, "writeback")
    else:
        trained_rank = None
    return Layer(
        layer=layer.name,
        kind=layer.kind,
        scheme=cut.scheme,
        rank=cut.rank,
        reason=cut.reason,
        out_channels=shape.out_channels,
        in_channels=shape.in_channels,
        kernel_height=shape.kernel[0],
        kernel_width=shape.kernel[1],
        max_rank=scheme.max_rank(shape) if scheme is not None and readable else None,
        breakeven_rank_params=scheme.breakeven_params(shape) if scheme is not None and readable else None,
        breakeven_rank_macs=scheme.breakeven_macs(shape) if scheme is not None and readable else None,
        params=params,
        macs=macs,
        dense_params=shape.weights + shape.biases,
        dense_macs=shape.macs,
        weight_error=cut_from.weight_error(cut.rank)
        if cut_from and cut.rank and cut.truncation != "sequential"
        else None,
        energy=cut_from.energies()[cut.rank - 1] if cut_from and cut.rank else None,
        numerical_rank=trained_rank,
        denormal_share=denormal_share(module),
        truncation=cut.truncation,
    )


def dense_spectra(dense: Dense, scheme: str, layers: tuple[str, ...]) -> Spectra:
    """Singular values of layers of the dense model, as a scheme reads them."""
    values = (
        LayerSpectrum(layer=name, values=tuple(dense.decompose(name, scheme, "plain").singular_values.tolist()))
        for name in layers
    )
    return Spectra(baseline=dense.key, trial=None, scheme=scheme, layers=tuple(values))


def trained_spectra(trial: Trial, model: nn.Module, layers: tuple[str, ...]) -> Spectra:
    """Singular values of a trial's truncated layers once it is trained."""
    return Spectra(
        baseline=trial.baseline,
        trial=trial.key,
        scheme=trial.scheme,
        layers=tuple(
            LayerSpectrum(layer=name, values=tuple(singular_values(model.get_submodule(name), trial.scheme).tolist()))
            for name in layers
        ),
    )
