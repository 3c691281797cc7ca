"""What cells of a table may hold, so that a table edited by hand or made by a stranger is refused where it is wrong."""

from pathlib import Path

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from lrbench.errors import InputError
from lrbench.results.tables import COLUMNS

FLAGS = frozenset(["control", "folded", "reused_weights", "deterministic", "mkldnn"])
"""Columns of True and False."""

TEXTS = frozenset(
    [
        *("trial", "state", "reason", "model", "weights", "data", "scheme", "truncation", "layer_set", "rank_rule"),
        *("baseline", "architecture", "uncounted_ops", "environment", "commit", "started", "failure", "layer", "kind"),
        *("stage", "layers", "shape", "backend", "dense_backend", "series", "ended", "throttling"),
        *("device", "memory_format", "dtype", "runtime"),
        *("machine", "processor", "cpu_capability", "gpu", "system", "python", "torch", "torchvision", "fvcore"),
        *("cuda", "blas", "isa", "governor", "cgroup_cpus", "cgroup_memory_bytes", "onednn", "openmp", "gpu_driver"),
        *("variables", "right", "recipe"),
    ]
)
"""Columns that are text even when every cell looks like a number. All others hold numbers, below 0 only in `SIGNED`."""

SHARES = frozenset(
    [
        *("accuracy", "accuracy_dense", "accuracy_truncated", "accuracy_recalibrated", "accuracy_finetuned"),
        *("accuracy_search", "dense_accuracy"),
    ]
)
SIGNED = frozenset(["predicted_damage", "divergence"])
"""Columns of numbers that may lie below 0, the second by rounding alone."""
POSITIVE = frozenset(["latency_s", "ratio", "dense_latency_s", "dense_params", "dense_macs", "samples", "batch_size"])
LARGEST = 2.0**62

FILLED = {
    "trials": (
        "trial",
        "state",
        "model",
        "data",
        "image_size",
        "scheme",
        "truncation",
        "layer_set",
        "rank_rule",
        "recipe",
    ),
    "layers": ("trial", "layer"),
    "spectra": ("baseline", "scheme", "layer", "index", "singular_value"),
    "architectures": ("architecture", "model", "image_size", "scheme", "params", "macs", "dense_params", "dense_macs"),
    "latency": (
        "architecture",
        "latency_s",
        "dense_latency_s",
        "control",
        "session",
        "layout",
        "batch_size",
        "threads",
    ),
    "layer_latency": ("shape", "layers", "ratio", "dense_latency_s", "control", "session", "layout", "macs"),
    "answers": ("trial", "stage", "right"),
    "sensitivity": ("baseline", "layer", "scheme", "truncation", "rank", "macs", "dense_macs"),
}
"""By table, columns without an empty cell."""

FILLED_WHEN_DONE = (
    *("params", "macs", "dense_params", "dense_macs", "samples", "correct_finetuned", "baseline_epochs"),
    *("finetune_epochs", "accuracy_dense", "accuracy_truncated", "accuracy_finetuned", "architecture"),
)
"""Columns of a finished trial without an empty cell."""


def text_columns(name: str) -> dict[str, type[str]]:
    """The columns of a table that are to be read as text, as pandas wants them named."""
    return {column: str for column in COLUMNS[name] if column in TEXTS}


def checked(frame: pd.DataFrame, name: str, *, path: Path) -> pd.DataFrame:
    """The table itself, when every cell is what its column holds.

    Raises: InputError naming file, line, column and what is allowed.
    """
    for column in COLUMNS[name]:
        cells = frame[column]
        if column in FLAGS:
            _refuse(frame, ~cells.isin([True, False]) & cells.notna(), column, "True or False", path=path)
        elif column not in TEXTS:
            _check_number(frame, column, path=path)
    for column in FILLED.get(name, ()):
        _refuse(frame, frame[column].isna(), column, "not empty", path=path)
    if name == "trials":
        _check_trials(frame, path=path)
    if name == "answers":
        _refuse(
            frame, ~frame["right"].str.fullmatch("([0-9a-f]{2})*"), "right", "whole bytes in hexadecimal", path=path
        )
    if name == "architectures":
        layers = frame["layers"].fillna("").str.fullmatch(r"(\S+:\w+:\d+( |$))*")
        _refuse(frame, ~layers.astype(bool), "layers", "LAYER:SCHEME:RANK, separated by single spaces", path=path)
    return frame


def _check_number(frame: pd.DataFrame, column: str, *, path: Path) -> None:
    cells = frame[column]
    if is_bool_dtype(cells) or not is_numeric_dtype(cells):
        numbers = pd.to_numeric(cells.astype(str), errors="coerce")
        _refuse(frame, numbers.isna() & cells.notna(), column, "a number", path=path)
        _refuse(frame, cells.notna(), column, f"a number below {LARGEST:.0g}", path=path)
    _refuse(frame, cells.notna() & ~np.isfinite(cells.astype(float)), column, "a finite number", path=path)
    highest = 1.0 if column in SHARES else LARGEST
    lowest = -LARGEST if column in SIGNED else 0.0
    _refuse(frame, (cells < lowest) | (cells > highest), column, f"in {lowest:.0g}..{highest:.0g}", path=path)
    if column in POSITIVE:
        _refuse(frame, cells <= 0, column, "above 0", path=path)


def _check_trials(frame: pd.DataFrame, *, path: Path) -> None:
    _refuse(frame, ~frame["state"].isin(["done", "failed"]), "state", "done or failed", path=path)
    done = frame["state"] == "done"
    for column in FILLED_WHEN_DONE:
        _refuse(frame, done & frame[column].isna(), column, "not empty, since the trial is done", path=path)
    for correct, samples in (("correct_finetuned", "samples"), ("correct_search", "samples_search")):
        _refuse(frame, done & (frame[correct] > frame[samples]), correct, f"at most {samples}", path=path)
    half = done & frame["correct_search"].notna() & frame["samples_search"].isna()
    _refuse(frame, half, "samples_search", "not empty beside correct_search", path=path)


def _refuse(frame: pd.DataFrame, wrong: "pd.Series[bool]", column: str, allowed: str, *, path: Path) -> None:
    """Raises: InputError for the first row that is wrong; line 1 holds the names of the columns."""
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise InputError(
            f"{path}, line {row + 2}: {column} must be {allowed}, got {frame[column].iloc[row]!r}. The tables are "
            "views of records.jsonl: the sweep's own command writes them anew"
        )
