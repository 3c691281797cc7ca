"""Copies of models: also of those whose weights are computed from other parameters, and with these made plain."""

from copy import deepcopy

from torch import Tensor, nn
from torch.nn.utils import prune, remove_spectral_norm, remove_weight_norm
from torch.nn.utils.parametrize import is_parametrized, remove_parametrizations
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm


def copy_of(model: nn.Module) -> nn.Module:
    """A copy of a model that shares nothing with it.

    `deepcopy` refuses a tensor that was computed from parameters, which weight norm and pruning leave on a module; in
    the copy it is a constant until the next call computes it anew.
    """
    attributes = [value for module in model.modules() for value in vars(module).values() if isinstance(value, Tensor)]
    return deepcopy(model, {id(value): value.detach().clone() for value in attributes if not value.is_leaf})


def materialize(model: nn.Module) -> nn.Module:
    """A copy of a model in which every computed weight is a plain parameter with its present values.

    Parametrizations, weight norm, spectral norm (old and new) and the masks of pruning are gone; outputs are the same.
    """
    plain = copy_of(model)
    for module in plain.modules():
        if is_parametrized(module):
            assert isinstance(module.parametrizations, nn.ModuleDict)
            _own_class_(module)
            for name in list(module.parametrizations):
                remove_parametrizations(module, name, leave_parametrized=True)
        for hook in list(module._forward_pre_hooks.values()):
            if isinstance(hook, WeightNorm):
                remove_weight_norm(module, hook.name)
            elif isinstance(hook, SpectralNorm):
                remove_spectral_norm(module, hook.name)
            elif isinstance(hook, prune.BasePruningMethod):
                prune.remove(module, hook._tensor_name)  # type: ignore[no-untyped-call]
    return plain


def _own_class_(module: nn.Module) -> None:
    """Give a copied module a class of its own (in place): torch removes a parametrization from the class, too."""
    shared = type(module)
    members = {key: value for key, value in vars(shared).items() if key not in ("__dict__", "__weakref__")}
    module.__class__ = type(shared.__name__, shared.__bases__, members)
