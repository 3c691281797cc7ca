"""Sequential truncation: the best regression of its rank, each layer behind those before it."""

import pytest
import torch
from torch import nn

from lrbench.lowrank.compress import compress, decompose_layer_outputs
from lrbench.lowrank.cuts import Cut
from lrbench.lowrank.moments import gather_moments
from lrbench.lowrank.sequential import JointMoments, compress_sequentially, decompose_regression

pytestmark = pytest.mark.filterwarnings("ignore:layer .* rank:UserWarning")  # high ranks save nothing


def net(*, bias: bool) -> nn.Sequential:
    torch.manual_seed(0)
    layers = [layer for _ in range(4) for layer in (nn.Conv2d(8, 8, 3, padding=1, bias=bias), nn.ReLU())]
    return nn.Sequential(nn.Conv2d(3, 8, 3, bias=bias), *layers[:-1]).double().eval()


def cut(layer: str, rank: int) -> Cut:
    return Cut(layer=layer, scheme="channel", truncation="sequential", rank=rank)


def pictures(seed: int, count: int = 40) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 3, 10, 10, generator=generator, dtype=torch.float64).cumsum(2)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rank", [1, 3, 6])
def test_behind_the_same_layers_no_other_cut_of_its_rank_is_nearer_to_the_dense_outputs(bias: bool, rank: int) -> None:
    model, images = net(bias=bias), pictures(1)
    earlier = [cut(str(index), 3) for index in (1, 3, 5)]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    behind = compress_sequentially(model, earlier, batches=lambda: images.split(16))
    ours = compress_sequentially(model, [*earlier, cut("7", rank)], batches=lambda: images.split(16))
    moments = gather_moments(model, ["7"], [images])["7"]
    output = compress(behind, {"7": rank}, decompose=lambda c: decompose_layer_outputs(model, c.layer, moments=moments))
    plain = compress(behind, {"7": rank})
    with torch.no_grad():
        errors = [float((small(images) - model(images)).square().sum()) for small in (ours, output, plain)]
    assert errors[0] <= 1.01 * min(errors), "1 % is the ridge"
    assert errors[0] < errors[2]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("bias", [True, False])
def test_at_full_rank_it_changes_nothing(bias: bool) -> None:
    model, images = net(bias=bias), pictures(1)
    full = compress_sequentially(model, [cut("1", 8), cut("3", 8)], batches=lambda: [images])
    torch.testing.assert_close(full(images), model(images))


@pytest.mark.parametrize("rank", [1, 3, 6])
def test_the_regression_is_the_best_of_its_rank(rank: int) -> None:
    """Without a ridge, its error is that of the full least squares plus the predictions' dropped tail."""
    generator = torch.Generator().manual_seed(rank)
    weight = torch.randn(6, 9, generator=generator, dtype=torch.float64)
    inputs = torch.randn(500, 9, generator=generator, dtype=torch.float64)
    outputs = inputs @ torch.randn(9, 6, generator=generator, dtype=torch.float64) + 1
    x = inputs @ weight.T
    cx, cy = x - x.mean(0), outputs - outputs.mean(0)
    moments = JointMoments(x.mean(0), outputs.mean(0), cx.T @ cx / 500, cy.T @ cx / 500)
    found = decompose_regression(weight, moments)
    first, second = found.cut(rank)
    assert found.shift is not None
    predicted = inputs @ first.T @ second.T + found.shift(rank)
    fit = cx @ torch.linalg.lstsq(cx, cy).solution
    best = (fit - cy).square().sum() + torch.linalg.svdvals(fit)[rank:].square().sum()
    assert float((predicted - outputs).square().sum()) == pytest.approx(float(best), rel=0.01), "1 % is the ridge"


def test_no_images_are_an_error() -> None:
    with pytest.raises(ValueError, match="at least one calibration image"):
        compress_sequentially(net(bias=True), [cut("1", 2)], batches=list)
