"""What has to be said of a recommendation beside it: a function for each, that yields its sentences."""

from collections.abc import Iterator, Sequence

import pandas as pd

from lrbench.config.axes import AXES
from lrbench.report.choice.constraints import ACCURACIES, CONSTRAINTS, Limits
from lrbench.report.choice.pick import Choices
from lrbench.report.choice.recommend import Recommendation
from lrbench.report.choice.told import ties_of
from lrbench.report.frames.rivals import Row, name_setting


def chances(choice: Recommendation, limits: Limits, confidence: float) -> Iterator[str]:
    """How sure the choice is, and why nothing cheaper was taken."""
    yield from retrained(choice)
    yield from unsure(choice, limits, confidence)
    yield from surest(choice)


def retrained(choice: Recommendation) -> Iterator[str]:
    """How sure it is of the method beside its weights."""
    for held in choice.held:
        if CONSTRAINTS[held.name].retrained and choice.point is not None and not choice.point["dense"]:
            yield (
                f"--{held.name} {100 * held.limit:g}: the weights of trial {choice.point['trial']} keep to it with a "
                f"probability of {held.probability:.1%}; the same method trained again would with {held.retrained:.1%}."
            )


def unsure(choice: Recommendation, limits: Limits, confidence: float) -> Iterator[str]:
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


def noise(points: pd.DataFrame) -> Iterator[str]:
    """How far one training lies from another, and from what that is known."""
    name, what = ("drop_luck", "a drop") if points["drop"].notna().any() else ("luck", "an accuracy")
    among = points if name == "luck" else points[~points["dense"].astype(bool)]
    luck, several = points[name].iloc[0], int((among["seeds"].map(len) > 1).sum())
    known = f"{several} points with several seeds" if several else "published studies, since no point has several seeds"
    yield (
        f"Training noise: {100 * luck.variance**0.5:.1f} points (standard deviation of {what} from seed to seed), from "
        f"{known} (t, {luck.freedom:.1f} degrees of freedom)."
    )


def surest(choice: Recommendation) -> Iterator[str]:
    """Which point comes closest, where none is sure enough."""
    if choice.surest:
        yield (
            f"The surest is {choice.surest.point}: it keeps to each limit with {choice.surest.probability:.1%} or more "
            "(--confidence asks for less; more seeds, images of the search split or rounds tell more)."
        )
    elif choice.closest:
        yield f"No point has a chance to keep to all limits; {choice.closest.point['name']} comes closest."


def ties(choice: Recommendation, split: str) -> Iterator[str]:
    """With how many others its accuracy is tied."""
    if choice.point is None or not choice.tied:
        return
    how = "" if choice.objective != "accuracy" else "; of those on the front it has the least loss there"
    yield f"Its accuracy is {ties_of(choice)} of the {split} split (95 %){how}."


def rivalry(others: Sequence[str]) -> Iterator[str]:
    """Which trials were left out, since they were trained otherwise."""
    if others:
        yield (
            f"Not compared, since they were trained otherwise: {'; '.join(others)}. Chosen was among those whose dense "
            "control is best on the search split, or of which there are most (--among chooses)."
        )


def basis(trials: pd.DataFrame, choices: Choices) -> Iterator[str]:
    """By how many images of which split the choice was made, and against what drops are."""
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


def reestimated(trials: pd.DataFrame, choice: Recommendation) -> Iterator[str]:
    """What re-estimated batch norm alone is worth to a given model: what a trial gains over it may be that."""
    controls = trials[(trials["scheme"] == "dense") & (trials["weights"] != "none")]
    before, after = (controls[f"accuracy_{stage}"].astype(float).mean() for stage in ("dense", "recalibrated"))
    if choice.point is not None and not choice.point["dense"] and after > before:
        yield (
            f"Batch norm re-estimated, nothing cut, the dense model has {after:.2%} on the test split, and as given "
            f"{before:.2%}: a gain over the model as given may be no more than that."
        )


def untrue(choice: Recommendation) -> Iterator[str]:
    """What held on the split that was chosen by, and does not on the test split."""
    tests = {"max-drop": "test_drop", "accuracy": "test_accuracy"}
    for held in choice.held:
        if choice.point is None or held.name not in tests:
            continue
        value = choice.point[tests[held.name]]
        if not CONSTRAINTS[held.name].holds(pd.Series([value]), held.limit).all():
            yield f"On the test split --{held.name} {100 * held.limit:g} does not hold: it is {100 * value:.2f} there."


def timing(points: pd.DataFrame, choice: Recommendation, limited: bool) -> Iterator[str]:
    """What is slower than dense, untimed or unfit."""
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


def where(setting: Row | None, others: Sequence[str], environments: pd.DataFrame) -> Iterator[str]:
    """On which machine and in which setting latencies were taken."""
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


def seeds(choice: Recommendation, points: pd.DataFrame) -> Iterator[str]:
    """What several seeds mean for the rows that are shown."""
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
