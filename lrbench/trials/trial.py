"""One trial: choose ranks, truncate, run its stages, and record what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from lrbench.execute.jobs import Job
from lrbench.learn.architectures import cut_architecture
from lrbench.learn.generators import seed_all
from lrbench.learn.memory import kept_memory
from lrbench.learn.precision import format_of
from lrbench.learn.train import batching
from lrbench.limits import memory_left
from lrbench.lowrank.compress import compress, layer_rank, refusal, singular_values
from lrbench.lowrank.cuts import Cut
from lrbench.lowrank.layers import Layer as ModelLayer
from lrbench.lowrank.schemes import SCHEMES
from lrbench.lowrank.sequential import compress_sequentially
from lrbench.measure.cost import denormal_share, measure_cost
from lrbench.measure.environment import now, peak_memory_bytes
from lrbench.plan.cuts import CONTROL, choose_cuts, keep_refused
from lrbench.plan.trials import layer_cost
from lrbench.results.records import Layer, LayerSpectrum, Measurement, Prediction, Spectra, Trial
from lrbench.trials.dense import Context, Dense
from lrbench.trials.stages import run_stages, timed

HELD_SHARE = 0.25
"""The share of free memory that activations of a truncation may take: other trials may run beside it."""


@dataclass(frozen=True, kw_only=True)
class TrialJob(Job):
    """A job that measures one trial. `cuts` and the prediction for them are given where a budget chose them."""

    cuts: tuple[Cut, ...] | None = None
    predicted: Prediction | None = None


def run_trial(job: TrialJob, dense: Dense, *, context: Context) -> tuple[Measurement, nn.Module]:
    """Run the one trial of a job.

    Returns: its measurement, and the model that was kept.

    Raises: any error on the way; the caller records it.
    """
    (trial,) = job.trials
    spec, started, untrained = job.spec, now(), dense.untrained
    how = batching(spec.finetune, spec.data)
    seed_all(trial.seed)
    context.tell("truncate", 0, 1)
    cuts = job.cuts
    if cuts is None:
        cuts = choose_cuts(trial, spec, untrained.layers, model=dense.model, decompose=dense.decompose)
    cuts = keep_refused(cuts, untrained.layers)
    model, truncate_s = timed(lambda: _truncate(trial, dense, cuts, context))
    cost = measure_cost(model, (3, spec.data.image_size, spec.data.image_size))
    model.to(device=how.device, memory_format=how.memory_format)  # type: ignore[call-overload]
    factorized = any(cut.rank is not None for cut in cuts)
    done = run_stages(model, trial, dense, context=context, factorized=factorized)
    layers = {layer.name: layer for layer in untrained.layers}
    kept = done.kept
    measurement = Measurement(
        trial=trial,
        architecture=cut_architecture(untrained.architecture, cuts),
        environment=job.environment,
        commit=job.commit,
        started=started,
        cost=cost,
        dense_cost=untrained.cost,
        layers=tuple(_describe(layers[cut.layer], cut, dense=dense, model=kept.model) for cut in cuts),
        epochs=(*dense.epochs, *done.epochs),
        dense=dense.accuracy,
        truncated=done.judged[0].test,
        finetuned=done.test("finetuned"),
        recalibrated=done.test("recalibrated"),
        kept=kept.stage,
        search=kept.search,
        search_truncated=done.search("truncated"),
        search_recalibrated=done.search("recalibrated"),
        search_finetuned=done.search("finetuned"),
        dense_search=done.judged[0].search if trial.scheme == "dense" else None,
        reused_weights=done.reused,
        truncate_s=truncate_s,
        evaluate_s=done.evaluate_s,
        finetune_s=done.finetune_s,
        peak_memory_bytes=peak_memory_bytes(),
        deterministic={batching(spec.baseline, spec.data).device.type, how.device.type} == {"cpu"},
        threads=torch.get_num_threads(),
        predicted=job.predicted,
        baseline_amp=format_of(spec.baseline, batching(spec.baseline, spec.data).device),
        finetune_amp="" if spec.finetune.loop else format_of(spec.finetune, how.device),
        allocator=kept_memory(),
    )
    return measurement, kept.model


def _truncate(trial: Trial, dense: Dense, cuts: Sequence[Cut], context: Context) -> nn.Module:
    """A copy of the dense model with its layers factorized."""
    if trial.truncation == "sequential" and any(cut.rank is not None for cut in cuts):
        where = batching(context.spec.baseline, context.spec.data)  # its device may differ from that of finetuning
        return compress_sequentially(
            dense.model,
            cuts,
            batches=lambda: context.calibration(where),
            memory_bytes=HELD_SHARE * _memory_left(where.device),
            on_layer=partial(context.tell, "truncate"),
        )
    return compress(dense.model, cuts, decompose=lambda cut: dense.decompose(cut.layer, cut.scheme, cut.truncation))


def _memory_left(device: torch.device) -> int:
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else memory_left()


def _describe(layer: ModelLayer, cut: Cut, *, dense: Dense, model: nn.Module) -> Layer:
    """The record of one layer, of the model that was kept."""
    shape, scheme = layer.shape, SCHEMES.get(cut.scheme)
    module = model.get_submodule(layer.name)
    readable = scheme is not None and refusal(dense.model, layer, scheme=cut.scheme) is None
    cut_from = dense.decompose(layer.name, cut.scheme, cut.truncation) if cut.rank is not None else None
    params, macs = layer_cost(layer, cut)
    if cut.rank is not None:
        trained_rank = layer_rank(module, cut.scheme)
    elif cut.reason == CONTROL and refusal(dense.model, layer, scheme="writeback") is None:
        trained_rank = layer_rank(module, "writeback")
    else:
        trained_rank = None
    return Layer(
        **vars(cut),
        kind=layer.kind,
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
    )


def dense_spectra(dense: Dense, scheme: str, layers: tuple[str, ...]) -> Spectra:
    """Singular values of layers of the dense model, as a scheme reads them."""
    values = (
        LayerSpectrum(layer=name, values=tuple(dense.decompose(name, scheme, "plain").singular_values.tolist()))
        for name in layers
    )
    return Spectra(baseline=dense.key, trial=None, scheme=scheme, layers=tuple(values))


def trained_spectra(trial: Trial, model: nn.Module, layers: tuple[str, ...]) -> Spectra:
    """Singular values of a trial's truncated layers after training."""
    return Spectra(
        baseline=trial.baseline,
        trial=trial.key,
        scheme=trial.scheme,
        layers=tuple(
            LayerSpectrum(layer=name, values=tuple(singular_values(model.get_submodule(name), trial.scheme).tolist()))
            for name in layers
        ),
    )
