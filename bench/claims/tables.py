"""Reading results/, specs and what `recommend` takes, each once, and the few things that are asked of them."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import gmean, norm

from lrbench.config.names import ADVICE_CONFIDENCE
from lrbench.report.advice.advice import advise
from lrbench.report.choice.pick import Pick, usual_picks
from lrbench.report.choice.recommend import Recommendation
from lrbench.report.frames.rivals import Row, Where
from lrbench.report.results import Results

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
def frames(study: str) -> Results:
    """A study as reports read it, its latency ratios as they were drawn: to estimate them again takes seconds."""
    results = Results(ROOT / "results" / study)
    if (results.folder / "figures/latency_ratios.csv").exists():
        results.latency_ratios = table(f"{study}/figures/latency_ratios.csv")
    return results


@cache
def picks(study: str) -> tuple[Pick, ...]:
    """What `recommend` takes from a study for a point of accuracy, by recipe and setting."""
    return tuple(usual_picks(frames(study)))


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


@dataclass(frozen=True, kw_only=True)
class Advised:
    """What is recommended: the row `taken`, how sure it and its method are; or the `surest` probability of all."""

    taken: Row
    candidates: int
    tied: int
    probability: float
    retrained: float
    surest: float


def told(choice: Recommendation) -> Advised:
    """The numbers of a recommendation."""
    return Advised(
        taken=choice.point or {},
        candidates=choice.candidates,
        tied=choice.tied,
        probability=choice.held[0].probability if choice.held else nan,
        retrained=choice.held[0].retrained if choice.held else nan,
        surest=choice.surest.probability if choice.surest else nan,
    )


def advised(study: str, limits: Mapping[str, float], *, minimise: str | None = None) -> Advised:
    """What `lrbench recommend` takes for limits, by the names of its constraints."""
    advice = advise(frames(study), limits, confidence=ADVICE_CONFIDENCE, minimise=minimise, where=Where(), among=None)
    return told(advice.choice)


def usually(study: str, *, recipe: str = USUAL, environment: str | None = None, batch_size: int = 1) -> Advised:
    """What it takes for a point of accuracy among the trials of a recipe: by latency on a machine, else by MACs."""
    for pick in picks(study):
        setting = pick.setting or {"environment": None, "batch_size": 1}
        if (pick.rivals["recipe"], setting["environment"], setting["batch_size"]) == (recipe, environment, batch_size):
            return told(pick.found)
    raise LookupError(f"no pick of {study}, {recipe}, {environment}, {batch_size}")


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
