"""The stages of a trial: truncated, batch norm re-estimated, finetuned; each judged on both splits, and one kept."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from torch import nn

from lrbench.learn.batches import Batching, test_batches
from lrbench.learn.train import batching
from lrbench.learn.weights import weights_path
from lrbench.lowrank.copies import copy_of
from lrbench.measure.accuracy import evaluate
from lrbench.results.records import Accuracy, Epoch, KeptStage, Trial
from lrbench.trials.dense import Context, Dense, keep, reestimated, trained

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A model after a stage, in eval mode, with its accuracy on the test split and, if there is one, the search split.

    `seconds` is what judging it took, and re-estimating batch norm before that.
    """

    stage: KeptStage
    model: nn.Module
    test: Accuracy
    search: Accuracy | None
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Stages:
    """The stages of a trial in order, and the one that was kept.

    `epochs` are those of finetuning, which took `finetune_s`; `reused` tells whether its weights were there already.
    """

    judged: tuple[Judged, ...]
    kept: Judged
    epochs: tuple[Epoch, ...]
    reused: bool
    finetune_s: float

    def test(self, stage: str) -> Accuracy | None:
        """On the test split, after a stage; None when the trial did not have it."""
        return next((judged.test for judged in self.judged if judged.stage == stage), None)

    def search(self, stage: str) -> Accuracy | None:
        """On the search split, after a stage that was not kept: how many answers were right, no more."""
        others = [judged.search for judged in self.judged if judged.stage == stage and judged is not self.kept]
        return next((replace(accuracy, right="") for accuracy in others if accuracy), None)

    @property
    def evaluate_s(self) -> float:
        """Seconds of judging all of them."""
        return sum(judged.seconds for judged in self.judged)


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """The result of a function, and the seconds it took."""
    started = time.perf_counter()
    return work(), time.perf_counter() - started


def best_of(stages: Sequence[Judged]) -> Judged:
    """The stage with the most right answers on the search split; of equal ones that of least loss, then the first."""

    def rank(judged: Judged) -> tuple[int, float]:
        assert judged.search is not None, "a choice needs a search split"
        return judged.search.correct, -judged.search.loss

    return max(stages, key=rank)


def run_stages(model: nn.Module, trial: Trial, dense: Dense, *, context: Context, factorized: bool) -> Stages:
    """Re-estimate batch norm and finetune as the spec asks, judge each stage, keep one and write its weights.

    With `recalibrate = "best"` the search split chooses twice: from which of the first two stages finetuning starts,
    and which of all is kept. Else each stage goes on from the one before it, and the last is kept. A dense control
    stands for the model as given, if its weights are given or its stages are chosen from: then its batch norm is
    re-estimated only to be looked at.

    Args:
        model: truncated, on the device of finetuning.
        trial: whose model it is.
        dense: what it was truncated from.
        context: of the trial.
        factorized: whether any layer was; if not, its accuracy is the dense model's.
    """
    spec, control = context.spec, trial.scheme == "dense"
    how, recalibrate = batching(spec.finetune, spec.data), spec.recalibrate()
    choosing = recalibrate == "best" and len(context.data.search) > 0
    as_given = control and (recalibrate == "best" or spec.model.has_weights)
    context.tell("evaluate", 0, 1)
    known = None if factorized else dense.accuracy
    first = _judged("dense" if control else "truncated", lambda: model, context, how, known=known)
    shown = [first]
    if recalibrate and spec.calibration.images:
        shown.append(_judged("recalibrated", lambda: reestimated(model, context=context, how=how), context, how))
    candidates = shown[:1] if as_given else shown
    start = best_of(candidates) if choosing else candidates[-1]
    if not spec.finetune.epochs:
        keep(start.model, weights_path(context.weights, trial.key), context=context, stage=start.stage)
        return Stages(judged=tuple(shown), kept=start, epochs=(), reused=False, finetune_s=0.0)
    teacher = dense.model.to(how.device) if spec.finetune.distill else None
    tuned = copy_of(start.model) if choosing else start.model
    (epochs, reused), finetune_s = timed(
        lambda: trained(tuned, trial.key, context=context, stage="finetune", seed=trial.seed, teacher=teacher)
    )
    context.tell("evaluate", 0, 1)
    last = _judged("finetuned", lambda: tuned, context, how)
    kept = best_of([*candidates, last]) if choosing else last
    if kept is not last:
        keep(kept.model, weights_path(context.weights, trial.key), context=context, stage=kept.stage)
    return Stages(judged=(*shown, last), kept=kept, epochs=epochs, reused=reused, finetune_s=finetune_s)


def _judged(
    stage: KeptStage, make: Callable[[], nn.Module], context: Context, how: Batching, known: Accuracy | None = None
) -> Judged:
    """A model, made and judged; `known` is its accuracy on the test split where that was measured before."""

    def judge() -> tuple[nn.Module, Accuracy, Accuracy | None]:
        model, search = make(), context.data.search
        test = known or evaluate(model, test_batches(context.data.test, how))
        return model, test, evaluate(model, test_batches(search, how)) if len(search) else None

    (model, test, search), seconds = timed(judge)
    return Judged(stage=stage, model=model, test=test, search=search, seconds=seconds)
