"""What the Decide panel and the hero chart hold: each point's bounds and order, so that the browser only compares.

The rule that picks among them is `decide` in `assets/decide.js`; a test holds it against `recommend`.
"""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from lrbench.config.axes import AXES
from lrbench.config.names import ADVICE_CONFIDENCE
from lrbench.report.choice.bounds import bounds_of
from lrbench.report.choice.constraints import CONSTRAINTS
from lrbench.report.choice.pick import USUAL_DROP, Pick
from lrbench.report.choice.told import export_command
from lrbench.report.frames.latency import INTERVAL, SETTING, describe
from lrbench.report.frames.rivals import Row, Where, choose_setting, name_rivals, name_training
from lrbench.report.frames.rows import rows_of
from lrbench.report.page.overlay import Overlay
from lrbench.report.page.packing import listed
from lrbench.report.palette import colour_numbers
from lrbench.statistics.posterior import Floats
from lrbench.statistics.shrinkage import NONE

CONFIDENCES = (0.5, 0.8, 0.9, 0.95, 0.99)
"""How sure a person may ask to be."""

PERCENTAGES = tuple(round(100 * confidence) for confidence in CONFIDENCES)

QUESTION: Mapping[str, Any] = MappingProxyType(
    {
        "confidences": PERCENTAGES,
        "usual_level": CONFIDENCES.index(ADVICE_CONFIDENCE),
        "usual_drop": f"{100 * USUAL_DROP:g}",
    }
)
"""What the panel asks before anybody changes it; `usual_level` is a place among the confidences."""

SLOT = "lrbench-slot"
"""Where a trial's key stands in a command until it is chosen."""

DIGITS = 12
"""Significant digits of a bound: more than any comparison needs."""


def decide_data(overlay: Overlay) -> list[dict[str, Any]]:
    """For each folder and group of rivals that `recommend` can choose among: its points and their timings.

    The group comes first, and in it the setting, that `recommend` takes when it is not told which.
    """
    numbers = {
        (row["folder"], row["trial"]): row["number"] for row in rows_of(overlay.done, ["folder", "trial", "number"])
    }
    groups = []
    for (folder, rivals), picks in groupby(overlay.picks, key=lambda pair: (pair[0], tuple(pair[1].rivals.values()))):
        of_group = [pick for _, pick in picks]
        known = overlay.standings[overlay.standings["folder"] == folder]
        groups.append(
            {
                **_named(of_group[0], folder, str(overlay.results[folder].folder), several=len(overlay.labels) > 1),
                "usual": (folder, rivals) in overlay.usual,
                "points": _points(of_group[0].choices.points, folder, numbers),
                "orders": {cost: _order(of_group[0].choices.points, cost) for cost in ("macs", "params")},
                "fronts": {cost: _front(of_group[0].choices.points, known, cost) for cost in ("macs", "params")},
                "settings": list(_settings(of_group, known, overlay.ratios[overlay.ratios["folder"] == folder])),
            }
        )
    return groups


def _named(pick: Pick, folder: str, path: str, *, several: bool) -> dict[str, Any]:
    points, rivals = pick.choices.points, pick.rivals
    recipe = name_training(rivals)
    return {
        "name": name_rivals(rivals),
        "recipe": f"{folder}: {recipe}" if several else recipe,
        "subject": [str(rivals[name]) for name in ("model", "data", "image_size")],
        "folder": path,
        "split": pick.choices.split,
        "reference": pick.choices.reference.words,
        "images": int(points["samples"].iloc[0]),
        "test_images": int(points["test_samples"].iloc[0]),
        "recommend": shlex.join(["lrbench", "recommend", path, "--among", name_rivals(rivals)]),
        "export": export_command(path, SLOT, str(rivals["model"])).split(SLOT),
    }


def _points(points: pd.DataFrame, folder: str, numbers: Mapping[tuple[str, str], int]) -> dict[str, Any]:
    """What holds of the points in each setting; drops in points of 100."""
    methods = list(points["method"])
    colours = colour_numbers(methods)
    return {
        "name": list(points["name"]),
        "trial": list(points["trial"]),
        "method": methods,
        "colour": [colours[method] for method in methods],
        "number": [numbers[folder, trial] for trial in points["trial"]],
        "seeds": [len(seeds) for seeds in points["seeds"]],
        "dense": [int(dense) for dense in points["dense"]],
        "itself": [int(posterior is NONE) for posterior in points["drop_posterior"]],
        "worth": np.unique(points["worth"], return_inverse=True)[1].tolist(),
        "macs": listed(points["mac_ratio"], DIGITS),
        "params": listed(points["param_ratio"], DIGITS),
        "drop": _bounds(points, "max-drop"),
        "measured": listed(points["drop"] * 100),
        **{name: listed(points[name] * 100) for name in ("test_drop", "test_drop_low", "test_drop_high")},
        "test_accuracy": listed(points["test_accuracy"] * 100),
    }


def _bounds(points: pd.DataFrame, name: str) -> list[list[float | None]]:
    """By confidence the bound of each point, in what a user asks in."""
    bounds: Floats = bounds_of(points, name, CONFIDENCES) / CONSTRAINTS[name].unit
    return [listed(column, DIGITS) for column in bounds.T]


def _order(points: pd.DataFrame, cost: str) -> list[int]:
    """The points from the cheapest on; of equal ones the most accurate first, as `choose` orders them."""
    costs, worths, macs = (points[name].to_numpy(float) for name in (CONSTRAINTS[cost].column, "worth", "mac_ratio"))
    order = np.lexsort((np.arange(len(points)), macs, -worths, costs))
    return [int(i) for i in order if not np.isnan(costs[i])]


def _front(points: pd.DataFrame, standings: pd.DataFrame, cost: str, setting: Row | None = None) -> dict[str, Any]:
    """Which points lie on the front of all, and with what probability each does."""
    mine = standings[standings["cost"] == ("ratio" if cost == "latency" else cost)]
    for name in SETTING if setting is not None else ():
        mine = mine[mine[name] == setting[name]]  # type: ignore[index]
    known = mine.drop_duplicates("point_trial").set_index("point_trial")
    on = known["on_front"].astype(bool).reindex(points["trial"], fill_value=False)
    chances = known["probability"].astype(float).reindex(points["trial"])
    return {"on": [int(front) for front in on], "chance": listed(chances, 3)}


def _settings(picks: Sequence[Pick], standings: pd.DataFrame, ratios: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Each setting timed: its name, the options that mean it, timings; the one that `recommend` takes first."""
    timed = [pick for pick in picks if pick.setting is not None]
    several = len({pick.setting["environment"] for pick in timed if pick.setting}) > 1
    usual = _usual_setting(picks[0].rivals, ratios)
    for pick in sorted(timed, key=lambda pick: pick.setting != usual):
        setting, points = pick.setting or {}, pick.choices.points
        words = {axis.option: axis.word(setting[name]) for name, axis in AXES.items()}
        dense = points.loc[points["dense"].astype(bool), "latency_s"]
        yield {
            "name": describe(setting.items()) + (f" ({setting['environment']})" if several else ""),
            "environment": shlex.quote(str(setting["environment"])),
            "options": shlex.join(f"{part}" for pair in words.items() for part in pair),
            "dense_s": None if dense.isna().all() else float(dense.iloc[0]),
            "fit": [int(fit == True) for fit in points["fit"]],  # noqa: E712 - or None
            **{name: listed(points[name], DIGITS) for name in INTERVAL},
            "bounds": _bounds(points, "latency"),
            "order": _order(points, "latency"),
            "front": _front(points, standings, "latency", setting),
        }


def _usual_setting(rivals: Row, ratios: pd.DataFrame) -> Row | None:
    """The setting that `recommend` takes when it is not told which."""
    mine = ratios[(ratios["model"] == rivals["model"]) & (ratios["image_size"] == rivals["image_size"])]
    chosen, _ = choose_setting(mine, Where())
    return None if chosen.empty else {str(name): value for name, value in chosen.iloc[0][SETTING].items()}
