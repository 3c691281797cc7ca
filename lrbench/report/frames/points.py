"""The points among which may be chosen: a method, layer set and rank rule over all its seeds, with what it costs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from lrbench.config.axes import AXES
from lrbench.errors import InputError
from lrbench.report.frames.latency import INTERVAL, describe
from lrbench.report.frames.standing import RIVALS, name_rivals
from lrbench.statistics.posterior import Answers, drop_between, share_of, stack_right

POINT = [
    *("scheme", "truncation", "layer_set", "rank_rule", "weights", "calibration_images", "samples", "samples_search"),
    "repeat",
]
"""What the trials of a point share; they differ by seed."""

SUBJECT = ["model", "data", "image_size"]

_STAGE = {"search": "search", "test": "finetuned"}
"""What the accuracy on a split is called in the columns of trials.csv, and as a stage of answers.csv."""

WHERE = ["environment", *AXES]
TIMED = [*INTERVAL, "fit", "log_error", "freedom", "latency_s"]
Row = Mapping[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Where:
    """In which setting latencies are to be taken: the word of each axis that is not left open.

    An environment may be cut short; None leaves it open.
    """

    environment: str | None = None
    words: Mapping[str, str | int] = field(default_factory=dict)


def choose_rivals(done: pd.DataFrame, among: str | None) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The trials that may be compared, and what the others are: one group of rivals.

    Of the model, data and image size of which most was run, the group by whose recipe the dense control is best on the
    search split: what a factorized model loses there, it loses to the best that is to be had. Else the largest group,
    the last of equals.

    Args:
        done: of `done_trials`.
        among: a part of the name of the group that is meant.

    Raises: InputError when no group has a finished factorized trial, or none is named so.
    """
    groups = {
        name_rivals(dict(zip(RIVALS, key, strict=True))): group for key, group in done.groupby(RIVALS, sort=False)
    }
    cut = {name: group for name, group in groups.items() if (group["scheme"] != "dense").any()}
    if not cut:
        raise InputError("there is no finished trial of a factorized model to choose from; lrbench sweep makes them")
    named = [name for name in cut if among is None or among in name]
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


def pool_points(trials: pd.DataFrame, answers: pd.DataFrame, ratios: pd.DataFrame, *, split: str) -> pd.DataFrame:
    """A row for each point, the dense control among them.

    A seed that comes again with all else equal was run by another recipe, and is a point of its own. What a point costs
    is what the trial costs that would be exported, the best of its seeds on `split`; accuracies are means over seeds.

    Args:
        trials: finished ones of one group of rivals.
        answers: rows of `answers.csv`.
        ratios: of `latency_ratios`, of one setting or none.
        split: `search` or `test`, by which may be chosen.

    Returns: `name`, `trial`, `trials`, `seeds`, `architectures` (how many), costs; `accuracy` and `drop` on the split,
        with the `_mean` and `_error` of their posteriors; `test_accuracy` and `test_drop` with 95 % intervals; `TIMED`,
        empty where the exported architecture was not timed.
    """
    seeds = trials.groupby([*POINT[:-1], "seed", "baseline_seed"], dropna=False)
    numbered = trials.assign(repeat=seeds.cumcount())
    controls = numbered[numbered["scheme"] == "dense"].to_dict("records")
    masks = dict(zip(zip(answers["trial"], answers["stage"], strict=True), answers["right"], strict=True))
    timings = ratios.drop_duplicates("architecture").set_index("architecture")[TIMED].to_dict("index")
    rows = []
    for _, group in numbered.groupby(POINT, sort=False, dropna=False):
        members = group.to_dict("records")
        matched = [_control_of(member, controls) for member in members] if controls else []
        rows.append({**_identity(members, split), **_judge(members, matched, masks, split=split)})
    untimed = dict.fromkeys(TIMED)
    return pd.DataFrame([{**row, **timings.get(row["architecture"], untimed)} for row in rows])


def _control_of(trial: Row, controls: Sequence[Row]) -> Row:
    """The dense control of the same seeds, or what comes nearest to it."""
    nearness = ("weights", "samples", "samples_search", "baseline_seed", "seed", "repeat")
    return min(controls, key=lambda control: [control[name] != trial[name] for name in nearness])


def _identity(members: Sequence[Row], split: str) -> dict[str, Any]:
    best = max(members, key=lambda member: member[f"accuracy_{_STAGE[split]}"])
    return {
        "name": name_point(best),
        "dense": best["scheme"] == "dense",
        **{name: best[name] for name in ("trial", "architecture", "params", "macs", "mac_ratio", "param_ratio")},
        "trials": tuple(member["trial"] for member in members),
        "seeds": tuple(int(member["seed"]) for member in members),
        "architectures": len({member["architecture"] for member in members}),
    }


def _judge(members: Sequence[Row], controls: Sequence[Row], masks: Row, *, split: str) -> dict[str, Any]:
    """Accuracies and drops on the split by which may be chosen, and on the test split."""
    mine, test = (_answers(members, masks, split=which) for which in (split, "test"))
    chance, reported = share_of(mine), share_of(test)
    low, high = reported.interval()
    judged = {
        "accuracy": float(mine.accuracies.mean()),
        "accuracy_mean": chance.mean,
        "accuracy_error": chance.error,
        "samples": mine.samples,
        "test_accuracy": float(test.accuracies.mean()),
        "test_low": low,
        "test_high": high,
        "test_samples": test.samples,
    }
    names = ("drop", "drop_mean", "drop_error", "test_drop", "test_drop_low", "test_drop_high")
    if not controls:
        return judged | dict.fromkeys(names, float("nan"))
    before, before_test = (_answers(controls, masks, split=which) for which in (split, "test"))
    drop, test_drop = drop_between(before, mine), drop_between(before_test, test)
    lost, lost_test = (
        float((old.accuracies - new.accuracies).mean()) for old, new in ((before, mine), (before_test, test))
    )
    return judged | dict(zip(names, (lost, drop.mean, drop.error, lost_test, *test_drop.interval()), strict=True))


def _answers(members: Sequence[Row], masks: Row, *, split: str) -> Answers:
    stage, samples = _STAGE[split], int(members[0]["samples_search" if split == "search" else "samples"])
    return Answers(
        correct={i: int(member[f"correct_{stage}"]) for i, member in enumerate(members)},
        samples=samples,
        right=stack_right([masks.get((member["trial"], stage)) for member in members], samples),
    )


def name_point(trial: Row) -> str:
    """A point in words, without its seeds."""
    if trial["scheme"] == "dense":
        return "dense control"
    return f"{trial['method']}, layers {trial['layer_set']}, {trial['rank_rule']}"
