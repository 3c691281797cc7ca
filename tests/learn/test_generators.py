"""Every generator is seeded for a trial and continued after a kill, and state in odd places of a model goes along."""

import random
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from lrbench.config.recipes import Recipe
from lrbench.config.sections import DataChoice
from lrbench.learn.checkpoints import Checkpoint
from lrbench.learn.datasets import Split
from lrbench.learn.generators import generator_states, restore_generators, seed_all
from lrbench.learn.odd_state import odd_state
from lrbench.learn.train import batching, train_
from lrbench.learn.weights import fits, keep_weights, recall_weights

DATA = DataChoice(image_size=8)


class Odd(nn.Module):
    """Draws from every generator as it learns, and keeps what it drew in plain attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(192, 2)
        self.drawn = np.zeros(3)
        self.plain = torch.zeros(1)
        self.count = np.float32(0)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.drawn += [random.random(), np.random.rand(), float(torch.rand(1))]  # noqa: NPY002
            self.plain = self.plain + 1
            self.count = np.float32(self.count + 1)
        return self.layer(images.flatten(1) + float(self.drawn.sum()) * 1e-3)


def split() -> Split:
    images = np.random.default_rng(0).integers(0, 255, (33, 3, 8, 8)).astype(np.uint8)
    return Split(images=images, labels=(np.arange(33) % 2).astype(np.int64), indices=np.arange(33))


def train(model: nn.Module, path: Path | None, epochs: int) -> None:
    recipe = Recipe(epochs=3, batch_size=8, lr=0.01)
    checkpoint = Checkpoint(path=path, every_s=0.0) if path else None
    how = batching(recipe, DATA)
    made = train_(model, split(), recipe=recipe, how=how, stage="finetune", seed=3, checkpoint=checkpoint)
    list(islice(made, epochs))


def net() -> Odd:
    torch.manual_seed(0)
    return Odd()


def states(model: Odd) -> list[torch.Tensor]:
    return [*model.state_dict().values(), *odd_state(model).values()]


def test_a_training_that_draws_from_all_generators_continues_bit_by_bit(tmp_path: Path) -> None:
    whole, path = net(), tmp_path / "key.checkpoint"
    random.seed(1)
    train(whole, None, 3)
    np.random.seed(2)  # noqa: NPY002
    train(net(), path, 1)
    random.seed(5)
    train(resumed := net(), path, 3)
    assert all(torch.equal(a, b) for a, b in zip(states(whole), states(resumed), strict=True))


def test_state_in_attributes_is_kept_with_the_weights_and_part_of_their_digest(tmp_path: Path) -> None:
    model, path = net(), tmp_path / "key.safetensors"
    train(model, None, 3)
    keep_weights(model, path, epochs=())
    fresh = net()
    assert fits(fresh, path)
    recall_weights(fresh, path)
    assert all(torch.equal(a, b) for a, b in zip(states(model), states(fresh), strict=True))
    assert isinstance(fresh.drawn, np.ndarray)
    assert isinstance(fresh.count, np.float32)
    other = tmp_path / "other.safetensors"
    model.drawn += 1
    keep_weights(model, other, epochs=())
    assert path.read_bytes() != other.read_bytes()


def draws() -> list[float]:
    return [random.random(), float(np.random.rand()), float(torch.rand(1))]  # noqa: NPY002


@pytest.mark.parametrize("seed", [0, 7, 2**32 + 1, 2**53])
def test_a_seed_decides_what_every_generator_draws(seed: int) -> None:
    seed_all(seed)
    first, kept = draws(), generator_states()
    second = draws()
    seed_all(seed)
    assert draws() == first
    restore_generators(kept)
    assert draws() == second


class Noise(Dataset[float]):
    """Draws in the workers of a loader."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> float:
        return sum(draws())


def test_workers_of_a_loader_draw_the_same_again() -> None:
    def drawn() -> list[float]:
        seed_all(11)
        return [float(value) for value in DataLoader(Noise(), batch_size=None, num_workers=2)]

    assert drawn() == drawn()
