"""Each layer of a dense baseline truncated alone: what its outputs lose, and on request what the model loses."""

import time
from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from lrbench.config.sections import SensitivityChoice
from lrbench.errors import InputError
from lrbench.execute.executors import Execute
from lrbench.learn.batches import test_batches
from lrbench.learn.train import batching
from lrbench.lowrank.compress import make_cut, refusal, replace_layer
from lrbench.lowrank.layers import Layer, Shape
from lrbench.lowrank.schemes import SCHEMES
from lrbench.lowrank.sensitivity import output_errors
from lrbench.measure.accuracy import accuracy_of, divergence_of, predict
from lrbench.measure.environment import now
from lrbench.plan.spec import SweepSpec
from lrbench.plan.trials import Skeleton, layer_cost, layers_of
from lrbench.results.records import Failure, Probe, Record, Sensitivity
from lrbench.trials.dense import Bench, Dense, reestimated
from lrbench.trials.jobs import Desk, Job, failures


@dataclass(frozen=True, kw_only=True)
class Question(Job):
    """A job that truncates one layer alone by one method, at some ranks; accuracy is asked for at some of them."""

    layer: str
    scheme: str
    truncation: str
    ranks: tuple[int, ...]
    judged: tuple[int, ...]


def ladder(shape: Shape, scheme: str, choice: SensitivityChoice) -> tuple[int, ...]:
    """Multiples of the step below the break-even rank in MACs, as many as wanted, denser towards low ranks."""
    kind = SCHEMES[scheme]
    limit = kind.breakeven_macs(shape)
    if limit is None:
        return ()
    ranks = [rank for rank in range(1, kind.max_rank(shape) + 1) if rank % choice.step == 0 and rank < limit]
    return _thinned(ranks, choice.points)


def _thinned(ranks: Sequence[int], points: int) -> tuple[int, ...]:
    """At most so many of some rising ranks, spread evenly over their logarithms, both ends among them."""
    if len(ranks) <= points:
        return tuple(ranks)
    if points < 2:
        return tuple(ranks[:points])
    wanted = np.geomspace(ranks[0], ranks[-1], points)
    found: list[int] = []
    for number, ideal in enumerate(wanted):  # each the nearest that is left, and that leaves enough for those to come
        rest = [i for i in range(len(ranks)) if i > (found[-1] if found else -1) and len(ranks) - i >= points - number]
        found.append(min(rest, key=lambda i: abs(ranks[i] - ideal)))
    return tuple(ranks[i] for i in found)


def methods_asked(spec: SweepSpec) -> tuple[tuple[str, str], ...]:
    """The methods whose layers are probed; in sequential truncation a layer alone is cut as in output truncation."""
    methods = (method for pair in spec.grid_methods() for method in spec.methods(*pair))
    return tuple(dict.fromkeys((scheme, "output" if kept == "sequential" else kept) for scheme, kept in methods))


def plan_questions(job: Job, skeleton: Skeleton, held: Iterable[Record]) -> tuple[Question, ...]:
    """What is not yet known of the layers of a job's baseline."""
    spec, baseline, choice = job.spec, job.trials[0].baseline, job.spec.sensitivity
    known = {
        (one.layer, one.scheme, one.truncation, probe.rank): probe
        for one in held
        if isinstance(one, Sensitivity) and one.baseline == baseline
        for probe in one.probes
    }
    chosen = {layer.name for name in spec.chosen_layer_sets() for layer in layers_of(spec, name, skeleton.layers)}
    questions = []
    for layer in skeleton.layers:
        for scheme, truncation in methods_asked(spec) if layer.name in chosen else ():
            if refusal(skeleton.model, layer, scheme=scheme, truncation=truncation) is not None:
                continue
            ranks = ladder(layer.shape, scheme, choice)
            judged = _thinned(ranks, choice.accuracy_points)
            missing = [
                rank
                for rank in ranks
                if (found := known.get((layer.name, scheme, truncation, rank))) is None
                or (rank in judged and found.search is None)
            ]
            if missing:
                questions.append(
                    Question(
                        **vars(job),
                        layer=layer.name,
                        scheme=scheme,
                        truncation=truncation,
                        ranks=tuple(missing),
                        judged=tuple(rank for rank in judged if rank in missing),
                    )
                )
    return tuple(questions)


def describe_cost(questions: Sequence[Question]) -> str:
    """What answering will take, before it is begun."""
    ranks, judged = sum(len(one.ranks) for one in questions), sum(len(one.judged) for one in questions)
    layers = len({one.layer for one in questions})
    words = f"{layers} layers, {ranks} truncations; {len(questions)} passes over the calibration images"
    return words + (f", and {judged} over these and the search split" if judged else "")


def probe_layers(questions: Sequence[Question], execute: Execute) -> Iterator[Record]:
    """Answer questions by any back-end.

    Raises: InputError when one cannot be answered: without it no budget can be spent.
    """
    for records in execute(answer, questions, None):
        for record in records:
            if isinstance(record, Failure):
                raise InputError(f"the sensitivity of layers is not known: {record.reason}")
            yield record


def answer(question: Job, desk: Desk) -> tuple[Record, ...]:
    """Truncate one layer alone at each rank of a question; when that fails, its record says so."""
    started = time.perf_counter()
    try:
        return _answer(question, desk)
    except InputError:
        raise
    except Exception as error:  # whatever went wrong is kept as a record
        return failures(question, error, stage="sensitivity", seconds=time.perf_counter() - started)


def _answer(question: Job, desk: Desk) -> tuple[Record, ...]:
    assert isinstance(question, Question)
    torch.set_num_threads(question.threads)
    dense, bench = desk.dense(question), desk.bench(question)
    (layer,) = (one for one in dense.skeleton.layers if one.name == question.layer)
    desk.notify(layer.name, f"{question.scheme} {question.truncation}", 0, 1)
    probes, replacements = _probe(question, layer, dense=dense, bench=bench)
    if question.judged:
        probes = [
            _judged(probe, layer.name, replacement, dense=dense, bench=bench)
            if probe.rank in question.judged
            else probe
            for probe, replacement in zip(probes, replacements, strict=True)
        ]
    return (
        Sensitivity(
            baseline=dense.key,
            environment=question.environment,
            commit=question.commit,
            started=now(),
            layer=layer.name,
            scheme=question.scheme,
            truncation=question.truncation,
            images=bench.spec.calibration.images,
            dense_params=layer.shape.weights + layer.shape.biases,
            dense_macs=layer.shape.macs,
            probes=tuple(probes),
            search=accuracy_of(*dense.search()) if question.judged else None,
        ),
    )


def _probe(question: Question, layer: Layer, *, dense: Dense, bench: Bench) -> tuple[list[Probe], list[nn.Module]]:
    """What each rank costs and loses in the layer itself, and what stands in its place."""
    found = dense.decompose(layer.name, question.scheme, question.truncation)
    module = dense.model.get_submodule(layer.name)
    replacements = [
        replace_layer(module, rank, scheme=SCHEMES[question.scheme], decomposition=found, name=layer.name)
        for rank in question.ranks
    ]
    images = bench.calibration(batching(bench.spec.baseline, bench.spec.data))
    errors = output_errors(dense.model, layer.name, replacements, images)
    energies, probes = found.energies(), []
    for rank, error in zip(question.ranks, errors, strict=True):
        cut = make_cut(layer, rank, scheme=question.scheme, truncation=question.truncation)
        params, macs = layer_cost(cut)
        probes.append(
            Probe(
                rank=rank,
                params=params,
                macs=macs,
                energy=energies[rank - 1],
                weight_error=found.weight_error(rank),
                spectral_error=found.spectral_error(rank),
                output_error=error,
            )
        )
    return probes, replacements


def _judged(probe: Probe, name: str, replacement: nn.Module, *, dense: Dense, bench: Bench) -> Probe:
    """A probe with what the whole model loses, on the search split and after batch norm was re-estimated."""
    how = batching(bench.spec.baseline, bench.spec.data)
    model = deepcopy(dense.model)
    model.set_submodule(name, replacement)
    logits, labels = predict(reestimated(model, bench=bench, how=how), test_batches(bench.data.search, how))
    return replace(
        probe, search=accuracy_of(logits, labels), divergence=divergence_of(logits, reference=dense.search()[0])
    )
