"""Read a results folder's tables, and compute from raw rows what figures and summaries show."""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import binomtest, bootstrap

from lrbench.errors import InputError
from lrbench.records import SCHEMA
from lrbench.tables import COLUMNS

SETTING = ["environment", "model", "image_size", "device", "batch_size", "threads", "memory_format"]
"""What two latencies must share to be compared."""


def load_table(folder: Path, name: str) -> pd.DataFrame:
    """One table of a results folder, checked.

    Raises: InputError when the file is missing, is no table, lacks a column or is of another schema version.
    """
    path = folder / f"{name}.csv"
    if not path.is_file():
        raise InputError(
            f"{folder} is no results folder: it has no {name}.csv; lrbench sweep SPEC --out {folder} makes one"
        )
    try:
        frame = pd.read_csv(path, keep_default_na=False, na_values=[""], dtype=_texts(name))
    except (ValueError, OSError) as error:
        raise InputError(f"{path} cannot be read as a table: {error}") from error
    missing = [column for column in ("schema", *COLUMNS[name]) if column not in frame.columns]
    if missing:
        raise InputError(f"{path} lacks the columns {', '.join(missing)}")
    versions = sorted(set(frame["schema"]) - {SCHEMA})
    if versions:
        raise InputError(f"{path} has schema {versions[0]}, this lrbench reads {SCHEMA}")
    return frame


def _texts(name: str) -> dict[str, type[str]]:
    """Columns that are text even when every cell looks like a number."""
    texts = {"trial", "baseline", "architecture", "environment", "commit", "reason", "layer_set", "layer", "scheme"}
    return {column: str for column in COLUMNS[name] if column in texts}


def done_trials(trials: pd.DataFrame) -> pd.DataFrame:
    """The trials that finished, with MAC and param ratios to their dense model.

    `method` names scheme and truncation: `channel`, `channel output`. `accuracy_low` and `accuracy_high` are the 95 %
    Wilson interval of the finetuned accuracy: what another test set of this size could have said (Wilson 1927).
    """
    whole = ["params", "macs", "dense_params", "dense_macs"]  # floats as long as a failed row leaves them empty
    done = trials[trials["state"] == "done"].astype(dict.fromkeys(whole, "int64"))
    answers = zip(done["correct_finetuned"], done["samples"], strict=True)
    spans = [binomtest(int(right), int(count)).proportion_ci(method="wilson") for right, count in answers]
    plain = done["truncation"] == "plain"
    return done.assign(
        method=done["scheme"].where(plain, done["scheme"] + " " + done["truncation"]),
        mac_ratio=done["macs"] / done["dense_macs"],
        param_ratio=done["params"] / done["dense_params"],
        accuracy_low=[span.low for span in spans],
        accuracy_high=[span.high for span in spans],
    )


def latency_ratios(latency: pd.DataFrame, *, confidence: float = 0.95, resamples: int = 999) -> pd.DataFrame:
    """Latency ratios to the dense model, by architecture and setting.

    The ratio is exp of the median over rounds of log(latency / dense latency), each pair taken in one round: that is
    what holds still on a noisy machine. Its interval is a percentile bootstrap over rounds with a fixed seed.

    Args:
        latency: rows of `latency.csv`.
        confidence: of the interval, 0..1.
        resamples: of the bootstrap.

    Returns: one row an architecture and setting: `ratio`, `ratio_low`, `ratio_high`, median `latency_s` and
        `dense_latency_s`, `rounds`; the architecture of the dense model shows the A/A control.
    """
    keys = [*SETTING, "architecture"]
    rows = []
    for key, group in latency.groupby(keys, sort=False):
        logs = np.log((group["latency_s"] / group["dense_latency_s"]).to_numpy())
        interval = _median_interval(logs, confidence=confidence, resamples=resamples)
        rows.append(
            {
                **dict(zip(keys, key, strict=True)),
                "control": bool(group["control"].any()),
                "ratio": float(np.exp(np.median(logs))),
                "ratio_low": interval[0],
                "ratio_high": interval[1],
                "latency_s": float(group["latency_s"].median()),
                "dense_latency_s": float(group["dense_latency_s"].median()),
                "rounds": len(group),
            }
        )
    columns = [*keys, "control", "ratio", "ratio_low", "ratio_high", "latency_s", "dense_latency_s", "rounds"]
    return pd.DataFrame(rows, columns=columns)


def _median_interval(logs: np.ndarray, *, confidence: float, resamples: int) -> tuple[float, float]:
    """Interval of exp(median); both ends are the median itself when there is nothing to resample."""
    if len(logs) < 2 or np.ptp(logs) == 0:
        return float(np.exp(np.median(logs))), float(np.exp(np.median(logs)))
    found = bootstrap(
        (logs,), np.median, confidence_level=confidence, n_resamples=resamples, method="percentile", rng=0
    ).confidence_interval
    return float(np.exp(found.low)), float(np.exp(found.high))


def with_latency(trials: pd.DataFrame, ratios: pd.DataFrame) -> pd.DataFrame:
    """Finished trials beside the latency of their architecture: a row for each trial and setting."""
    return trials.merge(ratios, on=["architecture", "model", "image_size"], suffixes=("_trial", ""))


def pareto(frame: pd.DataFrame, *, cost: str, value: str) -> pd.DataFrame:
    """The undominated rows, cheapest first: no other row costs at most as much and is worth at least as much.

    Of rows equal in both, all are kept.
    """
    ordered = frame.sort_values([cost, value], ascending=[True, False], kind="stable")
    best_cheaper = ordered.groupby(cost)[value].max().astype(float).cummax().shift(fill_value=-np.inf)
    best_equal = ordered.groupby(cost)[value].transform("max")
    keep = (ordered[value] == best_equal) & (ordered[value] > ordered[cost].map(best_cheaper))
    return ordered[keep]
