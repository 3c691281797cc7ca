"""Each layer of a dense baseline truncated alone: the error of its outputs, and optionally of the whole model."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from torch import nn

from lrbench.errors import InputError
from lrbench.execute.jobs import Execute, Job, Records, Worker, attempted, make_ready
from lrbench.learn.batches import test_batches
from lrbench.learn.train import batching
from lrbench.lowrank.compress import make_cut, refusal
from lrbench.lowrank.copies import copy_of
from lrbench.lowrank.layers import Layer
from lrbench.lowrank.replace import put_, replace_layer
from lrbench.lowrank.schemes import SCHEMES
from lrbench.lowrank.sensitivity import output_errors
from lrbench.measure.accuracy import accuracy_of, divergence_of, predict
from lrbench.measure.environment import now
from lrbench.plan import layer_ranks
from lrbench.plan.trials import Untrained, chosen_layers, layer_cost
from lrbench.results.records import Failure, Probe, Record, Sensitivity
from lrbench.trials.dense import Context, Dense, context_of, dense_of, reestimated


@dataclass(frozen=True, kw_only=True)
class ProbeJob(Job):
    """A job that truncates one layer alone by one method at some ranks; accuracy is measured at the `judged` ones."""

    layer: str
    scheme: str
    truncation: str
    ranks: tuple[int, ...]
    judged: tuple[int, ...]


def plan_probes(job: Job, dense: Untrained, held: Iterable[Record]) -> tuple[ProbeJob, ...]:
    """The probes of a job's baseline that the log does not hold yet."""
    spec, baseline, choice = job.spec, job.trials[0].baseline, job.spec.sensitivity
    held_probes = {
        (record.layer, record.scheme, record.truncation, probe.rank): probe
        for record in held
        if isinstance(record, Sensitivity) and (record.baseline, record.split) == (baseline, spec.calibration.split)
        for probe in record.probes
    }
    probes = []
    for layer in chosen_layers(spec, dense.layers):
        for scheme, truncation in layer_ranks.probed_methods(spec):
            if refusal(dense.model, layer, scheme=scheme, truncation=truncation) is not None:
                continue
            ranks = layer_ranks.ranks_to_probe(layer.shape, scheme, choice)
            judged = layer_ranks.thinned(ranks, choice.accuracy_points)
            missing = tuple(
                rank
                for rank in ranks
                if (probe := held_probes.get((layer.name, scheme, truncation, rank))) is None
                or (rank in judged and probe.search is None)
            )
            if missing:
                probes.append(
                    ProbeJob(
                        **vars(job),
                        layer=layer.name,
                        scheme=scheme,
                        truncation=truncation,
                        ranks=missing,
                        judged=tuple(rank for rank in judged if rank in missing),
                    )
                )
    return tuple(probes)


def describe_cost(jobs: Sequence[ProbeJob]) -> str:
    """The amount of work of some probes, in words."""
    ranks, judged = sum(len(job.ranks) for job in jobs), sum(len(job.judged) for job in jobs)
    layers = len({job.layer for job in jobs})
    words = f"{layers} layers, {ranks} truncations, {len(jobs)} passes over the calibration images"
    return words + (f", {judged} over these and the search split" if judged else "")


def probe_layers(jobs: Sequence[ProbeJob], execute: Execute, *, timeout_s: float | None = None) -> Iterator[Record]:
    """Probe layers by any executor.

    Raises: InputError when a layer cannot be probed, since without it no budget can be spent.
    """
    for records in execute(probe_layer, jobs, timeout_s):
        for record in records:
            if isinstance(record, Failure):
                raise InputError(f"the sensitivity of layers could not be measured: {record.reason}")
            yield record


def probe_layer(job: ProbeJob, worker: Worker) -> Records:
    """Truncate one layer alone at each rank of a job; when that fails, the record is a failure."""
    return attempted(job, lambda: (_probe_layer(job, worker),), stage=lambda: "sensitivity")


def _probe_layer(job: ProbeJob, worker: Worker) -> Sensitivity:
    make_ready(job)
    dense, context = dense_of(job, worker), context_of(job, worker)
    (layer,) = (candidate for candidate in dense.untrained.layers if candidate.name == job.layer)
    worker.progress(layer.name, f"{job.scheme} {job.truncation}", 0, 1)
    probes, replacements = _probe(job, layer, dense=dense, context=context)
    if job.judged:
        probes = [
            _judged(probe, layer.name, replacement, dense=dense, context=context) if probe.rank in job.judged else probe
            for probe, replacement in zip(probes, replacements, strict=True)
        ]
    return Sensitivity(
        baseline=dense.key,
        environment=job.environment,
        commit=job.commit,
        started=now(),
        layer=layer.name,
        scheme=job.scheme,
        truncation=job.truncation,
        images=job.spec.calibration.images,
        split=job.spec.calibration.split,
        dense_params=layer.shape.weights + layer.shape.biases,
        dense_macs=layer.shape.macs,
        probes=tuple(probes),
        search=accuracy_of(*dense.search()) if job.judged else None,
    )


def _probe(job: ProbeJob, layer: Layer, *, dense: Dense, context: Context) -> tuple[list[Probe], list[nn.Module]]:
    """The cost and the errors of the layer at each rank, and the modules that replace it."""
    decomposition = dense.decompose(layer.name, job.scheme, job.truncation)
    module = dense.model.get_submodule(layer.name)
    replacements = [
        replace_layer(module, rank, scheme=SCHEMES[job.scheme], decomposition=decomposition, name=layer.name)
        for rank in job.ranks
    ]
    images = context.calibration(batching(context.spec.baseline, context.spec.data))
    errors = output_errors(dense.model, layer.name, replacements, images)
    energies, probes = decomposition.energies(), []
    for rank, error in zip(job.ranks, errors, strict=True):
        cut = make_cut(layer, rank, scheme=job.scheme, truncation=job.truncation)
        params, macs = layer_cost(layer, cut)
        probes.append(
            Probe(
                rank=rank,
                params=params,
                macs=macs,
                energy=energies[rank - 1],
                weight_error=decomposition.weight_error(rank),
                spectral_error=decomposition.spectral_error(rank),
                output_error=error,
            )
        )
    return probes, replacements


def _judged(probe: Probe, name: str, replacement: nn.Module, *, dense: Dense, context: Context) -> Probe:
    """A probe with the loss of the whole model, on the search split after batch norm was re-estimated."""
    how = batching(context.spec.baseline, context.spec.data)
    model = copy_of(dense.model)
    put_(model, name, replacement)
    logits, labels = predict(reestimated(model, context=context, how=how), test_batches(context.data.search, how))
    return replace(
        probe, search=accuracy_of(logits, labels), divergence=divergence_of(logits, reference=dense.search()[0])
    )
