"""Training and timing in channels_last are left out, in words, for a model that cannot do it."""

from typing import Any

from torch import nn

from lrbench.measure.memory_formats import refuses_channels_last
from lrbench.plan.spec import SweepSpec

LAST, USUAL = "channels_last", "contiguous"


def without_refused_formats(spec: SweepSpec, model: nn.Module) -> tuple[SweepSpec, str]:
    """A spec without channels_last where the model cannot compute in it, and what was changed ("" when nothing).

    Trials are then those of the spec that says so itself.

    Args:
        spec: of the sweep.
        model: the dense model.
    """
    formats = spec.latency.memory_formats if spec.latency.devices else ()
    changed: dict[str, Any] = {}
    for name, recipe in (("baseline", spec.baseline), ("finetune", spec.finetune)):
        if recipe.channels_last:
            changed[f"{name}.{LAST}"] = recipe.model_copy(update={LAST: False})
    if LAST in formats:
        kept = tuple(name for name in formats if name != LAST) or (USUAL,)
        changed["latency.memory_formats"] = spec.latency.model_copy(update={"memory_formats": kept})
    if not changed:
        return spec, ""
    reason = refuses_channels_last(model, (3, spec.data.image_size, spec.data.image_size))
    if not reason:
        return spec, ""
    words = f"{LAST} is left out of {', '.join(changed)} ({USUAL} instead): {reason}"
    return spec.model_copy(update={key.partition(".")[0]: section for key, section in changed.items()}), words
