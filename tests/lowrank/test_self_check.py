"""A layer is more than its weight: what cannot be replaced without a change is found, kept dense and told."""

import types
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations, prune

import lrbench
from lrbench.lowrank.compress import compress, first_schemes
from lrbench.lowrank.copies import copy_of
from lrbench.lowrank.examples import random_call
from lrbench.lowrank.layers import find_layers
from lrbench.lowrank.schemes import SCHEMES
from lrbench.lowrank.self_check import DIFFERS, FAILS, NOT_CALLED, find_unsound

SHAPE = (3, 9, 8)
pytestmark = pytest.mark.filterwarnings("ignore:layer .* rank .* has:UserWarning")


class Net(nn.Module):
    """Three convolutions and a linear layer, called as subclasses say."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.second = nn.Conv2d(8, 8, 3, padding=1)
        self.third = nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(8, 5)

    def middle(self, images: Tensor) -> Tensor:
        return self.second(images)

    def forward(self, images: Tensor) -> Tensor:
        hidden = self.third(self.middle(self.first(images).relu()).relu())
        return self.head(hidden.mean((2, 3)))


class Branches(Net):
    def middle(self, images: Tensor) -> Tensor:
        return self.second(images) if isinstance(self.second, nn.Conv2d) else images


class ReadsWeight(Net):
    def middle(self, images: Tensor) -> Tensor:
        return self.second(images.to(self.second.weight.dtype))


class ReadsStride(Net):
    def middle(self, images: Tensor) -> Tensor:
        return self.second(images)[:, :, :: self.second.stride[0]]


class AddsAnotherWay(Net):
    def middle(self, images: Tensor) -> Tensor:
        others = [m for m in self.children() if type(m) is nn.Conv2d and m.in_channels == 8]
        return self.second(images) + sum(float(m.weight.sum()) for m in others)


class KeepsAWayAround(Net):
    def __init__(self) -> None:
        super().__init__()
        self.calls = [self.second.__call__]

    def middle(self, images: Tensor) -> Tensor:
        return self.calls[0](images)


UNSOUND: dict[type[Net], tuple[str, str]] = {
    Branches: ("second", NOT_CALLED),
    ReadsWeight: ("second", FAILS + "AttributeError: 'Factors' object has no attribute 'weight'"),
    ReadsStride: ("second", FAILS + "AttributeError: 'Factors' object has no attribute 'stride'"),
    AddsAnotherWay: ("second", DIFFERS),
    KeepsAWayAround: ("second", NOT_CALLED),
}


def unsound(model: nn.Module) -> dict[str, str]:
    layers = find_layers(model, SHAPE)
    return find_unsound(model, first_schemes(model, layers, ["channel", "linear"]), random_call(SHAPE))


@pytest.mark.parametrize("build", [Branches, ReadsWeight, ReadsStride, KeepsAWayAround])
def test_the_guilty_layer_alone_is_found_with_its_reason(build: type[Net]) -> None:
    model = build().eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    name, reason = UNSOUND[build]
    assert unsound(model) == {name: reason}
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items()), "the model changed"
    assert {type(m) for m in model.children()} == {nn.Conv2d, nn.Linear}


def test_layers_that_only_together_change_nothing_are_kept_as_far_as_the_outputs_allow() -> None:
    found = unsound(AddsAnotherWay().eval())
    assert found.keys() <= {"second", "third"}
    assert set(found.values()) == {DIFFERS}


def test_a_sound_model_has_no_guilty_layer_by_any_scheme() -> None:
    model = Net().eval()
    layers = find_layers(model, SHAPE)
    for scheme in SCHEMES:
        assert find_unsound(model, first_schemes(model, layers, [scheme]), random_call(SHAPE)) == {}


def test_a_model_that_is_random_in_eval_mode_is_judged_by_its_calls() -> None:
    class Random(KeepsAWayAround):
        def __init__(self) -> None:
            super().__init__()
            self.source = torch.Generator().manual_seed(0)

        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images) + torch.randn(5, generator=self.source)

        def __deepcopy__(self, memo: dict[int, object]) -> "Random":
            return Random()

    assert unsound(Random().eval()) == {"second": NOT_CALLED}


def hooked(layer: nn.Conv2d) -> None:
    layer.register_forward_hook(lambda module, args, output: output * 2)


def pre_hooked(layer: nn.Conv2d) -> None:
    layer.register_forward_pre_hook(lambda module, args: (args[0] * 2,))


def patched(layer: nn.Conv2d) -> None:
    layer.forward = types.MethodType(lambda self, x: 2 * nn.Conv2d.forward(self, x), layer)  # type: ignore[method-assign]


def complex_weight(layer: nn.Conv2d) -> None:
    layer.weight = nn.Parameter(layer.weight.to(torch.complex64))
    layer.bias = None


def pruned(layer: nn.Conv2d) -> None:
    prune.random_unstructured(layer, "weight", amount=0.3)


def pruned_bias(layer: nn.Conv2d) -> None:
    prune.random_unstructured(layer, "bias", amount=0.3)


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (hooked, "it has hooks, which its factors would not have"),
        (pre_hooked, "it has hooks, which its factors would not have"),
        (patched, "its forward was replaced"),
        (complex_weight, "its weight is complex64"),
        (nn.utils.weight_norm, "its weight is parametrized"),
        (nn.utils.spectral_norm, "its weight is parametrized"),
        (parametrizations.weight_norm, "its weight is parametrized"),
        (parametrizations.orthogonal, "its weight is parametrized"),
        (pruned, "its weight is parametrized"),
        (pruned_bias, "its bias is parametrized"),
    ],
)
def test_what_a_factor_would_lose_is_a_reason_before_anything_runs(
    change: Callable[[nn.Conv2d], object], reason: str
) -> None:
    model = Net().eval()
    change(model.second)
    if change is complex_weight:
        model.middle = lambda images: model.second(images.to(torch.complex64)).real  # type: ignore[method-assign]
    found = {layer.name: layer.refusal for layer in find_layers(model, SHAPE)}
    assert found == {"first": None, "second": reason, "third": None, "head": None}
    if change in (hooked, pre_hooked):  # of those that only look on nothing is lost: an example tells
        with pytest.warns(UserWarning, match=f"layer second stays dense: {DIFFERS}"):
            compress(model, {"second": 8}, example=torch.randn(1, *SHAPE))
        return
    with pytest.raises(ValueError, match=f"layer second cannot be factorized by scheme channel: {reason}"):
        compress(model, {"second": 2})


MADE_PLAIN = [
    nn.utils.weight_norm,
    nn.utils.spectral_norm,
    parametrizations.weight_norm,
    parametrizations.spectral_norm,
    pruned,
    pruned_bias,
]


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
@pytest.mark.parametrize("change", MADE_PLAIN)
def test_a_model_with_computed_weights_is_copied_and_made_plain(change: Callable[[nn.Conv2d], object]) -> None:
    model = Net()
    change(model.second)
    images = torch.randn(2, *SHAPE)
    model(images).sum().backward()  # leaves weights that deepcopy refuses
    model.eval()
    expected = model(images)
    torch.testing.assert_close(copy_of(model)(images), expected)
    torch.testing.assert_close(compress(model, {"first": 8})(images), expected)
    plain = lrbench.materialize(model)
    torch.testing.assert_close(plain(images), expected)
    assert {layer.refusal for layer in find_layers(plain, SHAPE)} == {None}
    torch.testing.assert_close(compress(plain, {"second": 8})(images), expected)
    assert not any(m._forward_pre_hooks for m in plain.modules())
    assert any(layer.refusal for layer in find_layers(model, SHAPE)), "the model given is left alone"


def test_compress_checks_with_an_example_and_leaves_guilty_layers_dense_with_a_warning() -> None:
    model, images = Branches().eval(), torch.randn(2, *SHAPE)
    with pytest.warns(UserWarning, match=f"layer second stays dense: {NOT_CALLED}"):
        small = lrbench.compress(model, {"first": 2, "second": 2}, example=images)
    assert type(small.get_submodule("second")) is nn.Conv2d
    assert type(small.get_submodule("first")) is not nn.Conv2d


def test_choose_tells_which_layers_stay_dense_by_the_check() -> None:
    cuts = lrbench.choose(Branches().eval(), SHAPE, rule="rank=1")
    assert {cut.layer: cut.reason for cut in cuts} == {"first": None, "second": NOT_CALLED, "third": None, "head": None}


GUILTY_NET = """
from torch import nn


class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.second = nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(8, classes)

    def forward(self, images):
        hidden = self.first(images).relu()
        if isinstance(self.second, nn.Conv2d):
            hidden = self.second(hidden)
        return self.head(hidden.mean((2, 3)))


def build(num_classes=10):
    return Net(num_classes)
"""


@pytest.mark.usefixtures("undrawn")
def test_a_sweep_tells_of_a_guilty_layer_and_keeps_it_dense(workplace: Path, lrbench: Callable[..., object]) -> None:
    (workplace / "nets.py").write_text(GUILTY_NET)
    planned = lrbench("plan", "tiny.toml", "--set", 'sweep.ranks=["rank=2"]', "--set", "latency.devices=[]")
    assert f"these layers stay dense: second ({NOT_CALLED})" in " ".join(planned.output.split())
    done = lrbench("sweep", "tiny.toml", "--set", 'sweep.ranks=["rank=2"]', "--set", "latency.devices=[]")
    assert done.exit_code == 0, done.output
    assert f"these layers stay dense: second ({NOT_CALLED})" in " ".join(done.output.split())
    rows = (workplace / "results" / "tiny" / "layers.csv").read_text().splitlines()
    assert sum(NOT_CALLED in row and ",second," in row for row in rows) == 2, "for both schemes"


def test_functional_use_of_a_weight_is_not_reached_and_not_listed() -> None:
    class Functional(Net):
        def middle(self, images: Tensor) -> Tensor:
            return functional.conv2d(images, self.second.weight, self.second.bias, padding=1)

    assert "second" not in {layer.name for layer in find_layers(Functional(), SHAPE)}
