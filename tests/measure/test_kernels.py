"""What ran and what it took, on modules small enough to know."""

import torch
from torch import nn

from lrbench.measure.kernels import backends, peak_bytes, traffic_bytes

IMAGES = torch.rand(1, 3, 16, 16)


def test_backends_are_named_in_order() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 14 * 14, 2)).eval()
    with torch.inference_mode():
        names = backends(lambda: model(IMAGES)).split()
    assert len(names) == 2
    assert names[0] in {"onednn", "slow", "nnpack"}
    assert names[1] in {"gemm", "onednn"}


def test_traffic_is_weights_inputs_and_results() -> None:
    model = nn.Conv2d(3, 4, 1)
    assert traffic_bytes(model, lambda: model(IMAGES)) == 4 * (4 * 3 + 4 + 3 * 256 + 4 * 256)


def test_the_peak_holds_the_weights_and_the_largest_results() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 2, 1)).eval()
    own = 4 * sum(p.numel() for p in model.parameters())
    with torch.inference_mode():
        peak = peak_bytes(model, lambda: model(IMAGES), device="cpu")
    assert peak >= own + 2 * 4 * 4 * 256, "the first result and its ReLU live together"
    assert peak < own + 20 * 4 * 4 * 256
