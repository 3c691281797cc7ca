"""A public-style checkpoint from its file to ONNX, with no training: a CIFAR ResNet-20 saved under DataParallel."""

import json
import sys
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

SPEC = """
[model]
name = "resnet20:resnet20"
weights = "resnet20.th"
[data]
image_size = 16
mean = [0.485, 0.456, 0.406]
std = [0.229, 0.224, 0.225]
[baseline]
epochs = 0
[finetune]
epochs = 0
[calibration]
images = 64
[sweep]
schemes = ["channel"]
truncations = ["plain", "sequential"]
ranks = ["macs=0.75"]
[latency]
devices = []
"""

FAST = ("--set", "latency.processes=1", "--set", "latency.rounds=10", "--set", "latency.warmup_s=0.0")


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undrawn: None) -> nn.Module:
    """A workplace with the checkpoint `resnet20.th` and its spec; gives the model."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "resnet20.py").write_text(RESNET)
    (tmp_path / "my.toml").write_text(SPEC)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "resnet20", raising=False)
    from resnet20 import resnet20  # type: ignore[import-not-found]

    torch.manual_seed(1)
    model: nn.Module = resnet20()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for images, labels in list(batches("search"))[:1] * 6:  # a little, so that batch norm has seen images
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
    state = nn.DataParallel(model).state_dict()
    old = {name: value for name, value in state.items() if "num_batches_tracked" not in name}
    torch.save({"state_dict": old, "best_prec1": 42.0}, "resnet20.th", _use_new_zipfile_serialization=False)
    return model.eval()


def batches(split: str) -> list[tuple[torch.Tensor, torch.Tensor]]:
    data = DataChoice(image_size=16, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    how = Batching(size=64, data=data, device=torch.device("cpu"), memory_format=torch.contiguous_format)
    return list(whole_batches(getattr(load_dataset(data, cache=Path("cache")), split), how))


def right_answers(run, split: str = "test") -> int:
    with torch.no_grad():
        return sum(int((run(images).argmax(1) == labels).sum()) for images, labels in batches(split))


def test_a_checkpoint_is_swept_and_recommended_as_it_is(given: nn.Module, lrbench) -> None:
    planned = lrbench("plan", "my.toml").output
    assert "took `state_dict`; took `module.` off all names; 19 num_batches_tracked set to 0" in " ".join(
        planned.split()
    )
    result = lrbench("sweep", "my.toml")
    assert result.exit_code == 0, result.output
    dense, *cut = (one for one in read_records(Path("results/my")) if isinstance(one, Measurement))
    assert dense.kept == "dense"
    assert dense.kept_accuracy.correct == right_answers(given), "as in plain torch"
    assert [one.trial.truncation for one in cut] == ["plain", "sequential"]
    result = lrbench("recommend", "results/my", "--max-drop", 100, "--confidence", 0.01)
    assert result.exit_code == 0, result.output
    assert "Nothing was finetuned: drops are against the model as given" in result.output
    assert "finetuned" not in lrbench("table", "results/my").output.replace("| finetuned |", "")


@pytest.mark.long
def test_it_leaves_as_onnx_with_the_answers_of_the_table(given: nn.Module, lrbench) -> None:
    assert lrbench("sweep", "my.toml").exit_code == 0
    told = json.loads(
        lrbench("recommend", "results/my", "--max-drop", 100, "--confidence", 0.01, "--format", "json").output
    )
    trial = told["recommended"]["trial"]
    result = lrbench("export", "results/my", trial, "--to", "out", "--model", "resnet20:resnet20", *FAST)
    assert result.exit_code == 0, result.output
    session = onnxruntime.InferenceSession("out/model.onnx")
    name = session.get_inputs()[0].name
    row = pd.read_csv("results/my/trials.csv").set_index("trial").loc[trial]
    answers = right_answers(lambda images: torch.from_numpy(session.run(None, {name: images.numpy()})[0]))
    assert answers == row["correct_kept"]
