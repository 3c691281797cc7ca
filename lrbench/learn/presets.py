"""How images are made ready for a model, where that is known by a name: what `data.preset` sets."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import floor
from typing import Any

import torchvision

from lrbench.config.names import is_own
from lrbench.config.sections import DataChoice, ModelChoice, Triple
from lrbench.errors import InputError, reading
from lrbench.learn.imports import call_fitting, import_callable
from lrbench.learn.libraries import timm_config


@dataclass(frozen=True, kw_only=True)
class Transforms:
    """How an image is fitted and scaled, in the words of `[data]`."""

    image_size: int
    resize: int
    interpolation: str
    mean: Triple
    std: Triple


IMAGENET = Transforms(
    image_size=224, resize=256, interpolation="bilinear", mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
)
"""Those of most torchvision models."""


def with_preset(choice: DataChoice, model: ModelChoice) -> DataChoice:
    """A choice in which all that its preset sets is written out, and no preset is left; what the spec says stays.

    Raises: InputError for preset `weights` where the weights carry no transforms.
    """
    if choice.preset == "none":
        return choice
    return applied(IMAGENET if choice.preset == "imagenet" else transforms_of(model), choice)


def applied(transforms: Transforms, choice: DataChoice) -> DataChoice:
    """A choice with the transforms where the spec says nothing; at another size than theirs resized in proportion.

    Raises: InputError when images would be resized to less than is cut out of them.
    """
    size = choice.image_size if "image_size" in choice.model_fields_set else transforms.image_size
    values = {**vars(transforms), "image_size": size, "resize": round(transforms.resize * size / transforms.image_size)}
    own = {key: value for key, value in values.items() if key not in choice.model_fields_set}
    made = choice.model_copy(update={**own, "preset": "none"})
    if 0 < made.resize < made.image_size:
        raise InputError(
            f"data.resize: must be 0 or at least image_size, {made.image_size} (data.preset), got {made.resize}"
        )
    return made


def transforms_of(model: ModelChoice) -> Transforms:
    """The transforms that a model's weights were trained for: of a torchvision weights name, or of a timm model.

    Raises: InputError when they are not known.
    """
    if ":" in model.name:
        config = _own_config(model) if is_own(model.name) else timm_config(model)
        if isinstance(config, Mapping) and config.get("mean"):
            with reading("data.preset='weights': the configuration of the timm model", "cannot be used"):
                return _of_timm(config)
    elif model.weights != "none" and model.weights in _names(model.name):
        return _of_torchvision(torchvision.models.get_model_weights(model.name)[model.weights].transforms())
    raise InputError(
        f"data.preset='weights': the transforms of model.weights={model.weights!r} of {model.name} are not known; only "
        "a torchvision weights name or a timm model has them. Set preset = 'imagenet', or mean, std, image_size, "
        "resize and interpolation"
    )


def _own_config(model: ModelChoice) -> Any:
    """What a user's builder that calls timm leaves at its model."""
    build = import_callable(model.name, key="model.name")
    built: Any = call_fitting(build, 1000, word="num_classes", name=model.name, key="model.name")
    return getattr(built, "pretrained_cfg", None)


def _names(model: str) -> tuple[str, ...]:
    """The names of torchvision's weights of a model; none of a model that it does not have."""
    if model not in torchvision.models.list_models(module=torchvision.models):
        return ()
    return (*torchvision.models.get_model_weights(model).__members__, "DEFAULT")


def _of_torchvision(preset: Any) -> Transforms:
    return _checked(
        image_size=preset.crop_size[0],
        resize=preset.resize_size[0],
        interpolation=preset.interpolation.value,
        mean=preset.mean,
        std=preset.std,
    )


def _of_timm(config: Mapping[str, Any]) -> Transforms:
    """Timm's `pretrained_cfg`: `crop_pct` is the share of the resized side that is kept."""
    channels, height, width = config["input_size"]
    if height != width or channels != 3 or config.get("crop_mode", "center") != "center":
        raise InputError(f"data.preset='weights': a centre crop of a square RGB image is made, the model has {config}")
    return _checked(
        image_size=height,
        resize=floor(height / config["crop_pct"]),
        interpolation=config["interpolation"],
        mean=config["mean"],
        std=config["std"],
    )


def _checked(**keys: Any) -> Transforms:
    """Transforms that a `[data]` section may have; raises what pydantic raises of others."""
    valid = DataChoice.model_validate_json(json.dumps(keys))
    return Transforms(**{key: getattr(valid, key) for key in keys})
