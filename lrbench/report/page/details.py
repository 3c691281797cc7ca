"""What the page holds of each trial, behind a click: raw rows of the tables, by columns."""

from typing import Any

import pandas as pd

from lrbench.lowrank.cuts import truncation_alone
from lrbench.report.frames.latency import INTERVAL, describe
from lrbench.report.frames.rows import rows_of
from lrbench.report.frames.trials import name_methods
from lrbench.report.page.findings import name_trial
from lrbench.report.page.overlay import Overlay
from lrbench.report.page.packing import listed, packed
from lrbench.report.page.sections import Table

LAYERS = (
    *(
        "layer",
        "kind",
        "scheme",
        "truncation",
        "rank",
        "max_rank",
        "breakeven_rank_macs",
        "params",
        "macs",
        "dense_macs",
    ),
    *("weight_error", "energy", "numerical_rank", "reason"),
)
EPOCHS = ("stage", "epoch", "loss", "accuracy", "learning_rate", "seconds")
TIMINGS = ("environment", "setting", *INTERVAL, "latency_s", "fit")
PROBES = ("layer", "method", "rank", "output_error", "accuracy_loss")


def trial_data(overlay: Overlay) -> dict[str, Any]:
    """What the page shows of single trials: columns in the order of the trials, and where each one's rows begin."""
    done = overlay.done
    columns = [name for name in overlay.trials.columns if name not in ("schema", "state", "reason")]
    return {
        "titles": [name_trial(trial) for trial in rows_of(done, ["method", "layer_set", "rank_rule", "seed"])],
        "trials": packed(done[columns]),
        "layers": _by_trial(overlay.layers, LAYERS, done, key="trial"),
        "epochs": _by_trial(overlay.epochs, EPOCHS, done, key="trial"),
        "timings": _by_trial(_named(overlay.ratios), TIMINGS, done, key="architecture"),
        "alone": {name: truncation_alone(name) for name in overlay.layers["truncation"].dropna().unique()},
        "probes": packed(_probes(overlay.sensitivity)[list(PROBES)]),
    }


def _by_trial(frame: pd.DataFrame, columns: tuple[str, ...], done: pd.DataFrame, *, key: str) -> dict[str, Any]:
    """The rows of each trial, one after another, and where each trial's begin and the last one's end."""
    known = [name for name in columns if name in frame]
    mine = done[["folder", key, "number"]].merge(frame[["folder", key, *known]], on=["folder", key])
    ordered = mine.sort_values("number", kind="stable")
    starts = ordered["number"].searchsorted(range(len(done) + 1))
    return {"columns": packed(ordered[known]), "starts": [int(start) for start in starts]}


def _named(ratios: pd.DataFrame) -> pd.DataFrame:
    """Timings with their setting in words, and whether they can be trusted in a word."""
    return ratios.assign(
        setting=[describe(row.items()) for row in rows_of(ratios)],
        fit=["fit" if fit else "unfit" for fit in ratios["fit"]],
    )


def _probes(sensitivity: pd.DataFrame) -> pd.DataFrame:
    """What cutting one layer alone loses, of the first baseline of the first folder that has such."""
    first = sensitivity[["folder", "baseline"]].iloc[:1]
    mine = sensitivity.merge(first, on=["folder", "baseline"])
    lost = mine["dense_accuracy"].astype(float) - mine["accuracy"].astype(float)
    return mine.assign(method=name_methods(mine), accuracy_loss=lost)


def packed_table(table: Table) -> dict[str, Any]:
    """A table by columns: the texts that people read, and the raw values that it is sorted by."""
    columns = []
    for i, head in enumerate(table.heads):
        cells = [row[i] for row in table.rows]
        number = any(cell.is_number for cell in cells)
        text = packed(pd.DataFrame({"text": [cell.text for cell in cells]}, dtype=object))["text"]
        values = {"values": listed([cell.value if cell.is_number else None for cell in cells])} if number else {}
        columns.append({"head": head, **text, **values})
    return {"columns": columns, "numbers": list(table.numbers)}
