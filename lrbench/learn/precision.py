"""In which number format a model is trained: what a recipe asks for, and what that is on a machine."""

from collections.abc import Collection

import torch

from lrbench.config.recipes import Recipe

BFLOAT16_UNITS = frozenset({"avx512_bf16", "amx_bf16"})
"""Flags of x86 processors that compute in bfloat16. What it is worth on Arm was not measured."""

PAYS_FROM = 2**17
"""Pixels of a batch. Smaller ones are faster in float32: at 32 images of 32 px, by `bench/study_amp.py`."""

SLOW = (
    "this processor has no units for it: ResNet-18 at 64 px was trained at 7 images/s there, in float32 at 75 "
    '(docs/training.md). amp = "auto" takes the faster one'
)


def resolve(recipe: Recipe, device: torch.device, flags: Collection[str], *, image_size: int) -> Recipe:
    """A recipe whose `amp` says what is done on a machine: `auto` and `true` are bfloat16 where that is fast.

    Args:
        recipe: the recipe of a spec.
        device: that it trains on.
        flags: of the processor.
        image_size: height and width in pixels.
    """
    large = recipe.batch_size * image_size**2 >= PAYS_FROM
    if device.type == "cuda" and recipe.amp in (True, "auto"):
        amp = "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else True
    elif recipe.amp == "auto":
        amp = "bfloat16" if device.type == "cpu" and BFLOAT16_UNITS & set(flags) and large else False
    else:
        amp = recipe.amp
    return recipe.model_copy(update={"amp": amp})


def is_slow(recipe: Recipe, device: torch.device, flags: Collection[str]) -> bool:
    """Whether a recipe trains in bfloat16 on a processor that is many times slower in it."""
    return recipe.amp == "bfloat16" and recipe.epochs > 0 and device.type == "cpu" and not BFLOAT16_UNITS & set(flags)


def autocast_dtype(recipe: Recipe, device: torch.device) -> torch.dtype | None:
    """The number format of the forward pass of a resolved recipe; None for float32."""
    if recipe.amp == "bfloat16":
        return torch.bfloat16
    return torch.float16 if recipe.amp is True and device.type == "cuda" else None


def format_of(recipe: Recipe, device: torch.device) -> str:
    """The number format that a resolved recipe trains in, by its name; "" when it trains nothing."""
    return str(autocast_dtype(recipe, device) or torch.float32).removeprefix("torch.") if recipe.epochs else ""
