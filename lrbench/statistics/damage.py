"""The law of damage: what an error of one layer's outputs does to the predictions of the whole model.

    damage = error * exp(scale of the layer + offset of the method + bend of the layer * sqrt(error))

`error` is the mean square of what the outputs lose over their variance; damage is the divergence of predictions in
nats. A divergence is quadratic in a small change (Kullback 1959, "Information theory and statistics", section 2.6),
hence linear in a small `error`; larger ones do more than that, which is the bend. The same error costs more or less
by which directions a method keeps: the offset. `bench/study_damage.py` chose this among laws by leave-one-out.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

Floats = NDArray[np.float64]

VERSION = 2
"""Of the law, in the keys of trials whose ranks it chooses. (1, without a mark, was a power of the error by layer.)"""

BEND = 3.7
"""What is expected of a bend: that of ResNet-18 on Imagenette, 284 probes of 19 layers by five methods."""

SHARED, OWN, OFFSET = 0.1, 1.0, 1.0
"""Ridge penalties: of the bend that layers share, of what a layer's own adds to it, and of a method's offset."""

BAND = 0.9
"""Confidence of an interval of what is predicted."""

FEWEST = 5
"""Measured damages that such an interval needs."""


@dataclass(frozen=True, kw_only=True)
class Damaged:
    """One layer, cut alone by a method: the error of its outputs, and the damage measured; both above 0."""

    layer: str
    method: str
    error: float
    damage: float


@dataclass(frozen=True, kw_only=True)
class DamageLaw:
    """The law of one dense model, fitted to what was measured of its layers.

    Attributes:
        scales: by layer, natural logarithms.
        bends: by layer, at least 0, so that damage never falls as the error rises.
        offsets: by method, natural logarithms; 0 for one that was not measured.
    """

    scales: Mapping[str, float]
    bends: Mapping[str, float]
    offsets: Mapping[str, float]

    def __call__(self, layer: str, method: str, error: float) -> float:
        """The damage in nats. Beyond an error of 1 the bend adds no more.

        Raises: KeyError for a layer that was not measured.
        """
        bent = self.bends[layer] * sqrt(min(max(error, 0.0), 1.0))
        return error * exp(self.scales[layer] + self.offsets.get(method, 0.0) + bent)


def fit_damage(probes: Sequence[Damaged]) -> DamageLaw:
    """The law by ridge regression of logarithms, each layer with a scale and a bend; in any order of the probes."""
    ordered = sorted(probes, key=lambda probe: (probe.layer, probe.method, probe.error, probe.damage))
    layers, methods, design = _design(ordered)
    fitted = np.linalg.solve(_normal(design, len(layers)), design.T @ _targets(ordered))
    scales, bends, (shared,), offsets = np.split(fitted, np.cumsum([len(layers), len(layers), 1]))
    return DamageLaw(
        scales=dict(zip(layers, scales.tolist(), strict=True)),
        bends={layer: max(0.0, BEND + float(shared + own)) for layer, own in zip(layers, bends, strict=True)},
        offsets=dict(zip(methods, offsets.tolist(), strict=True)),
    )


def left_out(probes: Sequence[Damaged], together: Iterable[Sequence[int]]) -> list[Floats]:
    """For each set of probes, log(measured / predicted) of its members by the law fitted to all others.

    Exactly so by the hat matrix; NaN where the others say nothing of a member's layer.

    Args:
        probes: at least one.
        together: sets of places among them.
    """
    layers, _, design = _design(probes)
    targets = _targets(probes)
    hat = design @ np.linalg.solve(_normal(design, len(layers)), design.T)
    residuals, of_layer = targets - hat @ targets, design[:, : len(layers)]
    counts = of_layer.sum(axis=0)

    def without(places: list[int]) -> Floats:
        left = np.linalg.solve(np.eye(len(places)) - hat[np.ix_(places, places)], residuals[places])
        others = of_layer[places] @ (counts - of_layer[places].sum(axis=0))
        return np.where(others > 0, left, np.nan)

    return [without(list(places)) for places in together]


def _design(probes: Sequence[Damaged]) -> tuple[list[str], list[str], Floats]:
    """Layers, methods, and a row for each probe: its layer's scale and bend, the shared bend, its method's offset."""
    layers, methods = sorted({probe.layer for probe in probes}), sorted({probe.method for probe in probes})
    roots = _roots(probes)[:, None]
    of_layer = np.array([[probe.layer == name for name in layers] for probe in probes], dtype=float)
    of_method = np.array([[probe.method == name for name in methods] for probe in probes], dtype=float)
    return layers, methods, np.hstack([of_layer, of_layer * roots, roots, of_method])


def _normal(design: Floats, layers: int) -> Floats:
    """The matrix of the normal equations. A scale has next to no penalty: just enough to be told from offsets."""
    rest = design.shape[1] - 2 * layers - 1
    penalties = np.repeat([1e-6, OWN, SHARED, OFFSET], [layers, layers, 1, rest])
    normal: Floats = design.T @ design + np.diag(penalties)
    return normal


def _targets(probes: Sequence[Damaged]) -> Floats:
    """What is left of log damage beside the log of the error and the bend that is expected."""
    logs: Floats = np.log([probe.damage / probe.error for probe in probes]) - BEND * _roots(probes)
    return logs


def _roots(probes: Sequence[Damaged]) -> Floats:
    roots: Floats = np.sqrt(np.minimum([probe.error for probe in probes], 1.0))
    return roots


def bands(logs: Floats) -> tuple[Floats, Floats]:
    """For each log(measured / predicted), (N,), what the others say of it; NaN among them counts nothing.

    Returns: the centre of a 90 % prediction interval (Student's t), and its half width; NaN where fewer than `FEWEST`
        others are known.
    """
    known = np.isfinite(logs)
    values = np.where(known, logs, 0.0)
    counts = known.sum() - known
    with np.errstate(divide="ignore", invalid="ignore"):
        centres = (values.sum() - values) / counts
        squares = (values**2).sum() - values**2 - counts * centres**2
        spreads = np.sqrt(np.maximum(squares, 0.0) / (counts - 1))
        halves = t.ppf((1 + BAND) / 2, np.maximum(counts - 1, 1)) * spreads * np.sqrt(1 + 1 / counts)
    enough = counts >= FEWEST
    return np.where(enough, centres, np.nan), np.where(enough, halves, np.nan)
