"""Sequential truncation computes each value once, and gives what two whole passes for every layer give."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from math import inf

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.densenet import DenseNet
from torchvision.models.mobilenetv2 import InvertedResidual
from torchvision.models.resnet import BasicBlock

from lrbench.lowrank.compress import compress, make_cut, refusal
from lrbench.lowrank.cuts import Cut
from lrbench.lowrank.factors import weight_of
from lrbench.lowrank.layers import find_layers
from lrbench.lowrank.moments import reestimate_batch_norm_
from lrbench.lowrank.replace import last_layer
from lrbench.lowrank.schemes import SCHEMES
from lrbench.lowrank.sequential import JointMoments, compress_sequentially, decompose_regression

pytestmark = pytest.mark.filterwarnings("ignore:layer .* rank .* has:UserWarning")  # narrow layers save nothing

IMAGES, SIZE, BATCH = 10, 16, 4
"""Batches of 4, 4 and 2."""


def conv(ins: int, outs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(ins, outs, 3, stride, padding=1)


def residual() -> nn.Module:
    down = nn.Sequential(nn.Conv2d(6, 8, 1, 2, bias=False), nn.BatchNorm2d(8))
    return nn.Sequential(conv(3, 6), nn.ReLU(inplace=True), BasicBlock(6, 6), BasicBlock(6, 8, 2, down))


def inverted_residuals() -> nn.Module:
    return nn.Sequential(conv(3, 6), *(InvertedResidual(6, outs, stride, 3) for outs, stride in ((6, 1), (8, 2))))


def many_live_values() -> nn.Module:
    return DenseNet(growth_rate=4, block_config=(2, 2), num_init_features=6, bn_size=2, num_classes=5)


class Branches(nn.Module):
    """Values are changed in place while other branches need them, before the first convolution and behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.left, self.right = conv(3, 6), conv(6, 6), conv(6, 6)
        self.act = nn.Hardswish(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        skip = self.stem(x)
        view = skip[:, :3]
        left = self.left(self.act(skip))
        skip.add_(left * torch.linspace(0.5, 1, 6).view(6, 1, 1).to(left))
        left, right = self.act(left), self.right(self.act(skip))
        return torch.cat([left.add_(right), self.act(view)], 1)


class DataDependent(nn.Module):
    """Nothing that torch.fx can trace: the sign of a sum decides what runs."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = conv(3, 6), conv(6, 6), conv(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu_(self.first(x))
        x = torch.relu_(self.second(x)) if x.sum() > 0 else self.second(-x)
        return self.third(x)


class OtherGraph(nn.Module):
    """What torch.fx traces wrongly: `+=` changes the view too, but in the graph it makes a new value."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.first, self.second = conv(3, 6), conv(6, 6), conv(9, 6)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        view = x[:, :3]
        x += self.first(x)
        return self.second(torch.cat([x, view], 1))


class OutOfOrder(nn.Module):
    """The shortcut is the last module, and runs first."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.first, self.second, self.shortcut = conv(3, 6), conv(6, 6), conv(6, 6), nn.Conv2d(6, 6, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        shortcut = self.shortcut(x)
        return self.second(torch.relu_(self.first(x))) + shortcut


class CalledTwice(nn.Module):
    """One convolution at two places."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.twice, self.last = conv(3, 6), conv(6, 6), conv(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        x = self.twice(torch.relu(self.stem(x)))
        return self.last(torch.relu_(self.twice(torch.relu_(x))))


MODELS: dict[str, Callable[[], nn.Module]] = {
    "residual": residual,
    "inverted residuals": inverted_residuals,
    "many live values": many_live_values,
    "branches in place": Branches,
    "data-dependent": DataDependent,
    "another graph": OtherGraph,
    "out of order": OutOfOrder,
    "called twice": CalledTwice,
}


def build(name: str) -> nn.Module:
    torch.manual_seed(0)
    model = MODELS[name]().double()
    reestimate_batch_norm_(model, pictures())
    return model


def pictures() -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(IMAGES, 3, SIZE, SIZE, generator=generator, dtype=torch.float64).cumsum(2).split(BATCH)


def cuts_of(model: nn.Module, *, schemes: Sequence[str] = ("channel",)) -> list[Cut]:
    """Every convolution that may be cut, to half its rank, the schemes in turn; one layer stays dense."""
    layers = [
        layer
        for layer in find_layers(model, (3, SIZE, SIZE))
        if not refusal(model, replace(layer, refusal=None), scheme="channel")
    ]
    turns = [(layer, schemes[index % len(schemes)]) for index, layer in enumerate(layers)]
    cuts = [
        make_cut(layer, max(1, SCHEMES[scheme].max_rank(layer.shape) // 2), scheme=scheme, truncation="sequential")
        for layer, scheme in turns
    ]
    return [*cuts, Cut(layer=layers[0].name, scheme="channel", reason="a reason")]


def outputs_of(network: nn.Module, layer: str, batches: Sequence[Tensor]) -> Tensor:
    """What a layer puts out when called last, bias left out, in whole passes: (N * H * W, O)."""
    outputs: list[Tensor] = []
    module = network.get_submodule(layer)
    handle = module.register_forward_hook(lambda _, __, output: outputs.append(output.clone()))
    rows = []
    for images in batches:
        network(images)
        rows.append(outputs[-1] - module.bias[:, None, None] if module.bias is not None else outputs[-1])
    handle.remove()
    return torch.cat(rows).permute(0, 2, 3, 1).flatten(0, 2)


@torch.no_grad()
def two_passes_a_layer(model: nn.Module, cuts: Sequence[Cut], batches: Sequence[Tensor]) -> nn.Module:
    """The method written down: all images through both networks for each layer, a new copy of the model for each."""
    small = model
    for cut in cuts:
        if cut.rank is None:
            continue
        if not SCHEMES[cut.scheme].reads_outputs:
            small = compress(small, [replace(cut, truncation="plain")])
            continue
        y, x = (outputs_of(network, cut.layer, batches) for network in (model, small))
        cx, cy = x - x.mean(0), y - y.mean(0)
        moments = JointMoments(x.mean(0), y.mean(0), cx.T @ cx / len(x), cy.T @ cx / len(x))
        decomposition = decompose_regression(weight_of(model.get_submodule(cut.layer)).flatten(1), moments)
        small = compress(small, [cut], decompose={cut: decomposition}.__getitem__)
    return small


def assert_same(ours: nn.Module, theirs: nn.Module, cuts: Sequence[Cut]) -> None:
    """Each cut layer is the same map, whatever the signs of its singular vectors, and the models agree."""
    for cut in cuts:
        if cut.rank is not None:
            maps = []
            for model in (ours, theirs):
                replacement = model.get_submodule(cut.layer)
                second, first = SCHEMES[cut.scheme].factors(replacement)
                maps.append((second @ first, last_layer(replacement).bias))
            torch.testing.assert_close(*maps, rtol=0, atol=1e-7)
    images = torch.cat(pictures())
    torch.testing.assert_close(ours(images), theirs(images), rtol=0, atol=1e-7)


def count_images(model: nn.Module) -> Counter[str]:
    """Images that dense convolutions see from now on, in this model and in copies of it."""
    seen: Counter[str] = Counter()
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda _, args, __, name=name: seen.update({name: len(args[0])}))
    return seen


@pytest.mark.parametrize("memory_bytes", [inf, 250_000, 0])
@pytest.mark.parametrize("name", MODELS)
def test_it_gives_what_two_whole_passes_a_layer_give(name: str, memory_bytes: float) -> None:
    model, batches = build(name), pictures()
    cuts = cuts_of(model)
    assert len(cuts) > 3
    before = {key: value.clone() for key, value in model.state_dict().items()}
    ours = compress_sequentially(model, cuts, batches=lambda: batches, memory_bytes=memory_bytes)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert_same(ours, two_passes_a_layer(model, cuts, batches), cuts)


@pytest.mark.parametrize("name", MODELS)
def test_it_gives_the_same_where_the_first_layers_stay_dense(name: str) -> None:
    model, batches = build(name), pictures()
    cuts = cuts_of(model)[1:]
    ours = compress_sequentially(model, cuts, batches=lambda: batches)
    assert_same(ours, two_passes_a_layer(model, cuts, batches), cuts)


@pytest.mark.parametrize("schemes", [("channel", "writeback"), ("writeback", "channel"), ("writeback",)])
@pytest.mark.parametrize("name", ["residual", "data-dependent"])
def test_schemes_that_are_not_data_aware_are_cut_in_their_turn(name: str, schemes: Sequence[str]) -> None:
    model, batches = build(name), pictures()
    cuts = cuts_of(model, schemes=schemes)
    ours = compress_sequentially(model, cuts, batches=lambda: batches)
    assert_same(ours, two_passes_a_layer(model, cuts, batches), cuts)


@pytest.mark.parametrize("name", ["residual", "inverted residuals", "many live values", "branches in place"])
def test_no_layer_sees_an_image_more_than_twice(name: str) -> None:
    """Once in either network; two images of them twice more, to compare the graph with the model."""
    model, batches = build(name), pictures()
    cuts, seen = cuts_of(model), count_images(model)
    compress_sequentially(model, cuts, batches=lambda: batches)
    assert set(seen) >= {cut.layer for cut in cuts}
    assert max(seen.values()) <= 2 * IMAGES + 4


def test_networks_are_one_up_to_the_first_cut() -> None:
    model, batches = build("residual"), pictures()
    *_, last = [cut for cut in cuts_of(model) if cut.rank is not None]
    seen = count_images(model)
    compress_sequentially(model, [last], batches=lambda: batches)
    assert {name: count - 4 for name, count in seen.items()} == {
        name: IMAGES * (2 if name == last.layer else 1) for name in seen
    }


def test_a_model_that_cannot_be_traced_runs_once_dense_and_never_behind_the_layer() -> None:
    model, batches = build("data-dependent"), pictures()
    first, _, third, _ = cuts_of(model)
    seen = count_images(model)
    compress_sequentially(model, [first, third], batches=lambda: batches)
    extra = {name: count - IMAGES for name, count in seen.items()}
    assert {name: count // IMAGES for name, count in extra.items()} == {"first": 1, "second": 1, "third": 1}


@pytest.mark.parametrize("name", ["residual", "data-dependent"])
def test_what_memory_does_not_hold_is_computed_again(name: str) -> None:
    counts = []
    for memory_bytes in (inf, 250_000, 0):
        model = build(name)
        cuts, seen = cuts_of(model), count_images(model)
        compress_sequentially(model, cuts, batches=pictures, memory_bytes=memory_bytes)
        counts.append(seen.total())
    assert all(less < more for less, more in pairwise(counts)), counts


@pytest.mark.parametrize(("name", "channels"), [("residual", 24), ("inverted residuals", 36)])
def test_only_what_is_still_needed_is_held(name: str, channels: int) -> None:
    """Of both networks, the input and the output of a layer, and what the sum at the end of a block needs."""
    model = build(name)
    cuts, seen = cuts_of(model), count_images(model)
    memory_bytes = channels * SIZE * SIZE * 8 * IMAGES
    compress_sequentially(model, cuts, batches=pictures, memory_bytes=memory_bytes)
    assert max(seen.values()) <= 2 * IMAGES + 4


def test_images_are_asked_for_once_where_all_values_are_held() -> None:
    model, asked = build("residual"), []
    compress_sequentially(model, cuts_of(model), batches=lambda: (asked.append(1), pictures())[1])
    assert len(asked) == 2, "two images to check the graph, then all"


@pytest.mark.parametrize("name", ["residual", "data-dependent"])
def test_each_layer_is_reported(name: str) -> None:
    model, told = build(name), list[tuple[int, int]]()
    cuts = cuts_of(model, schemes=("channel", "spatial"))
    compress_sequentially(model, cuts, batches=pictures, on_layer=lambda done, total: told.append((done, total)))
    assert told == [(done, len(cuts) - 1) for done in range(1, len(cuts))]


def test_neither_network_keeps_a_trace_of_tracing() -> None:
    model = build("branches in place")
    small = compress_sequentially(model, cuts_of(model), batches=pictures)
    assert vars(model).keys() == vars(small).keys() == vars(Branches()).keys()
    assert all(parameter.requires_grad for parameter in small.parameters())


def test_a_layer_that_no_pass_calls_is_an_error() -> None:
    model = build("called twice")
    model.unused = conv(3, 6).double()
    cut = Cut(layer="unused", scheme="channel", truncation="sequential", rank=2)
    with pytest.raises(ValueError, match="layer unused: no forward pass calls it"):
        compress_sequentially(model, [cut], batches=pictures)
