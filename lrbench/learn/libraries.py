"""Models of libraries by name, with pretrained weights by the library's own download: torchvision's, and timm's."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torchvision
from torch import nn

from lrbench.config.sections import ModelChoice
from lrbench.errors import InputError, nearest, reading
from lrbench.learn.checkpoint_files import WORDS, names_file
from lrbench.learn.extras import require_extra

PRETRAINED = "DEFAULT"
"""As `model.weights`: the weights that the library recommends for the model."""

Make = Callable[[str, ModelChoice, int], nn.Module]
"""(name within the library, the section, classes) -> the model."""


def library_model(choice: ModelChoice, classes: int) -> nn.Module:
    """The model of a library: with its pretrained weights and their head, else with random ones.

    Raises: InputError for an unknown model or weights, or weights that cannot be downloaded.
    """
    before, colon, after = choice.name.partition(":")
    make, name = (MAKERS[before], after) if colon else (MAKERS[""], before)
    return make(name, choice, classes)


def _torchvision(name: str, choice: ModelChoice, classes: int) -> nn.Module:
    names = torchvision.models.list_models(module=torchvision.models)
    if name not in names:
        raise InputError(f"unknown model.name={choice.name!r}: {nearest(name, names)}")
    if not choice.has_weights or names_file(choice.weights):
        extra = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
        model: nn.Module = torchvision.models.get_model(name, num_classes=classes, **extra)
        return model
    available = {member.name: member for member in torchvision.models.get_model_weights(name)}
    _require_weights(choice, available)
    with reading(f"model.weights={choice.weights!r}", "could not be downloaded"):
        pretrained: nn.Module = torchvision.models.get_model(name, weights=choice.weights)
    return pretrained


def _timm(name: str, choice: ModelChoice, classes: int) -> nn.Module:
    """A model of timm (Wightman, github.com/huggingface/pytorch-image-models); its weights have tags: `a1_in1k`."""
    timm: Any = require_extra("timm", extra="timm", what=f"model.name={choice.name!r}")
    if not timm.is_model(name):
        raise InputError(f"unknown model.name={choice.name!r}: {nearest(name.partition('.')[0], timm.list_models())}")
    if not choice.has_weights or names_file(choice.weights):
        model: nn.Module = timm.create_model(name, num_classes=classes)
        return model
    tags = {full.partition(".")[2]: full for full in timm.list_pretrained(name.partition(".")[0])}
    _require_weights(choice, tags)
    full = name if choice.weights == PRETRAINED else tags[choice.weights]
    with reading(f"model.weights={choice.weights!r}", "could not be downloaded"):
        pretrained: nn.Module = timm.create_model(full, pretrained=True)
    return pretrained


def timm_config(choice: ModelChoice) -> Mapping[str, Any] | None:
    """What timm knows of the images that a model's weights were trained on (`mean`, `input_size`, `crop_pct` ...).

    Raises: InputError without timm.
    """
    timm: Any = require_extra("timm", extra="timm", what=f"model.name={choice.name!r}")
    tagged = choice.has_weights and choice.weights != PRETRAINED and not names_file(choice.weights)
    name = choice.name.partition(":")[2]
    config = timm.get_pretrained_cfg(f"{name.partition('.')[0]}.{choice.weights}" if tagged else name)
    return None if config is None else dict(config.to_dict())


def _require_weights(choice: ModelChoice, available: Mapping[str, Any]) -> None:
    """Raises: InputError when a library has no such weights of a model."""
    if choice.weights not in (*available, PRETRAINED):
        raise InputError(
            f"unknown model.weights={choice.weights!r} for {choice.name}: "
            f"{nearest(choice.weights, (*available, PRETRAINED, 'none'))}, or {WORDS}"
        )


MAKERS: Mapping[str, Make] = MappingProxyType({"": _torchvision, "timm": _timm})
"""By what stands before the colon of `model.name`, how a model of that library is made."""
