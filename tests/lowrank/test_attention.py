"""An opened attention computes what nn.MultiheadAttention does, and its projections are layers."""

from itertools import product

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torchvision.models import swin_transformer

import lrbench
from lrbench.lowrank.attention import Attention, open_attention
from lrbench.lowrank.examples import call_of
from lrbench.lowrank.layers import Factors, find_layers
from lrbench.lowrank.windows import CLOSED, WindowAttention


class Wrapped(nn.Module):
    """An attention that is called as it is told."""

    def __init__(self, attention: nn.MultiheadAttention) -> None:
        super().__init__()
        self.attention = attention

    def forward(self, *inputs: Tensor, **words: object) -> object:
        return self.attention(*(inputs * 3)[:3], **words)


@pytest.mark.parametrize(("batch_first", "bias", "need_weights", "is_batched"), list(product([False, True], repeat=4)))
def test_it_computes_the_same(batch_first: bool, bias: bool, need_weights: bool, is_batched: bool) -> None:
    torch.manual_seed(0)
    closed = nn.MultiheadAttention(8, 2, bias=bias, batch_first=batch_first, dtype=torch.float64)
    for parameter in closed.parameters():
        nn.init.normal_(parameter)
    model, inputs = Wrapped(closed).eval(), torch.randn(5, 5, 8, dtype=torch.float64)
    if not is_batched:
        inputs = inputs[0]
    words = {"need_weights": need_weights, "attn_mask": torch.ones(5, 5, dtype=torch.bool).triu(1)}
    if is_batched:
        words["key_padding_mask"] = torch.arange(5).expand(5, 5) >= 4
    opened = open_attention(model, lambda network: network(inputs, **words))
    assert isinstance(opened.attention, Attention)
    assert isinstance(model.attention, nn.MultiheadAttention), "the model is left alone"
    for average in (True, False):
        expected, weights = model(inputs, **words, average_attn_weights=average)
        output, found = opened(inputs, **words, average_attn_weights=average)
        torch.testing.assert_close(output, expected)
        assert (found is None) == (weights is None)
        if weights is not None:
            torch.testing.assert_close(found, weights)


def test_between_two_sequences_there_are_three_projections() -> None:
    torch.manual_seed(0)
    model = Wrapped(nn.MultiheadAttention(8, 2, kdim=6, vdim=4, batch_first=True)).eval()
    inputs = torch.randn(2, 3, 8), torch.randn(2, 5, 6), torch.randn(2, 5, 4)
    opened = open_attention(model, call_of(inputs))
    torch.testing.assert_close(opened(*inputs), model(*inputs))
    assert [layer.name for layer in find_layers(opened, inputs)] == [
        "attention.q_proj",
        "attention.k_proj",
        "attention.v_proj",
        "attention.out_proj",
    ]


def test_what_cannot_be_opened_stays_as_it_is() -> None:
    model = Wrapped(nn.MultiheadAttention(8, 2, add_bias_kv=True)).eval()
    assert open_attention(model, call_of([torch.randn(3, 8)])) is model


def test_transformer_layers_of_torch_call_it() -> None:
    torch.manual_seed(0)
    model = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2).eval()
    tokens = torch.randn(2, 5, 8)
    opened = open_attention(model, call_of(tokens))
    torch.testing.assert_close(opened(tokens), model(tokens))
    assert sum(isinstance(module, Attention) for module in opened.modules()) == 2


def test_nearly_all_of_a_vision_transformer_is_in_layers_that_can_be_cut() -> None:
    torch.manual_seed(0)
    model = torchvision.models.VisionTransformer(32, 8, 2, 4, 64, 128, num_classes=10).eval()
    nn.init.normal_(model.heads[0].weight)
    image = torch.randn(1, 3, 32, 32)
    cuts = lrbench.choose(model, image, rule="params=0.5")
    cut = [row for row in cuts.table.itertuples() if row.rank == row.rank]
    assert sum(row.dense_params for row in cut) > 0.95 * sum(p.numel() for p in model.parameters())
    small = lrbench.compress(model, [c for c in cuts if c.scheme == "linear"], example=image)
    assert sum(p.numel() for p in small.parameters()) < 0.6 * sum(p.numel() for p in model.parameters())
    full = {"encoder.layers.encoder_layer_0.self_attention.in_proj": 64}
    with pytest.warns(UserWarning, match="rank 64 has"):
        torch.testing.assert_close(lrbench.compress(model, full, scheme="linear", example=image)(image), model(image))


def test_every_attention_of_torchvisions_swin_transformers_is_opened() -> None:
    names = {name for name, kind in vars(swin_transformer).items() if isinstance(kind, type) and "Attention" in name}
    assert names == set(CLOSED)


@pytest.mark.parametrize("kind", [swin_transformer.ShiftedWindowAttention, swin_transformer.ShiftedWindowAttentionV2])
@pytest.mark.parametrize(("window", "shift"), [((7, 7), (3, 3)), ((4, 3), (2, 1)), ((4, 4), (0, 0)), ((3, 9), (1, 4))])
@pytest.mark.parametrize("bias", [True, False])
def test_window_attention_computes_the_same(
    kind: type[nn.Module], window: tuple[int, int], shift: tuple[int, int], bias: bool
) -> None:
    torch.manual_seed(0)
    closed = kind(8, list(window), list(shift), 2, qkv_bias=bias, proj_bias=bias).double()
    for parameter in closed.parameters():
        nn.init.normal_(parameter)
    model, images = nn.Sequential(closed).eval(), torch.randn(2, 9, 8, 8, dtype=torch.float64)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    opened = open_attention(model, call_of(images))
    assert isinstance(opened[0], WindowAttention)
    torch.testing.assert_close(opened(images), model(images))
    torch.testing.assert_close(torch.fx.symbolic_trace(opened)(images), model(images))
    assert {"0.qkv", "0.proj"} <= {layer.name for layer in find_layers(opened, images)}
    assert opened.state_dict().keys() == before.keys(), "a checkpoint fits before and after"
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, before[name], msg="the model is left alone")


@pytest.mark.parametrize("kind", [swin_transformer.ShiftedWindowAttention, swin_transformer.ShiftedWindowAttentionV2])
def test_window_attention_is_compressed_by_the_names_of_its_layers(kind: type[nn.Module]) -> None:
    torch.manual_seed(0)
    model, images = nn.Sequential(kind(8, [4, 4], [2, 2], 2)).eval(), torch.randn(1, 8, 8, 8)
    small = lrbench.compress(model, {"0.qkv": 2, "0.proj": 2}, scheme="linear", example=images)
    assert sum(isinstance(module, Factors) for module in small.modules()) == 2
    torch.testing.assert_close(small(images).shape, images.shape)
