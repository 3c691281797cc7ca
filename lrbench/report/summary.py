"""The words and numbers that a results folder is summed up in."""

from pathlib import Path
from typing import Any

import pandas as pd

from lrbench.report.frame import best_trials, latency_ratios, load_table

COLUMNS = ("scheme", "layer set", "rank rule", "#seed", "#params", "#MACs", "#MAC ratio", "#latency", "#accuracy")


def summarise(folder: Path) -> tuple[tuple[tuple[str, ...], ...], str, pd.DataFrame]:
    """The Pareto front over MACs as rows of `COLUMNS`, the setting of its latencies, and the failed trials.

    Raises: InputError when the folder holds no readable tables.
    """
    trials = load_table(folder, "trials")
    ratios = latency_ratios(load_table(folder, "latency"))
    rows = tuple(_row(trial) for trial in best_trials(trials, ratios).to_dict("records"))
    return rows, _setting(ratios), trials[trials["state"] == "failed"]


def _setting(ratios: pd.DataFrame) -> str:
    if ratios.empty:
        return "not timed"
    first = ratios.iloc[0]
    return f"{first['device']}, batch {first['batch_size']}, threads {first['threads']}, {first['memory_format']}"


def _row(trial: dict[Any, Any]) -> tuple[str, ...]:
    timed = not pd.isna(trial["ratio"])
    ratio = f"{trial['ratio']:.3f} ({trial['ratio_low']:.3f}-{trial['ratio_high']:.3f})" if timed else ""
    return (
        str(trial["scheme"]),
        str(trial["layer_set"]),
        str(trial["rank_rule"]),
        str(trial["seed"]),
        f"{trial['params']:,}",
        f"{trial['macs']:,}",
        f"{trial['mac_ratio']:.3f}",
        ratio,
        f"{trial['accuracy_finetuned']:.2%}",
    )
