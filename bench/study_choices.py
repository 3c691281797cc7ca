"""How often a recommendation holds: results/choices.

    python bench/study_choices.py results/choices [FOLDER ...]

`choices.csv`: what is chosen on the search split of results/imagenette, and what it loses on the test split.
`calibration.csv`: the probability printed for a choice, beside how often it held. The images of a study, of its search
and its test split, stand for all images; search splits are drawn from them with replacement, the choice of `lrbench
recommend` is made on each, and it held if the trial to export keeps its limit on all images. Each FOLDER is a study
more, of which the prior in `lrbench/statistics/shrinkage.py` knows nothing; its answers must have been kept.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lrbench.report.choice.choose import cheapest, eligible_of, front_of
from lrbench.report.choice.constraints import CONSTRAINTS
from lrbench.report.choice.pick import choices_of
from lrbench.report.choice.recommend import recommend
from lrbench.report.frames.drops import with_drops
from lrbench.report.frames.pooling import POINT, pool_points, with_timings
from lrbench.report.frames.rivals import Where, choose_setting
from lrbench.report.results import Results

LEARNED, OTHERS = (Path("results/imagenette"),), (Path("results/recipes"),)
"""Studies from which the prior was taken, and others."""

CONFIDENCES = (0.5, 0.6, 0.7, 0.8, 0.9)
LIMITS = np.arange(25) / 400  # 0 to 6 points of accuracy in quarters
COSTS = ("latency", "macs", "params")
SPLITS = {947: 400, 144: 40, 300: 40, 3000: 40}
"""Images of a search split (947 is that of results/imagenette), and how often one is drawn from each study."""

DRAWN_LIMITS = 6
"""How many of `LIMITS` are asked of each split."""

BINS = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
KEPT = [
    *(*POINT[:-1], "seed", "baseline_seed", "trial", "method", "architecture"),
    *("params", "macs", "mac_ratio", "param_ratio", "finetune_epochs"),
]
"""Columns of a trial that a choice looks at."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """Finished trials with the dense control they are held against, and what they answered on all images."""

    name: str
    trials: pd.DataFrame
    right: NDArray[np.uint8]
    ratios: pd.DataFrame
    known: bool


def ratios_of(results: Results) -> pd.DataFrame:
    """Latency ratios of one image, where most was timed; none where nothing was."""
    ratios = results.latency_ratios
    return choose_setting(ratios, Where(words={"batch_size": 1}))[0] if len(ratios) else ratios


def studies(more: Sequence[Path] = ()) -> Iterator[Study]:
    """Each recipe of finetuning; and what imagenette's trials were before it, batch norm re-estimated."""
    for folder in (*LEARNED, *OTHERS, *more):
        results, known = Results(folder), folder in LEARNED
        for recipe, trials in results.done.groupby("recipe", sort=False):
            first = trials.iloc[0]
            tested, searched = int(first["samples"]), int(first["samples_search"])
            stages = {"search": searched, "finetuned": tested, "recalibrated": tested if known else 0}
            search, test, before = (
                np.array([results.right[trial, stage][:images] for trial in trials["trial"]]) if images else None
                for stage, images in stages.items()
            )
            name, ratios = f"{folder.name}, {recipe}", ratios_of(results)
            both = np.concatenate([search, test], axis=1)
            yield Study(name=name, trials=trials[KEPT], right=both, ratios=ratios, known=known)
            if before is not None:
                one = (trials["seed"] == 0).to_numpy()
                name = f"{name}, not finetuned"
                yield Study(name=name, trials=trials[KEPT][one], right=before[one], ratios=ratios, known=known)


def drawn_points(study: Study, right: NDArray[np.uint8]) -> pd.DataFrame:
    """The points of a study whose search split has these answers, (trials, images)."""
    trials = study.trials.assign(
        samples=right.shape[1],
        samples_search=right.shape[1],
        accuracy_search=right.mean(axis=1),
        loss_search=0.0,  # it was not kept image by image
    )
    kept = {(trial, "search"): row for trial, row in zip(trials["trial"], right, strict=True)}
    points = with_drops(pool_points(trials, kept, split="search"), trials, kept, split="search")
    return with_timings(points, study.ratios)


def resampled(study: Study, *, images: int, splits: int) -> Iterator[dict[str, object]]:
    """Choices on search splits drawn from all images: by a limit, a cost and a confidence drawn too.

    Raises: AssertionError when a choice differs from that of `recommend`, which is asked on the first split.
    """
    random = np.random.default_rng([images, *study.name.encode()])
    accuracies = pd.Series(study.right.mean(axis=1), index=study.trials["trial"])
    seeds = study.trials.set_index("trial")["seed"]
    controls = study.trials[study.trials["scheme"] == "dense"].set_index("seed")["trial"].map(accuracies)
    costs = COSTS if len(study.ratios) else COSTS[1:]
    for split in range(splits):
        points = drawn_points(study, study.right[:, random.integers(study.right.shape[1], size=images)])
        eligible = {cost: eligible_of(points, pd.DataFrame(index=points.index), cost=cost) for cost in costs}
        fronts = {cost: front_of(eligible[cost], cost) for cost in costs}
        for name, lost in product(("max-drop", "accuracy"), random.choice(LIMITS, DRAWN_LIMITS, replace=False)):
            limit = lost if name == "max-drop" else controls.mean() - lost
            confidence, cost = random.choice(CONFIDENCES), random.choice(costs)
            chances = CONSTRAINTS[name].probabilities(points, limit)
            sure = (chances >= confidence)[eligible[cost].index]
            chosen = cheapest(fronts[cost], eligible[cost], sure, cost=cost)
            if split == 0:
                found = recommend(points, {name: limit}, confidence=confidence, minimise=cost).point
                assert (found and found["trial"]) == (None if chosen is None else points["trial"][chosen])
            if chosen is None or points["dense"][chosen]:
                continue
            trial = points["trial"][chosen]
            value = controls[seeds[trial]] - accuracies[trial] if name == "max-drop" else accuracies[trial]
            yield {
                "study": study.name,
                "known": study.known,
                "constraint": name,
                "images": images,
                "split": split,
                "lost": lost,
                "probability": chances[chosen],
                "held": bool(CONSTRAINTS[name].holds(pd.Series([value]), limit).all()),
            }


def calibration(chosen: pd.DataFrame) -> pd.DataFrame:
    """Probabilities beside how often they held, for all limits and for the tight ones, of each study and of all."""
    pools = chosen["known"].map({True: "all that the prior knows", False: "all others"})
    parts = []
    for limits, part in (("all", chosen), ("at most 2 points", chosen[chosen["lost"] <= 0.02])):
        for frame in (part, part.assign(study=pools)):
            bins = pd.cut(frame["probability"], BINS, labels=BINS[:-1], include_lowest=True)
            groups = frame.assign(bin=bins).groupby(["constraint", "images", "study", "bin"], observed=True)
            parts.append(pd.DataFrame([_bin(key, group) for key, group in groups]).assign(limits=limits))
    columns = ["constraint", "images", "limits", "study", "bin", "choices", "splits", "probability", "held", "error"]
    return pd.concat(parts)[columns]


def _bin(key: Sequence[object], group: pd.DataFrame) -> dict[str, object]:
    """Choices of one bin; the error of `held` is that of splits, for the choices made on one have its luck."""
    share = group["held"].mean()
    sums = (group["held"] - share).groupby([group["study"], group["split"]]).sum()
    return {
        **dict(zip(("constraint", "images", "study", "bin"), key, strict=True)),
        "choices": len(group),
        "splits": len(sums),
        "probability": group["probability"].mean(),
        "held": share,
        "error": float(np.sqrt((sums**2).sum()) / len(group)),
    }


def choices() -> Iterator[dict[str, object]]:
    """What is chosen on the search split itself of results/imagenette, for each recipe, cost, confidence and limit."""
    results = Results(LEARNED[0])
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


def main(target: Path, more: Sequence[Path]) -> None:
    """Write every choice and the calibration, and print what they come to."""
    target.mkdir(parents=True, exist_ok=True)
    chosen = pd.DataFrame(choices())
    chosen.to_csv(target / "choices.csv", index=False)
    held = chosen.groupby("confidence")["held"].agg(["sum", "size", "mean"])
    costs = chosen.pivot_table(index="confidence", columns="minimised", values="cost")
    print(held.join(costs).round(3).to_string())
    cells = product(studies(more), SPLITS.items())
    drawn = [row for study, (images, splits) in cells for row in resampled(study, images=images, splits=splits)]
    table = calibration(pd.DataFrame(drawn))
    table.to_csv(target / "calibration.csv", index=False)
    print(table[table["study"].str.startswith("all ")].round(3).to_string(index=False))


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
