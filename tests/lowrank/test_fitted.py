"""Data-aware cuts of schemes without a closed form, against alternating least squares written out."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from lrbench.lowrank.compress import compress, decompose_layer_fitted, decompose_layer_outputs
from lrbench.lowrank.costs import tucker2_ranks
from lrbench.lowrank.cuts import Cut
from lrbench.lowrank.layers import weight_shape
from lrbench.lowrank.moments import add_patches, convolution_of, gather_inputs, gather_moments
from lrbench.lowrank.plain import SamePad
from lrbench.lowrank.schemes import SCHEMES
from lrbench.lowrank.sequential import compress_sequentially

pytestmark = pytest.mark.filterwarnings("ignore:layer .* rank:UserWarning")  # high ranks save nothing
SMALL = {
    "spatial": nn.Conv2d(3, 6, 3, padding=1),
    "weight": nn.Conv2d(6, 5, 3, stride=2, bias=False),
    "tucker2": nn.Conv2d(6, 8, 3, dilation=2, padding="same"),
    "grouped": nn.Conv2d(6, 8, 3, groups=2, padding=1, padding_mode="reflect"),
}


def pictures(channels: int, seed: int = 0, count: int = 24) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(count, channels, 12, 12, generator=generator, dtype=torch.float64)
    return images.cumsum(2).cumsum(3) + 3


def layer_of(scheme: str) -> nn.Sequential:
    torch.manual_seed(3)
    layer = SMALL[scheme]
    layer.reset_parameters()
    return nn.Sequential(layer).double().eval()


def fitted(model: nn.Module, rank: int, scheme: str, images: Tensor, name: str = "0") -> nn.Module:
    inputs = gather_inputs(model, [name], images.split(5))[name]
    return compress(
        model,
        {name: rank},
        scheme=scheme,
        decompose=lambda cut: decompose_layer_fitted(model, cut.layer, cut.scheme, inputs=inputs),
    )


def lost(small: nn.Module, model: nn.Module, images: Tensor) -> float:
    """The mean square of what is lost over the variance of the outputs."""
    with torch.no_grad():
        wanted, found = model(images), small(images)
    centred = wanted - wanted.mean((0, 2, 3), keepdim=True)
    return float((found - wanted).square().sum() / centred.square().sum().clamp(min=1e-6))


PRODUCTS: dict[str, Callable[..., Tensor]] = {
    "spatial": lambda u, v: torch.einsum("orw,rih->oihw", v, u),
    "weight": lambda u, v: torch.einsum("orhw,ri->oihw", v, u),
    "tucker2": lambda u, c, v: torch.einsum("op,prhw,ri->oihw", v, c, u),
    "grouped": lambda u, v: torch.einsum("gorw,grih->goihw", v, u).flatten(0, 1),
}


def shapes(scheme: str, rank: int) -> list[tuple[int, ...]]:
    layer = SMALL[scheme]
    outs, ins, height, width = layer.weight.shape
    if scheme == "tucker2":
        r1, r2 = tucker2_ranks(outs, ins, rank)
        return [(r1, ins), (r2, r1, height, width), (outs, r2)]
    if scheme == "grouped":
        return [(layer.groups, rank, ins, height), (layer.groups, outs // layer.groups, rank, width)]
    return (
        [(rank, ins, height), (outs, rank, width)]
        if scheme == "spatial"
        else [(rank, ins), (outs, rank, height, width)]
    )


def alternating(scheme: str, rank: int, patches: Tensor, *, seed: int, rounds: int = 30) -> float:
    """The error of factors, each in turn the least-squares solution given the others, from a random start.

    patches: centred, (O, P, D): those that each output sees.
    """
    generator = torch.Generator().manual_seed(seed)
    factors = [torch.randn(size, generator=generator, dtype=torch.float64) for size in shapes(scheme, rank)]
    weight = SMALL[scheme].weight.detach()

    def outputs(*parts: Tensor) -> Tensor:
        return torch.einsum("opd,od->op", patches, PRODUCTS[scheme](*parts).flatten(1)).flatten()

    goal = torch.einsum("opd,od->op", patches, weight.flatten(1)).flatten()
    for _ in range(rounds):
        for k, factor in enumerate(factors):
            units = torch.eye(factor.numel(), dtype=torch.float64).reshape(-1, *factor.shape)
            slopes = torch.stack([outputs(*factors[:k], unit, *factors[k + 1 :]) for unit in units], dim=1)
            factors[k] = torch.linalg.lstsq(slopes, goal.unsqueeze(1)).solution.reshape(factor.shape)
    return float((outputs(*factors) - goal).square().sum() / goal.square().sum())


def seen(model: nn.Sequential, images: Tensor) -> Tensor:
    """Root of the covariance of the patches that each output sees, (O, K, D): as good as all of them."""
    layer = model[0]
    roots = gather_inputs(model, ["0"], [images])["0"].root
    return roots.repeat_interleave(layer.out_channels // layer.groups, 0)


@pytest.mark.parametrize(("scheme", "rank"), [("spatial", 3), ("weight", 2), ("tucker2", 4), ("grouped", 2)])
def test_it_is_within_a_hundredth_of_alternating_least_squares(scheme: str, rank: int) -> None:
    model = layer_of(scheme)
    images = pictures(SMALL[scheme].in_channels)
    ours = lost(fitted(model, rank, scheme, images), model, images)
    patches = seen(model, images)
    best = min(alternating(scheme, rank, patches, seed=seed) for seed in range(2))
    assert best / 2 < ours <= 1.01 * best
    assert ours < 0.7 * lost(compress(model, {"0": rank}, scheme=scheme), model, images)


@pytest.mark.parametrize("scheme", SMALL)
def test_at_full_rank_it_changes_nothing(scheme: str) -> None:
    model = layer_of(scheme)
    images = pictures(SMALL[scheme].in_channels)
    full = fitted(model, SCHEMES[scheme].max_rank(weight_shape(model[0])), scheme, images)
    torch.testing.assert_close(full(images), model(images))


@pytest.mark.parametrize("scheme", SMALL)
def test_the_means_of_the_outputs_stay(scheme: str) -> None:
    model = layer_of(scheme)
    images = pictures(SMALL[scheme].in_channels)
    small = fitted(model, 2, scheme, images)
    torch.testing.assert_close(small(images).mean((0, 2, 3)), model(images).mean((0, 2, 3)))


@pytest.mark.parametrize("scheme", ["spatial", "weight", "tucker2"])
def test_of_a_pointwise_convolution_it_is_the_closed_form(scheme: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(8, 8, 1, stride=2)).double().eval()
    images = pictures(8, count=60)
    moments = gather_moments(model, ["0"], [images])["0"]
    closed = compress(model, {"0": 3}, decompose=lambda cut: decompose_layer_outputs(model, cut.layer, moments=moments))
    assert lost(fitted(model, 3, scheme, images), model, images) == pytest.approx(lost(closed, model, images), rel=1e-3)


def test_few_images_are_not_believed_more_than_they_say() -> None:
    """Fitted to two images alone, the outputs of others would be lost."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(16, 16, 3)).double().eval()
    others = pictures(16, seed=1, count=100)
    small = fitted(model, 12, "spatial", pictures(16, count=1))
    assert lost(small, model, others) < lost(compress(model, {"0": 12}, scheme="spatial"), model, others)


class Padded(nn.Conv2d):
    """A convolution that pads by itself, as models from TensorFlow do."""

    def forward(self, images: Tensor) -> Tensor:
        """Pad, then convolve."""
        return super().forward(SamePad(self)(images))


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 0), bias=False),
        nn.Conv2d(4, 6, 3, padding="same", dilation=2),
        nn.Conv2d(4, 6, 3, padding=2, padding_mode="circular", groups=2),
        nn.Conv1d(4, 6, 3, padding=1, stride=2),
        Padded(4, 6, 3, stride=2),
    ],
    ids=str,
)
def test_moments_of_inputs_give_those_of_outputs(layer: nn.Conv1d | nn.Conv2d) -> None:
    model = nn.Sequential(layer).double().eval()
    images = pictures(4)[..., 0] if isinstance(layer, nn.Conv1d) else pictures(4)
    inputs, outputs = gather_inputs(model, ["0"], images.split(7))["0"], gather_moments(model, ["0"], [images])["0"]
    weight = layer.weight.detach().reshape(layer.groups, 6 // layer.groups, -1)
    torch.testing.assert_close((weight @ inputs.mean.unsqueeze(2)).flatten(), outputs.mean)
    found = weight @ (inputs.root.mT @ inputs.root) @ weight.mT
    size = 6 // layer.groups
    for group in range(layer.groups):
        block = slice(group * size, (group + 1) * size)
        torch.testing.assert_close(found[group], outputs.covariance[block, block])
    assert not layer._forward_hooks
    assert not layer._forward_pre_hooks


def test_patches_that_were_summed_are_not_held() -> None:
    found = add_patches(None, convolution_of(SMALL["spatial"]), pictures(3))
    assert found.squares is not None
    assert found.rows.untyped_storage().nbytes() == 0


def test_much_memory_is_not_taken_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model = layer_of("spatial")
    whole = gather_inputs(model, ["0"], [pictures(3)])["0"]
    monkeypatch.setattr("lrbench.lowrank.moments.HELD_BYTES", 1)
    apart = gather_inputs(model, ["0"], [pictures(3)])["0"]
    torch.testing.assert_close(apart.root, whole.root)
    assert apart.count == whole.count == 24 * 144


class Branching(nn.Sequential):
    """A model that cannot be traced."""

    def forward(self, images: Tensor) -> Tensor:
        """Look at the images before they are classified."""
        return super().forward(images) if float(images.sum()) else images


@pytest.mark.parametrize("scheme", ["spatial", "weight", "tucker2", "grouped"])
@pytest.mark.parametrize("kind", [nn.Sequential, Branching])
def test_in_sequence_it_repairs_what_the_layers_before_lost(scheme: str, kind: type[nn.Sequential]) -> None:
    torch.manual_seed(0)
    groups = 2 if scheme == "grouped" else 1
    layers = [nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=groups, bias=False), nn.ReLU(inplace=True)]
    model = kind(*layers, nn.Conv2d(8, 8, 3, padding=1, groups=groups)).double().eval()
    images, rank = pictures(3, count=60), 4
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first = Cut(layer="2", scheme=scheme, truncation="sequential", rank=rank)
    second = Cut(layer="4", scheme=scheme, truncation="sequential", rank=rank)
    behind = compress_sequentially(model, [first], batches=lambda: images.split(16))
    ours = compress_sequentially(model, [first, second], batches=lambda: images.split(16))
    inputs = gather_inputs(model, ["4"], [images])["4"]
    alone = compress(
        behind,
        {"4": rank},
        scheme=scheme,
        decompose=lambda cut: decompose_layer_fitted(model, cut.layer, cut.scheme, inputs=inputs),
    )
    errors = [lost(small, model, images) for small in (ours, alone, compress(behind, {"4": rank}, scheme=scheme))]
    assert errors[0] <= 1.01 * min(errors)
    assert errors[0] < 0.9 * errors[2]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("scheme", ["channel", "spatial", "weight", "tucker2"])
@pytest.mark.parametrize("what", ["no input", "constant input", "no weight", "rank 1"])
def test_layers_that_put_out_little_are_cut_too(what: str, scheme: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3)).eval()
    images = pictures(3).float()
    if what.endswith("input"):
        model[0].weight.data.zero_()
    if what == "no input":
        model[0].bias.data.zero_()
    if what == "no weight":
        model[1].weight.data.zero_()
    if what == "rank 1":
        model[1].weight.data[:] = torch.einsum("o,i,h,w->oihw", *(torch.randn(size) for size in (8, 8, 3, 3)))
    cuts = [Cut(layer="1", scheme=scheme, truncation="sequential", rank=5)]
    small = compress_sequentially(model, cuts, batches=lambda: images.split(10))
    torch.testing.assert_close(small(images), model(images), rtol=0.05, atol=1e-4)
    if scheme != "channel":
        assert lost(fitted(model, 5, scheme, images, "1").double(), model.double(), images.double()) < 0.01
