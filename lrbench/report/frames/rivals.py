"""Among which trials may be chosen, by which split, and in which setting their latencies count."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import pandas as pd

from lrbench.config.axes import AXES
from lrbench.errors import InputError
from lrbench.report.frames.latency import describe

RIVALS = [
    *("model", "data", "image_size", "baseline_epochs", "finetune_epochs", "recipe", "recalibrate", "weights_digest")
]
"""What trials must share to be compared."""

SUBJECT = ["model", "data", "image_size"]

WHERE = ["environment", *AXES]
Row = Mapping[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Where:
    """In which setting latencies are to be taken: the word of each axis that is not left open.

    An environment may be cut short; None leaves it open.
    """

    environment: str | None = None
    words: Mapping[str, str | int] = field(default_factory=dict)


KEPT_WORDS: Mapping[str, str] = MappingProxyType(
    {"yes": "", "no": ", batch norm as it was", "best": ", best stage kept"}
)
"""By `recalibrate`, what stands in the name of a training."""


def name_rivals(row: Row) -> str:
    """What rivals share, in words: `resnet18 on digits, 32 px, 12+1 epochs` (of the baseline, of finetuning)."""
    weights = "" if row["weights_digest"] == "none" else f" (weights {row['weights_digest'][:8]})"
    return f"{row['model']}{weights} on {row['data']}, {row['image_size']} px, {name_training(row)}"


def name_training(row: Row) -> str:
    """Epochs of the baseline and of finetuning, and the recipe where it is not the usual one: `12+1 epochs, frozen`."""
    recipe = "" if row["recipe"] == "train" else f", {row['recipe']}"
    return f"{row['baseline_epochs']}+{row['finetune_epochs']} epochs{recipe}{KEPT_WORDS[row['recalibrate']]}"


def name_untouched(trials: pd.DataFrame) -> str:
    """What the dense model of these trials is called as it was before any finetuning."""
    return "the model as given" if (trials["weights"] != "none").any() else "dense before finetuning"


def choose_rivals(done: pd.DataFrame, among: str | None) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The trials that may be compared, and what the others are: one group of rivals.

    Of the model, data and image size of which most was run, the group by whose recipe the dense control is best on the
    search split: what a factorized model loses there, it loses to the best that is to be had. Else the largest group,
    the last of equals.

    Args:
        done: of `done_trials`.
        among: the name of the group that is meant, or a part of it.

    Raises: InputError when no group has a finished factorized trial, or none is named so.
    """
    groups = {
        name_rivals(dict(zip(RIVALS, key, strict=True))): group for key, group in done.groupby(RIVALS, sort=False)
    }
    cut = {name: group for name, group in groups.items() if (group["scheme"] != "dense").any()}
    if not cut:
        raise InputError("there is no finished trial of a factorized model to choose from; lrbench sweep makes them")
    named = [name for name in cut if name == among] or [name for name in cut if among is None or among in name]
    if not named:
        raise InputError(f"no trials are named {among!r}; there are: {'; '.join(cut)}")
    sizes = done.groupby(SUBJECT)["trial"].transform("size")
    judged = split_of(done) == "search"

    def rank(name: str) -> tuple[int, float, int]:
        group = cut[name]
        control = group.loc[group["scheme"] == "dense", "accuracy_search"].mean() if judged else 0.0
        return int(sizes[group.index[0]]), 0.0 if pd.isna(control) else float(control), len(group)

    best = max(reversed(named), key=rank)
    return cut[best], tuple(name for name in named if name != best)


def choose_setting(ratios: pd.DataFrame, where: Where) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The latency ratios of one setting, and the other settings in words: the one in which most was timed.

    Args:
        ratios: of `latency_ratios`, of one model and image size.
        where: what the setting must be.

    Raises: InputError when nothing was timed so; it lists what is there.
    """
    settings = [
        (dict(zip(WHERE, key, strict=True)), group) for key, group in ratios.groupby(WHERE, sort=False, dropna=False)
    ]
    fitting = [(known, group) for known, group in settings if _agrees(known, where)]
    wanted = _wanted(where)
    if wanted and not fitting:
        there = "; ".join(name_setting(known) for known, _ in settings) or "no timings at all"
        raise InputError(f"nothing was timed with {wanted}; there is: {there}")
    if not fitting:
        return ratios, ()
    best = max(fitting, key=lambda pair: (len(pair[1]), pair[1]["rounds"].sum()))
    return best[1], tuple(name_setting(known) for known, _ in fitting if known != best[0])


def _agrees(known: Row, where: Where) -> bool:
    alike = all(AXES[name].word(known[name]) == word for name, word in where.words.items())
    return alike and str(known["environment"]).startswith(where.environment or "")


def _wanted(where: Where) -> str:
    """What a setting must be, in words; "" when it may be any."""
    environment = [f"environment {where.environment}"] if where.environment is not None else []
    return ", ".join([*environment, *(f"{AXES[name].noun} {word}" for name, word in where.words.items())])


def name_setting(setting: Row) -> str:
    """A setting in words, with its environment."""
    return f"{describe(setting.items())} (environment {setting['environment']})"


def split_of(trials: pd.DataFrame) -> str:
    """By which split these trials can be chosen: `search` when each was judged on it, else `test`."""
    return "search" if trials["correct_search"].notna().all() else "test"
