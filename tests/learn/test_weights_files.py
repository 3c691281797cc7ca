"""Checkpoints as people have them: wrapped, prefixed, old, with odd contents; each is loaded and said, or named."""

import argparse
import collections
import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from lrbench.config.sections import ModelChoice
from lrbench.errors import InputError
from lrbench.learn.checkpoint_files import FILES, read_file, weights_digest
from lrbench.learn.models import build_model
from lrbench.learn.state_dicts import PREFIXES, WRAPPERS

NETS = """
from torch import nn


def build(num_classes=3):
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, num_classes))
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weightnets.py").write_text(NETS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(__import__("sys").modules, "weightnets", raising=False)
    return tmp_path


def net(classes: int = 3) -> nn.Module:
    torch.manual_seed(5)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, classes))
    model[1].running_mean.normal_()
    model[1].num_batches_tracked.fill_(7)
    return model.eval()


def load(name: str, *, key: str = "", classes: int = 3) -> tuple[nn.Module, str]:
    choice = ModelChoice(name="weightnets:build", weights=name, weights_key=key)
    return build_model(choice, classes=classes, image_size=8)


def same(model: nn.Module, other: nn.Module) -> bool:
    mine, its = model.state_dict(), other.state_dict()
    return all(torch.equal(mine[name], its[name]) for name in its if "num_batches" not in name)


def refused(name: str, **more: Any) -> str:
    with pytest.raises(InputError) as told:
        load(name, **more)
    text = str(told.value)
    assert name in text
    assert "\n" not in text
    return text


@pytest.mark.parametrize("suffix", FILES)
def test_every_suffix_is_read(suffix: str) -> None:
    name = f"weights{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(net().state_dict(), name)
    model, note = load(name)
    assert same(model, net())
    assert note == "", "nothing was done that has to be told"


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("old", [False, True])
def test_every_wrapper_is_taken_and_said(wrapper: str, old: bool) -> None:
    content = {"epoch": 3, "best": torch.tensor(0.5), "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}}}
    torch.save({**content, wrapper: net().state_dict()}, "x.pth", _use_new_zipfile_serialization=not old)
    model, note = load("x.pth")
    assert same(model, net())
    assert f"took `{wrapper}`" in note
    assert "there too" not in note


def test_of_several_the_first_is_taken_the_others_are_named_and_a_key_chooses() -> None:
    ema = net()
    nn.init.ones_(ema[0].weight)
    torch.save({"state_dict": net().state_dict(), "state_dict_ema": ema.state_dict()}, "x.pth")
    model, note = load("x.pth")
    assert same(model, net())
    assert "took `state_dict`; `state_dict_ema` is there too" in note
    model, note = load("x.pth", key="state_dict_ema")
    assert same(model, ema)
    assert note == ""
    assert "did you mean 'state_dict_ema'? allowed: state_dict, state_dict_ema" in refused("x.pth", key="state_dict_em")
    assert load("x.pth")[1] != load("x.pth", key="state_dict_ema")[1]


@pytest.mark.parametrize("key", ["weights", "a.b", "student.net"])
def test_any_key_within_the_file_can_be_chosen(key: str) -> None:
    content: Any = net().state_dict()
    for name in reversed(key.split(".")):
        content = {name: content}
    torch.save({**content, "other": {"x": torch.zeros(1)}}, "x.pt")
    assert same(load("x.pt", key=key)[0], net())


def test_a_wrapper_within_a_wrapper_and_an_unknown_one() -> None:
    torch.save({"model": {"state_dict": net().state_dict()}}, "x.pt")
    assert "took `model`; took `state_dict`" in load("x.pt")[1]
    torch.save({"generator": net().state_dict(), "step": 3}, "x.pt")
    assert "took `generator`" in load("x.pt")[1]
    torch.save({"generator": net().state_dict(), "critic": net().state_dict()}, "x.pt")
    assert "choose one by model.weights_key: critic, generator" in refused("x.pt")


@pytest.mark.parametrize(
    "prefix", [*PREFIXES, "module.model.", "model._orig_mod.", "_orig_mod.module.", "module.backbone.model."]
)
def test_prefixes_of_all_names_are_taken_off_and_said(prefix: str) -> None:
    torch.save({prefix + name: value for name, value in net().state_dict().items()}, "x.pt")
    model, note = load("x.pt")
    assert same(model, net())
    assert f"took `{prefix}` off all names" in note


def test_a_prefix_that_not_all_names_have_stays() -> None:
    state = net().state_dict()
    state["module.0.weight"] = state.pop("0.weight")
    torch.save(state, "x.pt")
    told = refused("x.pt")
    assert "missing tensors: 0.weight" in told
    assert "unexpected tensors: module.0.weight" in told


def test_a_prefix_that_the_model_has_too_stays(place: Path) -> None:
    (place / "wrapped.py").write_text(
        "from torch import nn\nimport weightnets\nclass Net(nn.Module):\n    def __init__(self):\n"
        "        super().__init__()\n        self.model = weightnets.build()\n"
        "    def forward(self, x):\n        return self.model(x)\n"
    )
    state = {f"module.model.{name}": value for name, value in net().state_dict().items()}
    torch.save(state, "x.pt")
    choice = ModelChoice(name="wrapped:Net", weights="x.pt")
    model, note = build_model(choice, classes=3, image_size=8)
    assert same(model.model, net())
    assert "took `module.` off all names" in note


def test_an_averaged_model_is_read() -> None:
    averaged = torch.optim.swa_utils.AveragedModel(net())
    torch.save(averaged.state_dict(), "x.pt")
    model, note = load("x.pt")
    assert same(model, net())
    assert "left out `n_averaged`" in note


def test_counters_of_batch_norm_from_before_they_existed_are_filled_as_torch_does() -> None:
    state = {name: value for name, value in net().state_dict().items() if "num_batches_tracked" not in name}
    torch.save(state, "x.th")
    model, note = load("x.th")
    plain = net()
    plain[1].num_batches_tracked.zero_()
    plain.load_state_dict(collections.OrderedDict(state))
    assert all(torch.equal(value, plain.state_dict()[name]) for name, value in model.state_dict().items())
    assert "1 num_batches_tracked set to 0" in note


def test_another_size_of_the_head_is_replaced_and_said() -> None:
    torch.save(net(7).state_dict(), "x.pt")
    model, note = load("x.pt", classes=4)
    assert model[4].out_features == 4
    assert torch.equal(model[0].weight, net()[0].weight)
    assert "7 -> 4 classes, random weights" in note


def test_all_that_does_not_fit_is_listed_at_once() -> None:
    state = net().state_dict()
    state["1.weight"] = torch.zeros(5)
    state["0.weight"] = torch.zeros(4, 3, 5, 5)
    del state["0.bias"], state["4.bias"]
    torch.save({**state, "extra.weight": torch.zeros(1), "more": torch.zeros(1)}, "x.pt")
    told = refused("x.pt")
    assert "missing tensors: 0.bias, 4.bias" in told
    assert "unexpected tensors: extra.weight, more" in told
    assert "0.weight is 4 x 3 x 5 x 5, not 4 x 3 x 3 x 3" in told
    assert "1.weight is 5, not 4" in told


ODD: dict[str, tuple[Callable[[], Any], str]] = {
    "sparse": (lambda: torch.eye(3).to_sparse(), "sparse: 0.weight"),
    "compressed": (lambda: torch.eye(3).to_sparse_csr(), "sparse: 0.weight"),
    "quantized": (lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8), "quantized: 0.weight"),
    "complex": (lambda: torch.ones(3, dtype=torch.complex64), "complex: 0.weight"),
    "meta": (lambda: torch.ones(3, device="meta"), "without values (device meta): 0.weight"),
    "a number": (lambda: 3, "no tensor: 0.weight"),
    "an array": (lambda: np.ones(3), "no tensor: 0.weight"),
    "nothing": (lambda: None, "no tensor: 0.weight"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ODD)
def test_values_that_no_layer_takes_are_named(kind: str) -> None:
    make, words = ODD[kind]
    torch.save({**net().state_dict(), "0.weight": make()}, "x.pt")
    told = refused("x.pt")
    assert "must hold a state dict: tensors by name" in told
    assert words in told


@pytest.mark.parametrize("key", [3, ("a", "b"), None])
def test_names_that_are_no_texts_are_named(key: object) -> None:
    torch.save({**net().state_dict(), key: torch.zeros(1)}, "x.pt")
    told = refused("x.pt")
    assert "must hold a state dict: tensors by name" in told
    assert f"{key!r} ({type(key).__name__})" in told


def test_extra_state_is_left_out_and_said() -> None:
    torch.save({**net().state_dict(), "0._extra_state": {"calls": 3}}, "x.pt")
    model, note = load("x.pt")
    assert same(model, net())
    assert "left out extra state: 0._extra_state" in note


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_number_formats_become_the_models_own(dtype: torch.dtype) -> None:
    torch.save({name: value.to(dtype) for name, value in net().state_dict().items()}, "x.pt")
    model, note = load("x.pt")
    assert model[0].weight.dtype == torch.float32
    assert torch.equal(model[0].weight, net()[0].weight.to(dtype).float())
    assert ("is read as the model's own type" in note) == (dtype != torch.float64)


class Config(argparse.Namespace):
    """A class of a program that is not here when its checkpoint is read."""


BESIDE: dict[str, Any] = {
    "a namespace": argparse.Namespace(lr=0.1, layers=[1, 2], out=Path("runs")),
    "a number of numpy": np.float64(0.93),
    "an array": np.arange(4.0),
    "an array of texts": np.array(["a", "b"]),
    "a path": Path("runs/1"),
    "a defaultdict": collections.defaultdict(list, {"loss": [1.0]}),
    "a counter": collections.Counter("abc"),
    "a set": {1, 2},
    "a size": torch.Size([1, 2]),
    "a dtype": torch.float32,
    "a type": int,
}


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("kind", BESIDE)
def test_what_trainers_put_beside_the_weights_does_no_harm(kind: str, old: bool) -> None:
    torch.save(
        {"state_dict": net().state_dict(), "x": BESIDE[kind]}, "x.tar.pth", _use_new_zipfile_serialization=not old
    )
    assert same(load("x.tar.pth")[0], net())


def test_a_whole_checkpoint_of_a_trainer_is_read() -> None:
    model = net()
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.zeros(2, 3, 8, 8)).sum().backward()
    optimizer.step()
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    torch.save(
        {
            "model": {f"module.{name}": value for name, value in model.state_dict().items()},
            "optimizer": optimizer.state_dict(),
            "lr_scheduler": schedule.state_dict(),
            "args": argparse.Namespace(lr=0.1),
            "best": np.float64(0.9),
            "epoch": 3,
        },
        "checkpoint.pth",
    )
    loaded, note = load("checkpoint.pth")
    assert same(loaded, model)
    assert "took `model`" in note
    assert "`module.`" in note


@pytest.mark.parametrize("old", [False, True])
def test_a_whole_pickled_model_is_told_how_to_save_a_state_dict(old: bool) -> None:
    torch.save(net(), "x.pth", _use_new_zipfile_serialization=not old)
    told = refused("x.pth")
    assert "is a whole pickled model" in told
    assert "torch.save(model.state_dict(), 'weights.pt')" in told


def test_objects_of_a_foreign_program_are_named_and_never_imported() -> None:
    torch.save({"state_dict": net().state_dict(), "config": Config(lr=1)}, "x.pth")
    told = refused("x.pth")
    assert "Config" in told
    assert "torch.save(model.state_dict()" in told


class Evil:
    """Runs a program when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, ("open('ran', 'w').close()",)


@pytest.mark.parametrize("old", [False, True])
def test_no_code_of_a_file_is_run(old: bool, place: Path) -> None:
    torch.save({"state_dict": net().state_dict(), "x": Evil()}, "x.pth", _use_new_zipfile_serialization=not old)
    refused("x.pth")
    assert not (place / "ran").exists()


@pytest.mark.filterwarnings("ignore")
def test_torchscript_is_told_how_to_save_a_state_dict() -> None:
    torch.jit.save(torch.jit.trace(net(), torch.zeros(1, 3, 8, 8)), "x.pt")
    told = refused("x.pt")
    assert "is a TorchScript program" in told
    assert "state_dict()" in told


def test_files_that_are_none_of_weights_are_named(place: Path) -> None:
    content = io.BytesIO()
    torch.save(net().state_dict(), content)
    whole = content.getvalue()
    for content_of, words in (
        (whole[: len(whole) // 2], "is cut short"),
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "pointer of Git LFS"),
        (b"\n<!DOCTYPE html><html>404</html>", "is a web page"),
        (b"not weights at all", "cannot be read as plain tensors"),
        (pickle.dumps([1, 2]), ""),
    ):
        (place / "x.pt").write_bytes(content_of)
        assert words in refused("x.pt")
    with zipfile.ZipFile("x.pt", "w") as archive:
        archive.writestr("a.txt", "x")
    refused("x.pt")


def test_a_checkpoint_is_known_by_its_content(place: Path) -> None:
    torch.save(net().state_dict(), "a.pt")
    first = weights_digest(ModelChoice(weights="a.pt"))
    (place / "b.th").write_bytes((place / "a.pt").read_bytes())
    assert weights_digest(ModelChoice(weights="b.th")) == first
    torch.save(net(5).state_dict(), "a.pt")
    assert weights_digest(ModelChoice(weights="a.pt")) != first
    assert weights_digest(ModelChoice(weights="DEFAULT")) is None


def test_nothing_is_lost_between_file_and_model() -> None:
    torch.save({"state_dict": net().state_dict()}, "x.ckpt")
    content: dict[str, dict[str, Tensor]] = read_file("x.ckpt")
    assert content["state_dict"].keys() == net().state_dict().keys()
