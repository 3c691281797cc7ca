"""The layer table of a sweep: which layers at which ranks, and the whole models that correct sums of them."""

from collections.abc import Iterator, Sequence
from itertools import product

from lrbench.execute.local_timing import time_here
from lrbench.execute.workers import ALONE
from lrbench.learn.architectures import cut_architecture
from lrbench.lowrank.compress import make_cut
from lrbench.plan.layer_ranks import timed_pairs
from lrbench.plan.run import Run
from lrbench.plan.trials import chosen_layers
from lrbench.results.records import Record
from lrbench.results.sessions import Architecture, LayerSession
from lrbench.timing.layers import LayerJob, missing_layers, run_layers
from lrbench.trials.history import History

ANCHORS = (0.25, 0.75)
"""Where on the staircase of ranks whole models are timed."""


def plan_layers(run: Run, held: Sequence[Record]) -> tuple[LayerJob, ...]:
    """The distinct layers of the chosen layer sets, with the (scheme, rank) pairs that are not yet timed here."""
    return missing_layers(
        run.spec.latency,
        {
            layer: timed_pairs(run.spec, layer, model=run.dense.model)
            for layer in chosen_layers(run.spec, run.dense.layers)
        },
        [one for one in held if isinstance(one, LayerSession)],
        model=run.dense.model,
        dense=run.dense.architecture,
        environment=run.environment.key,
    )


def time_layers(run: Run, jobs: Sequence[LayerJob], held: Sequence[Record]) -> Iterator[Record]:
    """Time the dense model and a few factorized ones whole, where this machine did not, then the layers.

    Seconds of layers are shares of the dense model's; what whole models save corrects what sums of layers foresee.
    """
    history = History(held)
    yield from history.new([run.environment])
    wanted = {one.key: one for one in _anchors(run)}
    yield from history.new(time_here(run, ALONE, wanted, history.records))
    yield from history.new(run_layers(jobs, progress=run.progress))


def _anchors(run: Run) -> Iterator[Architecture]:
    """The dense model; for each scheme all layers at a quarter and at three quarters of the ranks they are timed at."""
    dense = run.dense
    yield dense.architecture
    layers = {layer: timed_pairs(run.spec, layer, model=dense.model) for layer in chosen_layers(run.spec, dense.layers)}
    for scheme, share in product(run.spec.sweep.schemes, ANCHORS):
        steps = {layer: [rank for name, rank in pairs if name == scheme] for layer, pairs in layers.items()}
        cuts = [
            make_cut(layer, ranks[int(share * len(ranks))], scheme=scheme, truncation="plain")
            for layer, ranks in steps.items()
            if ranks
        ]
        if cuts:
            yield cut_architecture(dense.architecture, cuts)
