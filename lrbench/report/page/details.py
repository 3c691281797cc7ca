"""What the page holds of each trial, behind a click: raw rows of the tables, and the text of a hover."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from html import escape
from math import isinf
from typing import Any

import pandas as pd

from lrbench.report.frames.latency import INTERVAL, describe
from lrbench.report.frames.rivals import name_training
from lrbench.report.page.findings import name_trial
from lrbench.report.page.overlay import Overlay
from lrbench.report.texts import ACCURACY, with_interval

LAYERS = (
    *("layer", "kind", "scheme", "rank", "max_rank", "breakeven_share", "params", "macs", "weight_error", "energy"),
    *("numerical_rank", "reason"),
)
EPOCHS = ("stage", "epoch", "loss", "accuracy", "learning_rate", "seconds")
TIMINGS = ("environment", "setting", *INTERVAL, "latency_s", "fit")


def trial_data(overlay: Overlay) -> dict[str, Any]:
    """What the page shows of single trials, by their number: raw rows of the tables, and the text of a hover."""
    done = overlay.done
    columns = [name for name in overlay.trials.columns if name not in ("schema", "state", "reason")]
    keys = list(zip(done["folder"], done["trial"], strict=True))
    layers, epochs = _by_trial(overlay.layers, LAYERS), _by_trial(overlay.epochs, EPOCHS)
    ranks = {key: _ranks(rows) for key, rows in layers.items()}
    return {
        "columns": {"trial": columns, "layers": LAYERS, "epochs": EPOCHS, "timings": TIMINGS},
        "titles": [name_trial(trial) for trial in done.to_dict("records")],
        "hovers": [_hover(trial, ranks.get(key, "")) for key, trial in zip(keys, done.to_dict("records"), strict=True)],
        "trials": _cells(done[columns]),
        "layers": [layers.get(key, []) for key in keys],
        "epochs": [epochs.get(key, []) for key in keys],
        "timings": _timings(overlay),
    }


def _cells(frame: pd.DataFrame) -> list[list[Any]]:
    """Rows of plain values, None where there is none."""
    return [[_plain(value) for value in row] for row in frame.astype(object).to_numpy().tolist()]


def _plain(value: Any) -> Any:
    """A value as JSON knows it: None for none, words for infinities."""
    if pd.isna(value):
        return None
    return str(value) if isinstance(value, float) and isinf(value) else value


def _by_trial(frame: pd.DataFrame, columns: Sequence[str]) -> dict[tuple[str, str], list[list[Any]]]:
    rows: dict[tuple[str, str], list[list[Any]]] = {}
    for folder, trial, *row in _cells(frame[["folder", "trial", *columns]]):
        rows.setdefault((folder, trial), []).append(row)
    return rows


def _ranks(layers: Sequence[Sequence[Any]]) -> str:
    """The ranks of the layers cut, a line for each rank: `rank 8: layer1.0.conv1, layer1.0.conv2`."""
    by_rank: dict[int, list[str]] = {}
    for row in layers:
        known = dict(zip(LAYERS, row, strict=True))
        if known["rank"] is not None:
            by_rank.setdefault(int(known["rank"]), []).append(str(known["layer"]))
    lines = []
    for rank, names in sorted(by_rank.items()):
        shown = [", ".join(map(escape, names[i : i + 4])) for i in range(0, len(names), 4)]
        lines.append(f"rank {rank}: " + ",<br>      ".join(shown))
    return "<br>".join(lines)


def _hover(trial: Mapping[Any, Any], ranks: str) -> str:
    values = (trial[name] for name in ("accuracy_kept", "accuracy_low", "accuracy_high"))
    accuracy = with_interval(*values, form=replace(ACCURACY, between=" to "), note="95 %")
    return "<br>".join(
        [
            f"<b>{escape(name_trial(trial))}</b>",
            escape(f"{trial['folder']}: {trial['data']}, {name_training(trial)}"),
            f"accuracy {accuracy}",
            f"MAC ratio {trial['mac_ratio']:.3f}, param ratio {trial['param_ratio']:.3f}",
            ranks or "no layer factorized",
        ]
    )


def _timings(overlay: Overlay) -> list[list[list[Any]]]:
    """For each trial the timings of its architecture in its own folder."""
    rows: dict[tuple[str, str], list[list[Any]]] = {}
    for timing in overlay.ratios.to_dict("records"):
        row = [
            timing["environment"],
            describe(timing.items()),
            *(timing[name] for name in (*INTERVAL, "latency_s", "fit")),
        ]
        rows.setdefault((timing["folder"], timing["architecture"]), []).append(list(map(_plain, row)))
    return [rows.get(key, []) for key in zip(overlay.done["folder"], overlay.done["architecture"], strict=True)]
