"""Does a model compute the same with its layers replaced at full rank? If not, which layers are to blame?

A forward may look at the type of a layer, read its weight or keep a way around it: then factors change the outputs, or
nothing at all, and no error tells. Full rank needs no decomposition here, so that a check costs some forward passes.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor, nn

from lrbench.lowrank.copies import copy_of
from lrbench.lowrank.examples import Call, tensors_of
from lrbench.lowrank.layers import Layer
from lrbench.lowrank.replace import put_, replace_exactly
from lrbench.lowrank.schemes import SCHEMES

TOLERANCE = 1e-4
"""Largest difference between outputs, as a share of their scale; more where numbers have few digits."""

NOT_CALLED = "replaced at full rank it is no longer called by the model"
DIFFERS = "replaced at full rank it changes the model's outputs"
FAILS = "replaced at full rank it makes the model fail: "


@torch.no_grad()
def find_unsound(model: nn.Module, schemes: Mapping[str, str], call: Call) -> dict[str, str]:
    """The layers that cannot be replaced in a model without changing what it computes, each with the reason.

    All are replaced at once; only if that fails are they tried in halves, down to single ones. A model whose outputs
    differ from call to call, or are not finite, is judged by its calls alone.

    Args:
        model: left alone; it runs in eval mode.
        schemes: of each layer to check, by its name.
        call: runs a model once.
    """
    if not schemes:
        return {}
    small = copy_of(model).eval()
    trial = _Trial(small, schemes, call)
    reasons: dict[str, str] = {}
    sound: list[str] = []

    def admit(names: Sequence[str]) -> None:
        reason = trial.fault([*sound, *names])
        if reason is None:
            sound.extend(names)
        elif len(names) == 1:
            reasons[names[0]] = reason
        else:
            admit(names[: len(names) // 2])
            admit(names[len(names) // 2 :])

    admit(list(schemes))
    return reasons


class _Trial:
    """A copy of a model, its outputs and how often it calls each layer, with factors at hand to put in."""

    def __init__(self, model: nn.Module, schemes: Mapping[str, str], call: Call) -> None:
        self.model, self.call = model, call
        self.dense = {name: model.get_submodule(name) for name in schemes}
        with _counted(self.dense) as calls:
            self.outputs = self._outputs()
        self.calls = dict(calls)
        self.is_steady = _close(self._outputs(), self.outputs)
        self.factors = {name: replace_exactly(self.dense[name], SCHEMES[scheme]) for name, scheme in schemes.items()}

    def _outputs(self) -> list[Tensor]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return [tensor.detach().clone() for tensor in tensors_of(self.call(self.model))]

    def fault(self, names: Sequence[str]) -> str | None:
        """What goes wrong when some layers are replaced; None when all is as before."""
        for name in names:
            put_(self.model, name, self.factors[name])
        try:
            with _counted({name: self.factors[name] for name in names}) as calls:
                outputs = self._outputs()
        except Exception as error:  # whatever a user's own forward does
            return FAILS + " ".join(f"{type(error).__name__}: {error}".split())
        finally:
            for name in names:
                put_(self.model, name, self.dense[name])
        if any(calls[name] != self.calls[name] for name in names):
            return NOT_CALLED
        return None if not self.is_steady or _close(outputs, self.outputs) else DIFFERS


@contextmanager
def _counted(modules: Mapping[str, nn.Module]) -> Iterator[dict[str, int]]:
    """Count the calls of modules."""
    calls = dict.fromkeys(modules, 0)

    def watch(name: str) -> torch.utils.hooks.RemovableHandle:
        def count(*_: object) -> None:
            calls[name] += 1

        return modules[name].register_forward_hook(count)

    handles = [watch(name) for name in modules]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def _close(outputs: Sequence[Tensor], reference: Sequence[Tensor]) -> bool:
    if [tensor.shape for tensor in outputs] != [tensor.shape for tensor in reference]:
        return False
    return all(_near(one, other) for one, other in zip(outputs, reference, strict=True))


def _near(one: Tensor, other: Tensor) -> bool:
    if other.is_complex():
        one, other = torch.view_as_real(one), torch.view_as_real(other)
    if not other.is_floating_point():
        return bool((one == other).all())
    tolerance = max(TOLERANCE, 32 * torch.finfo(other.dtype).eps)
    return bool((one.double() - other.double()).norm() <= tolerance * other.double().norm())


def mark_unsound(layers: Sequence[Layer], reasons: Mapping[str, str]) -> tuple[Layer, ...]:
    """Layers with the reasons of those that a check found as their refusals."""
    return tuple(
        replace(layer, refusal=reasons[layer.name], mended=not layer.mended) if layer.name in reasons else layer
        for layer in layers
    )


def in_words(reasons: Mapping[str, str]) -> tuple[str, ...]:
    """What a check found, a line for each reason."""
    names: dict[str, list[str]] = {}
    for layer, reason in reasons.items():
        names.setdefault(reason, []).append(layer)
    return tuple(f"these layers stay dense: {' '.join(layers)} ({reason})" for reason, layers in names.items())
