"""The layer table of a sweep: which layers at which ranks, and the whole models that correct sums of layers."""

from collections.abc import Iterator, Sequence
from itertools import product

from lrbench.execute.local_timing import time_here
from lrbench.execute.workers import ALONE
from lrbench.learn.architectures import cut_architecture
from lrbench.limits import require_cpus
from lrbench.lowrank.compress import make_cut
from lrbench.plan.layer_ranks import timed_pairs
from lrbench.plan.run import Run
from lrbench.plan.trials import chosen_layers
from lrbench.results.records import Record
from lrbench.results.sessions import Architecture, LayerSession, TimingFailure
from lrbench.timing.layers import LayerJob, missing_layers, run_layers
from lrbench.trials.history import History

ANCHORS = (0.25, 0.75)
"""The shares of a layer's list of timed ranks at which whole models are timed."""


def plan_layers(run: Run, held: Sequence[Record]) -> tuple[LayerJob, ...]:
    """The distinct layers of the chosen layer sets, with the (scheme, rank) pairs that are not yet timed here.

    Raises: InputError for more threads than there are CPUs.
    """
    require_cpus(max(run.spec.latency.threads), what="latency.threads")
    return missing_layers(
        run.spec.latency,
        {
            layer: timed_pairs(run.spec, layer, model=run.dense.model)
            for layer in chosen_layers(run.spec, run.dense.layers)
        },
        [record for record in held if isinstance(record, LayerSession)],
        model=run.dense.model,
        dense=run.dense.architecture,
        environment=run.environment.key,
    )


def time_layers(run: Run, jobs: Sequence[LayerJob], held: Sequence[Record]) -> Iterator[Record]:
    """Time the dense model and a few factorized models that this machine has not timed, then the layers.

    Seconds of layers are shares of the dense model's latency; the savings of whole models correct sums of layers.
    """
    history = History(held)
    yield from history.new([run.environment])
    wanted = {architecture.key: architecture for architecture in _anchors(run)}
    known = [record for record in history.records if not isinstance(record, TimingFailure)]  # a failed one again
    yield from history.new(time_here(run, ALONE, wanted, known))
    yield from history.new(run_layers(jobs, progress=run.progress))


def _anchors(run: Run) -> Iterator[Architecture]:
    """The dense model, and for each scheme all layers at a quarter and at three quarters of their timed ranks."""
    dense = run.dense
    yield dense.architecture
    layers = {layer: timed_pairs(run.spec, layer, model=dense.model) for layer in chosen_layers(run.spec, dense.layers)}
    for scheme, share in product(run.spec.sweep.schemes_used(), ANCHORS):
        steps = {layer: [rank for name, rank in pairs if name == scheme] for layer, pairs in layers.items()}
        cuts = [
            make_cut(layer, ranks[int(share * len(ranks))], scheme=scheme, truncation="plain")
            for layer, ranks in steps.items()
            if ranks
        ]
        if cuts:
            yield cut_architecture(dense.architecture, cuts)
