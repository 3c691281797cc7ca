"""Accuracy."""

import numpy as np
import pytest
import torch
from torch import nn

from lrbench.measure.accuracy import evaluate


def test_accuracy_is_the_share_of_right_answers_and_the_mean_cross_entropy() -> None:
    logits = torch.randn(11, 3)
    labels = torch.randint(0, 3, (11,))
    found = evaluate(nn.Identity(), [(logits[:8], labels[:8]), (logits[8:], labels[8:])])
    assert found.correct == int((logits.argmax(1) == labels).sum())
    assert found.accuracy == found.correct / 11
    bits = np.unpackbits(np.frombuffer(bytes.fromhex(found.right), dtype=np.uint8), count=11)
    assert bits.tolist() == (logits.argmax(1) == labels).int().tolist()
    assert found.loss == pytest.approx(float(nn.CrossEntropyLoss()(logits, labels)), rel=1e-6)


def test_no_images_is_an_error() -> None:
    with pytest.raises(ValueError, match="accuracy needs at least one image"):
        evaluate(nn.Identity(), [])


@pytest.mark.parametrize("logit", [float("nan"), float("inf"), float("-inf")])
def test_a_logit_that_is_not_finite_is_an_error(logit: float) -> None:
    """Also -inf for a wrong class, which leaves the loss finite."""
    with pytest.raises(ArithmeticError, match="a logit on the test images is not finite"):
        evaluate(nn.Identity(), [(torch.tensor([[0.0, logit]]), torch.tensor([0]))])
