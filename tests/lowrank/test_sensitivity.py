"""Output errors of single layers, against the definition and against the spectrum."""

import pytest
import torch
from torch import nn

from lrbench.lowrank.compress import compress, decompose_layer_outputs
from lrbench.lowrank.moments import gather_moments
from lrbench.lowrank.sensitivity import output_errors


def net(*, norm: bool) -> nn.Module:
    torch.manual_seed(0)
    middle = nn.BatchNorm2d(6) if norm else nn.Identity()
    return nn.Sequential(nn.Conv2d(3, 6, 3), middle, nn.ReLU(), nn.Conv2d(6, 8, 3, padding=1), nn.ReLU()).double()


IMAGES = torch.randn(20, 3, 9, 9, generator=torch.Generator().manual_seed(1), dtype=torch.float64).cumsum(2)


@pytest.mark.parametrize("rank", [1, 3, 6])
def test_of_output_truncation_it_is_the_variance_that_was_dropped(rank: int) -> None:
    model = net(norm=False).eval()
    found = decompose_layer_outputs(model, "3", moments=gather_moments(model, ["3"], [IMAGES])["3"])
    small = compress(model, {"3": rank}, decompose=lambda _: found)
    (error,) = output_errors(model, "3", [small.get_submodule("3")], IMAGES.split(7))
    assert error == pytest.approx(1 - found.energies()[rank - 1], abs=1e-9)


@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("scheme", ["channel", "spatial", "weight", "tucker2"])
def test_of_any_scheme_it_is_what_the_outputs_lose(scheme: str, norm: bool) -> None:
    model = net(norm=norm).train()
    small = [compress(model, {"3": rank}, scheme=scheme).get_submodule("3") for rank in (1, 4)]
    errors = output_errors(model, "3", small, IMAGES.split(7))
    assert model.training
    with torch.no_grad():
        inputs = model.eval()[:3](IMAGES)
        dense = model[3](inputs).movedim(1, -1).flatten(0, -2)
        lost = [one(inputs).movedim(1, -1).flatten(0, -2) - dense for one in small]
    centred = [one - one.mean(0) * norm for one in (dense - dense.mean(0) * (not norm), *lost)]
    whole, *parts = (float(one.square().sum()) for one in centred)
    assert errors == pytest.approx([part / whole for part in parts])
    assert errors[0] > errors[1] > 0


def test_without_images_there_is_no_error() -> None:
    with pytest.raises(ValueError, match="at least one calibration image"):
        output_errors(net(norm=False), "3", [], [])
