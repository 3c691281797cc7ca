"""The dense model of a seed: trained once, kept, and decomposed once for every rank."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from torch import nn

from lrbench.choices import Recipe
from lrbench.learn.batches import Batching, test_batches
from lrbench.learn.datasets import Dataset
from lrbench.learn.train import batching, train_
from lrbench.learn.weights import keep_weights, recall_weights
from lrbench.lowrank.compress import decompose_layer
from lrbench.lowrank.svd import Svd
from lrbench.measure.accuracy import evaluate
from lrbench.records import Accuracy, Epoch
from lrbench.sweep.plan import Skeleton
from lrbench.sweep.spec import SweepSpec

Notify = Callable[[str, int, int], None]
"""Called with (stage, done, total) as work goes on."""


@dataclass(frozen=True, kw_only=True)
class Dense:
    """A trained dense model in eval mode, its accuracy, and its decompositions on demand."""

    key: str
    skeleton: Skeleton
    model: nn.Module
    epochs: tuple[Epoch, ...]
    accuracy: Accuracy
    svd: Callable[[str, str], Svd]

    def energies(self, layer: str, scheme: str) -> tuple[float, ...]:
        """The share of squared singular values that each rank of a layer keeps."""
        squares = self.svd(layer, scheme).s.square().cumsum(0)
        return tuple((squares / squares[-1]).tolist()) if squares[-1] > 0 else (1.0,) * len(squares)


def trained(
    model: nn.Module,
    path: Path,
    *,
    data: Dataset,
    recipe: Recipe,
    how: Batching,
    stage: str,
    seed: int,
    notify: Notify,
) -> tuple[tuple[Epoch, ...], bool]:
    """Train a model in place, or load what an earlier training of the same digest left at `path`.

    Returns: the epochs, and whether the weights were reused.
    """
    if recipe.epochs == 0:
        return (), False
    if path.exists():
        return recall_weights(model, path), True
    steps = train_(
        model,
        data.train,
        recipe=recipe,
        how=how,
        stage=stage,
        seed=seed,
        on_step=lambda done, total: notify(stage, done, total),
    )
    epochs = tuple(steps)
    keep_weights(model, path, epochs=epochs)
    return epochs, False


def train_dense(
    skeleton: Skeleton, key: str, *, spec: SweepSpec, data: Dataset, seed: int, weights: Path, notify: Notify
) -> Dense:
    """Train the dense model by the baseline recipe (or recall it) and measure its accuracy on the test split."""
    model = deepcopy(skeleton.model)
    how = batching(spec.baseline, spec.data)
    model.to(device=how.device, memory_format=how.memory_format)  # type: ignore[call-overload]
    epochs, _ = trained(
        model,
        weights / f"{key}.safetensors",
        data=data,
        recipe=spec.baseline,
        how=how,
        stage="baseline",
        seed=seed,
        notify=notify,
    )
    notify("evaluate", 0, 1)
    accuracy = evaluate(model, test_batches(data.test, how))

    @cache
    def svd(layer: str, scheme: str) -> Svd:
        return decompose_layer(model, layer, scheme)

    return Dense(key=key, skeleton=skeleton, model=model, epochs=epochs, accuracy=accuracy, svd=svd)
