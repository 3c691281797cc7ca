"""The disk and memory that a sweep needs at least, compared with what the machine has before any training."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lrbench.config.recipes import Recipe
from lrbench.guard import guarded
from lrbench.learn.architectures import bytes_of
from lrbench.learn.optimizers import state_tensors
from lrbench.learn.train import pick_device
from lrbench.learn.weights import weights_path
from lrbench.limits import in_words, require_disk, require_memory, require_writable
from lrbench.plan.run import Run
from lrbench.plan.spec import SweepSpec
from lrbench.results.records import Trial

RECORD_BYTES = 100_000
"""Approximate size of one trial in the log and the tables."""


def check_disk(run: Run, todo: Sequence[Trial], *, folder: Path, jobs: int) -> None:
    """Check that the files that the trials will write fit on disk.

    Args:
        run: the sweep.
        todo: the trials to run.
        folder: of results.
        jobs: trials that run at a time.

    Raises: InputError when a directory cannot be written, or has too little space, with both sizes.
    """
    if not todo:
        return
    for place in (folder, run.cache):
        require_writable(place)
    require_disk(folder, RECORD_BYTES * len(todo), what=f"the records of {len(todo)} trials")
    size = bytes_of(run.dense.model)
    models = weights_to_keep(run.spec, todo, cache=run.cache)
    what = f"{models} trained models of {in_words(size)} and the checkpoints of {jobs}"
    require_disk(run.cache, size * (models + 3 * jobs), what=what)


def check_memory(spec: SweepSpec, model: nn.Module, *, images: int, jobs: int) -> None:
    """Check that `jobs` trainings at a time, each on so many images, fit into memory.

    Raises: InputError when they do not, with both sizes.
    """
    for recipe in (spec.baseline, spec.finetune):
        device, batch = pick_device(recipe.device), min(recipe.batch_size, images)
        with guarded(f"model.name={spec.model.name!r} cannot be measured, it raised"):
            need = jobs * training_bytes(model, recipe, image_size=spec.data.image_size, batch=batch)
        left = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else None
        require_memory(need, what=f"{jobs} x {spec.model.name} in batches of {batch} on {device}", left=left)


def weights_to_keep(spec: SweepSpec, todo: Sequence[Trial], *, cache: Path) -> int:
    """The number of models that the sweep will keep: of each trial, and of each dense model that it trains."""
    keys = {trial.key for trial in todo}
    keys |= {trial.baseline for trial in todo} if spec.baseline.epochs else set()
    return sum(not weights_path(cache / "weights", key).exists() for key in keys)


def training_bytes(model: nn.Module, recipe: Recipe, *, image_size: int, batch: int) -> int:
    """Least memory of one training: the dense model and a copy, gradients, optimizer, the activations of a batch."""
    if recipe.epochs == 0:
        return 2 * bytes_of(model)
    return bytes_of(model) * (3 + state_tensors(recipe)) + batch * activation_bytes(model, (3, image_size, image_size))


def activation_bytes(model: nn.Module, shape: tuple[int, int, int]) -> int:
    """Memory of the outputs of a model's modules for one image, each storage counted once."""
    seen: dict[int, Tensor] = {}

    def watch(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if isinstance(output, Tensor):
            seen[output.untyped_storage().data_ptr()] = output

    handles = [module.register_forward_hook(watch) for module in model.modules() if not list(module.children())]
    try:
        with torch.no_grad():
            model(torch.zeros(1, *shape))
    finally:
        for handle in handles:
            handle.remove()
    return sum(output.untyped_storage().nbytes() for output in seen.values())
