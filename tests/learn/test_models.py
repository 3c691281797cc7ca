"""Models by name, their weights from files, and the head that fits the data."""

from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from lrbench.config.sections import ModelChoice
from lrbench.errors import InputError
from lrbench.learn.models import _fit_head, build_model, count_outputs

FAMILIES = (
    *("alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "efficientnet_v2_s", "googlenet", "inception_v3"),
    *("maxvit_t", "mnasnet0_5", "mobilenet_v2", "mobilenet_v3_small", "regnet_x_400mf", "resnet18", "resnext50_32x4d"),
    *("shufflenet_v2_x0_5", "squeezenet1_1", "swin_t", "swin_v2_t", "vgg11", "vit_b_32", "wide_resnet50_2"),
)


@pytest.mark.long
@pytest.mark.parametrize("name", FAMILIES)
def test_the_head_of_every_torchvision_family_is_replaced(name: str) -> None:
    size = 299 if name == "inception_v3" else 224
    extra = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    with torch.device("cpu" if name.startswith("regnet") else "meta"):  # regnet computes its widths with tensors
        model = torchvision.models.get_model(name, **extra).eval()
        changed, note = _fit_head(model, choice=ModelChoice(name=name), classes=7, image_size=size)
        assert count_outputs(changed, choice=ModelChoice(name=name), image_size=size) == 7
    assert note.startswith(f"head of {name} (")
    assert note.endswith("1000 -> 7 classes, random weights")
    assert not [m for m in changed.modules() if isinstance(m, nn.Linear) and m.out_features == 1000]


def test_random_weights_follow_the_seed() -> None:
    def first(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return build_model(ModelChoice(), classes=10, image_size=32)[0].conv1.weight

    assert torch.equal(first(0), first(0))
    assert not torch.equal(first(0), first(1))


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".pth"])
def test_weights_come_from_a_file_and_a_larger_head_is_replaced(suffix: str, tmp_path: Path) -> None:
    path, state = tmp_path / f"w{suffix}", torchvision.models.resnet18(num_classes=12).state_dict()
    save_file(state, path) if suffix == ".safetensors" else torch.save({"state_dict": state}, path)
    model, note = build_model(ModelChoice(weights=str(path)), classes=10, image_size=32)
    assert torch.equal(model.conv1.weight, state["conv1.weight"])
    assert model.fc.out_features == 10
    assert "head of resnet18 (fc) replaced: 12 -> 10 classes, random weights" in note


class Trap:
    """A pickle that would write a file."""

    def __reduce__(self) -> tuple:
        return (Path.touch, (Path("trapped"),))


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"conv1.weight": Trap()}, "trap.pt")
    with pytest.raises(InputError, match=r"trap\.pt' cannot be read as plain tensors"):
        build_model(ModelChoice(weights="trap.pt"), classes=10, image_size=32)
    assert not Path("trapped").exists()


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"name": "resnet81"}, "unknown model.name='resnet81': did you mean 'resnet18'?"),
        ({"weights": "IMAGENET1K_V9"}, "did you mean 'IMAGENET1K_V1'?"),
        ({"weights": "absent.pt"}, "model.weights='absent.pt' does not exist"),
        ({"name": "nowhere:build"}, "model.name='nowhere:build' cannot be imported"),
        ({"name": "math:floor"}, "must return a torch.nn.Module|cannot"),
        ({"name": "math:pi"}, "must be callable, got float"),
        ({"name": "nets:build", "weights": "DEFAULT"}, "must be none or a"),
    ],
)
def test_a_wrong_model_says_what_is_allowed(choice: dict[str, str], message: str, workplace: Path) -> None:
    (workplace / "math_like.py").write_text("def floor():\n    return 3\n")
    choice = {key: value.replace("math:floor", "math_like:floor") for key, value in choice.items()}
    with pytest.raises(InputError, match=message):
        build_model(ModelChoice(**choice), classes=10, image_size=32)


def test_weights_of_another_model_are_refused_by_name(tmp_path: Path) -> None:
    torch.save(torchvision.models.resnet34(num_classes=10).state_dict(), tmp_path / "w.pt")
    with pytest.raises(InputError, match=r"does not fit resnet18: missing .*unexpected tensors: layer1\.2\.bn1\.bias"):
        build_model(ModelChoice(weights=str(tmp_path / "w.pt")), classes=10, image_size=32)


def test_an_image_too_small_for_the_model_is_an_input_error() -> None:
    with pytest.raises(InputError, match=r"alexnet' does not take RGB images of data\.image_size=16"):
        build_model(ModelChoice(name="alexnet"), classes=10, image_size=16)
