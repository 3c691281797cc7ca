"""Laws that hold for every scheme and geometry, against oracles written another way."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from lrbench.lowrank.compress import compress, decompose_layer, restructure
from lrbench.lowrank.cuts import Cut
from lrbench.lowrank.factors import weight_of
from lrbench.lowrank.layers import Layer, find_layers
from lrbench.lowrank.schemes import SCHEMES
from lrbench.measure.cost import measure_cost

CONV_SCHEMES = tuple(name for name in SCHEMES if name not in ("linear", "grouped"))
MATRIX_SCHEMES = tuple(name for name in SCHEMES if name not in ("tucker2", "grouped"))
laws = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@dataclass(frozen=True)
class Case:
    """A one-layer model and an image for it."""

    model: nn.Sequential
    image: Tensor

    @property
    def module(self) -> nn.Module:
        return self.model[0]

    @property
    def layer(self) -> Layer:
        return find_layers(self.model, self.image.shape[1:])[0]


@st.composite
def convolutions(
    draw: st.DrawFn, *, kernel: tuple[int, int] | None = None, zeros: bool = False, grouped: bool = False
) -> Case:
    height, width = kernel or (draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    padding = draw(st.sampled_from(["valid", "same"]) | st.tuples(st.integers(0, 2), st.integers(0, 2)))
    stride = (1, 1) if padding == "same" else (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    mode = "zeros" if zeros else draw(st.sampled_from(["zeros", "reflect", "replicate", "circular"]))
    torch.manual_seed(draw(st.integers(0, 2**16)))
    groups = draw(st.integers(2, 3)) if grouped else 1
    conv = nn.Conv2d(
        groups * draw(st.integers(1, 2 if grouped else 5)),
        groups * draw(st.integers(1, 2 if grouped else 6)),
        (height, width),
        stride=stride,
        padding=padding,
        dilation=(draw(st.integers(1, 2)), draw(st.integers(1, 2))),
        groups=groups,
        bias=draw(st.booleans()),
        padding_mode=mode,
        dtype=torch.float64,
    )
    image = torch.randn(2, conv.in_channels, draw(st.integers(9, 12)), draw(st.integers(9, 12)), dtype=torch.float64)
    return Case(nn.Sequential(conv).eval(), image)


@st.composite
def lines(draw: st.DrawFn) -> Case:
    """Convolutions over one dimension."""
    torch.manual_seed(draw(st.integers(0, 2**16)))
    conv = nn.Conv1d(
        draw(st.integers(1, 5)),
        draw(st.integers(1, 6)),
        draw(st.integers(1, 4)),
        stride=draw(st.integers(1, 3)),
        padding=draw(st.integers(0, 2)),
        dilation=draw(st.integers(1, 2)),
        bias=draw(st.booleans()),
        padding_mode=draw(st.sampled_from(["zeros", "reflect", "circular"])),
        dtype=torch.float64,
    )
    return Case(nn.Sequential(conv).eval(), torch.randn(2, conv.in_channels, 11, dtype=torch.float64))


@st.composite
def linears(draw: st.DrawFn) -> Case:
    torch.manual_seed(draw(st.integers(0, 2**16)))
    layer = nn.Linear(draw(st.integers(1, 7)), draw(st.integers(1, 7)), bias=draw(st.booleans()), dtype=torch.float64)
    return Case(nn.Sequential(layer).eval(), torch.randn(2, layer.in_features, dtype=torch.float64))


def cases(scheme: str) -> st.SearchStrategy[Case]:
    """Layers that a scheme can factorize."""
    if scheme == "linear":
        return linears() | convolutions(kernel=(1, 1))
    if scheme == "grouped":
        return convolutions(grouped=True)
    if scheme == "writeback":
        return convolutions() | linears() | lines()
    return convolutions() if scheme == "spatial" else convolutions() | lines()


pytestmark = [
    pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning"),  # torch may copy
    pytest.mark.filterwarnings("ignore:layer 0. rank:UserWarning"),  # at full rank the factors save nothing
]
every_scheme = pytest.mark.parametrize("scheme", SCHEMES)


def kernel_of(module: nn.Module, scheme: str, like: Tensor) -> Tensor:
    """The kernel (O, I, H, W), or the weight (O, I), that a replacement stands for."""
    second, first = SCHEMES[scheme].factors(module)
    product = (second @ first).detach()
    if like.dim() == 2:
        return product
    if like.dim() == 3:  # one dimension is a kernel of height 1
        return kernel_of(module, scheme, like.unsqueeze(2)).squeeze(2)
    o, i, h, w = like.shape
    if scheme == "spatial":
        return product.reshape(o, w, i, h).permute(0, 2, 3, 1)
    return product.reshape(o, h, w, i).permute(0, 3, 1, 2) if scheme == "weight" else product.reshape(o, i, h, w)


def truncated(weight: Tensor, scheme: str, rank: int) -> Tensor:
    """The kernel of the best rank-r matrix, by numpy's SVD."""
    o, i, h, w = weight.shape
    u, s, vh = np.linalg.svd(matrix_of(weight, scheme), full_matrices=False)
    low = (u[:, :rank] * s[:rank]) @ vh[:rank]
    if scheme == "spatial":
        return torch.from_numpy(low.reshape(w, o, i, h).transpose(1, 2, 3, 0).copy())
    if scheme == "weight":
        return torch.from_numpy(low.reshape(h, w, o, i).transpose(2, 3, 0, 1).copy())
    return torch.from_numpy(low.reshape(o, i, h, w))


def matrix_of(weight: Tensor, scheme: str) -> np.ndarray:
    """The matrix that a scheme reads, written with explicit loops over numpy axes."""
    kernel = weight.detach().numpy() if weight.dim() != 3 else weight.detach().unsqueeze(2).numpy()
    if scheme == "spatial":
        return np.concatenate([kernel[..., w].reshape(len(kernel), -1) for w in range(kernel.shape[3])])
    if scheme == "weight":
        return np.concatenate([kernel[:, :, h, w] for h in range(kernel.shape[2]) for w in range(kernel.shape[3])])
    return kernel.reshape(len(kernel), -1)


@every_scheme
@laws
@given(data=st.data())
def test_full_rank_is_exact(scheme: str, data: st.DataObject) -> None:
    case = data.draw(cases(scheme))
    small = compress(case.model, {"0": SCHEMES[scheme].max_rank(case.layer.shape)}, scheme=scheme)
    torch.testing.assert_close(small(case.image), case.model(case.image), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("scheme", MATRIX_SCHEMES)
@laws
@given(data=st.data())
def test_squared_error_is_the_dropped_tail_of_numpys_svd(scheme: str, data: st.DataObject) -> None:
    case = data.draw(cases(scheme))
    weight = weight_of(case.module).detach()
    rank = data.draw(st.integers(1, SCHEMES[scheme].max_rank(case.layer.shape)))
    values = np.linalg.svd(matrix_of(weight, scheme), compute_uv=False)
    small = compress(case.model, {"0": rank}, scheme=scheme)
    error = float((kernel_of(small[0], scheme, weight) - weight).square().sum())
    total = float(weight.square().sum())
    assert error == pytest.approx(float(np.square(values[rank:]).sum()), rel=1e-7, abs=1e-13 * total)
    found = decompose_layer(case.model, "0", scheme)
    np.testing.assert_allclose(found.singular_values, values, rtol=1e-6, atol=1e-7 * values[0])
    assert found.weight_error(rank) == pytest.approx((error / total) ** 0.5, abs=1e-7)


@laws
@given(case=convolutions(), data=st.data())
def test_tucker2_drops_what_lies_outside_both_bases(case: Case, data: st.DataObject) -> None:
    weight = weight_of(case.module).detach()
    rank = data.draw(st.integers(1, SCHEMES["tucker2"].max_rank(case.layer.shape)))
    small = compress(case.model, {"0": rank}, scheme="tucker2")
    error = float((kernel_of(small[0], "tucker2", weight) - weight).norm() / weight.norm())
    found = decompose_layer(case.model, "0", "tucker2")
    assert found.weight_error(rank) == pytest.approx(error, abs=1e-7)
    tails = 0.0
    for axis, layer in ((0, small[0][2].weight.shape[1]), (1, small[0][0].weight.shape[0])):
        flat = np.moveaxis(weight.numpy(), axis, 0).reshape(weight.shape[axis], -1)
        tails += float(np.square(np.linalg.svd(flat, compute_uv=False)[layer:]).sum())
    assert error**2 <= tails / float(weight.square().sum()) + 1e-12, "the bound of De Lathauwer et al. 2000"


@laws
@given(case=convolutions(grouped=True), data=st.data())
def test_each_group_is_cut_as_a_convolution_of_its_own(case: Case, data: st.DataObject) -> None:
    conv = case.module
    assert isinstance(conv, nn.Conv2d)
    rank = data.draw(st.integers(1, SCHEMES["grouped"].max_rank(case.layer.shape)))
    small = compress(case.model, {"0": rank}, scheme="grouped")
    expected = torch.cat([truncated(part, "spatial", rank) for part in conv.weight.detach().chunk(conv.groups)])
    first, second = small[0][0], small[0][1]
    rows = second.weight.unflatten(0, (conv.groups, -1)).squeeze(3)  # (G, O/G, R, W)
    columns = first.weight.unflatten(0, (conv.groups, -1)).squeeze(4)  # (G, R, I/G, H)
    kernel = torch.einsum("gorw,grih->goihw", rows, columns).flatten(0, 1)
    torch.testing.assert_close(kernel.detach(), expected, rtol=1e-8, atol=1e-8)
    error = float((expected - conv.weight.detach()).norm() / conv.weight.detach().norm())
    assert decompose_layer(case.model, "0", "grouped").weight_error(rank) == pytest.approx(error, abs=1e-7)


@pytest.mark.parametrize("scheme", CONV_SCHEMES)
@laws
@given(data=st.data())
def test_factors_convolve_like_unfold_and_matmul(scheme: str, data: st.DataObject) -> None:
    case = data.draw(convolutions(zeros=True))
    conv = case.module
    assert isinstance(conv, nn.Conv2d)
    rank = data.draw(st.integers(1, SCHEMES[scheme].max_rank(case.layer.shape)))
    o, _, h, w = conv.weight.shape
    small = compress(case.model, {"0": rank}, scheme=scheme)
    kernel = kernel_of(small[0], scheme, conv.weight) if scheme == "tucker2" else truncated(conv.weight, scheme, rank)
    pads = conv._reversed_padding_repeated_twice if conv.padding == "same" else None
    image = functional.pad(case.image, pads) if pads else case.image
    padding = (0, 0) if isinstance(conv.padding, str) else conv.padding
    columns = functional.unfold(image, (h, w), dilation=conv.dilation, padding=padding, stride=conv.stride)
    expected = kernel.reshape(o, -1) @ columns + (0 if conv.bias is None else conv.bias[:, None])
    torch.testing.assert_close(small(case.image).flatten(2), expected, rtol=1e-8, atol=1e-8)


@every_scheme
@laws
@given(data=st.data())
def test_formula_fvcore_and_torchs_counter_agree(scheme: str, data: st.DataObject) -> None:
    case = data.draw(cases(scheme))
    shape, kind = case.layer.shape, SCHEMES[scheme]
    rank = data.draw(st.integers(1, kind.max_rank(shape)))
    small = restructure(case.model, [Cut(layer="0", scheme=scheme, rank=rank)])
    image = case.image[:1]
    counted = measure_cost(small, image.shape[1:])
    with FlopCounterMode(display=False) as counter:
        small(image)
    assert kind.macs(shape, rank) == counted.macs == counter.get_total_flops() / 2
    assert kind.weights(shape, rank) + shape.biases == counted.params
    assert shape.macs == measure_cost(case.model, image.shape[1:]).macs


@every_scheme
@laws
@given(data=st.data())
def test_a_rank_saves_exactly_below_break_even(scheme: str, data: st.DataObject) -> None:
    case = data.draw(cases(scheme))
    shape, kind = case.layer.shape, SCHEMES[scheme]
    for cost, dense, breakeven in (
        (kind.weights, shape.weights, kind.breakeven_params(shape)),
        (kind.macs, shape.macs, kind.breakeven_macs(shape)),
    ):
        ranks = range(1, kind.max_rank(shape) + 1)
        if breakeven is None:
            assert all(cost(shape, rank) == dense for rank in ranks)
        else:
            assert all((cost(shape, rank) < dense) == (rank < breakeven) for rank in ranks)


@every_scheme
@laws
@given(data=st.data())
def test_error_falls_and_params_rise_with_rank(scheme: str, data: st.DataObject) -> None:
    case = data.draw(cases(scheme))
    kind, shape = SCHEMES[scheme], case.layer.shape
    ranks = range(1, kind.max_rank(shape) + 1)
    found = decompose_layer(case.model, "0", scheme)
    errors = [found.weight_error(rank) for rank in ranks]
    weights = [kind.weights(shape, rank) for rank in ranks]
    assert errors == sorted(errors, reverse=True)
    assert weights == sorted(weights)


@every_scheme
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_a_replacement_keeps_dtype_mode_and_requires_grad(
    scheme: str, dtype: torch.dtype, frozen: bool, training: bool
) -> None:
    layer = nn.Linear(6, 8) if scheme == "linear" else nn.Conv2d(6, 8, 3, groups=2 if scheme == "grouped" else 1)
    model = nn.Sequential(layer).to(dtype).train(training)
    model.requires_grad_(not frozen)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    small = compress(model, {"0": 2}, scheme=scheme)
    assert {p.dtype for p in small.parameters()} == {dtype}
    assert {p.requires_grad for p in small.parameters()} == {not frozen}
    assert {m.training for m in small.modules()} == {training}
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items()), "the model changed"


@every_scheme
def test_channels_last_weights_give_the_same_factors(scheme: str) -> None:
    torch.manual_seed(0)
    kernel, groups = 1 if scheme == "linear" else 3, 2 if scheme == "grouped" else 1
    plain = nn.Sequential(nn.Conv2d(6, 8, kernel, groups=groups))
    last = nn.Sequential(nn.Conv2d(6, 8, kernel, groups=groups)).to(memory_format=torch.channels_last)
    last.load_state_dict(plain.state_dict())
    image = torch.randn(1, 6, 5, 5)
    small = [compress(model, {"0": 3}, scheme=scheme)(image) for model in (plain, last)]
    torch.testing.assert_close(small[0], small[1])


@pytest.mark.parametrize("rank", [0, -1, 9])
def test_an_impossible_rank_is_an_error(rank: int) -> None:
    model = nn.Sequential(nn.Conv2d(6, 8, 3))
    with pytest.raises(ValueError, match=rf"rank must lie in 1\.\.8, got {rank}"):
        compress(model, {"0": rank})


def test_a_weight_of_zeros_is_decomposed() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False))
    nn.init.zeros_(model[0].weight)
    assert torch.equal(compress(model, {"0": 1})(torch.ones(1, 3, 4, 4)), torch.zeros(1, 4, 2, 2))


def test_a_weight_with_nan_is_refused() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3))
    nn.init.constant_(model[0].weight, float("nan"))
    with pytest.raises(ValueError, match="weight must be finite"):
        compress(model, {"0": 1})
