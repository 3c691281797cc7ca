"""One plain training loop, for the dense baseline and for finetuning."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from lrbench.config.ranges import DIVERGED_LOSS
from lrbench.config.recipes import Finetune, Recipe
from lrbench.config.sections import DataChoice
from lrbench.errors import InputError
from lrbench.learn.batches import Batching, training_batches, training_steps
from lrbench.learn.checkpoints import Checkpoint, Stateful, keep_checkpoint, resumed_
from lrbench.learn.datasets import Split
from lrbench.learn.generators import seed_all
from lrbench.learn.optimizers import make_optimizer, make_schedule
from lrbench.learn.precision import autocast_dtype
from lrbench.results.records import Epoch, Stage


class DivergedError(ArithmeticError):
    """The loss became NaN, infinite, or larger than any that is learnt from."""


def pick_device(name: str) -> torch.device:
    """`auto` is cuda, then mps, then cpu; anything else is a torch device.

    Raises: InputError when the device is unknown or absent.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device {name!r} is not available on this machine: {str(error).splitlines()[0]}") from error
    return torch.device(name)


def batching(recipe: Recipe, data: DataChoice) -> Batching:
    """How a recipe wants its batches."""
    return Batching(
        size=recipe.batch_size,
        data=data,
        device=pick_device(recipe.device),
        memory_format=torch.channels_last if recipe.channels_last else torch.contiguous_format,
    )


CHECK_EVERY = 20
"""Steps after which a loss on a GPU is looked at: each look waits for the GPU."""

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(images, logits, labels) -> the loss of a batch."""


def make_loss(recipe: Recipe, teacher: nn.Module | None) -> Loss:
    """Cross-entropy of the labels; in distillation partly the divergence from a teacher's softened predictions.

    Hinton, Vinyals & Dean 2015, arXiv 1503.02531: (1 - a) CE + a T^2 KL(teacher / T || model / T).
    """

    def labels_alone(_: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
        return functional.cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing)

    if not isinstance(recipe, Finetune) or recipe.distill == 0:
        return labels_alone
    if teacher is None:
        raise ValueError("distillation needs a teacher")
    share, temperature = recipe.distill, recipe.temperature

    def distilled(images: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
        with torch.no_grad():
            expected = functional.log_softmax(teacher(images).float() / temperature, dim=1)
        predicted = functional.log_softmax(logits.float() / temperature, dim=1)
        divergence = functional.kl_div(predicted, expected, log_target=True, reduction="batchmean")
        return (1 - share) * labels_alone(images, logits, labels) + share * temperature**2 * divergence

    return distilled


@dataclass(frozen=True, kw_only=True)
class Training:
    """What one training consists of: what it updates as it runs, and its recipe."""

    forward: Callable[[Tensor], Any]
    optimizer: Optimizer
    schedule: LRScheduler
    scaler: torch.amp.GradScaler
    recipe: Recipe
    how: Batching
    stage: Stage
    loss: Loss


def train_(  # noqa: PLR0913 - what a training is made of
    model: nn.Module,
    split: Split,
    *,
    recipe: Recipe,
    how: Batching,
    stage: Stage,
    seed: int,
    on_step: Callable[[int, int], None] = lambda step, steps: None,
    checkpoint: Checkpoint | None = None,
    teacher: nn.Module | None = None,
) -> Iterator[Epoch]:
    """Train a model in place, epoch by epoch; seeds all global generators.

    Args:
        model: trained in place, moved to the device and memory format of `how`.
        split: training images.
        recipe: epochs, optimizer, schedule.
        how: batches.
        stage: `baseline` or `finetune`, written into the records.
        seed: of order, augmentation and dropout.
        on_step: called with (steps done, steps in all).
        teacher: the dense model that a recipe may distill from, in eval mode on the same device.
        checkpoint: where the training is kept between epochs, and continued from when it is there.

    Raises: DivergedError when the loss is no longer finite, or its mean beyond `DIVERGED_LOSS`.
    """
    seed_all(seed)
    model.to(device=how.device, memory_format=how.memory_format).train()  # type: ignore[call-overload]
    optimizer = make_optimizer(model, recipe)
    steps = training_steps(split, how)
    schedule = make_schedule(optimizer, recipe, steps=max(1, steps * recipe.epochs))
    halved = autocast_dtype(recipe, how.device) is torch.float16
    scaler = torch.amp.GradScaler(how.device.type, enabled=halved)
    training = Training(
        forward=torch.compile(model) if recipe.compile else model,
        optimizer=optimizer,
        schedule=schedule,
        scaler=scaler,
        recipe=recipe,
        how=how,
        stage=stage,
        loss=make_loss(recipe, teacher),
    )
    if isinstance(recipe, Finetune) and recipe.batch_norm == "frozen":
        for module in model.modules():
            if isinstance(module, _BatchNorm):
                module.eval()
    parts: dict[str, Stateful] = {"model": model, "optimizer": optimizer, "schedule": schedule, "scaler": scaler}
    epochs = list(resumed_(checkpoint.path, parts, tell=checkpoint.tell)) if checkpoint else []
    yield from epochs
    kept = time.monotonic()
    for epoch in range(len(epochs), recipe.epochs):

        def follow(step: int, before: int = epoch * steps) -> None:
            on_step(before + step, recipe.epochs * steps)

        epochs.append(_train_epoch_(training, split, epoch=epoch, on_step=follow))
        last = len(epochs) == recipe.epochs
        if checkpoint and not last and time.monotonic() - kept >= checkpoint.every_s:
            keep_checkpoint(checkpoint.path, parts, epochs=epochs)
            kept = time.monotonic()
        yield epochs[-1]
    model.eval()


def _train_epoch_(training: Training, split: Split, *, epoch: int, on_step: Callable[[int], None]) -> Epoch:
    """One pass over the training images (in place); `epoch` counts from 0."""
    device, dtype = training.how.device, autocast_dtype(training.recipe, training.how.device)
    started, rate = time.perf_counter(), training.schedule.get_last_lr()[0]
    steps, check_every = training_steps(split, training.how), 1 if device.type == "cpu" else CHECK_EVERY
    loss_sum = torch.zeros((), dtype=torch.float64 if device.type != "mps" else torch.float32, device=device)
    correct, seen = torch.zeros((), dtype=torch.int64, device=device), 0
    for step, (images, labels) in enumerate(training_batches(split, training.how), start=1):
        training.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
            output = training.forward(images)
            logits = getattr(output, "logits", output)  # GoogLeNet and Inception return auxiliary ones too
            loss = training.loss(images, logits, labels)
        _step_(training, loss)
        loss_sum += loss.detach().to(loss_sum.dtype) * len(labels)
        correct += (logits.argmax(1) == labels).sum()
        seen += len(labels)
        if (step % check_every == 0 or step == steps) and not abs(value := loss_sum.item() / seen) <= DIVERGED_LOSS:
            raise DivergedError(f"loss became {value:.3g} in epoch {epoch + 1}, step {step} of the {training.stage}")
        on_step(step)
    return Epoch(
        stage=training.stage,
        epoch=epoch + 1,
        loss=loss_sum.item() / seen,
        accuracy=int(correct) / seen,
        learning_rate=float(rate),
        seconds=time.perf_counter() - started,
    )


def _step_(training: Training, loss: Tensor) -> None:
    """Update weights and learning rate by the loss of a batch (in place)."""
    scaler = training.scaler
    scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
    scaler.step(training.optimizer)
    before = scaler.get_scale()
    scaler.update()
    if scaler.get_scale() >= before:  # a lower scale: the gradients were not finite, and the step was left out
        training.schedule.step()
