"""The numbers that a results folder is summed up in: a row of texts for each trial."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from lrbench.report.frames.latency import INTERVAL, SETTING, breakeven, describe, latency_ratios, layer_ratios
from lrbench.report.frames.standing import RIVALS, name_training
from lrbench.report.frames.trials import done_trials, pareto, timed_architectures
from lrbench.results.tables import load_table

COLUMNS = (
    *("data", "epochs", "method", "layer set", "rank rule", "#seed", "#params", "#MACs", "#MAC ratio"),
    *("#latency ratio, 99 %", "#truncated", "#re-estimated", "#finetuned", "#rank after training"),
)
"""Headings; those that start with `#` stand over numbers."""


def all_trials(folder: Path) -> pd.DataFrame:
    """Every finished trial with its latency ratio in the first setting timed, and the ranks of its layers.

    `setting` says which setting that is; `trained_ranks` are the numerical ranks, after training, of those layers
    that any trial of the folder truncates.

    Raises: InputError when the folder holds no readable tables.
    """
    ratios = latency_ratios(load_table(folder, "latency"))
    done = done_trials(load_table(folder, "trials"))
    ranks = _trained_ranks(load_table(folder, "layers"))
    if ratios.empty:
        return done.assign(ratio=float("nan"), setting="not timed", trained_ranks=done["trial"].map(ranks))
    first = ratios.iloc[0][SETTING]
    same = ratios[(ratios[SETTING] == first).all(axis=1)]
    joined = done.merge(same[["architecture", "fit", *INTERVAL]], on="architecture", how="left")
    return joined.assign(setting=describe(first.items()), trained_ranks=joined["trial"].map(ranks))


def front_trials(folder: Path) -> pd.DataFrame:
    """The dense controls, then the Pareto front of finetuned accuracy over MACs, cheapest first; see `all_trials`.

    Trials of other models, data or epochs do not compete: each has its own front.
    """
    trials = all_trials(folder)
    parts = [trials.iloc[:0]]
    for _, rivals in trials.groupby(RIVALS, sort=False):
        front = pareto(rivals, cost="macs", value="accuracy_finetuned")
        parts += [rivals[rivals["scheme"] == "dense"], front[front["scheme"] != "dense"]]
    return pd.concat(parts)


def failed_trials(folder: Path) -> pd.DataFrame:
    """The trials that failed, with their reasons."""
    trials = load_table(folder, "trials")
    return trials[trials["state"] == "failed"]


def rows_of(trials: pd.DataFrame) -> list[tuple[str, ...]]:
    """A row of texts under `COLUMNS` for each trial."""
    return [_row(trial) for trial in trials.to_dict("records")]


def timed_only(folder: Path) -> Iterator[tuple[str, tuple[str, ...], list[tuple[str, ...]]]]:
    """For each setting, a table of what was timed without being trained: title, headings, rows."""
    timed = timed_architectures(folder)
    columns = ("method", "layer set", "rank rule", "#params", "#MACs", "#MAC ratio", "#latency ratio, 99 %")
    for key, group in timed.groupby(SETTING, sort=False, dropna=False):
        rows = [
            (
                *(str(one[name]) for name in ("method", "layer_set", "rank_rule")),
                *(f"{one[name]:,}" for name in ("params", "macs")),
                f"{one['mac_ratio']:.3f}",
                interval_of(one),
            )
            for one in group.to_dict("records")
        ]
        yield f"Latency: {describe(zip(SETTING, key, strict=True))}", columns, rows


def breakeven_rows(folder: Path) -> Iterator[tuple[str, tuple[str, ...], list[tuple[str, ...]]]]:
    """For each setting, where each layer breaks even: title, headings, rows."""
    columns = ("layer", "scheme", "#r* MACs", "#r* latency", "#surely faster to", "#surely slower from", "#timed to")
    numbers = ("breakeven_rank_macs", "breakeven_rank_latency", "highest_faster_rank", "lowest_slower_rank")
    found = breakeven(layer_ratios(load_table(folder, "layer_latency")))
    for key, group in found.groupby(SETTING, sort=False, dropna=False):
        rows = [
            (
                str(one["shape"]),
                str(one["scheme"]),
                *("-" if pd.isna(one[name]) else f"{one[name]:.0f}" for name in (*numbers, "highest_rank_timed")),
            )
            for one in group.to_dict("records")
        ]
        yield f"Break-even ranks r*: {describe(zip(SETTING, key, strict=True))}", columns, rows


def markdown(trials: pd.DataFrame) -> str:
    """The rows as a Markdown table; names in it are plain text, whatever they hold."""
    heads = [column.removeprefix("#") for column in COLUMNS]
    marks = ["---:" if column.startswith("#") else "---" for column in COLUMNS]
    rows = [[_plain(cell) for cell in cells] for cells in rows_of(trials)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, marks, *rows))


def _plain(text: str) -> str:
    """Text that Markdown neither marks up, links, runs as HTML nor takes for the end of a cell."""
    marked = re.sub(r"([\\`*\[\]|])", r"\\\1", " ".join(text.splitlines()))
    return marked.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _trained_ranks(layers: pd.DataFrame) -> dict[Any, str]:
    """By trial, the least and the largest numerical rank of the layers that some trial truncates."""
    cut = set(layers.loc[layers["rank"].notna(), "layer"])
    known = layers[layers["layer"].isin(cut) & layers["numerical_rank"].notna()]
    return {
        trial: "-".join(str(int(rank)) for rank in sorted({ranks.min(), ranks.max()}))
        for trial, ranks in known.groupby("trial")["numerical_rank"]
    }


def _row(trial: dict[Any, Any]) -> tuple[str, ...]:
    timed = not pd.isna(trial["ratio"])
    return (
        str(trial["data"]),
        name_training(trial).replace(" epochs", ""),
        str(trial["method"]),
        str(trial["layer_set"]),
        str(trial["rank_rule"]),
        str(trial["seed"]),
        f"{trial['params']:,}",
        f"{trial['macs']:,}",
        f"{trial['mac_ratio']:.3f}",
        interval_of(trial) if timed else "",
        f"{trial['accuracy_truncated']:.2%}",
        "" if pd.isna(trial["accuracy_recalibrated"]) else f"{trial['accuracy_recalibrated']:.2%}",
        f"{trial['accuracy_finetuned']:.2%}",
        "" if pd.isna(trial["trained_ranks"]) else str(trial["trained_ranks"]),
    )


def interval_of(trial: Mapping[Any, Any]) -> str:
    """A latency ratio with its interval, and a word when the A/A control beside it did not hold."""
    text = f"{trial['ratio']:.3f} ({trial['ratio_low']:.3f}-{trial['ratio_high']:.3f})"
    return text if trial["fit"] else f"{text} unfit"
