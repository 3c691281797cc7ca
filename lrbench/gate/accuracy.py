"""Accuracies: a drop is worse when surely more than the tolerance was lost, over the noise of images and of training.

Both sides answer the same test images, but each run is one draw of what training leaves to chance. So two variances add
up: that of the images, by what was lost and gained on each, and that of the seeds. The chance of a single image is in
both, so that a verdict errs on the safe side; `bench/study_check.py` measures how far.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy.special import nctdtrinc, stdtr, stdtrit

from lrbench.gate.folders import Folder
from lrbench.gate.tolerances import AccuracyTolerance
from lrbench.gate.verdicts import Power, Verdict, Word
from lrbench.results.records import MEASURED
from lrbench.statistics.paired import holm
from lrbench.statistics.posterior import Answers, Floats, stack_right

Name = tuple[str, str]
"""A subject (a trial over all its seeds) and a stage."""

FOUND = 0.9
"""The share of runs in which a drop as large as `Power` says is found."""

ENOUGH = 10
"""Degrees of freedom from which on the seeds alone say how far they move an accuracy."""

KNOWN = 10**6
"""Degrees of freedom of a spread that is assumed: Student's t is normal then."""


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The variance of an accuracy from seed to seed, and its degrees of freedom."""

    variance: float
    freedom: int


@dataclass(frozen=True, kw_only=True)
class Drop:
    """What the mean accuracy over seeds lost.

    Attributes:
        mean: of all images, 0..1.
        images: variance that the images leave it.
        seeds: variance that the seeds leave it.
        freedom: degrees of freedom of Student's t.
    """

    mean: float
    images: float
    seeds: float
    freedom: int

    @property
    def error(self) -> float:
        """The standard error."""
        return sqrt(self.images + self.seeds)

    def chance_above(self, limit: float) -> float:
        """The one-sided p-value against a true drop of at most this."""
        return float(stdtr(self.freedom, (limit - self.mean) / self.error))

    def chance_below(self, limit: float) -> float:
        """The one-sided p-value against a true drop of at least this."""
        return float(stdtr(self.freedom, (self.mean - limit) / self.error))


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two sides of one name, and what it lost from one to the other."""

    old: Answers
    new: Answers
    spread: Spread
    drop: Drop


def judge_accuracy(base: Folder, current: Folder, tolerance: AccuracyTolerance) -> Iterator[Verdict]:
    """Judge each subject at each stage, where both sides have it.

    Args:
        base: what is judged against.
        current: what is judged.
        tolerance: the drop that is allowed, and how sure a verdict must be.
    """
    return judge_answers(_answers(base), _answers(current), tolerance)


def judge_answers(
    base: Mapping[Name, Answers], current: Mapping[Name, Answers], tolerance: AccuracyTolerance
) -> Iterator[Verdict]:
    """Judge the names that both sides have, all together (Holm 1979); see `judge_accuracy`."""
    pairs = {name: (base[name], current[name]) for name in base if name in current}
    spreads = _spreads(pairs, tolerance.seed_sd)
    compared = {
        name: Comparison(old=old, new=new, spread=spreads[name], drop=_drop(old, new, spreads[name]))
        for name, (old, new) in pairs.items()
    }
    worse = holm([comparison.drop.chance_above(tolerance.drop) for comparison in compared.values()])
    better = holm([comparison.drop.chance_below(-tolerance.drop) for comparison in compared.values()])
    sure = 1 - tolerance.confidence
    for ((subject, stage), comparison), lower, higher in zip(compared.items(), worse, better, strict=True):
        lost, before = comparison.drop.mean, float(comparison.old.accuracies.mean())
        word: Word = "worse" if lower < sure else "better" if higher < sure else "ok"
        if lost > tolerance.drop and word != "worse":
            word = "inconclusive"
        yield Verdict(
            name=subject,
            tier="accuracy",
            figure=f"accuracy_{stage}",
            verdict=word,
            baseline=before,
            current=float(comparison.new.accuracies.mean()),
            bound=before - tolerance.drop,
            reason=_describe(comparison) + (f", p = {lower:.2g}" if lost > tolerance.drop else ""),
            power=_power(comparison, allowed=tolerance.drop, level=sure / len(compared)),
        )


def _describe(comparison: Comparison) -> str:
    """The drop in words, with the images and seeds behind it."""
    old, new = comparison.old, comparison.new
    lost, pairing = _lost(old, new), "unpaired"
    if lost is not None:
        pairing = f"paired: {(lost > 0).sum()} lost, {(lost < 0).sum()} gained" if len(old.correct) == 1 else "paired"
    return f"{-100 * comparison.drop.mean:+.2f} points on {new.samples} images, {len(new.correct)} seeds, {pairing}"


def _power(comparison: Comparison, *, allowed: float, level: float) -> Power:
    """What a test at this level would find, by the distribution of Student's t around another mean than 0.

    A drop of d leaves a variance of d / images at least, whatever the images of this comparison leave.
    """
    drop, images = comparison.drop, comparison.new.samples
    errors = float(nctdtrinc(drop.freedom, 1 - FOUND, -stdtrit(drop.freedom, level)))
    share = errors**2 / images
    least = (share + sqrt(share**2 + 4 * errors**2 * (drop.seeds + allowed / images))) / 2
    return Power(
        allowed=allowed,
        excess=max(errors * drop.error, least),
        images=images,
        seeds=min(len(comparison.old.correct), len(comparison.new.correct)),
        seed_sd=sqrt(comparison.spread.variance),
        seed_freedom=0 if drop.freedom == KNOWN else drop.freedom,
    )


def _answers(side: Folder) -> dict[Name, Answers]:
    """By subject and stage, in the order of the table."""
    columns = (side.answers[name].astype(str) for name in ("trial", "stage", "right"))
    kept = {(trial, stage): right for trial, stage, right in zip(*columns, strict=True)}
    done = side.trials[side.trials["state"] == "done"]
    done = done.drop_duplicates(["subject", "seed"])  # a second trial of that name is another experiment
    answers: dict[Name, Answers] = {}
    for subject, rows in done.groupby("subject", sort=False):
        samples = int(rows["samples"].iloc[0])
        for stage in MEASURED:
            if rows[f"correct_{stage}"].isna().any() or (rows["samples"] != samples).any():
                continue
            masks = [kept.get((trial, stage)) for trial in rows["trial"]]
            answers[str(subject), stage] = Answers(
                correct=dict(zip(rows["seed"].astype(int), rows[f"correct_{stage}"].astype(int), strict=True)),
                samples=samples,
                right=stack_right(masks, samples),
            )
    return answers


def _spreads(pairs: Mapping[Name, tuple[Answers, Answers]], assumed: float) -> dict[Name, Spread]:
    """By name, what seeds do: pooled over all names of its stage, or its own where that is larger.

    And no less than what is assumed, where those names together have too few seeds to say.
    """
    scatters = {name: np.array(_scatter(*pair)) for name, pair in pairs.items()}
    pooled = {stage: np.zeros(2) for _, stage in pairs}
    for (_, stage), scatter in scatters.items():
        pooled[stage] += scatter
    spreads = {}
    for name, own in scatters.items():
        freedom = int(pooled[name[1]][1])
        least = [] if freedom >= ENOUGH else [assumed**2]
        variance = max(least + [float(squares / count) for squares, count in (own, pooled[name[1]]) if count])
        spreads[name] = Spread(variance=variance, freedom=freedom if freedom >= ENOUGH else KNOWN)
    return spreads


def _scatter(old: Answers, new: Answers) -> tuple[float, int]:
    """Squared deviations of accuracies from their mean over seeds, summed, and their degrees of freedom.

    Where both sides have the same seeds: of the differences seed by seed, halved, for each is that of two runs. Runs
    that are equal at every seed say nothing.
    """
    if old.correct.keys() == new.correct.keys():
        gaps = np.array([new.correct[seed] / new.samples - right / old.samples for seed, right in old.correct.items()])
        return (_squares(gaps) / 2, len(gaps) - 1) if gaps.any() else (0.0, 0)
    sides = (old.accuracies, new.accuracies)
    return sum(_squares(side) for side in sides), sum(len(side) - 1 for side in sides)


def _squares(values: Floats) -> float:
    return float(((values - values.mean()) ** 2).sum())


def _drop(old: Answers, new: Answers, spread: Spread) -> Drop:
    return Drop(
        mean=float(old.accuracies.mean() - new.accuracies.mean()),
        images=_image_variance(old, new),
        seeds=spread.variance * (1 / len(old.correct) + 1 / len(new.correct)),
        freedom=spread.freedom,
    )


def _image_variance(old: Answers, new: Answers) -> float:
    """Of a drop, by its images: one by one where answers were kept, else as of two independent samples of images.

    Half an image more, lost and gained or right and wrong, keeps it above 0.
    """
    lost = _lost(old, new)
    if lost is not None:
        return (float((lost**2).sum()) + 1 - float(lost.sum()) ** 2 / len(lost)) / len(lost) ** 2
    sizes = [(float(side.accuracies.mean()) * side.samples + 0.5, side.samples + 1) for side in (old, new)]
    return sum(right * (size - right) / size**3 for right, size in sizes)


def _lost(old: Answers, new: Answers) -> Floats | None:
    """By image, the share of seeds that lost it less the share that gained it; None where answers were not kept."""
    if old.right is None or new.right is None or old.right.shape[1] != new.right.shape[1]:
        return None
    lost: Floats = old.right.mean(axis=0) - new.right.mean(axis=0)
    return lost
