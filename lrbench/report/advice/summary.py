"""The numbers that a results folder is summed up in, as tables of texts."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from lrbench.report.frames.latency import SETTING, describe
from lrbench.report.frames.rivals import name_training
from lrbench.report.results import Results
from lrbench.report.texts import TextTable, number, ratio_of
from lrbench.results.records import MEASURED

HEADS = (
    *("data", "epochs", "method", "layer set", "rank rule", "#seed", "#params", "#MACs", "#MAC ratio"),
    *("#latency ratio, 99 %", "#truncated", "#re-estimated", "#finetuned", "#rank after training"),
    "standing in MACs",
)


def trial_table(trials: pd.DataFrame, *, title: str = "") -> TextTable:
    """A row for each trial.

    Args:
        trials: of `Results.summary` or `Results.front`.
        title: of the table.
    """
    return TextTable(title=title, heads=HEADS, rows=[_row(trial) for trial in trials.to_dict("records")])


def _row(trial: Mapping[Any, Any]) -> tuple[str, ...]:
    return (
        str(trial["data"]),
        name_training(trial).replace(" epochs", ""),
        *(str(trial[name]) for name in ("method", "layer_set", "rank_rule", "seed")),
        *(f"{trial[name]:,}" for name in ("params", "macs")),
        f"{trial['mac_ratio']:.3f}",
        "" if pd.isna(trial["ratio"]) else ratio_of(trial),
        *(number(trial[f"accuracy_{stage}"], ".2%") for stage in MEASURED),
        "" if pd.isna(trial["trained_ranks"]) else str(trial["trained_ranks"]),
        str(trial["standing"]),
    )


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
