"""What a forward may do: whatever multiplies matrices is counted as its formula says, or named as lacking."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

import lrbench
from lrbench.lowrank.examples import Example
from lrbench.lowrank.layers import find_layers
from lrbench.measure.cost import denormal_share, measure_cost


class Run(nn.Module):
    """A forward that is a function."""

    def __init__(self, function: Callable[..., Any], *parts: nn.Module) -> None:
        super().__init__()
        self.function, self.parts = function, nn.ModuleList(parts)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*self.parts, *args, **kwargs)


def ones(*shape: int) -> Tensor:
    return torch.ones(shape)


PRODUCTS: Mapping[str, tuple[Callable[..., Any], Sequence[tuple[int, ...]], int]] = {
    "mm": (torch.mm, [(3, 4), (4, 5)], 60),
    "mv": (torch.mv, [(3, 4), (4,)], 12),
    "vector @ matrix": (torch.matmul, [(4,), (4, 5)], 20),
    "dot": (torch.dot, [(7,), (7,)], 7),
    "vdot": (torch.vdot, [(7,), (7,)], 7),
    "vector @ vector": (torch.matmul, [(7,), (7,)], 7),
    "matrix @ vector, batched": (torch.matmul, [(2, 3, 4), (4,)], 24),
    "broadcast": (torch.matmul, [(2, 1, 3, 4), (5, 4, 6)], 2 * 5 * 3 * 4 * 6),
    "bmm": (torch.bmm, [(2, 3, 4), (2, 4, 5)], 120),
    "addmm": (torch.addmm, [(3, 5), (3, 4), (4, 5)], 60),
    "addmm_": (lambda a, b, c: a.clone().addmm_(b, c), [(3, 5), (3, 4), (4, 5)], 60),
    "addmv": (torch.addmv, [(3,), (3, 4), (4,)], 12),
    "addmv_": (lambda a, b, c: a.clone().addmv_(b, c), [(3,), (3, 4), (4,)], 12),
    "addbmm": (torch.addbmm, [(3, 5), (2, 3, 4), (2, 4, 5)], 120),
    "addbmm_": (lambda a, b, c: a.clone().addbmm_(b, c), [(3, 5), (2, 3, 4), (2, 4, 5)], 120),
    "baddbmm": (torch.baddbmm, [(2, 3, 5), (2, 3, 4), (2, 4, 5)], 120),
    "baddbmm_": (lambda a, b, c: a.clone().baddbmm_(b, c), [(2, 3, 5), (2, 3, 4), (2, 4, 5)], 120),
    "einsum": (lambda a, b: torch.einsum("bhqd,bhkd->bhqk", a, b), [(2, 3, 4, 5), (2, 3, 6, 5)], 2 * 3 * 4 * 5 * 6),
    "einsum of three": (lambda a, b, c: torch.einsum("ij,jk,kl->il", a, b, c), [(2, 3), (3, 4), (4, 5)], 24 + 40),
    "inner": (torch.inner, [(3, 4), (5, 4)], 60),
    "tensordot": (lambda a, b: torch.tensordot(a, b, dims=2), [(2, 3, 4), (3, 4, 5)], 120),
    "multi_dot": (lambda a, b: torch.linalg.multi_dot([a, b]), [(2, 3), (3, 4)], 24),
    "linear of one vector": (functional.linear, [(4,), (3, 4), (3,)], 12),
    "linear of many": (functional.linear, [(2, 5, 4), (3, 4)], 120),
    "conv of one image": (functional.conv2d, [(3, 8, 8), (4, 3, 3, 3)], 36 * 4 * 27),
    "grouped conv": (lambda x, w: functional.conv2d(x, w, groups=2), [(1, 4, 8, 8), (6, 2, 3, 3)], 36 * 6 * 18),
    "same conv": (lambda x, w: functional.conv2d(x, w, padding="same"), [(1, 3, 8, 8), (4, 3, 3, 3)], 64 * 4 * 27),
    "conv1d": (functional.conv1d, [(1, 3, 8), (4, 3, 3)], 6 * 4 * 9),
    "conv3d": (functional.conv3d, [(1, 2, 4, 4, 4), (3, 2, 3, 3, 3)], 8 * 3 * 54),
    "transposed conv": (functional.conv_transpose2d, [(1, 3, 8, 8), (3, 4, 3, 3)], 64 * 4 * 27),
    "attention": (functional.scaled_dot_product_attention, [(1, 2, 5, 8)] * 3, 2 * 2 * 5 * 5 * 8),
    "attention to others": (
        functional.scaled_dot_product_attention,
        [(1, 2, 5, 8), (1, 2, 6, 8), (1, 2, 6, 4)],
        2 * 5 * 6 * (8 + 4),
    ),
    "causal attention": (
        lambda q, k, v: functional.scaled_dot_product_attention(q, k, v, is_causal=True),
        [(1, 2, 5, 8)] * 3,
        2 * 2 * 5 * 5 * 8,
    ),
    "grouped attention": (
        lambda q, k: functional.scaled_dot_product_attention(q, k, k, enable_gqa=True),
        [(1, 4, 5, 8), (1, 2, 5, 8)],
        2 * 4 * 5 * 5 * 8,
    ),
}
"""Products by name: the function, the shapes that it takes, its MACs."""


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_product_of_any_shape_is_counted_as_its_formula_says(name: str) -> None:
    function, shapes, macs = PRODUCTS[name]
    cost = measure_cost(Run(function), [ones(*shape) for shape in shapes])
    assert (cost.macs, cost.lacking) == (macs, ())
    if cost.macs_fvcore != macs:
        assert cost.differing or cost.untraced, "where fvcore differs it is said"


def test_an_operator_whose_count_differs_from_fvcores_is_named() -> None:
    product = Run(functional.scaled_dot_product_attention)
    cost = measure_cost(product, [ones(1, 2, 5, 8)] * 3)
    assert (cost.macs_fvcore, cost.differing) == (0, ("scaled_dot_product_attention",))


@pytest.mark.parametrize(
    ("recurrent", "gates"),
    [(nn.LSTM, 4), (nn.GRU, 3), (nn.RNN, 1)],
)
@pytest.mark.parametrize("directions", [1, 2])
def test_recurrent_layers_are_counted_step_by_step(recurrent: Any, gates: int, directions: int) -> None:
    layer = recurrent(4, 6, num_layers=2, bidirectional=directions == 2)
    macs = 7 * directions * gates * 6 * ((4 + 6) + (6 * directions + 6))
    for inputs in (ones(7, 1, 4), ones(7, 4)):
        cost = measure_cost(layer, inputs)
        assert (cost.macs, cost.lacking) == (macs, ())
        assert cost.macs_fvcore == macs or cost.differing or cost.untraced


@pytest.mark.parametrize("attention", [True, False])
def test_closed_attention_and_transformers_are_counted_in_full(attention: bool) -> None:
    length, width = 5, 8
    projections, scores = 4 * length * width**2, 2 * length**2 * width
    if attention:
        layer: nn.Module = nn.MultiheadAttention(width, 2, batch_first=True)
        example: Example = [ones(1, length, width)] * 3
        macs = projections + scores
    else:
        layer = nn.TransformerEncoderLayer(width, 2, 16, batch_first=True)
        example, macs = ones(1, length, width), projections + scores + 2 * length * width * 16
    assert measure_cost(layer.requires_grad_(False), example).macs == macs, "also where torch would take a fast path"


@dataclass
class Answer:
    """An output of the kind that transformers gives."""

    logits: Tensor
    hidden: tuple[Tensor, ...]


def two_inputs(layer: nn.Module, image: Tensor, scale: Tensor) -> Tensor:
    result: Tensor = layer(image) * scale
    return result


FORWARDS: Mapping[str, tuple[Callable[..., Any], Example]] = {
    "a shape": (lambda layer, image: layer(image), (3, 8, 8)),
    "an unbatched sample": (lambda layer, image: layer(image), ones(3, 8, 8)),
    "several inputs": (two_inputs, [ones(1, 3, 8, 8), ones(1)]),
    "inputs by keyword": (two_inputs, {"image": ones(1, 3, 8, 8), "scale": ones(1)}),
    "an input that is no tensor": (lambda layer, image, times: layer(image) * times, [ones(1, 3, 8, 8), 2]),
    "a dict": (lambda layer, image: {"out": layer(image), "count": 1}, (3, 8, 8)),
    "a tuple": (lambda layer, image: (layer(image), None, [image]), (3, 8, 8)),
    "a record": (lambda layer, image: Answer(logits=layer(image), hidden=(image,)), (3, 8, 8)),
    "nothing but a number": (lambda layer, image: float(layer(image).sum()), (3, 8, 8)),
    "a branch on values": (lambda layer, image: layer(image) if image.sum() < 1 else image, (3, 8, 8)),
}
"""Forwards by what is odd in them, with an example."""


@pytest.mark.parametrize("kind", FORWARDS)
def test_a_forward_may_take_and_give_anything(kind: str) -> None:
    function, example = FORWARDS[kind]
    model = Run(function, nn.Conv2d(3, 4, 3))
    cost = measure_cost(model, example)
    assert cost.macs == sum(layer.shape.macs for layer in find_layers(model, example)) == 36 * 4 * 27
    assert cost.macs_fvcore == cost.macs or cost.differing == ("conv",) or cost.untraced


@pytest.mark.parametrize("kind", FORWARDS)
def test_a_model_is_cut_by_any_of_its_calls_and_costs_what_was_predicted(kind: str) -> None:
    function, example = FORWARDS[kind]
    model = Run(function, nn.Conv2d(3, 4, 3))
    cuts = lrbench.choose(model, example, rule="rank=2")
    small = lrbench.compress(model, cuts, example=example)
    before, after = measure_cost(model, example), measure_cost(small, example)
    changes = (
        cuts.table[["macs", "params"]].sum().to_numpy() - cuts.table[["dense_macs", "dense_params"]].sum().to_numpy()
    )
    assert (after.macs - before.macs, after.params - before.params) == tuple(changes)
    assert after.macs < before.macs


@pytest.mark.parametrize("dtype", [torch.int8, torch.bool, torch.complex64, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("is_parameter", [True, False])
def test_the_first_tensor_of_a_model_may_have_any_type(dtype: torch.dtype, is_parameter: bool) -> None:
    first = nn.Module()
    if is_parameter:
        first.register_parameter("odd", nn.Parameter(torch.ones(2, 2, dtype=dtype), requires_grad=False))
    else:
        first.register_buffer("odd", torch.ones(2, dtype=dtype))
    real = dtype if dtype in (torch.float64, torch.bfloat16) else torch.float32
    model = Run(lambda _, layer, image: layer(image), first, nn.Conv2d(3, 4, 3, dtype=real))
    cost = measure_cost(model, (3, 8, 8))
    assert cost.macs == cost.macs_fvcore == 36 * 4 * 27
    assert denormal_share(model) == 0


def test_a_parameter_may_be_an_input_of_a_module() -> None:
    class Query(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.query, self.norm, self.conv = nn.Parameter(ones(1, 4, 6, 6)), nn.Identity(), nn.Conv2d(3, 4, 3)

        def forward(self, image: Tensor) -> Tensor:
            return self.conv(image) + self.norm(self.query) + self.norm(self.query.expand(1, -1, -1, -1))

    assert measure_cost(Query(), (3, 8, 8)).macs == 36 * 4 * 27


def test_a_model_without_parameters_costs_nothing() -> None:
    cost = measure_cost(nn.Flatten(), (3, 8, 8))
    assert (cost.params, cost.macs, cost.macs_fvcore) == (0, 0, 0)


@pytest.mark.parametrize(
    ("function", "named"),
    [
        (lambda image: torch.fft.fft2(image).real, "aten::_fft_c2c"),
        (lambda image: torch.linalg.inv(image + torch.eye(8)), "aten::linalg_inv_ex"),
        (lambda image: torch.cdist(image, image), "aten::_cdist_forward"),
        (lambda image: functional.bilinear(image, image, ones(2, 8, 8)), "aten::_trilinear"),
    ],
)
def test_what_multiplies_without_a_formula_is_named(function: Callable[..., Any], named: str) -> None:
    cost = measure_cost(Run(function), (3, 8, 8))
    assert named in cost.lacking


@pytest.mark.parametrize("function", [functional.normalize, torch.digamma, lambda image: image.cross(image, dim=1)])
def test_what_does_not_multiply_matrices_is_not_named(function: Callable[..., Any]) -> None:
    assert measure_cost(Run(function), (3, 8, 8)).lacking == ()


def test_a_model_that_cannot_be_traced_is_counted_all_the_same_and_left_as_it_was() -> None:
    class Recursive(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, image: Tensor) -> Tensor:
            if torch.jit.is_tracing():
                raise NotImplementedError("no tracing,\nplease")
            result: Tensor = self.conv(image)
            return result

    model = Recursive()
    cost = measure_cost(model, (3, 8, 8))
    assert (cost.macs, cost.macs_fvcore, cost.other_ops) == (36 * 4 * 27, None, None)
    assert cost.untraced == "NotImplementedError: no tracing, please"
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_macs_are_those_of_torchs_counter_alone() -> None:
    layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5)).eval()
    with FlopCounterMode(display=False) as counter:
        layers(ones(1, 3, 8, 8))
    assert measure_cost(layers, (3, 8, 8)).macs == counter.get_total_flops() / 2
