"""Update rules and learning rates by name. To add one, write a function here and add one entry to its table.

Its name goes into `OPTIMIZERS` or `SCHEDULES` of `lrbench.config.names` too, where specs and help look for it.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, LRScheduler, OneCycleLR

from lrbench.config.recipes import Recipe

Parameters = Sequence[nn.Parameter]


def _sgd(parameters: Parameters, recipe: Recipe) -> Optimizer:
    return SGD(
        parameters,
        lr=recipe.lr,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        fused=_on_gpu(parameters),
    )


def _adamw(parameters: Parameters, recipe: Recipe) -> Optimizer:
    return AdamW(
        parameters,
        lr=recipe.lr,
        betas=(recipe.momentum, 0.999),
        weight_decay=recipe.weight_decay,
        fused=_on_gpu(parameters),
    )


def _on_gpu(parameters: Parameters) -> bool | None:
    """Whether one kernel updates all parameters: on a GPU. On a processor torch's own choice stays, to the last bit."""
    return True if parameters and all(parameter.is_cuda for parameter in parameters) else None


OPTIMIZERS: Mapping[str, Callable[[Parameters, Recipe], Optimizer]] = MappingProxyType({"sgd": _sgd, "adamw": _adamw})


def _constant(optimizer: Optimizer, recipe: Recipe, steps: int) -> LRScheduler:
    return LambdaLR(optimizer, lambda step: 1.0)


def _cosine(optimizer: Optimizer, recipe: Recipe, steps: int) -> LRScheduler:
    return CosineAnnealingLR(optimizer, T_max=steps)


def _one_cycle(optimizer: Optimizer, recipe: Recipe, steps: int) -> LRScheduler:
    return OneCycleLR(optimizer, max_lr=recipe.lr, total_steps=steps, cycle_momentum=False)


SCHEDULES: Mapping[str, Callable[[Optimizer, Recipe, int], LRScheduler]] = MappingProxyType(
    {"constant": _constant, "cosine": _cosine, "one-cycle": _one_cycle}
)


def make_optimizer(model: nn.Module, recipe: Recipe) -> Optimizer:
    """The update rule that a recipe names, of the parameters that are trained."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return OPTIMIZERS[recipe.optimizer](parameters, recipe)


def state_tensors(recipe: Recipe) -> int:
    """How many tensors of a weight's size the recipe's optimizer keeps for that weight, by trying."""
    layer = nn.Linear(2, 2, bias=False)
    optimizer = make_optimizer(layer, recipe)
    layer.weight.grad = torch.zeros_like(layer.weight)
    optimizer.step()
    kept = optimizer.state[layer.weight].values()
    return sum(isinstance(state, Tensor) and state.shape == layer.weight.shape for state in kept)


def make_schedule(optimizer: Optimizer, recipe: Recipe, *, steps: int) -> LRScheduler:
    """The learning rate of each of all steps."""
    return SCHEDULES[recipe.schedule](optimizer, recipe, steps)
