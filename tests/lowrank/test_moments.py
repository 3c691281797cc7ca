"""Output truncation and batch-norm re-estimation, against least squares and plain means written out."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lrbench.lowrank.compress import compress, decompose_layer_outputs
from lrbench.lowrank.moments import gather_moments, reestimate_batch_norm_

pytestmark = pytest.mark.filterwarnings("ignore:layer 2. rank:UserWarning")  # high ranks save nothing
laws = settings(max_examples=20, deadline=None)


def net(*, bias: bool = True, seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Conv2d(3, 8, 3, bias=bias), nn.ReLU(), nn.Conv2d(8, 12, 3, stride=2, bias=bias))
    return model.double()


def pictures(seed: int = 1, count: int = 10) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 3, 12, 12, generator=generator, dtype=torch.float64).cumsum(2)


@pytest.mark.parametrize("bias", [True, False])
def test_streamed_moments_are_those_of_all_outputs_at_once(bias: bool) -> None:
    model, images = net(bias=bias), pictures()
    found = gather_moments(model, ["0", "2"], images.split(3))
    with torch.no_grad():
        outputs = model(images) - (model[2].bias[:, None, None] if bias else 0)
    rows = outputs.movedim(1, -1).reshape(-1, 12)
    torch.testing.assert_close(found["2"].mean, rows.mean(0))
    torch.testing.assert_close(found["2"].covariance, torch.cov(rows.T, correction=0))
    assert not any(module._forward_hooks for module in model.modules())


@laws
@given(seed=st.integers(0, 999), rank=st.integers(1, 11), bias=st.booleans())
def test_output_truncation_is_the_best_of_its_rank_on_the_calibration_images(seed: int, rank: int, bias: bool) -> None:
    model, images = net(bias=bias, seed=seed), pictures(seed)
    moments = gather_moments(model, ["2"], [images])["2"]
    small = compress(model, {"2": rank}, decompose=lambda c: decompose_layer_outputs(model, c.layer, moments=moments))
    plain = compress(model, {"2": rank})
    with torch.no_grad():
        truth, ours, theirs = (m(images).movedim(1, -1).reshape(-1, 12) for m in (model, small, plain))
        centred = truth - truth.mean(0)
        best = float(torch.linalg.svdvals(centred)[rank:].square().sum())
    error = float((ours - truth).square().sum())
    assert error == pytest.approx(best, rel=1e-6, abs=1e-9 * float(centred.square().sum()))
    assert error <= float((theirs - truth).square().sum()) + 1e-9
    torch.testing.assert_close(ours.mean(0), truth.mean(0))


def test_at_full_rank_output_truncation_changes_nothing() -> None:
    model, images = net(bias=False), pictures()
    moments = gather_moments(model, ["2"], [images])["2"]
    full = compress(model, {"2": 12}, decompose=lambda c: decompose_layer_outputs(model, c.layer, moments=moments))
    torch.testing.assert_close(full(images), model(images))


def test_no_images_give_no_moments() -> None:
    with pytest.raises(ValueError, match="moments need at least one calibration image"):
        gather_moments(net(), ["0"], [])


def test_batch_norm_takes_the_statistics_of_the_images_and_nothing_else_changes() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5))
    model[1].running_mean.fill_(7)
    images = torch.randn(12, 3, 6, 6)
    before = {name: value.clone() for name, value in model.named_parameters()}
    reestimate_batch_norm_(model, images.split(4))
    with torch.no_grad():
        outputs = [model[0](part) for part in images.split(4)]
    torch.testing.assert_close(model[1].running_mean, torch.stack([o.mean((0, 2, 3)) for o in outputs]).mean(0))
    torch.testing.assert_close(model[1].running_var, torch.stack([o.var((0, 2, 3)) for o in outputs]).mean(0))
    assert all(torch.equal(value, before[name]) for name, value in model.named_parameters())
    assert model[1].momentum == 0.1
    assert not any(module.training for module in model.modules())


def test_a_model_without_batch_norm_is_left_alone() -> None:
    model = net()
    reestimate_batch_norm_(model, iter(()))
    assert not model.training
