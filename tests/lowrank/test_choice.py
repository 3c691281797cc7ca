"""Which layers are found and selected, which ranks they get, and why a layer stays dense."""

import pytest
import torch
from torch import nn

from lrbench.lowrank.compress import choose_rank, compress, layer_rank, refusal
from lrbench.lowrank.layers import find_layers, select
from lrbench.lowrank.rule_texts import parse_rule
from lrbench.lowrank.schemes import SCHEMES

NET = nn.Sequential(
    nn.Conv2d(3, 64, 7, stride=2, padding=3), nn.Conv2d(64, 64, 3, groups=2), nn.Flatten(), nn.Linear(64 * 6 * 6, 5)
)


def test_a_shape_pass_finds_sizes_and_leaves_the_model_as_it_was() -> None:
    NET.train()
    layers = find_layers(NET, (3, 16, 16))
    assert [layer.name for layer in layers] == ["0", "1", "3"]
    assert [layer.shape.out_size for layer in layers] == [(8, 8), (6, 6), (1, 1)]
    assert all(module.training for module in NET.modules())
    assert not any(module._forward_hooks for module in NET.modules())


def test_tokens_multiply_the_macs_of_a_linear_layer() -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Linear(3, 4)

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return self.embed(image.flatten(2).transpose(1, 2))

    (layer,) = find_layers(Tokens(), (3, 5, 7))
    assert layer.shape.macs == 5 * 7 * 3 * 4


def test_selection_is_by_pattern_kind_and_exclusion() -> None:
    layers = find_layers(NET, (3, 16, 16))

    def names(include: list[str], exclude: list[str], kinds: list[str]) -> list[str]:
        return [layer.name for layer in select(layers, include=include, exclude=exclude, kinds=kinds)]

    assert names(["*"], [], ["conv", "linear"]) == ["0", "1", "3"]
    assert names(["*"], ["1"], ["conv"]) == ["0"]
    assert names(["3"], [], ["conv"]) == []


@pytest.mark.parametrize(
    ("layer", "scheme", "rank", "reason"),
    [
        (0, "channel", 44, None),
        (0, "channel", 45, "rank 45 reaches the break-even rank 44.59 in params"),
        (0, "spatial", 19, None),
        (0, "spatial", 20, "rank 20 reaches the break-even rank 19.20 in MACs"),
        (1, "channel", 1, "grouped convolution (groups=2)"),
        (1, "spatial", 1, "grouped convolution (groups=2)"),
        (2, "channel", 1, "not a convolution"),
        (0, "linear", 1, "neither a linear layer nor a 1x1 convolution"),
        (0, "writeback", 64, None),
        (0, "writeback", 65, "rank 65 exceeds the largest rank 64"),
    ],
)
def test_a_layer_stays_dense_for_a_reason(layer: int, scheme: str, rank: int, reason: str | None) -> None:
    found = find_layers(NET[:1], (3, 224, 224)) if layer == 0 else find_layers(NET, (3, 16, 16))
    refused = refusal(NET, found[layer], scheme=scheme)
    if refused is not None:
        assert refused == reason
        return
    cut = choose_rank(found[layer], scheme=scheme, rule=parse_rule(f"rank={rank}"))
    assert (cut.rank, cut.reason) == (rank if reason is None else None, reason)
    full = choose_rank(found[layer], scheme=scheme, rule=parse_rule(f"rank={rank} max=full"))
    assert full.rank == (rank if reason is None or "break-even" in reason else None)


class Odd(nn.Module):
    """One of each kind of layer that cannot be factorized."""

    def __init__(self) -> None:
        super().__init__()
        self.plain = nn.Conv2d(3, 4, 3, padding=1)
        self.normed = nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 4, 3, padding=1))
        self.tied, self.twin = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)
        self.twin.weight = self.tied.weight
        self.twice = nn.Conv2d(4, 4, 1)
        self.up = nn.ConvTranspose2d(4, 4, 2)
        self.line = nn.Conv1d(4, 5, 3)
        self.unused = nn.Linear(3, 3)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        hidden = self.twice(self.twice(self.twin(self.tied(self.normed(self.plain(image))))))
        return self.line(self.up(hidden).flatten(2)).mean(2)


def test_layers_that_no_scheme_can_read_have_a_reason() -> None:
    found = {layer.name: layer.refusal for layer in find_layers(Odd(), (3, 6, 6))}
    assert found == {
        "plain": None,
        "normed": "its weight is parametrized",
        "tied": "shares its weight with twin",
        "twin": "shares its weight with tied",
        "twice": None,
        "up": "ConvTranspose2d: only Conv1d, Conv2d and Linear can be factorized",
        "line": None,
    }
    small = compress(Odd(), {"plain": 2})
    found = {layer.name: layer.refusal for layer in find_layers(small, (3, 6, 6))}
    assert found["plain.0"] == found["plain.1"] == "already factorized"
    for name, reason in (
        ("normed", "parametrized"),
        ("tied", "shares"),
        ("up", "ConvTranspose2d"),
        ("none", "no layer"),
    ):
        with pytest.raises(ValueError, match=reason):
            compress(Odd(), {name: 2})


def test_an_explicit_rank_is_obeyed_with_a_warning_where_it_saves_nothing() -> None:
    model = nn.Sequential(nn.Conv2d(6, 8, 3))
    with pytest.warns(UserWarning, match="layer 0: rank 8 has 496 weights, the dense layer has 432"):
        assert compress(model, {"0": 8})[0][0].out_channels == 8


def test_an_unknown_scheme_says_what_is_allowed() -> None:
    with pytest.raises(ValueError, match=r"scheme must be one of channel, spatial, .*, got 'svd'"):
        compress(NET, {"0": 2}, scheme="svd")


def test_a_refused_layer_is_an_error_when_named() -> None:
    with pytest.raises(ValueError, match=r"layer 1 cannot be factorized by scheme channel: grouped"):
        compress(NET, {"1": 2})


@pytest.mark.parametrize("scheme", [name for name in SCHEMES if name != "linear"])
def test_the_numerical_rank_is_the_rank_it_was_cut_to(scheme: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(16, 24, 3, groups=2 if scheme == "grouped" else 1))
    assert layer_rank(compress(model, {"0": 5}, scheme=scheme)[0], scheme) == 5
    assert scheme == "grouped" or layer_rank(model[0], "writeback") == 24


def test_training_grows_the_rank_of_a_written_back_layer_only() -> None:
    torch.manual_seed(0)
    model, image, target = nn.Sequential(nn.Conv2d(4, 16, 3)), torch.randn(8, 4, 6, 6), torch.randn(8, 16, 4, 4)
    for scheme, expected in (("writeback", 16), ("channel", 2)):
        small = compress(model, {"0": 2}, scheme=scheme)
        optimizer = torch.optim.SGD(small.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            (small(image) - target).square().mean().backward()
            optimizer.step()
        assert layer_rank(small[0], scheme) == expected
