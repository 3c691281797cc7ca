"""Classifiers of torchvision, and of timm where installed: which layers have a scheme, and why others do not.

Run: `python bench/study_zoo.py [NAME ...]`; a line for each model, then a table of layers by reason. Random weights.
For each model: all layers replaced at full rank give the same outputs (self-check); at half of their MACs params and
MACs are those predicted; and the share of its params that lies in layers with a scheme and a rank below break-even.
"""

import sys
import warnings
from collections import Counter
from dataclasses import dataclass
from importlib.util import find_spec

import torch
import torchvision
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from lrbench.lowrank.attention import open_attention
from lrbench.lowrank.compress import choose_rank, first_schemes, restructure
from lrbench.lowrank.examples import random_call
from lrbench.lowrank.layers import Layer, find_layers
from lrbench.lowrank.ranks import Macs, RankRule
from lrbench.lowrank.schemes import SCHEMES
from lrbench.lowrank.self_check import find_unsound
from lrbench.plan.trials import layer_cost

ORDER = ("spatial", "channel", "linear", "grouped")
"""Each layer gets the first that is possible."""

LARGEST = 60_000_000
"""Params up to which a model is looked at: larger ones of a family have the same kinds of layers."""

TIMM = ("davit_tiny", "edgenext_xx_small", "xcit_nano_12_p16_224", "tf_efficientnet_b0", "mixnet_s", "resnetv2_50")
SIZES = {"inception_v3": 299}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What was found of a model."""

    layers: tuple[Layer, ...]
    unsound: dict[str, str]
    covered: float
    is_predicted: bool


def build(name: str) -> nn.Module:
    """A model with random weights and, where it starts with zeros or tiny scales, none of these."""
    torch.manual_seed(0)
    if name.startswith("timm:"):
        import timm  # type: ignore[import-not-found]

        model: nn.Module = timm.create_model(name.removeprefix("timm:"), num_classes=10)
    else:
        extra = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
        model = torchvision.models.get_model(name, num_classes=10, **extra)
    for key, parameter in model.named_parameters():
        if parameter.is_floating_point() and ("gamma" in key or "layer_scale" in key or not parameter.any()):
            nn.init.normal_(parameter, std=0.1)
    return model.eval()


def examine(model: nn.Module, size: int) -> Outcome:
    """Plan, full rank, low rank."""
    shape = (3, size, size)
    model = open_attention(model, random_call(shape))
    layers = find_layers(model, shape)
    schemes = first_schemes(model, layers, ORDER)
    unsound = find_unsound(model, schemes, random_call(shape))
    rule = RankRule(base=Macs(0.5))
    named = {layer.name: layer for layer in layers if layer.name in schemes and layer.name not in unsound}
    cuts = [choose_rank(layer, scheme=schemes[name], rule=rule) for name, layer in named.items()]
    cut = [cut for cut in cuts if cut.rank is not None]
    before, after = costs(model, size), costs(restructure(model, cut), size)
    changes = [
        [new - old for new, old in zip(layer_cost(named[c.layer], c), dense_cost(named[c.layer]), strict=True)]
        for c in cut
    ]
    predicted = [old + sum(change[i] for change in changes) for i, old in enumerate(before)]
    covered = sum(layer.shape.weights for name, layer in named.items() if pays(layer, schemes[name]))
    return Outcome(
        layers=layers,
        unsound={**unsound, **{layer.name: layer.refusal for layer in layers if layer.refusal is not None}},
        covered=covered / before[0],
        is_predicted=list(after) == predicted,
    )


def pays(layer: Layer, scheme: str) -> bool:
    """Whether a rank lies below both break-even ranks."""
    entry, shape = SCHEMES[scheme], layer.shape
    return all(limit is None or limit > 1 for limit in (entry.breakeven_params(shape), entry.breakeven_macs(shape)))


def dense_cost(layer: Layer) -> tuple[int, int]:
    """Params and MACs of a dense layer."""
    return layer.shape.weights + layer.shape.biases, layer.shape.macs


def costs(model: nn.Module, size: int) -> tuple[int, int]:
    """Params, and MACs by torch's own counter."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, 3, size, size))
    return sum(parameter.numel() for parameter in model.parameters()), counter.get_total_flops() // 2


def params_of(name: str) -> int:
    """Params of a model, as torchvision states them."""
    return int(torchvision.models.get_model_weights(name).DEFAULT.meta["num_params"])


def main(names: list[str]) -> None:
    """Print a line for each model, then the table of reasons."""
    warnings.simplefilter("ignore")
    if not names:
        every = torchvision.models.list_models(module=torchvision.models)
        names = [name for name in every if params_of(name) <= LARGEST]
        names += [f"timm:{name}" for name in TIMM if find_spec("timm")]
    reasons: Counter[str] = Counter()
    for name in names:
        outcome = examine(build(name), SIZES.get(name, 224))
        reasons.update(outcome.unsound.values())
        reasons["factorized"] += len(outcome.layers) - len(outcome.unsound)
        words = "as predicted" if outcome.is_predicted else "NOT AS PREDICTED"
        print(f"{name:32} {len(outcome.layers):4} layers {outcome.covered:7.1%} of params covered, {words}", flush=True)
    for reason, count in reasons.most_common():
        print(f"{count:6} {reason}")


if __name__ == "__main__":
    main(sys.argv[1:])
