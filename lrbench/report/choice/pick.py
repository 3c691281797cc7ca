"""The points of a results folder that `recommend` chooses among, and its answers to the usual question."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pandas as pd

from lrbench.config.names import ADVICE_CONFIDENCE
from lrbench.report.choice.recommend import Recommendation, recommend
from lrbench.report.frames.drops import Reference, reference_of, with_drops, with_tests
from lrbench.report.frames.latency import SETTING
from lrbench.report.frames.pooling import pool_points, with_timings
from lrbench.report.frames.rivals import RIVALS, Row, split_of
from lrbench.report.results import Results

USUAL_DROP = 0.01
"""What a point may lose in the usual question: a point of accuracy."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Choices:
    """What can be chosen among: points of one group of rivals, by which split, and against what drops are measured."""

    points: pd.DataFrame
    split: str
    reference: Reference


def choices_of(results: Results, trials: pd.DataFrame) -> Choices:
    """The points of some finished trials of a folder, one group of rivals."""
    split = split_of(trials)
    points = with_drops(pool_points(trials, results.right, split=split), trials, results.right, split=split)
    return Choices(
        points=with_tests(points, trials, results.right, split=split),
        split=split,
        reference=reference_of(trials, results.right, split=split),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Pick:
    """The answer to the usual question in one setting, or (`setting` None) in MACs.

    Attributes:
        rivals: among which trials.
        setting: where latencies were taken.
        choices: among which points; in latency with their timings.
        found: what is recommended.
    """

    rivals: Row
    setting: Row | None
    choices: Choices
    found: Recommendation

    @property
    def marked(self) -> str | None:
        """The trial that tables mark as recommended: that of the fewest MACs."""
        return str(self.found.point["trial"]) if self.found.point and self.setting is None else None


def usual_picks(results: Results) -> Iterator[Pick]:
    """What `recommend` takes for a drop of at most `USUAL_DROP`: the fewest MACs, and the least latency by setting.

    Groups without a factorized trial or without a dense control have none.
    """
    limits = {"max-drop": USUAL_DROP}
    for key, trials in results.done.groupby(RIVALS, sort=False):
        dense = trials["scheme"] == "dense"
        if dense.all() or not dense.any():
            continue
        rivals, choices = dict(zip(RIVALS, key, strict=True)), choices_of(results, trials)
        untimed = replace(choices, points=with_timings(choices.points, results.latency_ratios.iloc[:0]))
        found = recommend(untimed.points, limits, confidence=ADVICE_CONFIDENCE, minimise="macs")
        yield Pick(rivals=rivals, setting=None, choices=untimed, found=found)
        ratios = results.latency_ratios
        mine = ratios[(ratios["model"] == rivals["model"]) & (ratios["image_size"] == rivals["image_size"])]
        for setting, group in mine.groupby(SETTING, sort=False, dropna=False):
            timed = replace(choices, points=with_timings(choices.points, group))
            if timed.points.loc[~timed.points["dense"].astype(bool), "ratio"].notna().any():
                found = recommend(timed.points, limits, confidence=ADVICE_CONFIDENCE, minimise="latency")
                named = dict(zip(SETTING, setting, strict=True))
                yield Pick(rivals=rivals, setting=named, choices=timed, found=found)
