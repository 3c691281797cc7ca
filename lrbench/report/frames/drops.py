"""What points lose in accuracy, against what, and how sure that is."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import nan, sqrt

import pandas as pd

from lrbench.report.frames.pooling import STAGE, Right, answers_of, points_of
from lrbench.report.frames.rivals import Row, name_untouched
from lrbench.report.frames.rows import rows_of
from lrbench.statistics.components import Component, Deviations
from lrbench.statistics.luck import PRIOR, deviations_of, pooled
from lrbench.statistics.posterior import Answers, Drop, Share, drop_between, lost_by_each, luck_of, share_of
from lrbench.statistics.shrinkage import NONE, Measured, Shrunk, own_luck, shrink

CONTROL = "the dense control"
"""The usual reference of drops, in words."""

LEAST = 1e-12
"""The least variance of an accuracy: a posterior without one has no probability."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Against what drops in accuracy are measured.

    Attributes:
        words: what it is.
        untouched: what the dense model before any finetuning is called.
        stages: by split, at which stage the dense controls have its answers.
    """

    words: str
    untouched: str
    stages: Mapping[str, str]


def reference_of(trials: pd.DataFrame, right: Right, *, split: str) -> Reference:
    """The dense control where something was finetuned, else the dense model before any re-estimation.

    A control that was kept as it was is both. An older lrbench did not judge the dense model on the search split before
    re-estimation: there it is the control too.

    Args:
        trials: finished ones of one group of rivals.
        right: of `unpack_answers`.
        split: by which may be chosen.
    """
    controls, untouched = trials[trials["scheme"] == "dense"], name_untouched(trials)

    def against(words: str, stages: Mapping[str, str]) -> Reference:
        return Reference(words=words, untouched=untouched, stages=stages)

    if len(controls) and (controls["kept"] == "dense").all():
        return against(untouched, STAGE)
    if trials["finetune_epochs"].iloc[0] or controls.empty:
        return against(CONTROL, STAGE)
    if all((trial, "dense_search") in right for trial in controls["trial"]):
        return against(untouched, {"search": "dense_search", "test": "dense"})
    if split == "test" or not controls["calibration_images"].any():
        return against(untouched, {"search": "search", "test": "dense"})
    return against("the dense model, batch norm re-estimated", STAGE)


def with_drops(points: pd.DataFrame, trials: pd.DataFrame, right: Right, *, split: str) -> pd.DataFrame:
    """Points with what they lose against `reference_of` on the split that chooses.

    Args:
        points: of `pool_points`, of these trials.
        trials: finished ones of one group of rivals.
        right: of `unpack_answers`.
        split: `search` or `test`, by which may be chosen.

    Returns: `drop` as measured, and after `shrink` `drop_posterior` with its `drop_mean`, `drop_error`; of accuracies
        `accuracy_posterior`, with `accuracy_mean`, `accuracy_error`, of the trial that would be exported, and
        `accuracy_retrained`, of another training. `drop_luck` is the training noise of a drop. Drops are empty without
        a dense control.
    """
    stage = reference_of(trials, right, split=split).stages[split]
    lost = []
    for (members, matched), mine in zip(_matched(trials), points["answers"], strict=True):
        itself = members[0]["scheme"] == "dense" and stage == STAGE[split]
        lost.append(_lost(matched, mine, right, stage=stage, split=split, itself=itself))
    luck = _luck_of(lost)
    posteriors = _posteriors(points, lost, luck)
    rows = []
    for row, one, posterior in zip(rows_of(points), lost, posteriors, strict=True):
        share, again = _accuracies(row, one, posterior, luck)
        rows.append(
            {
                "drop": one.drop,
                "drop_posterior": posterior,
                "drop_mean": posterior.mean,
                "drop_error": posterior.error,
                "drop_luck": luck,
                "accuracy_posterior": share,
                "accuracy_mean": share.mean,
                "accuracy_error": share.error,
                "accuracy_retrained": again,
            }
        )
    return points.join(pd.DataFrame(rows, index=points.index))


def with_tests(points: pd.DataFrame, trials: pd.DataFrame, right: Right, *, split: str) -> pd.DataFrame:
    """Points with what they reach on the test split, and lose there, as measured.

    Args:
        points: of `pool_points`, of these trials.
        trials: finished ones of one group of rivals.
        right: of `unpack_answers`.
        split: `search` or `test`, by which may be chosen.

    Returns: `test_accuracy` (`test_low`, `test_high`), `test_samples`; `test_drop` against `reference_of`, `given_drop`
        against the dense model before any finetuning; each with its 95 % interval. Drops are empty without a
        dense control.
    """
    stages = reference_of(trials, right, split=split).stages
    groups = list(_matched(trials))
    tests = [answers_of(members, right, stage=STAGE["test"], split="test") for members, _ in groups]
    luck = luck_of(tests)
    shares = [share_of(test).with_luck(luck, 1 / len(test.correct)).interval() for test in tests]
    found = {
        "test_accuracy": [float(test.accuracies.mean()) for test in tests],
        "test_samples": [test.samples for test in tests],
        **dict(zip(("test_low", "test_high"), zip(*shares, strict=True), strict=True)),
    }
    for name, stage in (("test_drop", stages["test"]), ("given_drop", "dense")):
        lost = []
        for (members, matched), test in zip(groups, tests, strict=True):
            itself = members[0]["scheme"] == "dense" and all(stage in ("kept", one["kept"]) for one in members)
            lost.append(_lost(matched, test, right, stage=stage, split="test", itself=itself))
        luck = _luck_of(lost)
        ends = [
            (0.0, 0.0) if one.itself else one.alone.with_luck(luck, 1 / len(test.correct)).interval()
            for one, test in zip(lost, tests, strict=True)
        ]
        found[name] = [one.drop for one in lost]
        found |= dict(zip((f"{name}_low", f"{name}_high"), zip(*ends, strict=True), strict=True))
    return points.join(pd.DataFrame(found, index=points.index))


def _matched(trials: pd.DataFrame) -> Iterator[tuple[list[Row], list[Row]]]:
    """The trials of each point, and the dense control of each of them; none where there is no control at all."""
    groups = points_of(trials)
    controls = [member for members in groups for member in members if member["scheme"] == "dense"]
    for members in groups:
        yield members, [_control_of(member, controls) for member in members if controls]


def _control_of(trial: Row, controls: Sequence[Row]) -> Row:
    """The dense control of the same seeds, or what comes nearest to it."""
    nearness = ("weights", "samples", "samples_search", "baseline_seed", "seed", "repeat")
    return min(controls, key=lambda control: [control[name] != trial[name] for name in nearness])


@dataclass(frozen=True, kw_only=True)
class Lost:
    """What a point lost against its reference.

    Attributes:
        drop: as measured, the mean over seeds.
        alone: its posterior for these weights, by these answers alone.
        each: what each seed lost.
        scatter: how these deviate from their mean.
        itself: whether the point is its own reference.
    """

    drop: float
    alone: Drop
    each: tuple[float, ...]
    scatter: Deviations
    itself: bool

    @property
    def apart(self) -> float:
        """The variance that images leave what one seed loses beside others; of all images where no more was kept."""
        return _apart(self.scatter, self.alone.error)


def _lost(controls: Sequence[Row], after: Answers, right: Right, *, stage: str, split: str, itself: bool) -> Lost:
    """What was lost from the controls' answers at a stage."""
    nothing = Deviations(squares=0.0, noise=0.0, loading=0.0, freedom=0)
    if not controls:
        return Lost(drop=nan, alone=Drop(mean=nan, error=nan), each=(), scatter=nothing, itself=itself)
    before = answers_of(controls, right, stage=stage, split=split)
    each = tuple(float(drop) for drop in before.accuracies - after.accuracies)
    scatter = nothing if itself else deviations_of(lost_by_each(before, after))
    return Lost(
        drop=sum(each) / len(each), alone=drop_between(before, after), each=each, scatter=scatter, itself=itself
    )


def _luck_of(lost: Sequence[Lost]) -> Component:
    """The training noise of a drop."""
    return pooled([one.scatter for one in lost if one.scatter.freedom], PRIOR)


def _apart(scatter: Deviations, error: float) -> float:
    return scatter.noise / scatter.freedom if scatter.noise else error**2


def _posteriors(points: pd.DataFrame, lost: Sequence[Lost], luck: Component) -> list[Drop | Shrunk]:
    """The posterior of each drop; of factorized points they know of one another."""
    posteriors: list[Drop | Shrunk] = [NONE if one.itself else one.alone for one in lost]
    cut = [i for i, dense in enumerate(points["dense"]) if not dense and lost[i].each]
    measured = []
    for i in cut:
        best = points["trials"].iloc[i].index(points["trial"].iloc[i])
        measured.append(
            Measured(
                drop=lost[i].alone.mean,
                images=lost[i].alone.error ** 2,
                mac_ratio=float(points["mac_ratio"].iloc[i]),
                seeds=len(lost[i].each),
                beyond=lost[i].each[best] - lost[i].drop,
                apart=lost[i].apart,
            )
        )
    for i, shrunk in zip(cut, shrink(measured, luck), strict=True):
        posteriors[i] = shrunk
    return posteriors


def _accuracies(point: Row, lost: Lost, posterior: Drop | Shrunk, of_drop: Component) -> tuple[Share, Share]:
    """The posterior of the accuracy of the trial to export, and of another training.

    What `shrink` takes off a drop was half luck of the point, which its accuracy had too, and half of its control.
    """
    answers, luck, share = point["answers"], point["luck"], share_of(point["answers"])
    seeds, best = len(answers.correct), point["trials"].index(point["trial"])
    beyond = float(answers.accuracies[best] - answers.accuracies.mean())
    apart = _apart(deviations_of(answers.each), share.error)
    shift, own, _ = own_luck(luck, seeds=seeds, beyond=beyond, apart=apart)
    taken, images, again = 0.0, share.error**2, share.error**2 + luck.variance / seeds
    taken_again = 0.0
    if isinstance(posterior, Shrunk) and posterior is not NONE:
        moved, its_own, _ = own_luck(of_drop, seeds=seeds, beyond=lost.each[best] - lost.drop, apart=lost.apart)
        taken = (posterior.mean - moved - lost.alone.mean) / 2
        images += (posterior.error**2 - its_own - lost.alone.error**2) / 4
        mean, variance = posterior.own
        taken_again = (mean - lost.alone.mean) / 2
        again += (variance - of_drop.variance / seeds - lost.alone.error**2) / 4
    these = Share(mean=share.mean + shift - taken, error=sqrt(max(images, LEAST)))
    other = Share(mean=share.mean - taken_again, error=sqrt(max(again, LEAST)))
    return these.with_luck(luck, own / luck.variance), other.with_luck(luck, 1.0)
