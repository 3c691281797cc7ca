"""Reading results/, specs and the folder's advice, each once, and the few things that are asked of them."""

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import gmean, norm

from lrbench.library import results as library
from lrbench.report.frames.rivals import Row

ROOT = Path(__file__).parents[2]
EPYC, XEON = "4a159830c1e6", "48a4e5f8d1c2"
"""The two machines of results/imagenette."""

USUAL, DISTILLED = "train", "re-estimated distill=0.5"
"""Its two recipes of finetuning."""


@cache
def table(name: str) -> pd.DataFrame:
    """A table in results/: `seed/trials.csv`."""
    return pd.read_csv(ROOT / "results" / name, low_memory=False)


@cache
def spec(name: str) -> dict[str, Any]:
    """A TOML file of the repository."""
    return tomllib.loads((ROOT / name).read_text(encoding="utf-8"))


@cache
def read(study: str) -> library.Results:
    """A study as the library reads it."""
    return library.read(ROOT / "results" / study)


def where(frame: pd.DataFrame, **columns: object) -> pd.DataFrame:
    """The rows with these values.

    Raises: LookupError when there are none, so that no claim rests on nothing.
    """
    for column, value in columns.items():
        frame = frame[frame[column] == value]
    if frame.empty:
        raise LookupError(f"no row has {columns}")
    return frame


def mean(frame: pd.DataFrame, column: str, **columns: object) -> float:
    """The mean of a column over the rows with these values."""
    return float(where(frame, **columns)[column].mean())


def percent(frame: pd.DataFrame, column: str, **columns: object) -> float:
    """That mean of a share, in percent."""
    return 100 * mean(frame, column, **columns)


@cache
def trials(study: str = "imagenette") -> pd.DataFrame:
    """The trials of a study with their `mac_ratio` and `param_ratio`."""
    frame = table(f"{study}/trials.csv")
    return frame.assign(
        mac_ratio=frame["macs"] / frame["dense_macs"], param_ratio=frame["params"] / frame["dense_params"]
    )


def point(layer_set: str, rank_rule: str, scheme: str = "channel", truncation: str = "plain") -> pd.DataFrame:
    """The trials of a point of results/imagenette, usual finetuning, first seed."""
    where_from = {"recipe": USUAL, "seed": 0, "scheme": scheme, "truncation": truncation}
    return where(trials(), layer_set=layer_set, rank_rule=rank_rule, **where_from)


def timing(
    trial: pd.DataFrame | str, environment: str = EPYC, *, batch_size: int = 1, study: str = "imagenette"
) -> dict[str, float]:
    """How the architecture of a trial was timed: ratio, its interval, seconds."""
    rows = where(trials(study), trial=trial) if isinstance(trial, str) else trial
    ratios = table(f"{study}/figures/latency_ratios.csv")
    found = where(ratios, architecture=rows["architecture"].iloc[0], environment=environment, batch_size=batch_size)
    numbers = found[["ratio", "ratio_low", "ratio_high", "latency_s", "dense_latency_s"]]
    return {str(name): float(value) for name, value in numbers.iloc[0].items()}


def ratios(study: str, *, control: bool = False) -> pd.DataFrame:
    """The latency ratios of factorized models, or of controls, with the `half_width` of their intervals."""
    frame = where(table(f"{study}/figures/latency_ratios.csv"), control=control)
    return frame.assign(half_width=(frame["ratio_high"] - frame["ratio_low"]) / 2 / frame["ratio"])


def either_way(share: float, images: int) -> float:
    """Half a 95 % interval of an accuracy on so many images, in points."""
    return float(100 * norm.ppf(0.975) * np.sqrt(share * (1 - share) / images))


@cache
def advised(max_drop_points: float, study: str = "imagenette") -> Row:
    """What `lrbench recommend` takes for a limit on the drop.

    Raises: AssertionError when nothing is recommended.
    """
    chosen = read(study).recommend(max_drop_points=max_drop_points).advice.choice
    assert chosen.point is not None
    return {**chosen.point, "tied": chosen.tied, "probability": chosen.held[0].probability}


def series_ratios(trial: str, environment: str = EPYC) -> list[float]:
    """The latency ratio of an Imagenette trial, one image, in each series of sessions, the oldest first.

    That of a series is the geometric mean over its layouts, each the median of its rounds.
    """
    architecture = where(trials(), trial=trial)["architecture"].iloc[0]
    rounds = table("imagenette/latency.csv.gz")
    rounds = where(rounds, architecture=architecture, environment=environment, batch_size=1)
    layouts = (
        rounds.assign(ratio=rounds["latency_s"] / rounds["dense_latency_s"])
        .groupby(["series", "process", "layout"])
        .agg(ratio=("ratio", "median"), started=("started", "min"))
    )
    series = layouts.groupby("series").agg(ratio=("ratio", gmean), started=("started", "min"))
    return [float(ratio) for ratio in series.sort_values("started")["ratio"]]
