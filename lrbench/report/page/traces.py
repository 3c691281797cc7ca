"""Finished trials → a plotly figure as plain data.

Names from results are escaped, for plotly reads some HTML. Colours that start with `@` name colours of the page, which
differ between light and dark.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from lrbench.report.frames.latency import INTERVAL
from lrbench.report.frames.rivals import RIVALS
from lrbench.report.frames.standing import BEATEN, FRONT, UNPROVEN
from lrbench.report.frames.trials import name_accuracy
from lrbench.report.palette import COLOURS, assign_colours
from lrbench.report.texts import RATIO, UNFIT, with_interval

SYMBOLS = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "x", "pentagon")
STANDINGS: Mapping[str, tuple[str, float, float]] = {
    FRONT: ("@ink", 2.0, 1.0),
    UNPROVEN: ("@muted", 1.2, 0.75),
    BEATEN: ("@paper", 0.5, 0.35),
}
"""Edge colour, edge width and opacity of a point."""

MOST_BARS = 300
"""Points of a chart up to which all show intervals; beyond, beaten ones show none."""

Plotly = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Axis:
    """What is on the x-axis: a column (`ratio` has an interval), its label, the format of its ticks."""

    cost: str
    label: str
    ticks: str


def draw(points: pd.DataFrame, axis: Axis) -> Plotly:
    """Points by colour and marker, a line through their fronts, the dense model's cost as a dashed line.

    With several `series` colour tells them apart and the marker the method; with one, colour is the method and the
    marker the layer set.

    Args:
        points: of `with_standing`, with `series` and `number`.
        axis: the cost.
    """
    names = list(dict.fromkeys(points["series"]))
    several = len(names) > 1
    colour_by, marker_by = ("series", "method") if several else ("method", "layer_set")
    series = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(names)}
    methods = points.loc[points["scheme"] != "dense", "method"]
    colours = series if several else {**assign_colours(list(methods)), "dense": "@ink"}
    symbols = {name: SYMBOLS[i % len(SYMBOLS)] for i, name in enumerate(sorted(set(points[marker_by])))}
    on = points[points["on_front"].astype(bool) & (points["trial"] == points["point_trial"])].sort_values(axis.cost)
    traces = [
        _front(front, axis, series[str(name)] if several else "@muted")
        for (name, *_), front in on.groupby(["series", *RIVALS], sort=False)
    ]
    bars = (points["standing"] != BEATEN) | (len(points) <= MOST_BARS)
    for (first, second), group in points.assign(bars=bars).groupby([colour_by, marker_by], sort=False):
        dense = bool((group["scheme"] == "dense").all())
        look = {"color": colours[str(first)], "symbol": "star" if dense else symbols[str(second)]}
        name = f"{first}, {second}" if several else "dense control" if dense else f"{first}, layers {second}"
        traces.append({**_points(group, axis, look), "name": escape(name)})
    return {"data": traces, "layout": _layout(points, axis)}


def _front(front: pd.DataFrame, axis: Axis, colour: str) -> Plotly:
    return {
        "x": front[axis.cost].tolist(),
        "y": front["point_accuracy"].tolist(),
        "mode": "lines",
        "line": {"color": colour, "width": 1.4},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _points(group: pd.DataFrame, axis: Axis, look: Mapping[str, str]) -> Plotly:
    timed = axis.cost == "ratio"
    colour, symbol = look["color"], look["symbol"]
    fit = list(group["fit"]) if timed else [True] * len(group)
    edges, widths, opacities = zip(*(STANDINGS[standing] for standing in group["standing"]), strict=True)
    return {
        "x": group[axis.cost].tolist(),
        "y": group["accuracy_kept"].tolist(),
        "ids": group["number"].astype(str).tolist(),
        "customdata": [escape(text) for text in _words(group, axis)],
        "mode": "markers",
        "marker": {
            "color": colour,
            "size": 11,
            "symbol": [symbol if good else f"{symbol}-open" for good in fit],
            "opacity": list(opacities),
            "line": {
                "color": [edge if good else colour for edge, good in zip(edges, fit, strict=True)],
                "width": list(widths),
            },
        },
        "error_y": _bars(group, "accuracy_kept", ("accuracy_low", "accuracy_high")),
        **({"error_x": _bars(group, "ratio", ("ratio_low", "ratio_high"))} if timed else {}),
    }


def _bars(group: pd.DataFrame, middle: str, ends: tuple[str, str]) -> Plotly:
    """How far an interval reaches on both sides; 0 where it has no end or is not to be shown."""
    low, high = (group[name].astype(float) for name in ends)
    below, above = (
        side.clip(lower=0).where(group["bars"] & np.isfinite(side), 0.0).tolist()
        for side in (group[middle] - low, high - group[middle])
    )
    looks = {"type": "data", "symmetric": False, "thickness": 1, "width": 0, "color": "@bar"}
    return {**looks, "array": above, "arrayminus": below}


def _words(group: pd.DataFrame, axis: Axis) -> Iterator[str]:
    """What a chart says of each point beyond what holds in every chart."""
    form = replace(RATIO, between=" to ")
    for point in group.to_dict("records"):
        if axis.cost != "ratio":
            yield f"{axis.label}: {_stands(point)}"
            continue
        ratio = with_interval(*(point[name] for name in INTERVAL), form=form, note="99 %")
        fit = "" if point["fit"] else f", {UNFIT} timing"
        yield f"latency ratio {ratio}, {format_s(point['latency_s'])}{fit}; latency: {_stands(point)}"


def _stands(point: Mapping[Any, Any]) -> str:
    return f"{point['standing']} (front with {point['probability']:.0%})"


def _layout(points: pd.DataFrame, axis: Axis) -> Plotly:
    dense = 1.0 if axis.cost == "ratio" else float(points[f"dense_{axis.cost}"].iloc[0])
    line = {"type": "line", "x0": dense, "x1": dense, "yref": "paper", "y0": 0, "y1": 1, "layer": "below"}
    label = {"x": dense, "yref": "paper", "y": 0, "yanchor": "bottom", "xanchor": "left", "showarrow": False}
    return {
        "xaxis": {"title": {"text": axis.label, "standoff": 4}, "tickformat": axis.ticks},
        "yaxis": {"title": {"text": name_accuracy(points)}, "tickformat": "~%"},
        "shapes": [{**line, "line": {"color": "@muted", "width": 1, "dash": "dash"}}],
        "annotations": [{**label, "text": "cost of dense", "textangle": -90, "font": {"color": "@muted", "size": 11}}],
    }


def format_s(seconds: float) -> str:
    """Seconds in the unit that people read."""
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"
