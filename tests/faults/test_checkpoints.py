"""A training that is cut short continues to the weights that it would have had, bit by bit."""

from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from lrbench.config.recipes import Recipe
from lrbench.config.sections import DataChoice
from lrbench.learn.checkpoints import Checkpoint
from lrbench.learn.datasets import Split
from lrbench.learn.train import batching, train_
from lrbench.results.records import Epoch

DATA = DataChoice(image_size=8, augment="crop-flip")


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.3), nn.Linear(144, 2)
    )


def split() -> Split:
    random = np.random.default_rng(0)
    images = random.integers(0, 255, (33, 3, 8, 8)).astype(np.uint8)
    return Split(images=images, labels=(np.arange(33) % 2).astype(np.int64), indices=np.arange(33))


def train(model: nn.Module, recipe: Recipe, *, path: Path | None, epochs: int = 5, every_s: float = 0.0) -> list[Epoch]:
    """The first epochs of a training, which then is cut short."""
    checkpoint = Checkpoint(path=path, every_s=every_s) if path else None
    how = batching(recipe, DATA)
    made = train_(model, split(), recipe=recipe, how=how, stage="finetune", seed=3, checkpoint=checkpoint)
    return [replace(epoch, seconds=0.0) for epoch in islice(made, epochs)]


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("schedule", ["constant", "cosine", "one-cycle"])
def test_an_interrupted_training_ends_in_the_same_weights(optimizer: str, schedule: str, tmp_path: Path) -> None:
    recipe = Recipe(epochs=5, batch_size=8, lr=0.01, optimizer=optimizer, schedule=schedule)
    whole, parts, path = net(), net(), tmp_path / "key.checkpoint"
    epochs = train(whole, recipe, path=None)
    assert train(parts, recipe, path=path, epochs=2) == epochs[:2]
    torch.manual_seed(99)
    torch.rand(7)
    assert train(other := net(), recipe, path=path, epochs=3) == epochs[:3]
    assert train(resumed := net(), recipe, path=path) == epochs
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    assert any(not torch.equal(value, other.state_dict()[name]) for name, value in whole.state_dict().items())


def test_a_short_training_keeps_no_checkpoint(tmp_path: Path) -> None:
    train(net(), Recipe(epochs=2, batch_size=8), path=tmp_path / "key.checkpoint", every_s=3600)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"torn", b"", b"PK", None])
def test_a_checkpoint_that_is_none_is_put_aside_and_the_training_starts_anew(
    content: bytes | None, tmp_path: Path
) -> None:
    path, recipe = tmp_path / "key.checkpoint", Recipe(epochs=2, batch_size=8)
    if content is None:  # of another training
        other = tmp_path / "other.checkpoint"
        train(net(), Recipe(epochs=5, batch_size=8, optimizer="adamw"), path=other, epochs=2)
        other.rename(path)
    else:
        path.write_bytes(content)
    made, whole = net(), net()
    assert train(made, recipe, path=path, every_s=3600) == train(whole, recipe, path=None)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, made.state_dict()[name]), name
    assert [found.name for found in tmp_path.iterdir()] == ["key.checkpoint.bad-1"]
