"""The dense model of a seed: trained once, kept, and decomposed once for every rank."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from torch import Tensor, nn

from lrbench.config.sections import Finetune, Recipe
from lrbench.learn.batches import Batching, calibration_batches, test_batches
from lrbench.learn.checkpoints import Checkpoint
from lrbench.learn.datasets import Dataset
from lrbench.learn.train import batching, train_
from lrbench.learn.weights import fits, keep_weights, recall_weights
from lrbench.lowrank.compress import decompose_layer, decompose_layer_outputs
from lrbench.lowrank.moments import Moments, gather_moments, reestimate_batch_norm_
from lrbench.lowrank.svd import Decomposition
from lrbench.measure.accuracy import evaluate, predict
from lrbench.plan.cuts import Decompose
from lrbench.plan.spec import SweepSpec
from lrbench.plan.trials import Skeleton
from lrbench.results.records import Accuracy, Epoch, Stage

Notify = Callable[[str, int, int], None]
"""Called with (stage, done, total) as work goes on."""


@dataclass(frozen=True, kw_only=True)
class Dense:
    """A trained dense model in eval mode, its accuracy, and what is made once when first asked for.

    That is its decompositions, and its logits on the search split with their labels, batch norm re-estimated as after a
    truncation: else what re-estimation changes would count as damage.
    """

    key: str
    skeleton: Skeleton
    model: nn.Module
    epochs: tuple[Epoch, ...]
    accuracy: Accuracy
    decompose: Decompose
    search: Callable[[], tuple[Tensor, Tensor]]


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What all trials of a run share; `weights` is the directory of trained weights."""

    spec: SweepSpec
    data: Dataset
    weights: Path
    environment: str
    commit: str

    def calibration(self, how: Batching) -> Iterator[Tensor]:
        """The calibration images in batches."""
        choice = self.spec.calibration
        return calibration_batches(self.data, how, images=choice.images, size=choice.batch_size)

    def recipe(self, stage: Stage) -> Recipe:
        """How a stage trains."""
        return self.spec.baseline if stage == "baseline" else self.spec.finetune


def weights_path(weights: Path, key: str) -> Path:
    """Where the weights of a training are kept."""
    return weights / f"{key}.safetensors"


def trained(
    model: nn.Module,
    key: str,
    *,
    bench: Bench,
    stage: Stage,
    seed: int,
    notify: Notify,
    teacher: nn.Module | None = None,
) -> tuple[tuple[Epoch, ...], bool]:
    """Train a model in place, or load the weights (or the checkpoint) that an earlier training of the same key left.

    Kept weights of another shape are left alone: budgets of latency choose other ranks where other times were measured.

    Returns: the epochs, and whether the weights were reused.
    """
    recipe, path = bench.recipe(stage), weights_path(bench.weights, key)
    if recipe.epochs == 0:
        return (), False
    if path.exists() and fits(model, path):
        return recall_weights(model, path), True
    notify(stage, 0, recipe.epochs)
    checkpoint = Checkpoint(path=bench.weights / f"{key}.checkpoint", every_s=60 * bench.spec.run.checkpoint_minutes)
    epochs = tuple(
        train_(
            model,
            bench.data.train,
            recipe=recipe,
            how=batching(recipe, bench.spec.data),
            stage=stage,
            seed=seed,
            on_step=lambda done, total: notify(stage, done, total),
            checkpoint=checkpoint,
            teacher=teacher,
        )
    )
    if isinstance(recipe, Finetune) and recipe.batch_norm == "re-estimated":
        reestimate_batch_norm_(model, bench.calibration(batching(recipe, bench.spec.data)))
    keep_weights(model, path, epochs=epochs)
    checkpoint.path.unlink(missing_ok=True)
    return epochs, False


def reestimated(model: nn.Module, *, bench: Bench, how: Batching) -> nn.Module:
    """A copy of a model, its batch norm re-estimated on the calibration images, if there are any."""
    copy = deepcopy(model)
    if bench.spec.calibration.images:
        reestimate_batch_norm_(copy, bench.calibration(how))
    return copy


def train_dense(skeleton: Skeleton, key: str, *, bench: Bench, seed: int, notify: Notify) -> Dense:
    """Train the dense model by the baseline recipe (or recall it) and measure its accuracy on the test split."""
    model = deepcopy(skeleton.model)
    how = batching(bench.spec.baseline, bench.spec.data)
    model.to(device=how.device, memory_format=how.memory_format)  # type: ignore[call-overload]
    epochs, _ = trained(model, key, bench=bench, stage="baseline", seed=seed, notify=notify)
    notify("evaluate", 0, 1)
    accuracy = evaluate(model, test_batches(bench.data.test, how))

    @cache
    def moments() -> dict[str, Moments]:
        names = [layer.name for layer in skeleton.layers if layer.refusal is None and layer.shape.groups == 1]
        return gather_moments(model, names, bench.calibration(how))

    @cache
    def decompose(layer: str, scheme: str, truncation: str) -> Decomposition:
        if truncation != "plain":
            return decompose_layer_outputs(model, layer, moments=moments()[layer])
        return decompose_layer(model, layer, scheme)

    @cache
    def search() -> tuple[Tensor, Tensor]:
        return predict(reestimated(model, bench=bench, how=how), test_batches(bench.data.search, how))

    return Dense(
        key=key,
        skeleton=skeleton,
        model=model,
        epochs=epochs,
        accuracy=accuracy,
        decompose=decompose,
        search=search,
    )
