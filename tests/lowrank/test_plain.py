"""What a layer is as plain modules: subclasses, pads, shared layers; each is handled or has its reason."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from lrbench.lowrank.compress import choose_rank, compress, first_schemes, refusal
from lrbench.lowrank.layers import find_layers
from lrbench.lowrank.plain import Plain, SamePad, plain_of
from lrbench.lowrank.rule_texts import parse_rule
from lrbench.lowrank.schemes import SCHEMES

pytestmark = pytest.mark.filterwarnings("ignore:layer .* rank .* has:UserWarning")


class Renamed(nn.Conv2d):
    """As timm's and torchvision's: a subclass with nothing of its own that matters."""

    def extra_repr(self) -> str:
        return "renamed"


class Rewritten(nn.Conv2d):
    """Another text for the same computation."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's own name
        return functional.conv2d(input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class Same(nn.Conv2d):
    """As timm's Conv2dSame: the pad depends on the size."""

    def forward(self, x: Tensor) -> Tensor:
        pads: list[int] = []
        for n, k, s, d in zip(x.shape[-2:], self.kernel_size, self.stride, self.dilation, strict=True):
            total = max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0)
            pads = [total // 2, total - total // 2, *pads]
        return functional.conv2d(functional.pad(x, pads), self.weight, self.bias, self.stride, 0, self.dilation)


class StaticSame(nn.Conv2d):
    """As EfficientNet-PyTorch's Conv2dStaticSamePadding: the pad is a module of its own."""

    def __init__(self, *args: int, **kwargs: int) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.static_padding = nn.ZeroPad2d((0, 1, 0, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.static_padding(x)
        return functional.conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class Standardised(nn.Conv2d):
    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        return self._conv_forward(input, self.weight - self.weight.mean(), self.bias)


class NoisyInTraining(nn.Linear):
    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        return super().forward(input) + (torch.randn(self.out_features) if self.training else 0)


class Lora(nn.Linear):
    def __init__(self, ins: int, outs: int) -> None:
        super().__init__(ins, outs)
        self.down, self.up = nn.Parameter(torch.randn(2, ins)), nn.Parameter(torch.zeros(outs, 2))

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        return super().forward(input) + input @ self.down.T @ self.up.T


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kind", [Renamed, Rewritten, Same, StaticSame])
@pytest.mark.parametrize("scheme", ["channel", "spatial", "weight", "tucker2", "writeback"])
def test_a_subclass_that_is_a_convolution_perhaps_behind_a_pad_is_exact_at_full_rank_and_costs_what_was_predicted(
    kind: type[nn.Conv2d], scheme: str, stride: int
) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(kind(4, 6, 3, stride=stride, dilation=2)).double().eval()
    (layer,) = find_layers(model, (4, 11, 14))
    assert refusal(model, layer, scheme=scheme) is None
    assert layer.mended, "once refused, so that keys of trials tell"
    images = torch.randn(2, 4, 11, 14, dtype=torch.float64)
    full = compress(model, {"0": SCHEMES[scheme].max_rank(layer.shape)}, scheme=scheme, example=images)
    torch.testing.assert_close(full(images), model(images), rtol=1e-9, atol=1e-9)
    small = compress(model, {"0": 2}, scheme=scheme)
    with FlopCounterMode(display=False) as counter:
        small(images[:1])
    assert counter.get_total_flops() / 2 == SCHEMES[scheme].macs(layer.shape, 2)
    if scheme != "writeback":
        assert isinstance(small[0][0], SamePad | nn.ZeroPad2d) == (kind in (Same, StaticSame))


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (Standardised(3, 4, 3), "Standardised: its forward is not that of Conv2d"),
        (NoisyInTraining(3, 4), "NoisyInTraining: its forward is not that of Linear"),
        (Lora(3, 4), "Lora: it has a forward of its own and other parameters (down, up)"),
        (nn.Conv3d(3, 4, 3), "Conv3d: only Conv1d, Conv2d and Linear can be factorized"),
        (nn.ConvTranspose1d(3, 4, 3), "ConvTranspose1d: only Conv1d, Conv2d and Linear can be factorized"),
        (nn.Conv2d(3, 4, 3, dtype=torch.complex64), "its weight is complex64"),
    ],
)
def test_what_is_something_else_has_its_reason(module: nn.Module, reason: str) -> None:
    assert plain_of(module) == reason


def test_reading_a_layer_changes_neither_it_nor_the_random_numbers_that_follow() -> None:
    class Counts(Rewritten):
        def __init__(self) -> None:
            super().__init__(3, 4, 3)
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, input: Tensor) -> Tensor:  # noqa: A002
            self.calls += 1
            return super().forward(input)

    module = Counts()
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    assert isinstance(plain_of(module), Plain)
    assert torch.equal(torch.rand(1), expected)
    assert module.calls == 0


class Shared(nn.Module):
    """One layer under two names, called three times; another that is called with two sizes."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.one = nn.Conv2d(3, 3, 3, padding=1)
        self.same = self.one
        self.sizes = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        hidden = self.same(self.one(self.one(images).relu()).relu())
        return self.sizes(functional.avg_pool2d(self.sizes(hidden), 2))


def test_a_shared_layer_is_replaced_everywhere_at_once() -> None:
    model, images = Shared().eval(), torch.randn(1, 3, 8, 8)
    found = {layer.name: layer for layer in find_layers(model, (3, 8, 8))}
    assert {name: layer.refusal for name, layer in found.items()} == {
        "one": None,
        "sizes": "called with inputs of several sizes in one forward pass",
    }
    small = compress(model, {"one": 1})
    assert small.one is small.same
    with FlopCounterMode(display=False) as dense, torch.no_grad():
        expected = model(images)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        small(images)
    shape = found["one"].shape
    assert dense.get_total_flops() / 2 - counter.get_total_flops() / 2 == shape.macs - SCHEMES["channel"].macs(shape, 1)
    torch.testing.assert_close(compress(model, {"one": 3}, example=images)(images), expected)


def test_one_sample_without_a_batch_and_keyword_calls_are_read_right() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.order = nn.Parameter(torch.arange(3), requires_grad=False)
            self.conv, self.line, self.head = nn.Conv2d(3, 4, 3), nn.Conv1d(4, 5, 3), nn.Linear(5, 2)

        def forward(self, images: Tensor, *, scale: Tensor) -> dict[str, Tensor]:
            hidden = self.conv(input=images[0] * scale)
            return {"logits": self.head(self.line(hidden.flatten(1)).mean(1))}

    model, inputs = Odd().eval(), {"images": torch.randn(1, 3, 6, 7), "scale": torch.ones(())}
    layers = find_layers(model, inputs)
    assert {layer.name: layer.shape.macs for layer in layers} == {
        "conv": 4 * 3 * 9 * 4 * 5,
        "line": 5 * 4 * 3 * 18,
        "head": 10,
    }
    schemes = first_schemes(model, layers, ["channel", "linear"])
    full = {name: SCHEMES[scheme].max_rank(layer.shape) for (name, scheme), layer in zip(schemes.items(), layers)}  # noqa: B905
    for name, rank in full.items():
        small = compress(model, {name: rank}, scheme=schemes[name], example=inputs)
        torch.testing.assert_close(small(**inputs), model(**inputs))


def test_depthwise_convolutions_pay_by_a_column_and_a_row_and_not_by_channels() -> None:
    model = nn.Sequential(nn.Conv2d(16, 16, 5, groups=16, padding=2)).eval()
    (layer,) = find_layers(model, (16, 9, 9))
    assert refusal(model, layer, scheme="channel") == "grouped convolution (groups=16)"
    cut = choose_rank(layer, scheme="grouped", rule=parse_rule("params=0.5"))
    assert cut.rank == 1, "5 + 5 of 25 weights"
    assert choose_rank(layer, scheme="grouped", rule=parse_rule("rank=3")).rank is None
