"""Finetuning by a loop of the user's own: `finetune.loop = "package.module:callable"`.

It is called with the model, the data and the budget, and returns the model: `tune(model, data, budget)`. What it
raises is a failure of that trial. All else is as with the loop of lrbench: stages, records, kept weights.
"""

import inspect
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import isfinite

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset as TorchDataset

from lrbench.config.recipes import Finetune
from lrbench.errors import InputError
from lrbench.learn.batches import Batching, normaliser, test_batches, training_batches, training_steps
from lrbench.learn.datasets import Dataset, Split
from lrbench.learn.generators import seed_all
from lrbench.learn.imports import import_callable
from lrbench.learn.train import DivergedError
from lrbench.results.records import Epoch

KEY = "finetune.loop"

ROUNDING = 1e-6
"""By how much the mean of numbers of few digits may leave 0..1."""


class Images(TorchDataset[tuple[Tensor, int]]):
    """A split for torch's `DataLoader`: normalised images (3, S, S) float32 on the CPU, not augmented, and labels."""

    def __init__(self, split: Split, how: Batching) -> None:
        """Look at a split; images are normalised as they are asked for."""
        self._split, self._normalised = split, normaliser(_on_cpu(how))

    def __len__(self) -> int:
        """How many images."""
        return len(self._split)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """An image and its label."""
        place = self._split.indices[index]
        image = torch.from_numpy(self._split.images[place][None].copy())
        return self._normalised(image.float())[0], int(self._split.labels[place])


@dataclass(frozen=True, kw_only=True)
class LoopData:
    """The images that a loop may use.

    Attributes:
        train: to learn from, for a `DataLoader`.
        search: to choose by; the test split is not here.
        batches: gives one epoch of batches (images, labels) as lrbench makes them: shuffled, augmented, on the device.
        search_batches: gives the search split so, in order.
        classes: how many.
    """

    train: Images
    search: Images
    batches: Callable[[], Iterator[tuple[Tensor, Tensor]]]
    search_batches: Callable[[], Iterator[tuple[Tensor, Tensor]]]
    classes: int


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How much a loop may train; the dense control gets the same. The loop keeps to it by itself.

    Attributes:
        epochs, steps: passes over the training images, and batches in all of them.
        batch_size, device: of the recipe; the model is on that device.
        seed: of the trial; Python's, numpy's and torch's generators are seeded with it before the loop is called.
        recipe: the whole section `[finetune]`.
        report: call it after each epoch with its mean loss and accuracy (0..1), for epochs.csv and the progress. It
            raises for a loss that is not finite, which ends the trial as diverged, and for another accuracy.
    """

    epochs: int
    steps: int
    batch_size: int
    device: torch.device
    seed: int
    recipe: Finetune
    report: Callable[[float, float], None]


def require_loop(recipe: Finetune) -> None:
    """Raises: InputError when the user's loop cannot be imported, or takes something else than three arguments."""
    if not recipe.loop:
        return
    loop = import_callable(recipe.loop, key=KEY)
    try:
        inspect.signature(loop).bind(None, None, None)
    except TypeError as error:
        raise InputError(f"{KEY}={recipe.loop!r} must be callable with model, data and budget: {error}") from error
    except ValueError:  # of a callable in C
        return


def tune_by_loop(
    model: nn.Module, data: Dataset, *, recipe: Finetune, how: Batching, seed: int, on_step: Callable[[int, int], None]
) -> tuple[nn.Module, tuple[Epoch, ...]]:
    """Finetune a model by the user's loop.

    Args:
        model: trained in place or not, as the loop likes.
        data: of the run; its test split is not given away.
        recipe: names the loop.
        how: batches.
        seed: of all generators.
        on_step: called with (steps done, steps in all).

    Returns: the model in eval mode, and the epochs that the loop reported.

    Raises: TypeError or ValueError when the loop returns something else than such a model; whatever it raises.
    """
    steps, epochs = training_steps(data.train, how), list[Epoch]()
    shapes = _shapes(model)
    budget = Budget(
        epochs=recipe.epochs,
        steps=steps * recipe.epochs,
        batch_size=how.size,
        device=how.device,
        seed=seed,
        recipe=recipe,
        report=_reporter(epochs, lambda done: on_step(min(done, recipe.epochs) * steps, recipe.epochs * steps)),
    )
    images = LoopData(
        train=Images(data.train, how),
        search=Images(data.search, how),
        batches=lambda: training_batches(data.train, how),
        search_batches=lambda: test_batches(data.search, how),
        classes=data.classes,
    )
    model.to(device=how.device, memory_format=how.memory_format).train()  # type: ignore[call-overload]
    loop = import_callable(recipe.loop, key=KEY)
    seed_all(seed)
    tuned = loop(model, images, budget)
    if not isinstance(tuned, nn.Module):
        raise TypeError(f"{KEY}={recipe.loop!r} must return the model, got {type(tuned).__name__}")
    if _shapes(tuned) != shapes:
        raise ValueError(f"{KEY}={recipe.loop!r} must return the model with the layers that it was given")
    tuned.to(device=how.device, memory_format=how.memory_format)  # type: ignore[call-overload]
    return tuned.eval(), tuple(epochs)


def _reporter(epochs: list[Epoch], on_epoch: Callable[[int], None]) -> Callable[[float, float], None]:
    """What a loop calls after each epoch: it adds the epoch to a list, and tells how many there are."""
    ended = [time.monotonic()]

    def report(loss: float, accuracy: float) -> None:
        if not isfinite(loss):
            raise DivergedError(f"loss became {loss:.3g} in epoch {len(ended)}, as the loop reported")
        if not -ROUNDING <= accuracy <= 1 + ROUNDING:
            raise ValueError(f"budget.report: accuracy must be in 0..1, got {accuracy:g}")
        ended.append(time.monotonic())
        seconds, number = ended[-1] - ended[-2], len(ended) - 1
        share = min(1.0, max(0.0, float(accuracy)))
        known = {"loss": float(loss), "accuracy": share, "learning_rate": 0.0, "seconds": seconds}
        epochs.append(Epoch(stage="finetune", epoch=number, **known))
        on_epoch(number)

    return report


def _shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in model.state_dict().items() if isinstance(value, Tensor)}


def _on_cpu(how: Batching) -> Batching:
    return replace(how, device=torch.device("cpu"), memory_format=torch.contiguous_format)
