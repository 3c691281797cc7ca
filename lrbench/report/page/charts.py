"""Which charts the page has: accuracy against MACs, params, and latency in each setting, of all folders overlaid."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lrbench.config.axes import AXES
from lrbench.report.frames.latency import describe
from lrbench.report.frames.standing import WORDS, with_standing
from lrbench.report.frames.trials import with_latency
from lrbench.report.page.overlay import Overlay, stack
from lrbench.report.page.traces import Axis, draw, format_s

SUBJECT = ["model", "data", "image_size"]
COSTS = (
    Axis(cost="macs", label="MACs of one image", ticks="~s"),
    Axis(cost="params", label="params", ticks="~s"),
)


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart: its title, what to know of it, and plotly's data and layout."""

    title: str
    note: str
    figure: dict[str, Any]


def build_charts(overlay: Overlay) -> Iterator[Chart]:
    """The charts of each model and data; folders and environments are told apart in the legend."""
    several = len(overlay.labels) > 1
    for key, points in overlay.done.groupby(SUBJECT, sort=False):
        subject = "{} on {}, {} px".format(*key)
        named = points.assign(series=points["folder"] if several else "")
        for axis in COSTS:
            figure = draw(_stood(named, overlay.standings, axis.cost), axis)
            yield Chart(title=f"Accuracy against {axis.label}: {subject}", note="", figure=figure)
        yield from _latency_charts(overlay, named, subject)


def _latency_charts(overlay: Overlay, points: pd.DataFrame, subject: str) -> Iterator[Chart]:
    """A chart for each setting; environments share it as ratios, each to its own dense model, and a note says so."""
    parts = [
        with_latency(mine, overlay.ratios[overlay.ratios["folder"] == folder].drop(columns="folder"))
        for folder, mine in points.groupby("folder", sort=False)
    ]
    for key, group in stack(parts).groupby(list(AXES), sort=False, dropna=False):
        machines = list(dict.fromkeys(group["environment"]))
        several = len(machines) > 1
        series = (group["series"] + " environment " + group["environment"]).str.strip() if several else group["series"]
        dense = "" if several else f" (dense: {format_s(group['dense_latency_s'].median())})"
        axis = Axis(cost="ratio", label=f"latency ratio{dense}", ticks=".2f")
        stood = _stood(group.assign(series=series), overlay.standings, "ratio")
        yield Chart(
            title=f"Accuracy against latency: {subject}, {describe(zip(AXES, key, strict=True))}",
            note=f"Several environments ({', '.join(machines)}), each over its own dense model." if several else "",
            figure=draw(stood, axis),
        )


def _stood(points: pd.DataFrame, standings: pd.DataFrame, cost: str) -> pd.DataFrame:
    """Points as they stand among the trials of their own folder and environment."""
    parts = [
        with_standing(group.drop(columns=WORDS, errors="ignore"), standings[standings["folder"] == folder], cost=cost)
        for folder, group in points.groupby("folder", sort=False)
    ]
    return pd.concat(parts, ignore_index=True)
