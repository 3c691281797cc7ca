"""Presets set what weights were trained with; the oracle is torchvision's own transforms."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torchvision.transforms import functional

from lrbench.config.sections import DataChoice, ModelChoice
from lrbench.errors import InputError
from lrbench.learn.batches import Batching, normaliser
from lrbench.learn.datasets import fit_of
from lrbench.learn.images import decode
from lrbench.learn.presets import IMAGENET, with_preset
from lrbench.plan.run import prepare
from lrbench.plan.spec import load_spec, make_spec


def picture(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8))


def through(choice: DataChoice, image: Image.Image) -> torch.Tensor:
    how = Batching(size=1, data=choice, device=torch.device("cpu"), memory_format=torch.contiguous_format)
    pixels = decode(image, choice.image_size, fit_of(choice))
    return normaliser(how)(torch.from_numpy(pixels.copy())[None].float())[0]


@pytest.mark.parametrize("size", [(300, 260), (260, 300), (40, 90), (224, 224)])
@pytest.mark.parametrize(
    "name", ["resnet18", "resnet50", "efficientnet_b0", "efficientnet_b1", "inception_v3", "vit_b_16"]
)
def test_preset_weights_gives_what_the_transforms_of_the_weights_give(name: str, size: tuple[int, int]) -> None:
    model = ModelChoice(name=name, weights="DEFAULT")
    choice, image = with_preset(DataChoice(preset="weights"), model), picture(*size)
    theirs = torchvision.models.get_model_weights(name).DEFAULT.transforms()(image)
    assert torch.allclose(through(choice, image), theirs, atol=1e-5)


def test_preset_imagenet_gives_what_torchvision_evaluates_with() -> None:
    choice, image = with_preset(DataChoice(preset="imagenet"), ModelChoice()), picture(500, 375)
    pixels = functional.center_crop(functional.resize(image, 256), 224)
    theirs = functional.normalize(functional.to_tensor(pixels), [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    assert torch.allclose(through(choice, image), theirs, atol=1e-5)


def test_what_a_spec_says_itself_stays() -> None:
    document = {"data": {"preset": "imagenet", "image_size": 64, "mean": [0.5, 0.5, 0.5]}}
    data = with_preset(make_spec(document, where="test").data, ModelChoice())
    assert (data.image_size, data.resize, data.mean, data.std) == (64, 73, (0.5, 0.5, 0.5), IMAGENET.std)


def test_what_a_preset_cuts_out_is_within_what_the_spec_resizes_to() -> None:
    data = make_spec({"data": {"preset": "imagenet", "resize": 160}}, where="test").data
    told = "data.resize: must be 0 or at least image_size, 224 (data.preset), got 160"
    with pytest.raises(InputError, match=re.escape(told)):
        with_preset(data, ModelChoice())


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"data": {"resize": 31}}, r"data\.resize: must be 0 or at least image_size, 32, got 31"),
        ({"calibration": {"images": 1}}, r"calibration\.images: must be 0 or at least 2"),
    ],
)
def test_numbers_of_pixels_or_images_that_cannot_do_are_refused(document: dict[str, object], told: str) -> None:
    with pytest.raises(InputError, match=told):
        make_spec(document, where="test")


def test_a_preset_is_the_same_trials_as_its_values_written_out(workplace: Path) -> None:
    words = {"data.image_size": 32}
    named = prepare(load_spec(workplace / "tiny.toml", {**words, "data.preset": "imagenet"}), cache=workplace)
    spelt = {f"data.{key}": getattr(named.spec.data, key) for key in ("mean", "std", "resize")}
    told = prepare(load_spec(workplace / "tiny.toml", {**words, **spelt}), cache=workplace)
    assert [trial.key for trial in named.trials] == [trial.key for trial in told.trials]
    assert named.spec == told.spec
    assert named.spec.data.resize == 37


TIMM = """
from torch import nn

class Net(nn.Sequential):
    pretrained_cfg = {config}

def build(num_classes):
    return Net(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, num_classes))
"""
CONFIG = {
    "input_size": (3, 240, 240),
    "crop_pct": 0.875,
    "interpolation": "bicubic",
    "mean": (0.5, 0.4, 0.3),
    "std": (0.1, 0.2, 0.3),
    "crop_mode": "center",
}


def timm(workplace: Path, config: object, monkeypatch: pytest.MonkeyPatch) -> DataChoice:
    monkeypatch.delitem(__import__("sys").modules, "timmish", raising=False)
    (workplace / "timmish.py").write_text(TIMM.replace("{config}", repr(config)))
    return with_preset(DataChoice(preset="weights"), ModelChoice(name="timmish:build"))


def test_preset_weights_reads_the_configuration_of_a_timm_model(workplace: Path, monkeypatch) -> None:
    data = timm(workplace, CONFIG, monkeypatch)
    assert (data.image_size, data.resize, data.interpolation) == (240, 274, "bicubic")
    assert (data.mean, data.std, data.preset) == (CONFIG["mean"], CONFIG["std"], "none")


@pytest.mark.parametrize(
    "config",
    [
        *(
            {**CONFIG, "input_size": (3, 240, 200)},
            {**CONFIG, "crop_mode": "squash"},
            {**CONFIG, "input_size": (1, 8, 8)},
        ),
        *({**CONFIG, "mean": (0.5,)}, {**CONFIG, "crop_pct": 0}, {"mean": (1, 2, 3)}, {}, 7, {**CONFIG, "std": "x"}),
        {**CONFIG, "interpolation": "random"},
    ],
)
def test_a_configuration_that_cannot_be_followed_is_refused(config: object, workplace: Path, monkeypatch) -> None:
    with pytest.raises(InputError, match=r"data\.preset='weights': ") as error:
        timm(workplace, config, monkeypatch)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("name", "weights"), [("resnet18", "none"), ("resnet18", "a.pt"), ("no_such", "DEFAULT")])
def test_weights_that_carry_no_transforms_are_told_what_to_do(name: str, weights: str) -> None:
    with pytest.raises(
        InputError, match=r"are not known; only a torchvision weights name or a timm model has them\. Set"
    ):
        with_preset(DataChoice(preset="weights"), ModelChoice(name=name, weights=weights))


def test_preset_weights_knows_the_models_of_timm_by_name() -> None:
    pytest.importorskip("timm")
    data = with_preset(DataChoice(preset="weights"), ModelChoice(name="timm:resnet18", weights="a1_in1k"))
    assert (data.image_size, data.resize, data.interpolation) == (224, 235, "bicubic")
