"""Accuracy of a model on batches of images."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional

from lrbench.records import Accuracy


def evaluate(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> Accuracy:
    """Right answers, samples and mean cross-entropy (nats) in eval mode; the model is left in eval mode.

    Args:
        model: gives logits (N, classes) for images (N, 3, H, W).
        batches: (images, labels (N,)), on the model's device.

    Raises: ArithmeticError when a logit is NaN or infinite; ValueError when there are no samples.
    """
    model.eval()
    correct, samples, loss = 0, 0, 0.0
    with torch.inference_mode():
        for images, labels in batches:
            logits = model(images).float()
            loss += float(functional.cross_entropy(logits, labels, reduction="sum"))
            correct += int((logits.argmax(1) == labels).sum())
            samples += len(labels)
    if not samples:
        raise ValueError("accuracy needs at least one image, got none")
    if not math.isfinite(loss):
        raise ArithmeticError(f"loss on the test images is {loss}")
    return Accuracy(correct=correct, samples=samples, loss=loss / samples)
