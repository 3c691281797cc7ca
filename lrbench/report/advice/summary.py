"""The numbers that a results folder is summed up in, as tables of texts."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from lrbench.config.names import STAGES
from lrbench.report.frames.latency import SETTING, describe
from lrbench.report.frames.rivals import name_training, name_untouched
from lrbench.report.results import Results
from lrbench.report.texts import TextTable, number, ratio_of
from lrbench.results.records import MEASURED

SHORT = 8
"""Characters of a key in tables."""

HEADS = (
    *("trial", "data", "epochs", "method", "layer set", "rank rule", "#seed", "#params", "#MACs", "#MAC ratio"),
    *("#latency ratio, 99 %", *(f"#{STAGES[stage]}" for stage in MEASURED), "kept", "#points from {untouched}"),
    *("#rank after training", "standing in MACs"),
)
"""Of the table of trials; `untouched` is what the dense model was before any finetuning."""

BRIEF = ("trial", "method", "layer set", "rank rule", "MAC ratio", "latency ratio, 99 %")
"""Heads that come first where there is no room for all."""


def trial_table(trials: pd.DataFrame, *, title: str = "") -> TextTable:
    """A row for each trial.

    Args:
        trials: of `Results.summary` or `Results.front`.
        title: of the table.
    """
    rows = [_row(trial) for trial in trials.to_dict("records")]
    untouched = name_untouched(trials).removeprefix("the model as ")
    return TextTable(title=title, heads=[head.format(untouched=untouched) for head in HEADS], rows=rows)


def _row(trial: Mapping[Any, Any]) -> tuple[str, ...]:
    return (
        short_key(str(trial["trial"])),
        str(trial["data"]),
        name_training(trial).replace(" epochs", ""),
        *(str(trial[name]) for name in ("method", "layer_set", "rank_rule", "seed")),
        *(f"{trial[name]:,}" for name in ("params", "macs")),
        f"{trial['mac_ratio']:.3f}",
        "" if pd.isna(trial["ratio"]) else ratio_of(trial),
        *(number(trial[f"accuracy_{stage}"], ".2%") for stage in MEASURED),
        STAGES[trial["kept"]],
        f"{100 * (trial['accuracy_kept'] - trial['accuracy_dense']):+.2f}",
        "" if pd.isna(trial["trained_ranks"]) else str(trial["trained_ranks"]),
        str(trial["standing"]),
    )


def short_key(trial: str) -> str:
    """The beginning of a trial's key, which commands take for all of it."""
    return trial[:SHORT]


def timed_tables(results: Results) -> Iterator[TextTable]:
    """For each setting, what was timed, trained or not."""
    heads = ("method", "layer set", "rank rule", "#params", "#MACs", "#MAC ratio", "#latency ratio, 99 %")
    for key, group in results.timed_architectures.groupby(SETTING, sort=False, dropna=False):
        rows = [
            (
                *(str(row[name]) for name in ("method", "layer_set", "rank_rule")),
                *(f"{row[name]:,}" for name in ("params", "macs")),
                f"{row['mac_ratio']:.3f}",
                ratio_of(row),
            )
            for row in group.to_dict("records")
        ]
        yield TextTable(title=f"Latency: {describe(zip(SETTING, key, strict=True))}", heads=heads, rows=rows)


def breakeven_tables(results: Results) -> Iterator[TextTable]:
    """For each setting, where each layer breaks even."""
    heads = ("layer", "scheme", "#r* MACs", "#r* latency", "#surely faster to", "#surely slower from", "#timed to")
    ranks = ("breakeven_rank_macs", "breakeven_rank_latency", "highest_faster_rank", "lowest_slower_rank")
    for key, group in results.breakeven.groupby(SETTING, sort=False, dropna=False):
        rows = [
            (
                *(str(row[name]) for name in ("shape", "scheme")),
                *(number(row[name], ".0f", none="-") for name in (*ranks, "highest_rank_timed")),
            )
            for row in group.to_dict("records")
        ]
        yield TextTable(
            title=f"Break-even ranks r*: {describe(zip(SETTING, key, strict=True))}", heads=heads, rows=rows
        )
