"""An export back as a model: built by name or by the caller's own builder, never by code that a file names."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from lrbench.config.names import is_own
from lrbench.config.sections import ModelChoice
from lrbench.errors import InputError, reading
from lrbench.export.plan import WEIGHTS, read_plan
from lrbench.learn.architectures import shaped
from lrbench.learn.models import build_model, build_own
from lrbench.learn.weights import load_weights


def load(folder: str | Path, build: Callable[..., nn.Module] | None = None) -> nn.Module:
    """The model of an export, on the CPU and in eval mode.

    It takes images (N, 3, H, W) float32, normalised as `plan.json` says, and gives logits (N, classes).

    Args:
        folder: what `lrbench export` wrote.
        build: the builder of a model of your own, called with `num_classes` when it takes that; torchvision's models
            need none.

    Raises: InputError when a file is missing or was changed, or when the model is not the one that was exported.
    """
    folder = Path(folder)
    shape = read_plan(folder).architecture
    if is_own(shape.model) and build is None:
        raise InputError(f"model {shape.model!r} is your own code: pass its builder, load({str(folder)!r}, build=...)")
    choice = ModelChoice(name=shape.model, materialize=shape.materialized)
    with torch.random.fork_rng(devices=[]):
        if build is None:
            dense, _ = build_model(choice, classes=shape.classes, image_size=shape.image_size)
        else:
            dense = build_own(build, choice, classes=shape.classes, image_size=shape.image_size)
        model = shaped(dense, shape)
    with reading(folder / WEIGHTS, f"does not fit model {shape.model!r}"):
        load_weights(model, folder / WEIGHTS)
    return model.eval()
