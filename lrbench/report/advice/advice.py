"""A recommendation for a results folder, read from its tables, with what has to be said of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from lrbench.config.axes import AXES
from lrbench.report.advice.seen import seen_before
from lrbench.report.choice.constraints import ACCURACIES, CONSTRAINTS, Limits
from lrbench.report.choice.pick import Choices, choices_of
from lrbench.report.choice.recommend import Recommendation, recommend
from lrbench.report.choice.told import export_command, ties_of
from lrbench.report.frames.pooling import with_timings
from lrbench.report.frames.rivals import (
    WHERE,
    Row,
    Where,
    choose_rivals,
    choose_setting,
    name_rivals,
    name_setting,
)
from lrbench.report.results import Results

LAYER = ("layer", "kind", "scheme", "rank", "max_rank", "params", "dense_params", "macs", "dense_macs", "reason")


@dataclass(frozen=True, kw_only=True)
class Advice:
    """A recommendation with all that is told beside it.

    Attributes:
        choice: the recommendation.
        confidence: least probability with which each limit must hold.
        rivals: among which trials was chosen.
        split: by which was chosen, `search` or `test`.
        reference: against what drops are measured.
        setting: in which latencies were taken; None when nothing was timed.
        dense: the dense control, if it finished.
        layers: of the recommended trial, rows of `layers.csv`.
        warnings: what is wrong with it, in sentences.
        notes: what else has to be said of it.
        command: what exports it; empty when that cannot be done.
    """

    choice: Recommendation
    confidence: float
    rivals: str
    split: str
    reference: str
    setting: Row | None
    dense: Row | None
    layers: tuple[Row, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    command: str


def advise(
    results: Results, limits: Limits, *, confidence: float, minimise: str | None, where: Where, among: str | None
) -> Advice:
    """Recommend a point of a results folder.

    Args:
        results: the folder.
        limits: by the names of `CONSTRAINTS`, in the units of their columns.
        confidence: least probability with which each must hold.
        minimise: a cost, or None for what the limits suggest.
        where: in which setting latencies are to be taken.
        among: a part of the name of the rivals to choose among.

    Raises: InputError when the folder, the limits or the setting give nothing to choose from.
    """
    trials, other_rivals = choose_rivals(results.done, among)
    first = trials.iloc[0]
    timed = results.latency_ratios
    mine = timed[(timed["model"] == first["model"]) & (timed["image_size"] == first["image_size"])]
    ratios, other_settings = choose_setting(mine, where)
    choices = choices_of(results, trials)
    points = with_timings(choices.points, ratios)
    choice = recommend(points, limits, confidence=confidence, minimise=minimise)
    setting = None if ratios.empty else ratios.iloc[0][WHERE].to_dict()
    trial = None if choice.point is None else choice.point["trial"]
    layers = results.layers
    notes = [
        *_retrained(choice),
        *_unsure(choice, limits, confidence),
        *_surest(choice),
        *_ties(choice, choices.split),
        *_rivalry(other_rivals),
        *_choice(trials, choices),
        *seen_before(results.folder, trials, choices.split),
        *_timing(points, choice, "latency" in limits),
        *_where(setting, other_settings, results.environments),
        *_noise(points),
        *_seeds(choice, points),
    ]
    return Advice(
        choice=choice,
        confidence=confidence,
        rivals=name_rivals(first.to_dict()),
        split=choices.split,
        reference=choices.reference.words,
        setting=setting,
        dense=next(iter(points[points["dense"].astype(bool)].to_dict("records")), None),
        layers=tuple(layers.loc[layers["trial"] == trial, list(LAYER)].to_dict("records")),
        warnings=tuple(_untrue(choice)),
        notes=tuple(notes),
        command="" if trial is None else export_command(str(results.folder), trial, str(first["model"])),
    )


def _retrained(choice: Recommendation) -> Iterator[str]:
    """How sure it is of the method beside its weights."""
    for held in choice.held:
        if CONSTRAINTS[held.name].retrained and choice.point is not None and not choice.point["dense"]:
            yield (
                f"--{held.name} {100 * held.limit:g}: the weights of trial {choice.point['trial']} keep to it with a "
                f"probability of {held.probability:.1%}; the same method trained again would with {held.retrained:.1%}."
            )


def _unsure(choice: Recommendation, limits: Limits, confidence: float) -> Iterator[str]:
    """Why the next cheaper point was not taken, where it is too unsure."""
    for name, limit in limits.items():
        if choice.cheaper is None or choice.objective == "accuracy" or name not in ACCURACIES:
            continue
        chance = CONSTRAINTS[name].probability(choice.cheaper, limit)
        if chance < confidence:
            yield (
                f"The next cheaper point was not taken, for it keeps to --{name} {100 * limit:g} with a probability of "
                f"{chance:.1%} only, whatever it had on the {int(choice.cheaper['samples']):,} images that chose."
            )


def _noise(points: pd.DataFrame) -> Iterator[str]:
    """How far one training lies from another, and from what that is known."""
    name, what = ("drop_luck", "a drop") if points["drop"].notna().any() else ("luck", "an accuracy")
    among = points if name == "luck" else points[~points["dense"].astype(bool)]
    luck, several = points[name].iloc[0], int((among["seeds"].map(len) > 1).sum())
    known = f"{several} points with several seeds" if several else "published studies, since no point has several seeds"
    yield (
        f"Training noise: {100 * luck.variance**0.5:.1f} points (standard deviation of {what} from seed to seed), from "
        f"{known} (t, {luck.freedom:.1f} degrees of freedom)."
    )


def _surest(choice: Recommendation) -> Iterator[str]:
    if choice.surest:
        yield (
            f"The surest is {choice.surest.point}: it keeps to each limit with {choice.surest.probability:.1%} or more "
            "(--confidence asks for less; more seeds, images of the search split or rounds tell more)."
        )


def _ties(choice: Recommendation, split: str) -> Iterator[str]:
    if choice.point is None or not choice.tied:
        return
    how = "" if choice.objective != "accuracy" else "; of those on the front it has the least loss there"
    yield f"Its accuracy is {ties_of(choice)} of the {split} split (95 %){how}."


def _rivalry(others: Sequence[str]) -> Iterator[str]:
    if others:
        yield (
            f"Not compared, since they were trained otherwise: {'; '.join(others)}. Chosen was among those whose dense "
            "control is best on the search split, or of which there are most (--among chooses)."
        )


def _choice(trials: pd.DataFrame, choices: Choices) -> Iterator[str]:
    if choices.split == "test":
        blind = int(trials["correct_search"].isna().sum())
        yield (
            f"The choice was made on the TEST split, and its accuracies are biased by it: {blind} of {len(trials)} "
            "trials were not judged on a search split (an older lrbench, or data.search_share = 0)."
        )
    else:
        images = int(trials["samples_search"].iloc[0])
        yield f"The search split has {images:,} images (data.search_share): one of them is {100 / images:.2f} points."
    if not trials["finetune_epochs"].iloc[0]:
        yield f"Nothing was finetuned: drops are against {choices.reference.words}."


def _untrue(choice: Recommendation) -> Iterator[str]:
    """What held on the split that was chosen by, and does not on the test split."""
    tests = {"max-drop": "test_drop", "accuracy": "test_accuracy"}
    for held in choice.held:
        if choice.point is None or held.name not in tests:
            continue
        value = choice.point[tests[held.name]]
        if not CONSTRAINTS[held.name].holds(pd.Series([value]), held.limit).all():
            yield f"On the test split --{held.name} {100 * held.limit:g} does not hold: it is {100 * value:.2f} there."


def _timing(points: pd.DataFrame, choice: Recommendation, limited: bool) -> Iterator[str]:
    cut = points[~points["dense"].astype(bool)]
    least = cut["ratio"].min()
    if least >= 1:
        yield f"Nothing here is faster than dense: the least latency ratio is {least:.3f}."
    untimed = int(cut["ratio"].isna().sum())
    if untimed and (limited or choice.cost == "latency"):
        yield f"{untimed} of {len(cut)} points were not timed in this setting, and left out where latency counts."
    shown = {"recommended": choice.point, "next cheaper": choice.cheaper, "next more expensive": choice.dearer}
    if choice.point is None and limited:
        shown = {str(point["name"]): point for point in cut.to_dict("records")}
    unfit = [name for name, point in shown.items() if point and not pd.isna(point["fit"]) and not point["fit"]]
    if unfit:
        yield (
            f"UNFIT timings ({'; '.join(unfit)}): beside them the dense model did not take the time of its own copy; "
            "trust their latencies only after timing again."
        )


def _where(setting: Row | None, others: Sequence[str], environments: pd.DataFrame) -> Iterator[str]:
    if setting is None:
        yield "Nothing was timed: latency was not looked at."
        return
    machine = environments[environments["environment"] == setting["environment"]].to_dict("records")
    words = ", ".join(f"{row['processor']}, {row['cpus']} CPUs, torch {row['torch']}" for row in machine[:1])
    yield (
        f"Latencies are of {name_setting(setting)}{f': {words}' if words else ''}. On another machine or in another "
        "setting they are others; lrbench time adds those of this machine."
    )
    if others:
        options = ", ".join(axis.option for axis in AXES.values())
        yield f"Also timed: {'; '.join(others)} (--environment, {options} choose)."


def _seeds(choice: Recommendation, points: pd.DataFrame) -> Iterator[str]:
    point = choice.point
    if point is None:
        return
    controls = points.loc[points["dense"].astype(bool), "trials"].iloc[:1]
    if len(controls) and len(controls.iloc[0]) > 1:
        yield (
            "Drops are against the dense control of the same seeds, while its row is the mean over all of its seeds: "
            "they need not be the difference of two rows."
        )
    if point["architectures"] > 1:
        yield f"Its seeds have {point['architectures']} architectures; costs are those of trial {point['trial']}."
