"""The summary in words: what `recommend` takes for a loss of a point, by MACs and in each setting, and how it did."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from lrbench.config.names import ADVICE_CONFIDENCE
from lrbench.report.choice.pick import Pick
from lrbench.report.frames.latency import INTERVAL, describe
from lrbench.report.frames.rivals import RIVALS, name_rivals
from lrbench.report.page.overlay import Overlay
from lrbench.report.texts import POINTS, RATIO, Form, interval, with_interval

SPEED = Form(value=".2f", ends=".2f", between=" to ")

Row = Mapping[Any, Any]


def findings(overlay: Overlay) -> Iterator[tuple[str, list[str]]]:
    """For each group of rivals a heading, and sentences."""
    several = len(overlay.labels) > 1
    for key, rivals in overlay.done.groupby(["folder", *RIVALS], sort=False):
        group = dict(zip(RIVALS, key[1:], strict=True))
        picks = [pick for folder, pick in overlay.picks if folder == key[0] and pick.rivals == group]
        heading = name_rivals(group)
        yield f"{key[0]}: {heading}" if several else heading, list(_sentences(rivals, picks))


def _sentences(rivals: pd.DataFrame, picks: list[Pick]) -> Iterator[str]:
    dense, cut = rivals[rivals["scheme"] == "dense"], rivals[rivals["scheme"] != "dense"]
    if dense.empty:
        yield f"{len(cut)} factorized trials and no dense control: what they lose in accuracy cannot be told."
        return
    values = ", ".join(f"{value:.1%}" for value in dense["accuracy_finetuned"])
    reached = f"The dense control reached {values} test accuracy on {int(dense['samples'].iloc[0]):,} images."
    if cut.empty:
        yield f"{reached} No factorized trial finished."
        return
    choices, found = picks[0].choices, picks[0].found
    images = f"{int(choices.points['samples'].iloc[0]):,} images of the {choices.split} split"
    seen = "which no choice saw" if choices.split == "search" else "which chose, and so flatters"
    yield (
        f"{reached} Recommended is what loses at most 1 point against {choices.reference.words} with a probability of "
        f"{ADVICE_CONFIDENCE:.0%} or more, among {found.candidates} points, by the {images}. The test split, {seen}, "
        "is told after."
    )
    told: set[str] = set()
    several = len({pick.setting["environment"] for pick in picks if pick.setting}) > 1
    for pick in picks:
        where = ""
        if pick.setting:
            environment = f", environment {pick.setting['environment']}" if several else ""
            where = f"{describe(pick.setting.items())}{environment}: "
        yield f"{where}{_answer(pick, told)}{_slower(pick)}"


def _answer(pick: Pick, told: set[str]) -> str:
    """What is recommended.

    Args:
        pick: one setting.
        told: trials whose accuracy was told; this one is added.
    """
    found, point = pick.found, pick.found.point
    best = "least latency" if pick.setting else "Fewest MACs"
    if point is None:
        surest = f"; the surest is {found.surest.point} ({found.surest.probability:.0%})" if found.surest else ""
        return f"{best}: no point is sure enough{surest}."
    if point["dense"]:
        return f"{best}: the dense control; no point that is sure enough costs less."
    cost = (
        _speed(point) if pick.setting else f"MAC ratio {point['mac_ratio']:.3f}, param ratio {point['param_ratio']:.3f}"
    )
    tied = f"; accuracy tied with {found.tied} others" if found.tied else ""
    accuracy = "" if point["trial"] in told else f" {_accuracy(point, pick.choices.reference.words)}."
    told.add(point["trial"])
    sure = f"{found.held[0].probability:.0%} sure{tied}"
    return f"{best}: {point['name']}, trial {point['trial']} ({sure}), {cost}.{accuracy}"


def _speed(best: Row) -> str:
    ratio, low, high = (best[name] for name in INTERVAL)
    if pd.isna(low):
        return f"latency ratio {ratio:.3f} (no interval: one process)"
    text = f"latency ratio {ratio:.3f} (99 % interval {interval(low, high, form=replace(RATIO, between=' to '))})"
    if low <= 1 <= high:
        return f"{text}, not told apart from dense"
    if ratio > 1:
        return f"{text}, slower than dense"
    return f"{text}, a speed-up of {with_interval(1 / ratio, 1 / high, 1 / low, form=SPEED)}"


def _slower(pick: Pick) -> str:
    """How many of the points timed are surely slower than dense, and whether none is faster."""
    if not pick.setting:
        return ""
    points = pick.choices.points
    timed = points[~points["dense"].astype(bool) & points["ratio"].notna()]
    slower = int((timed["ratio_low"] > 1).sum())
    none = " Nothing here is faster than dense." if (timed["ratio"] >= 1).all() else ""
    return none + (f" {slower} of {len(timed)} points timed are surely slower than dense." if slower else "")


def _accuracy(point: Row, reference: str) -> str:
    value, drop, low, high = (point[name] for name in ("test_accuracy", "test_drop", "test_drop_low", "test_drop_high"))
    word = "below" if drop >= 0 else "above"
    ends = interval(-high * 100, -low * 100, form=replace(POINTS, ends="+.1f"))
    return (
        f"On the test split it has {value:.1%}, {abs(drop) * 100:.1f} points {word} {reference} (95 % interval of the "
        f"difference {ends})"
    )


def name_trial(trial: Row) -> str:
    """A trial in words."""
    return f"{trial['method']}, layers {trial['layer_set']}, {trial['rank_rule']}, seed {trial['seed']}"
