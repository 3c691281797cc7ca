"""A model whose weights are computed, made plain by `model.materialize`, through the commands that build it again."""

from pathlib import Path

import pandas as pd
import pytest
import torch

import lrbench as package
from lrbench.results.log import read_records
from lrbench.results.records import Measurement
from lrbench.results.sessions import Session

pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")

NORMED = """
from torch import nn
from torch.nn.utils import weight_norm


def build(num_classes=10):
    return nn.Sequential(
        weight_norm(nn.Conv2d(3, 8, 3, stride=2, padding=1)), nn.ReLU(), nn.Conv2d(8, 16, 3), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, num_classes),
    )
"""
KEYS = {"model.name": "normed:build", "sweep.schemes": ["channel"], "sweep.ranks": ["rank=2"], "calibration.images": 0}
KEYS |= {"model.weights": "normed.pt", "baseline.epochs": 0}
WORDS = [word for key, value in KEYS.items() for word in ("--set", f"{key}={value}")]


@pytest.fixture
def normed(workplace: Path, monkeypatch: pytest.MonkeyPatch, undrawn: None) -> torch.nn.Module:
    """A workplace with such a model and its checkpoint."""
    (workplace / "normed.py").write_text(NORMED)
    monkeypatch.delitem(__import__("sys").modules, "normed", raising=False)
    from normed import build  # type: ignore[import-not-found]

    model: torch.nn.Module = build()
    torch.save(model.state_dict(), "normed.pt")
    return model


def test_it_is_swept_and_timed_once_more(normed: torch.nn.Module, lrbench) -> None:
    assert lrbench("sweep", "tiny.toml", *WORDS, "--set", "model.materialize=true").exit_code == 0
    (cut,) = (
        one
        for one in read_records(Path("results/tiny"))
        if isinstance(one, Measurement) and one.trial.scheme == "channel"
    )
    assert {layer.layer for layer in cut.architecture.layers} == {"0", "2"}, "the layer whose weight was computed too"
    result = lrbench("time", "results/tiny", "--model", "normed:build", "--occasion")
    assert result.exit_code == 0, result.output
    sessions = [one for one in read_records(Path("results/tiny")) if isinstance(one, Session)]
    assert len(sessions) >= 2
    assert len({one.architectures for one in sessions}) == 1


def test_it_is_swept_as_it_is_and_its_layer_stays_dense(normed: torch.nn.Module, lrbench) -> None:
    result = lrbench("sweep", "tiny.toml", *WORDS, "--set", "latency.devices=[]")
    assert result.exit_code == 0, result.output
    layers = pd.read_csv("results/tiny/layers.csv", dtype={"layer": str}).query(
        "scheme != 'dense' or reason != 'dense control'"
    )
    assert layers.set_index("layer").loc["0", "reason"]


@pytest.mark.long
def test_it_is_exported_and_loaded(normed: torch.nn.Module, lrbench) -> None:
    from normed import build

    assert lrbench("sweep", "tiny.toml", *WORDS, "--set", "model.materialize=true").exit_code == 0
    trials = pd.read_csv("results/tiny/trials.csv").set_index("scheme")
    trial = trials.loc["channel", "trial"]
    words = ("--to", "out", "--model", "normed:build", "--no-timing")
    result = lrbench("export", "results/tiny", trial, *words)
    assert result.exit_code == 0, result.output
    loaded = package.load("out", build=build)
    assert loaded(torch.zeros(1, 3, 8, 8)).shape == (1, 10)
