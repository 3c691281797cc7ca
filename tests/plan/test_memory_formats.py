"""channels_last is tried on a model before anything is trained or timed, and left out where the model fails in it."""

import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from lrbench.measure.memory_formats import refuses_channels_last
from lrbench.plan.memory_formats import without_refused_formats
from lrbench.plan.run import prepare
from lrbench.plan.spec import load_spec, make_spec

VIEW_NET = """
from torch import nn


class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(256, classes)

    def forward(self, x):
        x = self.second(self.first(x).relu())
        return self.head(x.view(len(x), -1))


def build(num_classes):
    return Net(num_classes)
"""


class Forward(nn.Module):
    """A convolution and what is done with its output."""

    def __init__(self, then: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.conv, self.then = nn.Conv2d(3, 4, 3), then

    def forward(self, images: Tensor) -> Tensor:
        return self.then(self, self.conv(images))


def volume() -> nn.Module:
    model = Forward(lambda _, x: x)
    model.weight = nn.Parameter(torch.zeros(1, 1, 2, 2, 2))
    return model


ODD = {
    "view": (Forward(lambda _, x: x.view(len(x), -1)), "RuntimeError: view size is not compatible"),
    "five dimensions": (volume(), "RuntimeError: required rank 4 tensor to use channels_last format"),
    "Conv3d": (
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.Unflatten(1, (2, 2)), nn.Conv3d(2, 2, 1)),
        "RuntimeError: required rank 4 tensor",
    ),
    "strides": (Forward(lambda _, x: x * x.stride(1)), "gives other outputs"),
    "memory": (Forward(lambda _, x: x.as_strided((2, 9), (9, 1))), "gives other outputs"),
}
"""Models that cannot compute in channels_last, and what is said of them."""


COUNT = count()


class Int8(nn.Identity):
    """A module whose parameter is of whole numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.odd = nn.Parameter(torch.ones(2, dtype=torch.int8), requires_grad=False)


def fails(_: nn.Module, images: Tensor) -> Tensor:
    raise KeyError("always")


def ends(self: nn.Module, images: Tensor) -> Tensor:
    return images if self.training else sys.exit(0)


FINE = {
    "ends the process": Forward(ends),
    "flatten": Forward(lambda _, x: x.flatten(1)),
    "view of pooled images": Forward(lambda _, x: x.mean((2, 3)).view(len(x), -1)),
    "other outputs from call to call": Forward(lambda _, x: x + next(COUNT)),
    "not finite": Forward(lambda _, x: x / 0),
    "fails in any format": Forward(fails),
    "dropout and batch norm": nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5)),
    "attention": nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(2), nn.TransformerEncoderLayer(36, 2, batch_first=True)),
    "no parameters": nn.Flatten(),
    "int8 first": nn.Sequential(Int8(), nn.Conv2d(3, 4, 3)),
}
"""Models that nothing is held against."""


@pytest.mark.parametrize("name", ODD)
def test_a_model_that_cannot_compute_in_channels_last_is_told(name: str) -> None:
    model, said = ODD[name]
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    assert said in refuses_channels_last(model, (3, 8, 8))
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())
    assert all(tensor.is_contiguous() for tensor in model.state_dict().values()), "the model is left alone"


@pytest.mark.parametrize("name", FINE)
def test_nothing_is_held_against_a_model_that_computes_the_same_or_fails_anyway(name: str) -> None:
    assert refuses_channels_last(FINE[name], (3, 8, 8)) == ""


def test_only_what_was_asked_for_is_left_out() -> None:
    spec = make_spec(
        {
            "data": {"image_size": 8},
            "baseline": {"channels_last": False},
            "latency": {"devices": ["cpu"], "memory_formats": ["channels_last", "contiguous"]},
        },
        where="test",
    )
    changed, words = without_refused_formats(spec, ODD["view"][0])
    assert changed.latency.memory_formats == ("contiguous",)
    assert (changed.baseline.channels_last, changed.finetune.channels_last) == (False, False)
    assert words.startswith("channels_last is left out of finetune.channels_last, latency.memory_formats (contiguous")
    assert without_refused_formats(spec, FINE["flatten"]) == (spec, "")
    assert without_refused_formats(changed, ODD["view"][0]) == (changed, "")


def test_its_trials_are_those_of_the_spec_that_says_so_itself(workplace: Path) -> None:
    (workplace / "nets.py").write_text(VIEW_NET)
    run = prepare(load_spec(workplace / "tiny.toml"), cache=workplace)
    (note,) = (note for note in run.notes if "channels_last" in note)
    assert "in it the model raises RuntimeError: view size is not compatible" in note
    words = ("baseline.channels_last=false", "finetune.channels_last=false")
    said = prepare(load_spec(workplace / "tiny.toml", words), cache=workplace)
    assert [trial.key for trial in run.trials] == [trial.key for trial in said.trials]


def test_a_sweep_of_a_model_with_view_runs_and_is_timed(workplace: Path, lrbench) -> None:
    (workplace / "nets.py").write_text(VIEW_NET)
    one = ("--set", "sweep.schemes=['channel']", "--set", "sweep.ranks=['rank=2']")
    result = lrbench("sweep", "tiny.toml", *one)
    assert result.exit_code == 0, result.output
    assert "channels_last is left out" in " ".join(result.output.split())
    formats = "latency.memory_formats=['channels_last']"
    again = lrbench("time", "results/tiny", "--model", "nets:build", "--set", formats)
    assert again.exit_code == 2
    assert "nets:build cannot be timed in channels_last: in it the model raises RuntimeError: view" in " ".join(
        again.output.split()
    )
