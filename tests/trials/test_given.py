"""The model as given is looked at first: its accuracy, the order of its classes, and images made ready another way."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from lrbench.learn.datasets import decode_some, load_dataset
from lrbench.plan.run import prepare
from lrbench.plan.spec import load_spec
from lrbench.trials.given import look_at_given

BRIGHTNESS = """
from torch import nn


def build(num_classes=2):
    return nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, num_classes, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
"""


@pytest.fixture
def given(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model that tells dark from bright where images are scaled to -1..1, its weights, and images of both."""
    monkeypatch.delitem(__import__("sys").modules, "bright", raising=False)
    (workplace / "bright.py").write_text(BRIGHTNESS)
    first, second = torch.zeros(8, 3, 1, 1), torch.zeros(2, 8, 1, 1)
    first[0], second[1, 0] = 1.0, 1.0
    biases = {"0.bias": torch.zeros(8), "1.bias": torch.zeros(2)}
    save_file({"0.weight": first, "1.weight": second, **biases}, workplace / "bright.safetensors")
    random = np.random.default_rng(0)
    for split, count in (("train", 40), ("val", 10)):
        for shade, name in ((40, "dark"), (200, "light")):
            (workplace / "set" / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(shade - 30, shade + 30, (12, 10, 3)).astype(np.uint8)
                Image.fromarray(pixels).save(workplace / "set" / split / name / f"{number}.png")
    return workplace


def told(**keys: object) -> list[str]:
    words = {"model.name": "bright:build", "model.weights": "bright.safetensors", "data.name": "folder"}
    words |= {"data.root": "set", "data.image_size": 16, "data.search_share": 0.5, "baseline.epochs": 0}
    run = prepare(load_spec(Path("tiny.toml"), {**words, **keys}), cache=Path("cache"))
    return list(look_at_given(run, load_dataset(run.spec.data, cache=run.cache / "images")))


@pytest.mark.usefixtures("given")
def test_accuracy_and_the_order_of_classes_are_told_first() -> None:
    assert told() == [
        "the model as given: 100.00% of 20 test images right",
        "its outputs are, in this order: 0 dark, 1 light",
    ]


@pytest.mark.usefixtures("given")
@pytest.mark.parametrize("search", [0.5, 0.0])
def test_a_wrong_normalisation_is_told_with_what_is_better(search: float) -> None:
    lines = told(**{"data.mean": [0.0] * 3, "data.std": [1.0] * 3, "data.search_share": search})
    assert lines[0] == "the model as given: 50.00% of 20 test images right"
    assert "no better than guessing (50.00%)" in lines[2]
    split, count = ("search", 40) if search else ("training", 80)
    assert re.match(
        rf"Warning: of {count} {split} images the model as given has 50\.0% right as this spec makes them ready, and "
        r"100\.0% with (preset = \"imagenet\"|mean = .*): check \[data\]",
        lines[3],
    )


@pytest.mark.usefixtures("given")
def test_images_of_another_size_are_decoded_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """A preset that resizes to the same side cuts more out of it."""
    sizes = []

    def counted(source, indices, choice):
        sizes.append(choice.image_size)
        return decode_some(source, indices, choice)

    monkeypatch.setattr("lrbench.trials.given.decode_some", counted)
    told(**{"data.image_size": 128, "data.resize": 256})
    assert sizes == [224]


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.usefixtures("given")
def test_few_images_tell_nothing_of_transforms_and_computed_weights_are_copied(workplace: Path) -> None:
    (workplace / "bright.py").write_text(
        BRIGHTNESS.replace("nn.Conv2d(3, 8, 1)", "nn.utils.weight_norm(nn.Conv2d(3, 8, 1))")
    )
    one, two = torch.zeros(8, 3, 1, 1), torch.zeros(2, 8, 1, 1)
    one[:], two[1] = 1.0, 1.0
    state = {"0.weight_v": one, "0.weight_g": torch.ones(8, 1, 1, 1), "0.bias": torch.zeros(8)}
    save_file({**state, "1.weight": two, "1.bias": torch.zeros(2)}, workplace / "bright.safetensors")
    lines = told(**{"data.search_share": 0.1, "data.mean": [0.0] * 3, "data.std": [1.0] * 3})
    assert lines[0] == "the model as given: 50.00% of 20 test images right"
    assert not any("search images" in line for line in lines), "there are 8"


@pytest.mark.usefixtures("given")
def test_images_of_their_own_to_choose_by_judge() -> None:
    shutil.copytree("set/val", "own")
    lines = told(**{"data.mean": [0.0] * 3, "data.std": [1.0] * 3, "data.search": "own"})
    assert "of 20 search images the model as given has 50.0% right" in lines[3]


@pytest.mark.usefixtures("given")
def test_classes_in_another_order_are_no_better_than_guessing() -> None:
    for split in ("train", "val"):
        (Path("set") / split / "dark").rename(Path("set") / split / "night")
    lines = told()
    assert lines[0] == "the model as given: 0.00% of 20 test images right"
    assert lines[1] == "its outputs are, in this order: 0 light, 1 night"
    assert "was it trained with its classes in this order" in lines[2]


@pytest.mark.usefixtures("given")
def test_nothing_is_told_without_weights_or_with_a_new_head() -> None:
    assert told(**{"model.weights": "none"}) == []
    for split in ("train", "val"):
        (Path("set") / split / "third").mkdir()
        for number in range(4):
            Image.new("L", (9, 9)).save(f"set/{split}/third/{number}.png")
    assert told() == []


@pytest.mark.usefixtures("given", "undrawn")
def test_a_sweep_tells_it_before_anything_is_trained_and_recommend_carries_the_note(lrbench) -> None:
    words = [
        *("--set", "model.name=bright:build", "--set", "model.weights=bright.safetensors", "--set", "data.name=folder"),
        *("--set", "data.root=set", "--set", "data.image_size=16", "--set", "data.search_share=0.5"),
        *("--set", "baseline.epochs=0", "--set", "latency.devices=[]", "--set", "sweep.ranks=['rank=1']"),
    ]
    result = lrbench("sweep", "tiny.toml", *words)
    assert result.exit_code == 0, result.output
    order = ["data: 80 training images of 2 classes", "the search split is a share", "the model as given: 100.00%"]
    places = [result.output.index(text) for text in (*order, "done ")]
    assert places == sorted(places)
    assert result.output.count(order[1]) == 1
    assert (
        "The weights were given, and the search split is a share"
        in lrbench("recommend", "results/tiny", "--macs", 2).output
    )
    shutil.copytree("set/val", "own")
    result = lrbench("sweep", "tiny.toml", *words, "--set", "data.search=own", "--out", "apart")
    assert order[1] not in result.output
    assert "40 search images" not in result.output
    assert "The weights were given, and" not in lrbench("recommend", "apart", "--macs", 2).output
