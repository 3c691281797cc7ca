"""Accuracy of a model on batches of images."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lrbench.records import Accuracy


def evaluate(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> Accuracy:
    """Right answers (which and how many) and mean cross-entropy (nats) in eval mode; the model is left in eval mode.

    Args:
        model: gives logits (N, classes) for images (N, 3, H, W).
        batches: (images, labels (N,)), on the model's device.

    Raises: ArithmeticError when a logit is NaN or infinite; ValueError when there are no samples.
    """
    model.eval()
    right, loss = [], 0.0
    with torch.inference_mode():
        for images, labels in batches:
            logits = model(images).float()
            if not bool(logits.isfinite().all()):
                raise ArithmeticError("a logit on the test images is not finite")
            loss += float(functional.cross_entropy(logits, labels, reduction="sum"))
            right.append((logits.argmax(1) == labels).cpu().numpy())
    answers = np.concatenate([np.empty(0, dtype=bool), *right])
    if not len(answers):
        raise ValueError("accuracy needs at least one image, got none")
    return Accuracy(
        correct=int(answers.sum()),
        samples=len(answers),
        loss=loss / len(answers),
        right=np.packbits(answers).tobytes().hex(),
    )
