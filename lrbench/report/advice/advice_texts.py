"""A recommendation in words: a sentence and tables of texts, or JSON."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from lrbench.report.advice.advice import Advice
from lrbench.report.advice.recommend import Best, Held, Nearest
from lrbench.report.advice.summary import interval_of
from lrbench.report.frames.points import Row

Texts = tuple[str, Sequence[str], list[tuple[str, ...]]]
"""A table: title, headings (`#`: over numbers), rows."""

POINT = ("", "point", "#params", "#MACs", "#MAC ratio", "#latency ratio, 99 %")
REPORTED = ("#test accuracy, 95 %", "#points below dense, 95 %")
LAYERS = ("layer", "scheme", "#rank", "#of", "#params", "#dense params", "#MACs", "#dense MACs", "why dense")

PERCENT = {"max-drop": " points", "accuracy": " %"}
"""Constraints that are told in hundredths, and what stands behind them."""


def headline(advice: Advice) -> str:
    """The recommendation in a sentence."""
    found, point = advice.found, advice.found.point
    chosen = "most accurate" if found.objective == "accuracy" else f"least {found.objective.replace('macs', 'MACs')}"
    if point is None:
        return (
            f"infeasible: none of {found.candidates} points ({advice.rivals}) keeps to all that is wanted with a "
            f"probability of {100 * advice.confidence:g}% each"
        )
    seeds = f"the best of {len(point['trials'])} seeds" if len(point["trials"]) > 1 else f"seed {point['seeds'][0]}"
    return (
        f"recommended: {point['name']}: trial {point['trial']}, {seeds}; {chosen} of {found.candidates} points "
        f"({advice.rivals}) that keep to each limit with {100 * advice.confidence:g}% or more, chosen on the "
        f"{advice.split} split"
    )


def tables_of(advice: Advice) -> Iterator[Texts]:
    """What is printed: the constraints, the choices, the layers; or what is nearest."""
    found = advice.found
    if found.point is None:
        nearest = ("#nearest, alone", "#holds with", "by", "#nearest, all others kept", "#holds with", "by")
        columns = ("constraint", "#limit", *nearest)
        yield "Nearest that is reached", columns, list(map(_nearest_row, found.nearest))
        return
    held = ("constraint", "#limit", "#value", "#holds with", "")
    yield f"Constraints, on the {advice.split} split", held, list(map(_held_row, found.held))
    named = {"recommended": found.point, "next cheaper": found.cheaper, "next dearer": found.dearer}
    if not any(one is not None and one["dense"] for one in named.values()):
        named["dense"] = advice.dense
    unseen = ", which no choice saw" if advice.split == "search" else ""
    yield (
        f"Choices by {found.cost.replace('macs', 'MACs')}; what counts as accuracy is that of the test split{unseen}",
        (
            "",
            "point",
            "#params",
            "#MACs",
            "#MAC ratio",
            "#latency ratio, 99 %",
            f"#chosen by ({advice.split})",
            *REPORTED,
        ),
        [_point_row(name, one) for name, one in named.items() if one is not None],
    )
    yield f"Layers of trial {found.point['trial']}", LAYERS, list(map(_layer_row, advice.layers))


def _value(name: str, value: float | None) -> str:
    if value is None or pd.isna(value):
        return "-"
    return f"{100 * value:.2f}{PERCENT[name]}" if name in PERCENT else f"{value:.3f}"


def _chance(probability: float) -> str:
    return "not known" if pd.isna(probability) else f"{probability:.1%}"


def _held_row(one: Held) -> tuple[str, ...]:
    values = (_value(one.name, value) for value in (one.limit, one.value))
    return one.name, *values, _chance(one.probability), "binding" if one.binding else ""


def _nearest_row(one: Nearest) -> tuple[str, ...]:
    return one.name, _value(one.name, one.limit), *_best(one.name, one.alone), *_best(one.name, one.together)


def _best(name: str, best: Best | None) -> tuple[str, ...]:
    if best is None:
        return "-", "", "none keeps the others"
    return _value(name, best.value), _chance(best.probability), best.point


def _point_row(name: str, point: Row) -> tuple[str, ...]:
    accuracy = f"{point['test_accuracy']:.2%} ({point['test_low']:.1%}-{point['test_high']:.1%})"
    drop = "{:+.2f} ({:+.2f} to {:+.2f})".format(
        *(100 * point[key] for key in ("test_drop", "test_drop_low", "test_drop_high"))
    )
    return (
        name,
        point["name"],
        f"{point['params']:,}",
        f"{point['macs']:,}",
        f"{point['mac_ratio']:.3f}",
        "not timed" if pd.isna(point["ratio"]) else interval_of(point),
        f"{point['accuracy']:.2%}",
        accuracy,
        "-" if point["dense"] or pd.isna(point["test_drop"]) else drop,
    )


def _layer_row(layer: Row) -> tuple[str, ...]:
    cut = not pd.isna(layer["rank"])
    return (
        str(layer["layer"]),
        str(layer["scheme"]) if cut else "dense",
        *(f"{layer[key]:.0f}" if cut else "" for key in ("rank", "max_rank")),
        *(f"{layer[key]:,.0f}" for key in ("params", "dense_params", "macs", "dense_macs")),
        "" if cut else str(layer["reason"]),
    )


def to_json(advice: Advice) -> str:
    """All of it, unrounded; what there is no value for is null."""
    found = advice.found
    document = {
        "feasible": found.point is not None,
        "rivals": advice.rivals,
        "split": advice.split,
        "confidence": advice.confidence,
        "objective": found.objective,
        "cost": found.cost,
        "candidates": found.candidates,
        "recommended": found.point,
        "constraints": [vars(one) for one in found.held],
        "cheaper": found.cheaper,
        "dearer": found.dearer,
        "dense": advice.dense,
        "nearest": [asdict(one) for one in found.nearest],
        "surest": None if found.surest is None else asdict(found.surest),
        "layers": list(advice.layers),
        "setting": advice.setting,
        "notes": [*advice.warnings, *advice.notes],
        "command": advice.command,
    }
    return json.dumps(_plain(document), indent=2, allow_nan=False)


def _plain(value: Any) -> Any:
    """A value as JSON knows it."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if hasattr(value, "item"):
        return _plain(value.item())
    return None if pd.isna(value) or value in (float("inf"), float("-inf")) else value
