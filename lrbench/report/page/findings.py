"""The summary in words: which trial within a point of dense is cheapest, how sure that is, and what is tied with it."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from lrbench.report.frames.latency import INTERVAL, SETTING, describe
from lrbench.report.frames.standing import RIVALS, name_rivals
from lrbench.report.page.overlay import Overlay
from lrbench.report.texts import POINTS, RATIO, Form, interval, with_interval

SPEED = Form(value=".2f", ends=".2f", between=" to ")
POINT = 0.01 + 1e-9
"""What a trial may lose in accuracy against its dense control: a point, and what floats make of it."""

Row = Mapping[Any, Any]


def findings(overlay: Overlay) -> Iterator[tuple[str, list[str]]]:
    """For each group of rivals a heading, and sentences."""
    several = len(overlay.labels) > 1
    for key, rivals in overlay.done.groupby(["folder", *RIVALS], sort=False):
        heading = name_rivals(dict(zip(RIVALS, key[1:], strict=True)))
        ratios = overlay.ratios[overlay.ratios["folder"] == key[0]]
        yield f"{key[0]}: {heading}" if several else heading, list(_sentences(rivals, ratios))


def _sentences(rivals: pd.DataFrame, ratios: pd.DataFrame) -> Iterator[str]:
    dense, cut = rivals[rivals["scheme"] == "dense"], rivals[rivals["scheme"] != "dense"]
    if dense.empty:
        yield f"{len(cut)} factorized trials and no dense control: what they lose in accuracy cannot be told."
        return
    values = ", ".join(f"{value:.1%}" for value in dense["accuracy_finetuned"])
    if cut.empty:
        yield f"The dense control reached {values} test accuracy; no factorized trial finished."
        return
    near = cut[cut["loss"] <= POINT]
    sure = int((near["loss_high"] <= POINT).sum())
    yield (
        f"The dense control reached {values} test accuracy on {int(dense['samples'].iloc[0]):,} images. Of {len(cut)} "
        f"factorized trials {len(near)} measured within 1 point of it, {sure} of them surely (95 % interval)."
    )
    if near.empty:
        closest = cut.sort_values("loss").iloc[0].to_dict()
        yield f"Closest is {name_trial(closest)}. {_accuracy(closest)}."
        return
    leanest = near.sort_values(["macs", "loss"], kind="stable").iloc[0].to_dict()
    yield (
        f"Fewest MACs within 1 point: {name_trial(leanest)}, a MAC ratio of {leanest['mac_ratio']:.3f} and a param "
        f"ratio of {leanest['param_ratio']:.3f}. {_accuracy(leanest)}."
    )
    told = {leanest["trial"]}
    several = len(set(ratios["environment"])) > 1
    for key, timed in ratios.groupby(SETTING, sort=False, dropna=False):
        joined = cut.merge(timed, on=["architecture", "model", "image_size"], suffixes=("_trial", ""))
        if not joined.empty:
            words = describe(zip(SETTING, key, strict=True))
            yield f"{words}{f', environment {key[0]}' if several else ''}: {_fastest(joined, told)}"


def _fastest(timed: pd.DataFrame, told: set[str]) -> str:
    """The fastest fit trial within a point in one setting, and what cannot be told from it.

    Args:
        timed: trials with their latency in the setting.
        told: trials whose accuracy was told; this one is added.
    """
    near = timed[(timed["loss"] <= POINT) & timed["fit"].astype(bool)]
    slower = int((timed["ratio_low"] > 1).sum())
    behind = f" {slower} of {len(timed)} timed trials are surely slower than dense." if slower else ""
    if near.empty:
        return f"no trial within 1 point has a fit timing.{behind}"
    ordered = near.sort_values(["ratio", "loss"], kind="stable")
    best = ordered.iloc[0].to_dict()
    accuracy = "" if best["trial"] in told else f" {_accuracy(best)}."
    told.add(best["trial"])
    return f"fastest within 1 point is {name_trial(best)}, {_speed(best)}.{accuracy} {_ties(ordered, best)}{behind}"


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


def _ties(ordered: pd.DataFrame, best: Row) -> str:
    """Which trials within a point, of other architectures, have a latency interval that overlaps the best one's."""
    if pd.isna(best["ratio_high"]):
        return "What is tied with it in latency is not known."
    tied = ordered[
        (ordered["ratio_low"] <= best["ratio_high"]) & (ordered["architecture"] != best["architecture"])
    ].drop_duplicates("architecture")
    if tied.empty:
        return "No other architecture within 1 point is tied with it in latency."
    names = [name_trial(trial) for trial in tied.head(3).to_dict("records")]
    more = f" and {len(tied) - 3} more" if len(tied) > 3 else ""
    return f"Tied with it in latency: {'; '.join(names)}{more}."


def _accuracy(trial: Row) -> str:
    value, loss, low, high = (trial[name] for name in ("accuracy_finetuned", "loss", "loss_low", "loss_high"))
    word = "below" if loss >= 0 else "above"
    return (
        f"Its accuracy is {value:.1%}, {abs(loss) * 100:.1f} points {word} the dense control (95 % interval "
        f"of the difference {interval(-high * 100, -low * 100, form=replace(POINTS, ends='+.1f'))})"
    )


def name_trial(trial: Row) -> str:
    """A trial in words."""
    return f"{trial['method']}, layers {trial['layer_set']}, {trial['rank_rule']}, seed {trial['seed']}"
