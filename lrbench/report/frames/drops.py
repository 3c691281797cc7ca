"""What points lose in accuracy, against what, and how sure that is."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import nan, sqrt

import numpy as np
import pandas as pd

from lrbench.report.frames.pooling import STAGE, Right, answers_of, points_of
from lrbench.report.frames.rivals import Row
from lrbench.statistics.posterior import Answers, Drop, drop_between, share_of
from lrbench.statistics.shrinkage import NONE, shrink


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Against what drops in accuracy are measured.

    Attributes:
        words: what it is.
        stages: by split, at which stage the dense controls have its answers.
    """

    words: str
    stages: Mapping[str, str]


def reference_of(trials: pd.DataFrame, right: Right, *, split: str) -> Reference:
    """The dense control where something was finetuned, else the dense model as given, before any re-estimation.

    An older lrbench did not judge the model as given on the search split: there it is the control too.

    Args:
        trials: finished ones of one group of rivals.
        right: of `unpack_answers`.
        split: by which may be chosen.
    """
    controls = trials[trials["scheme"] == "dense"]
    if trials["finetune_epochs"].iloc[0] or controls.empty:
        return Reference(words="the dense control", stages=STAGE)
    if all((trial, "dense_search") in right for trial in controls["trial"]):
        return Reference(words="the model as given", stages={"search": "dense_search", "test": "dense"})
    if split == "test" or not controls["calibration_images"].any():
        return Reference(words="the model as given", stages={"search": "search", "test": "dense"})
    return Reference(words="the dense model, batch norm re-estimated", stages=STAGE)


def with_drops(points: pd.DataFrame, trials: pd.DataFrame, right: Right, *, split: str) -> pd.DataFrame:
    """Points with what they lose against `reference_of` on the split that chooses.

    Args:
        points: of `pool_points`, of these trials.
        trials: finished ones of one group of rivals.
        right: of `unpack_answers`.
        split: `search` or `test`, by which may be chosen.

    Returns: `drop` as measured, and after `shrink` `drop_posterior` with its `drop_mean`, `drop_error`, and
        `accuracy_mean`, `accuracy_error`. Drops are empty without a dense control.
    """
    stage = reference_of(trials, right, split=split).stages[split]
    rows = []
    for (members, matched), mine in zip(_matched(trials), points["answers"], strict=True):
        drop, posterior = _drop(matched, mine, right, stage=stage, split=split)
        itself = members[0]["scheme"] == "dense" and stage == STAGE[split]
        rows.append({"drop": drop, "drop_posterior": NONE if itself else posterior})
    return _shrunk(points.join(pd.DataFrame(rows, index=points.index)))


def with_tests(points: pd.DataFrame, trials: pd.DataFrame, right: Right, *, split: str) -> pd.DataFrame:
    """Points with what they reach on the test split, and lose there against `reference_of`, as measured.

    Args:
        points: of `pool_points`, of these trials.
        trials: finished ones of one group of rivals.
        right: of `unpack_answers`.
        split: `search` or `test`, by which may be chosen.

    Returns: `test_accuracy` (`test_low`, `test_high`), `test_samples`, and `test_drop` with its interval, each 95 %.
        Drops are empty without a dense control.
    """
    stages = reference_of(trials, right, split=split).stages
    rows = []
    for members, matched in _matched(trials):
        test = answers_of(members, right, stage=STAGE["test"], split="test")
        drop, posterior = _drop(matched, test, right, stage=stages["test"], split="test")
        itself = members[0]["scheme"] == "dense" and stages[split] == STAGE[split]
        ends = (0.0, 0.0) if itself else posterior.interval()
        rows.append(
            {
                "test_accuracy": float(test.accuracies.mean()),
                "test_samples": test.samples,
                **dict(zip(("test_low", "test_high"), share_of(test).interval(), strict=True)),
                "test_drop": drop,
                **dict(zip(("test_drop_low", "test_drop_high"), ends, strict=True)),
            }
        )
    return points.join(pd.DataFrame(rows, index=points.index))


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


def _drop(controls: Sequence[Row], after: Answers, right: Right, *, stage: str, split: str) -> tuple[float, Drop]:
    """What was lost from the controls' answers at a stage, as measured, and its posterior by these alone."""
    if not controls:
        return nan, Drop(mean=nan, error=nan)
    before = answers_of(controls, right, stage=stage, split=split)
    return float((before.accuracies - after.accuracies).mean()), drop_between(before, after)


def _shrunk(points: pd.DataFrame) -> pd.DataFrame:
    """Points whose posteriors know of one another.

    What `shrink` takes off a drop was half luck of the point, which its accuracy had too, and half of its control.
    """
    shares = [share_of(answers) for answers in points["answers"]]
    means, errors = (np.array([getattr(share, name) for share in shares]) for name in ("mean", "error"))
    alone = list(points["drop_posterior"])
    posteriors, cut = list(alone), np.flatnonzero(~points["dense"].astype(bool) & points["drop"].notna())
    flat = [alone[i] for i in cut]
    ratios = list(points["mac_ratio"].iloc[cut])
    for i, shrunk in zip(cut, shrink([d.mean for d in flat], [d.error for d in flat], ratios), strict=True):
        means[i] -= (shrunk.mean - alone[i].mean) / 2
        errors[i] = sqrt(max(errors[i] ** 2 + (shrunk.error**2 - alone[i].error ** 2) / 4, 0.0))
        posteriors[i] = shrunk
    return points.assign(
        accuracy_mean=means,
        accuracy_error=errors,
        drop_posterior=posteriors,
        drop_mean=[posterior.mean for posterior in posteriors],
        drop_error=[posterior.error for posterior in posteriors],
    )
