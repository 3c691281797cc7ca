"""The usual picks in words: what `recommend` takes for a loss of a point, in MACs and each setting, and how it did."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pandas as pd

from lrbench.config.names import ADVICE_CONFIDENCE, is_own
from lrbench.report.choice.pick import Pick
from lrbench.report.choice.recommend import Recommendation
from lrbench.report.frames.latency import INTERVAL, describe
from lrbench.report.frames.rivals import Row
from lrbench.report.texts import POINTS, RATIO, Form, interval, with_interval

SPEED = Form(value=".2f", ends=".2f", between=" to ")
RECOMMENDED = "; recommended"
"""What stands in a table behind the standing of what is recommended."""


def export_command(folder: str, trial: str, model: str) -> str:
    """What exports a trial of a results folder."""
    own = ["--model", model] if is_own(model) else []
    return shlex.join(["lrbench", "export", folder, trial, "--to", f"export/{trial}", *own])


def ties_of(found: Recommendation) -> str:
    """With how many others what is recommended is tied: `tied with 140 others on 144 images`."""
    images = int(found.point["samples"]) if found.point else 0
    return f"tied with {found.tied} other{'s' if found.tied != 1 else ''} on {images:,} images"


def tell_picks(picks: Sequence[Pick]) -> Iterator[str]:
    """Sentences for each pick, after one that says how was chosen.

    Args:
        picks: at least one, of one group of rivals.
    """
    choices, found = picks[0].choices, picks[0].found
    images = f"{int(choices.points['samples'].iloc[0]):,} images of the {choices.split} split"
    seen = (
        "The test split, which no choice saw, is shown afterwards."
        if choices.split == "search"
        else "There is no search split: the test split chose, which flatters what it chose."
    )
    yield (
        f"Recommended is what loses at most 1 point against {choices.reference.words} with a probability of "
        f"{ADVICE_CONFIDENCE:.0%} or more, among {found.candidates} points, by the {images}. {seen}"
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
    tied = f"; accuracy {ties_of(found)}" if found.tied else ""
    accuracy = "" if point["trial"] in told else f" {_accuracy(point, pick.choices.reference.words)}."
    told.add(point["trial"])
    sure = f"{found.held[0].probability:.0%} sure, {found.held[0].retrained:.0%} if trained again{tied}"
    return f"{best}: {point['name']}, trial {point['trial']} ({sure}), {cost}.{accuracy}"


def _speed(best: Row) -> str:
    ratio, low, high = (best[name] for name in INTERVAL)
    if pd.isna(low):
        return f"latency ratio {ratio:.3f} (no interval: one process)"
    text = f"latency ratio {ratio:.3f} (99 % interval {interval(low, high, form=replace(RATIO, between=' to '))})"
    if low <= 1 <= high:
        return f"{text}, not significantly different from dense"
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
    return none + (f" {slower} of {len(timed)} points timed are significantly slower than dense." if slower else "")


def _accuracy(point: Row, reference: str) -> str:
    value, drop, low, high = (point[name] for name in ("test_accuracy", "test_drop", "test_drop_low", "test_drop_high"))
    word = "below" if drop >= 0 else "above"
    ends = interval(-high * 100, -low * 100, form=replace(POINTS, ends="+.1f"))
    return (
        f"On the test split it has {value:.1%}, {abs(drop) * 100:.1f} points {word} {reference} (95 % interval of the "
        f"difference {ends})"
    )
