"""How often a recommendation holds: results/choices.

    python bench/study_choices.py results/choices

`choices.csv`: what is chosen on the search split of results/imagenette, and what it loses on the test split.
`calibration.csv`: the probability printed for a choice, beside how often it held. The images of a study, of its search
and its test split, stand for all images; search splits are drawn from them with replacement, the whole command is run
on each, and a choice held if the trial to export keeps its limit on all images.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lrbench.report.choice.constraints import CONSTRAINTS
from lrbench.report.choice.pick import choices_of
from lrbench.report.choice.recommend import recommend
from lrbench.report.frames.drops import with_drops
from lrbench.report.frames.pooling import pool_points, with_timings
from lrbench.report.frames.rivals import Where, choose_setting
from lrbench.report.results import Results

FOLDERS = (Path("results/imagenette"), Path("results/recipes"))
CONFIDENCES = (0.5, 0.6, 0.7, 0.8, 0.9)
LIMITS = np.arange(25) / 400  # 0 to 6 points of accuracy in quarters
COSTS = ("latency", "macs", "params")
SPLITS = {947: 400, 144: 60, 300: 60, 3000: 60}
"""Images of a search split (947 is the studies' own), and how often one is drawn from each study."""

DRAWN_LIMITS = 6
"""How many of `LIMITS` are asked of each split."""

BINS = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


@dataclass(frozen=True, kw_only=True)
class Study:
    """Finished trials with the dense control they are held against, and what they answered on all images."""

    name: str
    trials: pd.DataFrame
    right: NDArray[np.uint8]
    ratios: pd.DataFrame


def ratios_of(results: Results) -> pd.DataFrame:
    """Latency ratios of one image, where most was timed; none where nothing was."""
    ratios = results.latency_ratios
    return choose_setting(ratios, Where(words={"batch_size": 1}))[0] if len(ratios) else ratios


def studies() -> Iterator[Study]:
    """Each recipe of finetuning; and what imagenette's trials were before it, batch norm re-estimated."""
    for folder in FOLDERS:
        results = Results(folder)
        for recipe, trials in results.done.groupby("recipe", sort=False):
            searched, tested, before = (
                np.array([results.right[trial, stage][:images] for trial in trials["trial"]])
                for stage, images in (("search", 947), ("finetuned", 3925), ("recalibrated", 3925))
            )
            both = np.concatenate([searched, tested], axis=1)
            name, ratios = f"{folder.name}, {recipe}", ratios_of(results)
            yield Study(name=name, trials=trials, right=both, ratios=ratios)
            if folder == FOLDERS[0]:
                first = (trials["seed"] == 0).to_numpy()
                yield Study(name=f"{name}, not finetuned", trials=trials[first], right=before[first], ratios=ratios)


def drawn_points(study: Study, right: NDArray[np.uint8]) -> pd.DataFrame:
    """The points of a study whose search split has these answers, (trials, images)."""
    images = right.shape[1]
    trials = study.trials.assign(
        samples=images,
        samples_search=images,
        accuracy_search=right.mean(axis=1),
        loss_search=0.0,  # it was not kept image by image
    )
    stages = product(("search", "finetuned"), zip(trials["trial"], right, strict=True))
    kept = {(trial, stage): row for stage, (trial, row) in stages}
    points = with_drops(pool_points(trials, kept, split="search"), trials, kept, split="search")
    return with_timings(points, study.ratios)


def resampled(study: Study, *, images: int, splits: int, random: np.random.Generator) -> Iterator[dict[str, object]]:
    """Choices on search splits drawn from all images: by a limit, a cost and a confidence drawn too."""
    accuracies = pd.Series(study.right.mean(axis=1), index=study.trials["trial"])
    seeds = study.trials.set_index("trial")["seed"]
    controls = study.trials[study.trials["scheme"] == "dense"].set_index("seed")["trial"].map(accuracies)
    costs = COSTS if len(study.ratios) else COSTS[1:]
    for _ in range(splits):
        points = drawn_points(study, study.right[:, random.integers(study.right.shape[1], size=images)])
        for name, lost in product(("max-drop", "accuracy"), random.choice(LIMITS, DRAWN_LIMITS, replace=False)):
            limit = lost if name == "max-drop" else controls.mean() - lost
            confidence, cost = random.choice(CONFIDENCES), random.choice(costs)
            found = recommend(points, {name: limit}, confidence=confidence, minimise=cost)
            if found.point is None or found.point["dense"]:
                continue
            accuracy = accuracies[found.point["trial"]]
            value = controls[seeds[found.point["trial"]]] - accuracy if name == "max-drop" else accuracy
            yield {
                "study": study.name,
                "constraint": name,
                "images": images,
                "splits": splits,
                "lost": lost,
                "probability": found.held[0].probability,
                "held": bool(CONSTRAINTS[name].holds(pd.Series([value]), limit).all()),
            }


def calibration(chosen: pd.DataFrame) -> pd.DataFrame:
    """Probabilities beside how often they held, for all limits and for the tight ones, of each study and of all."""
    parts = []
    for limits, part in (("all", chosen), ("at most 2 points", chosen[chosen["lost"] <= 0.02])):
        for frame in (part, part.assign(study="all")):
            bins = pd.cut(frame["probability"], BINS, labels=BINS[:-1], include_lowest=True)
            groups = frame.assign(bin=bins).groupby(["constraint", "images", "study", "bin"], observed=True)
            held = groups.agg(
                choices=("held", "size"), probability=("probability", "mean"), held=("held", "mean")
            ).reset_index()
            parts.append(held.assign(limits=limits))
    columns = ["constraint", "images", "limits", "study", "bin", "choices", "probability", "held"]
    return pd.concat(parts)[columns]


def choices() -> Iterator[dict[str, object]]:
    """What is chosen on the search split itself of results/imagenette, for each recipe, cost, confidence and limit."""
    results = Results(FOLDERS[0])
    for recipe, trials in results.done.groupby("recipe", sort=False):
        points = with_timings(choices_of(results, trials).points, ratios_of(results))
        for minimised, confidence, limit in product(COSTS, CONFIDENCES, LIMITS):
            found = recommend(points, {"max-drop": limit}, confidence=confidence, minimise=minimised)
            if found.point is not None and not found.point["dense"]:
                yield {
                    "recipe": recipe,
                    "minimised": minimised,
                    "confidence": confidence,
                    "limit": limit,
                    "trial": found.point["trial"],
                    "cost": found.point[CONSTRAINTS[minimised].column],
                    "drop": found.point["drop"],
                    "test_drop": found.point["test_drop"],
                    "held": found.point["test_drop"] <= limit,
                    "probability": found.held[0].probability,
                }


def main(target: Path) -> None:
    """Write every choice and the calibration, and print what they come to."""
    target.mkdir(parents=True, exist_ok=True)
    chosen = pd.DataFrame(choices())
    chosen.to_csv(target / "choices.csv", index=False)
    held = chosen.groupby("confidence")["held"].agg(["sum", "size", "mean"])
    costs = chosen.pivot_table(index="confidence", columns="minimised", values="cost")
    print(held.join(costs).round(3).to_string())
    random = np.random.default_rng(0)
    drawn: list[dict[str, object]] = []
    for study, (images, splits) in product(studies(), SPLITS.items()):
        drawn += resampled(study, images=images, splits=splits, random=random)
    table = calibration(pd.DataFrame(drawn))
    table.to_csv(target / "calibration.csv", index=False)
    print(table[table["study"] == "all"].round(3).to_string(index=False))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
