"""The lines a sweep ends in: what to take for a small and a larger loss, what dense has, and what to do next."""

import shlex
from collections.abc import Iterator

import pandas as pd

from lrbench.config.names import ADVICE_CONFIDENCE
from lrbench.errors import InputError
from lrbench.report.advice.summary import short_key
from lrbench.report.choice.pick import USUAL_DROP, choices_of
from lrbench.report.choice.recommend import Recommendation, recommend
from lrbench.report.choice.told import export_command, ties_of
from lrbench.report.frames.drops import CONTROL
from lrbench.report.frames.pooling import with_timings
from lrbench.report.frames.rivals import Row, Where, choose_rivals, choose_setting, name_rivals
from lrbench.report.results import Results

DROPS = (USUAL_DROP, 0.03)
"""What the lines allow to be lost."""

WIDE = 18
"""Characters of what stands before a line."""


def end_lines(results: Results) -> Iterator[str]:
    """What is recommended for each of `DROPS`, dense beside it, ties, the page, the next command.

    Nothing but the page where there is no finished factorized trial, or no dense control.
    """
    folder = shlex.quote(str(results.folder))
    others: tuple[str, ...] = ()
    try:
        trials, others = choose_rivals(results.done, None)
    except InputError:  # nothing to choose among
        trials = results.done.iloc[:0]
    if (trials["scheme"] == "dense").any():
        first = trials.iloc[0]
        ratios = results.latency_ratios
        mine = ratios[(ratios["model"] == first["model"]) & (ratios["image_size"] == first["image_size"])]
        choices = choices_of(results, trials)
        points = with_timings(choices.points, choose_setting(mine, Where())[0])
        if others:
            yield _line("among", f"{name_rivals(first.to_dict())} (lrbench recommend --among takes others)")
        yield from _choices(points, str(results.folder), str(first["model"]), against=choices.reference.words)
    yield _line("page", f"lrbench report {folder}")


def _choices(points: pd.DataFrame, folder: str, model: str, *, against: str) -> Iterator[str]:
    timed = points.loc[~points["dense"].astype(bool), "ratio"].notna().any()
    cost = "latency" if timed else "macs"
    answers = {
        drop: recommend(points, {"max-drop": drop}, confidence=ADVICE_CONFIDENCE, minimise=cost) for drop in DROPS
    }
    for drop, found in answers.items():
        yield _line(f"lose <= {100 * drop:g} point{'' if 100 * drop == 1 else 's'}", _answer(found, cost))
    dense = points[points["dense"].astype(bool)].iloc[0]
    other = "" if against == CONTROL else f"; points are from {against}"
    took = "" if pd.isna(dense["latency_s"]) else f"{1000 * dense['latency_s']:.3g} ms, "
    yield _line("dense", f"{took}{dense['test_accuracy']:.1%} of {int(dense['test_samples']):,} test images{other}")
    chosen = next((found for found in answers.values() if found.point is not None), None)
    if chosen is not None and chosen.tied:
        yield _line("ties", f"{ties_of(chosen)} (see sweep.front_seeds)")
    if chosen is not None and chosen.point is not None:
        yield _line("next", export_command(folder, short_key(str(chosen.point["trial"])), model))


def _answer(found: Recommendation, cost: str) -> str:
    point = found.point
    if point is None:
        return "no point is sure enough" + (f"; {found.closest.point['name']} comes closest" if found.closest else "")
    if point["dense"]:
        return "dense: nothing that is sure enough costs less"
    lost = round(-100 * point["test_drop"], 1) + 0.0  # no -0.0
    name = point["name"].replace(", layers ", ", ")
    return f"{name}  {_cost(point, cost)}  {lost:+.1f} points  {short_key(str(point['trial']))}"


def _cost(point: Row, cost: str) -> str:
    if cost == "macs":
        return f"{point['mac_ratio']:.0%} MACs"
    known = not pd.isna(point["ratio_low"])
    ends = f" ({100 * point['ratio_low']:.0f}-{100 * point['ratio_high']:.0f})" if known else ""
    return f"{point['ratio']:.0%} time{ends}"


def _line(what: str, text: str) -> str:
    return f"{what:<{WIDE}}{text}"
