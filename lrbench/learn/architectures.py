"""From an architecture to a model, its weights random, and from a model's cuts to the architecture and its key."""

from collections.abc import Iterable

from torch import nn

from lrbench.config.names import is_own
from lrbench.config.sections import ModelChoice
from lrbench.errors import InputError, nearest
from lrbench.learn.generators import seed_all
from lrbench.learn.imports import source_digest
from lrbench.learn.models import build_model
from lrbench.lowrank.compress import check_cuts, restructure
from lrbench.lowrank.copies import copy_of
from lrbench.lowrank.cuts import Cut, shape_of
from lrbench.lowrank.schemes import SCHEMES
from lrbench.results.keys import digest
from lrbench.results.sessions import Architecture


def code_of(model: str) -> dict[str, str]:
    """The digest of the user's own model code; nothing for a torchvision model, whose version the environment has."""
    return {"code": source_digest(model, key="model.name")} if is_own(model) else {}


def make_architecture(
    model: str, *, image_size: int, classes: int, cuts: Iterable[Cut] = (), materialized: bool = False
) -> Architecture:
    """An architecture with its key, a digest of the model (its code, when it is the user's own) and of the cuts."""
    layers = shape_of(cuts)
    shapes = [[cut.layer, cut.scheme, cut.rank, *["bias"] * cut.gains_bias] for cut in layers]
    return Architecture(
        key=digest([model, image_size, classes, shapes, *code_of(model).values(), *["materialized"] * materialized]),
        model=model,
        image_size=image_size,
        classes=classes,
        layers=layers,
        materialized=materialized,
    )


def cut_architecture(dense: Architecture, cuts: Iterable[Cut]) -> Architecture:
    """The architecture that a dense one becomes by some cuts. A layer written back is as dense as before."""
    reshaped = [cut for cut in cuts if cut.rank is not None and SCHEMES[cut.scheme].reshapes]
    return make_architecture(
        dense.model,
        image_size=dense.image_size,
        classes=dense.classes,
        cuts=reshaped,
        materialized=dense.materialized,
    )


def check_unchanged(architecture: Architecture) -> None:
    """Raises: InputError when the user's own model code is not that of the architecture's key, or a scheme unknown."""
    for cut in architecture.layers:
        if cut.scheme not in SCHEMES:
            raise InputError(f"layer {cut.layer} has the unknown scheme {cut.scheme!r}: {nearest(cut.scheme, SCHEMES)}")
    if cut_architecture(architecture, architecture.layers).key != architecture.key:
        raise InputError(f"the code of model {architecture.model!r} has changed since it was measured")


def build_dense(architecture: Architecture) -> nn.Module:
    """The dense model of an architecture with random weights, the same ones each time.

    Raises: InputError when there is no such model.
    """
    seed_all(0)
    choice = ModelChoice(name=architecture.model, materialize=architecture.materialized)
    return build_model(choice, classes=architecture.classes, image_size=architecture.image_size)[0]


def shaped(dense: nn.Module, architecture: Architecture) -> nn.Module:
    """A copy of a dense model in an architecture, its factors random, the same ones each time.

    Raises: InputError when the model lacks a layer of the architecture, or a layer cannot have its rank.
    """
    seed_all(0)
    names = dict(dense.named_modules())
    missing = [cut.layer for cut in architecture.layers if cut.layer not in names]
    if missing:
        raise InputError(f"model {architecture.model} has no layer {missing[0]!r}, but the architecture factorizes it")
    try:
        check_cuts(dense, architecture.layers)
    except ValueError as error:
        raise InputError(f"model {architecture.model} cannot be architecture {architecture.key}: {error}") from error
    return restructure(dense, architecture.layers) if architecture.layers else copy_of(dense)


def bytes_of(model: nn.Module) -> int:
    """The bytes of a model's parameters and buffers."""
    return sum(t.numel() * t.element_size() for t in (*model.parameters(), *model.buffers()))
