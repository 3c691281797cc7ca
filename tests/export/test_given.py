"""Public-style checkpoints from their files to ONNX, with no training: a CIFAR ResNet-20, and a small EfficientNet."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import onnxruntime
import pandas as pd
import pytest
import torch
from torch import nn

from lrbench.config.sections import DataChoice
from lrbench.learn.batches import Batching
from lrbench.learn.batches import test_batches as whole_batches
from lrbench.learn.datasets import load_dataset
from lrbench.results.log import read_records
from lrbench.results.records import Measurement

RESNET = """
import torch.nn.functional as F
from torch import nn


class Lambda(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class Block(nn.Module):
    def __init__(self, inside, outside, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outside)
        self.shortcut = nn.Sequential()
        if stride != 1 or inside != outside:  # option A: every second pixel, zeros for the new channels
            self.shortcut = Lambda(lambda x: F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, outside // 4, outside // 4)))

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(out)) + self.shortcut(x))


class ResNet(nn.Module):
    def __init__(self, blocks, num_classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = self.stage(blocks, 16, 16, 1)
        self.layer2 = self.stage(blocks, 16, 32, 2)
        self.layer3 = self.stage(blocks, 32, 64, 2)
        self.linear = nn.Linear(64, num_classes)

    def stage(self, blocks, inside, outside, stride):
        return nn.Sequential(Block(inside, outside, stride), *(Block(outside, outside, 1) for _ in range(blocks - 1)))

    def forward(self, x):
        out = self.layer3(self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x))))))
        return self.linear(out.mean((2, 3)))


def resnet20():
    return ResNet(3)
"""

MOBILE = """
import torch
from torch import nn


class Squeeze(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.reduce, self.expand = nn.Conv2d(width, 4, 1), nn.Conv2d(4, width, 1)

    def forward(self, x):
        return x * torch.sigmoid(self.expand(nn.functional.silu(self.reduce(x.mean((2, 3), keepdim=True)))))


class Block(nn.Module):
    def __init__(self, inside, outside, stride):
        super().__init__()
        wide = 4 * inside
        self.adds = stride == 1 and inside == outside
        self.body = nn.Sequential(
            nn.Conv2d(inside, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.SiLU(),
            nn.Conv2d(wide, wide, 5, stride=stride, padding=2, groups=wide, bias=False),
            nn.BatchNorm2d(wide), nn.SiLU(),
            Squeeze(wide),
            nn.Conv2d(wide, outside, 1, bias=False), nn.BatchNorm2d(outside),
        )

    def forward(self, x):
        return x + self.body(x) if self.adds else self.body(x)


def mobile(num_classes):
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(16), nn.SiLU(),
        Block(16, 16, 1), Block(16, 24, 2), Block(24, 24, 1),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, num_classes),
    )
"""

SPEC = """
[model]
name = "{module}:{module}"
weights = "{file}"
[data]
image_size = 16
mean = {mean}
std = {std}
[baseline]
epochs = 0
[finetune]
epochs = 0
[calibration]
images = 64
[sweep]
schemes = ["{scheme}"]
truncations = {truncations}
ranks = ["macs=0.75"]
[latency]
devices = []
"""

FAST = ("--set", "latency.processes=1", "--set", "latency.rounds=10", "--set", "latency.warmup_s=0.0")


@dataclass(frozen=True, kw_only=True)
class Public:
    """A checkpoint as people publish it: its code, and how it was trained and saved."""

    module: str
    code: str
    file: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    scheme: str
    truncations: tuple[str, ...]
    save: Callable[[nn.Module, str], None]
    told: str


def save_old(model: nn.Module, file: str) -> None:
    state = nn.DataParallel(model).state_dict()
    old = {name: value for name, value in state.items() if "num_batches_tracked" not in name}
    torch.save({"state_dict": old, "best_prec1": 42.0}, file, _use_new_zipfile_serialization=False)


def save_averaged(model: nn.Module, file: str) -> None:
    torch.save({"epoch": 9, "state_dict": model.state_dict(), "state_dict_ema": model.state_dict()}, file)


RESNET20 = Public(
    module="resnet20",
    code=RESNET,
    file="resnet20.th",
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    scheme="channel",
    truncations=("plain", "sequential"),
    save=save_old,
    told="took `state_dict`; took `module.` off all names; 19 num_batches_tracked set to 0",
)
MOBILENET = Public(
    module="mobile",
    code=MOBILE,
    file="mobile.pth.tar",
    mean=(0.5, 0.5, 0.5),
    std=(0.25, 0.25, 0.25),
    scheme="channel+grouped",
    truncations=("plain",),
    save=save_averaged,
    told="took `state_dict`; `state_dict_ema` is there too",
)


@pytest.fixture(params=[RESNET20, MOBILENET], ids=lambda public: public.module)
def public(request: pytest.FixtureRequest) -> Public:
    """One of them."""
    chosen: Public = request.param
    return chosen


@pytest.fixture
def given(public: Public, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undrawn: None) -> nn.Module:
    """A workplace with the checkpoint and its spec; gives the model."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / f"{public.module}.py").write_text(public.code)
    lists = {name: json.dumps(getattr(public, name)) for name in ("mean", "std", "truncations")}
    (tmp_path / "my.toml").write_text(SPEC.format(**{**vars(public), **lists}))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, public.module, raising=False)
    torch.manual_seed(1)
    build = getattr(import_module(public.module), public.module)
    model: nn.Module = build() if public is RESNET20 else build(10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for images, labels in list(batches(public, "search"))[:1] * 6:  # a little, so that batch norm has seen images
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
    public.save(model, public.file)
    return model.eval()


def batches(public: Public, split: str) -> list[tuple[torch.Tensor, torch.Tensor]]:
    data = DataChoice(image_size=16, mean=public.mean, std=public.std)
    how = Batching(size=64, data=data, device=torch.device("cpu"), memory_format=torch.contiguous_format)
    return list(whole_batches(getattr(load_dataset(data, cache=Path("cache")), split), how))


def right_answers(public: Public, run: Callable[[torch.Tensor], torch.Tensor]) -> int:
    with torch.no_grad():
        return sum(int((run(images).argmax(1) == labels).sum()) for images, labels in batches(public, "test"))


def test_a_checkpoint_is_swept_and_recommended_as_it_is(given: nn.Module, public: Public, lrbench) -> None:
    planned = lrbench("plan", "my.toml").output
    assert public.told in " ".join(planned.split())
    result = lrbench("sweep", "my.toml")
    assert result.exit_code == 0, result.output
    dense, *cut = (one for one in read_records(Path("results/my")) if isinstance(one, Measurement))
    assert dense.kept == "dense"
    assert dense.kept_accuracy.correct == right_answers(public, given), "as in plain torch"
    assert [one.trial.truncation for one in cut] == list(public.truncations)
    result = lrbench("recommend", "results/my", "--max-drop", 100, "--confidence", 0.01)
    assert result.exit_code == 0, result.output
    assert "Nothing was finetuned: drops are against the model as given" in result.output
    assert "finetuned" not in lrbench("table", "results/my").output.replace("| finetuned |", "")


@pytest.mark.long
def test_it_leaves_as_onnx_with_the_answers_of_the_table(given: nn.Module, public: Public, lrbench) -> None:
    assert lrbench("sweep", "my.toml").exit_code == 0
    told = json.loads(
        lrbench("recommend", "results/my", "--max-drop", 100, "--confidence", 0.01, "--format", "json").output
    )
    trial = told["recommended"]["trial"]
    result = lrbench("export", "results/my", trial, "--to", "out", "--model", f"{public.module}:{public.module}", *FAST)
    assert result.exit_code == 0, result.output
    session = onnxruntime.InferenceSession("out/model.onnx")
    name = session.get_inputs()[0].name
    row = pd.read_csv("results/my/trials.csv").set_index("trial").loc[trial]
    answers = right_answers(public, lambda images: torch.from_numpy(session.run(None, {name: images.numpy()})[0]))
    assert answers == row["correct_kept"]
