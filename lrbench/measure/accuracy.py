"""Accuracy of a model on batches of images."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lrbench.config.ranges import LARGEST
from lrbench.results.records import Accuracy


def evaluate(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> Accuracy:
    """Right answers (which and how many) and mean cross-entropy (nats) in eval mode; the model is left in eval mode.

    Args:
        model: gives logits (N, classes) for images (N, 3, H, W).
        batches: (images, labels (N,)), on the model's device.

    Raises: ArithmeticError when a logit is NaN or infinite; ValueError when there are no samples.
    """
    return accuracy_of(*predict(model, batches))


def predict(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Logits (N, classes) and labels (N,) of all batches; the rest is as in `evaluate`."""
    model.eval()
    with torch.inference_mode():
        outputs = [(model(images).float(), labels) for images, labels in batches]
    if not outputs:
        raise ValueError("accuracy needs at least one image, got none")
    logits, labels = (torch.cat(parts) for parts in zip(*outputs, strict=True))
    if not bool(logits.isfinite().all()):
        raise ArithmeticError("a logit on the test images is not finite")
    return logits, labels


def accuracy_of(logits: Tensor, labels: Tensor) -> Accuracy:
    """Right answers and mean cross-entropy of logits (N, classes) for labels (N,).

    Raises: ArithmeticError when the cross-entropy is beyond what a record holds.
    """
    answers = (logits.argmax(1) == labels).cpu().numpy()
    loss = float(functional.cross_entropy(logits.double(), labels))
    if not loss <= LARGEST:
        raise ArithmeticError(f"the loss on the images is {loss:.3g}")
    return Accuracy(
        correct=int(answers.sum()),
        samples=len(answers),
        loss=max(0.0, loss),
        right=np.packbits(answers).tobytes().hex(),
    )


def divergence_of(logits: Tensor, reference: Tensor) -> float:
    """Mean Kullback-Leibler divergence of predictions from a reference's, both as logits (N, classes), in nats.

    Kullback & Leibler 1951, Annals of Mathematical Statistics 22. It needs no labels, and is 0 only for equal
    predictions.
    """
    predicted, expected = (functional.log_softmax(values.double(), dim=1) for values in (logits, reference))
    return float(functional.kl_div(predicted, expected, log_target=True, reduction="batchmean"))
