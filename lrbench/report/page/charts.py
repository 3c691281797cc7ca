"""The charts of the page beside the hero chart: one literal table of what they show, and what there is to show."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lrbench.report.page import points
from lrbench.report.page.overlay import Overlay
from lrbench.report.page.packing import listed
from lrbench.report.palette import colour_numbers
from lrbench.report.results import Results

MOST_PANELS = 24
"""Panels that a chart shows; that there are more is said."""


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart of a results folder.

    Attributes:
        title: of the chart.
        note: how it is read.
        frame: its points.
        x, y: columns; their labels `x_label`, `y_label`.
        ends: columns of the ends of the interval of y, or none.
        series: the column that colour tells, named as methods are.
        panel: the column whose values have a panel each.
        lines: whether the points of a series are joined.
        logs: whether both axes are logarithmic.
        guides: lines to compare with: `equal` (y = x), `one` (y = 1), `zero` (y = 0).
    """

    title: str
    note: str
    frame: Callable[[Results], pd.DataFrame]
    x: str
    y: str
    x_label: str
    y_label: str
    ends: tuple[str, str] | None = None
    series: str = "method"
    panel: str = "panel"
    lines: bool = False
    logs: bool = False
    guides: Sequence[str] = ()


CHARTS: Sequence[Chart] = (
    Chart(
        title="MACs against latency",
        note="On the dotted line time falls as MACs do; above the dashed one a model is slower than dense.",
        frame=points.cut,
        x="mac_ratio",
        y="ratio",
        x_label="MACs, share of dense",
        y_label="latency, share of dense",
        ends=("ratio_low", "ratio_high"),
        guides=("equal", "one"),
    ),
    Chart(
        title="What each stage gives back",
        note="Test accuracy of every trial truncated, with batch norm re-estimated, and finetuned.",
        frame=points.stages,
        x="mac_ratio",
        y="accuracy",
        x_label="MACs, share of dense",
        y_label="test accuracy (%)",
    ),
    Chart(
        title="What each way to spend a budget is worth",
        note="Trials whose ranks were chosen for a budget of the whole model.",
        frame=points.budgets,
        x="mac_ratio",
        y="accuracy",
        x_label="MACs, share of dense",
        y_label="test accuracy (%)",
        series="way",
    ),
    Chart(
        title="How much each layer can take",
        note="Error of the layer's outputs when it alone is cut.",
        frame=points.sensitivity,
        x="mac_share",
        y="output_error",
        x_label="share of its MACs that is left",
        y_label="output error",
        lines=True,
    ),
    Chart(
        title="What each rank costs a layer's weight",
        note="Relative error of the weight, from its singular values.",
        frame=points.spectra,
        x="rank",
        y="weight_error",
        x_label="rank",
        y_label="weight error",
        series="scheme",
        lines=True,
    ),
    Chart(
        title="Latency of single layers",
        note="Each layer beside its factors; below the dashed line they are faster. At 1 on the x-axis MACs are equal.",
        frame=points.layers,
        x="share",
        y="ratio",
        x_label="rank over break-even rank",
        y_label="latency, share of dense",
        ends=("ratio_low", "ratio_high"),
        series="scheme",
        lines=True,
        guides=("one",),
    ),
    Chart(
        title="Sums of layers against whole models",
        note="Latency of whole models, predicted from single layers and measured; on the dotted line they agree.",
        frame=points.additivity,
        x="predicted_ratio",
        y="ratio",
        x_label="predicted share of dense",
        y_label="measured share of dense",
        ends=("ratio_low", "ratio_high"),
        series="series",
        guides=("equal",),
    ),
    Chart(
        title="Plans: predicted damage against points lost",
        note="Points of test accuracy below the dense control, both as they were kept.",
        frame=points.damages,
        x="predicted_damage",
        y="lost",
        x_label="damage predicted",
        y_label="points below dense",
        series="planner",
        guides=("zero",),
    ),
    Chart(
        title="Plans: predicted latency against measured",
        note="On the dotted line a plan took the time that was predicted.",
        frame=points.plan_latencies,
        x="predicted_latency_ratio",
        y="ratio",
        x_label="predicted share of dense",
        y_label="measured share of dense",
        ends=("ratio_low", "ratio_high"),
        series="planner",
        guides=("equal",),
    ),
    Chart(
        title="Damage: predicted and measured",
        note="Each point is predicted without itself; on the dotted line prediction and measurement agree.",
        frame=points.calibration,
        x="predicted",
        y="measured",
        x_label="predicted (nats)",
        y_label="measured (nats)",
        logs=True,
        guides=("equal",),
    ),
    Chart(
        title="Training accuracy by epoch",
        note="Mean over all trainings of a stage, on training images. Single trials: open one in the table.",
        frame=points.epochs,
        x="epoch",
        y="accuracy",
        x_label="epoch",
        y_label="training accuracy (%)",
        series="series",
        lines=True,
    ),
)
"""What the page draws below the hero chart, where the folder holds it."""


def build_charts(overlay: Overlay) -> Iterator[dict[str, Any]]:
    """Each chart of each folder that has a point to show, as the page's scripts read it."""
    several = len(overlay.labels) > 1
    for label, results in overlay.results.items():
        trials = overlay.done[overlay.done["folder"] == label]
        numbers = dict(zip(trials["trial"], trials["number"], strict=True))
        for chart in CHARTS:
            shown = chart.frame(results).dropna(subset=[chart.x, chart.y])
            if len(shown):
                title = f"{label}: {chart.title}" if several else chart.title
                yield _drawn(chart, shown, title, numbers)


def _drawn(chart: Chart, shown: pd.DataFrame, title: str, numbers: dict[Hashable, int]) -> dict[str, Any]:
    groups = list(shown.groupby(chart.panel, sort=False))
    colours = colour_numbers([str(name) for name in dict.fromkeys(shown[chart.series])])
    hidden = max(0, len(groups) - MOST_PANELS)
    return {
        "title": title,
        "note": chart.note + (f" {hidden} more panels are left out." if hidden else ""),
        "x": chart.x_label,
        "y": chart.y_label,
        "lines": chart.lines,
        "logs": chart.logs,
        "guides": list(chart.guides),
        "panels": [
            {
                "name": str(name),
                "series": [
                    _series(chart, part, str(series), colours[str(series)], numbers)
                    for series, part in group.groupby(chart.series, sort=False)
                ],
            }
            for name, group in groups[:MOST_PANELS]
        ],
    }


def _series(chart: Chart, shown: pd.DataFrame, name: str, colour: int, numbers: dict[Hashable, int]) -> dict[str, Any]:
    ordered = shown.sort_values(chart.x, kind="stable") if chart.lines else shown
    ends = {
        end: listed(ordered[column].astype(float))
        for end, column in zip(("low", "high"), chart.ends or (), strict=False)
    }
    known = {"ids": [numbers.get(trial, -1) for trial in ordered["trial"]]} if "trial" in ordered else {}
    return {
        "name": name,
        "colour": colour,
        "x": listed(ordered[chart.x].astype(float)),
        "y": listed(ordered[chart.y].astype(float)),
        **ends,
        **known,
    }
