"""A recommendation in words: a sentence and tables of texts, or JSON."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

import pandas as pd

from lrbench.config.names import STAGES
from lrbench.report.advice.advice import Advice
from lrbench.report.choice.recommend import Best, Held, Nearest
from lrbench.report.frames.drops import CONTROL
from lrbench.report.frames.rivals import Row
from lrbench.report.texts import ACCURACY, POINTS, TextTable, number, ratio_of, with_interval

POINT = ("", "point", "kept", "#params", "#MACs", "#MAC ratio", "#latency ratio, 99 %")
BETTER = {
    "latency": "faster than dense",
    "macs": "of fewer MACs than dense",
    "params": "of fewer params than dense",
    "accuracy": "proven more accurate than dense",
}
"""What no factorized point is where the dense control is recommended."""

UNTOLD = ("answers", "drop_posterior", "accuracy_posterior", "accuracy_retrained", "luck", "drop_luck", "worth")
"""What a point holds for computing only."""

LAYERS = ("layer", "scheme", "#rank", "#of", "#params", "#dense params", "#MACs", "#dense MACs", "why dense")

PERCENT = {"max-drop": " points", "accuracy": " %"}
"""Constraints that are told in hundredths, and what stands behind them."""


def headline(advice: Advice) -> str:
    """The recommendation in a sentence."""
    choice, point = advice.choice, advice.choice.point
    chosen = "most accurate" if choice.objective == "accuracy" else f"least {choice.objective.replace('macs', 'MACs')}"
    if point is None:
        return (
            f"infeasible: none of {choice.candidates} points ({advice.rivals}) keeps to all that is wanted with a "
            f"probability of {100 * advice.confidence:g}% each"
        )
    sure = f"keep to each limit with a probability of {100 * advice.confidence:g}% or more"
    if point["dense"]:
        return (
            f"recommended: the dense control, trial {point['trial']}: of {choice.candidates} points ({advice.rivals}) "
            f"none that {sure.replace('keep', 'keeps')} is {BETTER[choice.objective]}, by the {advice.split} split"
        )
    seeds = f"the best of {len(point['trials'])} seeds" if len(point["trials"]) > 1 else f"seed {point['seeds'][0]}"
    return (
        f"recommended: {point['name']}: trial {point['trial']}, {seeds}; {chosen} of those that {sure}, "
        f"chosen on the {advice.split} split among {choice.candidates} points ({advice.rivals})"
    )


def tables_of(advice: Advice) -> Iterator[TextTable]:
    """What is printed: the constraints, the choices, the layers; or what is nearest."""
    choice = advice.choice
    if choice.point is None:
        nearest = ("#nearest, alone", "#holds with", "by", "#nearest, all others kept", "#holds with", "by")
        assert choice.closest is not None, "there are points to choose from"
        closest = choice.closest.point
        columns = ("constraint", "#limit", "#the closest has", "#holds with", *nearest)
        rows = [_nearest_row(one, choice.closest.reached[one.name]) for one in choice.nearest]
        title = f"Nearest that is reached; the closest to all is {closest['name']}, trial {closest['trial']}"
        yield TextTable(title=title, heads=columns, rows=rows)
        return
    yield TextTable(
        title=f"Constraints, on the {advice.split} split",
        heads=("constraint", "#limit", "#value", "#these weights hold with", "#retrained", ""),
        rows=list(map(_held_row, choice.held)),
    )
    named = {"recommended": choice.point, "next cheaper": choice.cheaper, "next more expensive": choice.dearer}
    if not any(point is not None and point["dense"] for point in named.values()):
        named["dense"] = advice.dense
    unseen = ", which no choice saw" if advice.split == "search" else ""
    cost = choice.cost.replace("macs", "MACs")
    drops = {"test_drop": "dense" if advice.reference == CONTROL else advice.reference}
    if advice.reference != advice.untouched:
        drops["given_drop"] = advice.untouched
    yield TextTable(
        title=f"Choices by {cost}; what counts as accuracy is that of the test split{unseen}",
        heads=(
            *POINT,
            f"#chosen by ({advice.split})",
            "#test accuracy, 95 %",
            *(f"#points from {reference}, 95 %" for reference in drops.values()),
        ),
        rows=[_point_row(name, point, drops) for name, point in named.items() if point is not None],
    )
    rows = list(map(_layer_row, advice.layers))
    yield TextTable(title=f"Layers of trial {choice.point['trial']}", heads=LAYERS, rows=rows)


def _value(name: str, value: float | None) -> str:
    if value is None or pd.isna(value):
        return "-"
    return f"{100 * value:.2f}{PERCENT[name]}" if name in PERCENT else f"{value:.3f}"


def _chance(probability: float) -> str:
    return number(probability, ".1%", none="not known")


def _held_row(held: Held) -> tuple[str, ...]:
    values = (_value(held.name, value) for value in (held.limit, held.value))
    chances = (_chance(chance) for chance in (held.probability, held.retrained))
    return held.name, *values, *chances, "decides" if held.binding else ""


def _nearest_row(nearest: Nearest, closest: tuple[float, float]) -> tuple[str, ...]:
    """A limit, what the closest point reaches, and what any does."""
    name, (value, chance) = nearest.name, closest
    own = _value(name, nearest.limit), _value(name, value), _chance(chance)
    return name, *own, *_best(name, nearest.alone), *_best(name, nearest.together)


def _best(name: str, best: Best | None) -> tuple[str, ...]:
    if best is None:
        return "-", "", "none keeps the others"
    return _value(name, best.value), _chance(best.probability), best.point


def _point_row(name: str, point: Row, drops: Iterable[str]) -> tuple[str, ...]:
    return (
        name,
        point["name"],
        STAGES[point["kept"]],
        f"{point['params']:,}",
        f"{point['macs']:,}",
        f"{point['mac_ratio']:.3f}",
        "not timed" if pd.isna(point["ratio"]) else ratio_of(point),
        f"{point['accuracy']:.2%}",
        with_interval(point["test_accuracy"], point["test_low"], point["test_high"], form=ACCURACY),
        *(_gain(point, name) for name in drops),
    )


def _gain(point: Row, name: str) -> str:
    gain, low, high = (0.0 - 100 * point[key] for key in (name, f"{name}_high", f"{name}_low"))
    return "-" if pd.isna(gain) or low == 0 == high else with_interval(gain, low, high, form=POINTS)


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
    choice = advice.choice
    document = {
        "feasible": choice.point is not None,
        "rivals": advice.rivals,
        "split": advice.split,
        "reference": advice.reference,
        "confidence": advice.confidence,
        "objective": choice.objective,
        "cost": choice.cost,
        "candidates": choice.candidates,
        "tied": choice.tied,
        "recommended": choice.point,
        "constraints": [vars(held) for held in choice.held],
        "cheaper": choice.cheaper,
        "dearer": choice.dearer,
        "dense": advice.dense,
        "nearest": [asdict(nearest) for nearest in choice.nearest],
        "surest": None if choice.surest is None else asdict(choice.surest),
        "closest": None if choice.closest is None else vars(choice.closest),
        "layers": list(advice.layers),
        "setting": advice.setting,
        "notes": [*advice.warnings, *advice.notes],
        "command": advice.command,
    }
    return json.dumps(_plain(document), indent=2, allow_nan=False)


def _plain(value: Any) -> Any:
    """A value as JSON knows it."""
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items() if key not in UNTOLD}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if hasattr(value, "item"):
        return _plain(value.item())
    return None if pd.isna(value) or value in (float("inf"), float("-inf")) else value
