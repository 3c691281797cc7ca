"""Made-up runs that differ by chance, and by as much as was planted: what the gate's errors are measured on.

The noise of accuracies is that of results/imagenette, where 14 points were finetuned from two seeds each: 5.65 % of the
images are answered differently, and accuracies differ by a standard deviation of 0.315 points from seed to seed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from lrbench.gate.accuracy import judge_answers
from lrbench.gate.tolerances import AccuracyTolerance
from lrbench.statistics.posterior import Answers

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Training:
    """What chance does to a run. An image is answered rightly when its ease (standard normal) plus noise exceeds 0.

    Attributes:
        image: noise of each image in each run, standard deviation.
        run: noise that all images of a run share.
        code: noise of each image that all runs of one version of the code share.
        accuracy: of the baseline, over all images that there could be.
    """

    image: float = 0.1714
    run: float = 0.00566
    code: float = 0.0
    accuracy: float = 0.78


def versions(
    random: np.random.Generator, training: Training, *, drops: Sequence[float], seeds: int, images: int
) -> list[Answers]:
    """Versions of the code that answer the same images, each with its true drop in accuracy."""
    ease, spread = random.normal(size=images), sqrt(1 + training.image**2 + training.run**2 + training.code**2)
    made = []
    for drop in drops:
        level = norm.ppf(training.accuracy - drop) * spread + training.code * random.normal(size=images)
        noise = training.image * random.normal(size=(seeds, images)) + training.run * random.normal(size=(seeds, 1))
        right = (ease + level + noise > 0).astype(float)
        made.append(Answers(correct=dict(enumerate(right.sum(axis=1).astype(int))), samples=images, right=right))
    return made


def judged(
    random: np.random.Generator, training: Training, *, excess: float, seeds: int, images: int
) -> tuple[bool, float]:
    """Whether `check` calls a drop worse, and the excess that it says it finds in 9 of 10 runs.

    Without an excess three names lose what is allowed, and any of them counts; else one loses more and two nothing.
    """
    allowed = AccuracyTolerance()
    drops = [allowed.drop + excess, 0.0, 0.0] if excess else [allowed.drop] * 3
    base, current = {}, {}
    for number, drop in enumerate(drops):
        name = (str(number), "finetuned")
        base[name], current[name] = versions(random, training, drops=(0.0, drop), seeds=seeds, images=images)
    verdicts = list(judge_answers(base, current, allowed))
    stated = max(verdict.power.excess for verdict in verdicts if verdict.power)
    return any(verdict.verdict == "worse" for verdict in verdicts[: 1 if excess else 3]), stated


def series(random: np.random.Generator, runs: int, *, lag: float) -> Floats:
    """Standard normal noise with this autocorrelation from run to run."""
    values = random.normal(size=runs)
    for run in range(1, runs):
        values[run] = lag * values[run - 1] + sqrt(1 - lag**2) * values[run]
    return values
