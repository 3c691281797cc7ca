"""Accuracies: a drop is worse when it exceeds the tolerance and is more than the noise of images and seeds."""

from collections.abc import Iterator
from math import sqrt

import numpy as np
from scipy.stats import binomtest, norm

from lrbench.gate.folders import Folder
from lrbench.gate.tolerances import AccuracyTolerance
from lrbench.gate.verdicts import Verdict, Word
from lrbench.results.records import MEASURED
from lrbench.statistics.paired import holm
from lrbench.statistics.posterior import Answers, stack_right


def judge_accuracy(base: Folder, current: Folder, tolerance: AccuracyTolerance) -> Iterator[Verdict]:
    """Judge each subject (a trial over all its seeds) at each stage, where both sides have it.

    Args:
        base: what is judged against.
        current: what is judged.
        tolerance: the drop that is allowed, and how sure a verdict must be.
    """
    old, new = _answers(base), _answers(current)
    shared = [key for key in old if key in new]
    drops = [_drop(old[key], new[key]) for key in shared]
    gains = [_drop(new[key], old[key]) for key in shared]
    worse = holm([chance for _, chance, _ in drops])
    better = holm([chance for _, chance, _ in gains])
    for i, key in enumerate(shared):
        drop, _, test = drops[i]
        before, after = float(old[key].accuracies.mean()), float(new[key].accuracies.mean())
        sure = 1 - tolerance.confidence
        word: Word = "ok"
        reason = f"{-100 * drop:+.2f} points on {new[key].samples} images, {len(new[key].correct)} seeds, {test}"
        if drop > tolerance.drop:
            word = "worse" if worse[i] < sure else "inconclusive"
            reason += f", p = {worse[i]:.2g}"
        elif drop < -tolerance.drop and better[i] < sure:
            word = "better"
        yield Verdict(
            name=key[0],
            tier="accuracy",
            figure=f"accuracy_{key[1]}",
            verdict=word,
            baseline=before,
            current=after,
            bound=before - tolerance.drop,
            reason=reason,
        )


def _answers(side: Folder) -> dict[tuple[str, str], Answers]:
    """By subject and stage, in the order of the table."""
    columns = (side.answers[name].astype(str) for name in ("trial", "stage", "right"))
    kept = {(trial, stage): right for trial, stage, right in zip(*columns, strict=True)}
    done = side.trials[side.trials["state"] == "done"]
    done = done.drop_duplicates(["subject", "seed"])  # a second trial of that name is another experiment
    answers: dict[tuple[str, str], Answers] = {}
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


def _drop(before: Answers, after: Answers) -> tuple[float, float, str]:
    """How far the accuracy fell, the one-sided p-value that it did not, and by which test.

    Image by image where answers were kept: the exact test of McNemar (1947) for one seed, over the images' mean
    differences for several. Otherwise as two independent samples of images. Seeds add the spread of their accuracies.
    """
    drop = float(before.accuracies.mean() - after.accuracies.mean())
    old, new = before.right, after.right
    paired = old is not None and new is not None and old.shape[1] == new.shape[1]
    if paired and old is not None and new is not None:
        lost = old.mean(axis=0) - new.mean(axis=0)
        if len(old) == len(new) == 1:
            fell, rose = int((lost > 0).sum()), int((lost < 0).sum())
            chance = binomtest(fell, fell + rose, alternative="greater").pvalue if fell + rose else 1.0
            return drop, float(chance), f"paired: {fell} lost, {rose} gained"
        error = float(lost.std(ddof=1)) / sqrt(len(lost))
    else:
        spreads = (p * (1 - p) for p in (before.accuracies.mean(), after.accuracies.mean()))
        error = sqrt(sum(spreads) / min(before.samples, after.samples))
    error = sqrt(error**2 + _seed_variance(before, after))
    chance = float(norm.sf(drop / error)) if error > 0 else float(drop <= 0)
    return drop, chance, "paired" if paired else "unpaired"


def _seed_variance(before: Answers, after: Answers) -> float:
    """Squared standard error that seeds add to a difference; by the seeds that both sides share, if any."""
    shared = [seed for seed in before.correct if seed in after.correct]
    if len(shared) > 1:
        gaps = [before.correct[s] / before.samples - after.correct[s] / after.samples for s in shared]
        return float(np.var(gaps, ddof=1)) / len(shared)
    several = [side.accuracies for side in (before, after) if len(side.correct) > 1]
    return sum(float(np.var(accuracies, ddof=1)) / len(accuracies) for accuracies in several)
