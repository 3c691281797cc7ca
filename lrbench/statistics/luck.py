"""Training noise: how far the accuracy of one training lies from that of another that differs by its seed alone.

Points have one to three seeds, too few to tell each its own noise. So the noise is taken to be one for all points of a
sweep, pooled over those with several seeds, and moderated by what published studies know (`PRIOR`). Seeds answer the
same images, but each gets some images right by chance; what that adds to their scatter is taken off, by the analysis of
variance of seeds x images (Searle, Casella & McCulloch 1992, section 4.3), where it was kept which images were right.
"""

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from lrbench.statistics.components import Component, Deviations, moderated, summed

Floats = NDArray[np.float64]

PRIOR = Component(variance=0.003**2, freedom=3.0)
"""Of a drop: of a point and its dense control, which were both trained.

The two recipes of results/imagenette, most likely (`most_likely` of `bench/study_components.py`), have 0.33 points by
their drops on the test split, 0.28 by their accuracies, of which a drop has twice the variance. They are known by 5
degrees of freedom; the prior is less sure, since on digits (results/truncation) seeds scatter by 1.2 points, noise of
360 images included. A test holds it to them.
"""

PRIOR_OF_ACCURACY = Component(variance=PRIOR.variance / 2, freedom=PRIOR.freedom)

SHARED = 1 / 4
"""The squared correlation of two points' deviations: half of the variance of a drop is that of a control they share."""


def deviations_of(values: Floats) -> Deviations:
    """How the seeds of one point deviate from their mean.

    Args:
        values: what each seed has on each image, or in one column what it has on all, (seeds, images).
    """
    seeds, images = values.shape
    means = values.mean(axis=1, keepdims=True)
    squares, noise = float(means.var()) * seeds, 0.0
    if images > 1 and seeds > 1:
        rest = values - means - values.mean(axis=0) + means.mean()
        noise = float((rest**2).sum()) / (images - 1) / images
    return Deviations(squares=squares, noise=noise, loading=seeds - 1, freedom=seeds - 1)


def pooled(seen: Collection[Deviations], prior: Component) -> Component:
    """The variance of one training, and the degrees of freedom that it is known by.

    Args:
        seen: of `deviations_of`, of points with several seeds; they share controls, so K of them tell less than K do.
        prior: what is known before.
    """
    parts = [(one.squares, one.noise, one.loading) for one in seen]
    freedom = sum(one.freedom for one in seen) / (1 + (len(seen) - 1) * SHARED) if seen else 0.0
    return moderated(prior, summed(parts, freedom=freedom))


def with_luck(images: float | Floats, luck: Component, trainings: float | Floats) -> tuple[Floats, Floats]:
    """Standard errors of what images and training leave open, and their degrees of freedom (Satterthwaite 1946).

    Args:
        images: the variances that images leave, above 0.
        luck: of `pooled`.
        trainings: what it counts: 1 / n for a mean over n seeds.
    """
    part = luck.variance * np.asarray(trainings, float)
    total = np.asarray(images, float) + part
    with np.errstate(divide="ignore"):
        return np.sqrt(total), luck.freedom * (total / part) ** 2
