"""What every test shares: one thread, no clock that decides, and a tiny sweep that takes a second."""

import gc
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import Result
from hypothesis import HealthCheck, settings
from PIL import Image
from typer.testing import CliRunner

from lrbench.cli import app

torch.set_num_threads(1)

settings.register_profile(
    "steady", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("steady")

TINY_NET = """
from torch import nn


def build(num_classes=10):
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, num_classes),
    )
"""

TINY_SPEC = """
[model]
name = "nets:build"
[data]
image_size = 8
[baseline]
epochs = 1
[finetune]
epochs = 1
[sweep]
schemes = ["channel", "writeback"]
ranks = ["rank=2", "energy=0.5"]
[layer_sets.convs]
include = ["*"]
[latency]
devices = ["cpu"]
rounds = 10
processes = 1
warmup_s = 0.0
block_s = 1e-9
"""


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory to work in, with a user's own model in `nets.py` and a spec for it in `tiny.toml`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets.py").write_text(TINY_NET)
    (tmp_path / "tiny.toml").write_text(TINY_SPEC)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(__import__("sys").modules, "nets", raising=False)
    return tmp_path


@pytest.fixture(autouse=True)
def timing_lock(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that times waits for no other process of this machine that does."""
    monkeypatch.setattr("lrbench.timing.lock.LOCK", tmp_path_factory.getbasetemp() / "timing.lock")


@pytest.fixture(autouse=True)
def in_this_process(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's own model runs in this process, not in a child that imports torch first; unless a test is about that."""
    if "in_children" not in request.fixturenames:
        monkeypatch.setattr("lrbench.timing.isolation.needs_child", lambda model, *others: False)


@pytest.fixture
def in_children() -> None:
    """A user's own code runs in child processes, as in the real command."""


@pytest.fixture(autouse=True)
def no_collection(monkeypatch: pytest.MonkeyPatch) -> None:
    """A timing session collects no garbage first: among all that the tests import that takes longer than the timing."""
    monkeypatch.setattr(gc, "collect", lambda generation=2: 0)


@pytest.fixture
def lrbench() -> Callable[..., Result]:
    """The command line, in process."""
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 kB of its own."""
    place = tmp_path / "small disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", place], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands that run draw no figures: most of the time of a tiny sweep."""
    for room in ("plan", "sweep", "timing"):
        monkeypatch.setattr(f"lrbench.cli.{room}.draw", lambda folder: None)


@pytest.fixture
def pictures() -> Callable[[Path], Path]:
    """Writes a class-folder data set of 12 training and 4 validation images of 2 classes."""

    def write(root: Path) -> Path:
        random = np.random.default_rng(0)
        for split, count in (("train", 6), ("val", 2)):
            for shade, name in ((40, "cat"), (200, "dog")):
                folder = root / split / name
                folder.mkdir(parents=True)
                for number in range(count):
                    pixels = random.integers(shade - 30, shade + 30, (12, 10, 3)).astype(np.uint8)
                    Image.fromarray(pixels).save(folder / f"{number}.png")
        return root

    return write
