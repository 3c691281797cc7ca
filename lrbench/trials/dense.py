"""The dense model of a seed: trained once, kept, and decomposed once for all ranks."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from torch import Tensor, nn

from lrbench.config.recipes import Finetune, Recipe
from lrbench.errors import InputError
from lrbench.execute.jobs import Job, Worker
from lrbench.guard import reason_of
from lrbench.learn.batches import Batching, calibration_batches, test_batches
from lrbench.learn.checkpoints import Checkpoint
from lrbench.learn.datasets import Dataset
from lrbench.learn.odd_state import odd_state, restore_odd_
from lrbench.learn.own_loop import tune_by_loop
from lrbench.learn.train import batching, train_
from lrbench.learn.weights import fits, is_training, keep_weights, recall_weights, weights_path
from lrbench.limits import put_aside
from lrbench.lowrank.copies import copy_of
from lrbench.lowrank.moments import reestimate_batch_norm_
from lrbench.lowrank.self_check import in_words, mark_unsound
from lrbench.measure.accuracy import evaluate, predict
from lrbench.plan.cuts import Decompose
from lrbench.plan.spec import SweepSpec
from lrbench.plan.trials import Untrained, chosen_layers, unsound_layers
from lrbench.progress import NOTICE, Progress
from lrbench.results.records import Accuracy, Epoch, KeptStage, Stage
from lrbench.trials.decompositions import decompositions

CHECKED_IMAGES = 8
"""Images on which layers are checked."""


@dataclass(frozen=True, kw_only=True)
class Dense:
    """A trained dense model in eval mode, its accuracy, and what is computed once when it is first needed.

    These are its decompositions, and its logits on the search split with their labels. For the logits batch norm is
    re-estimated as after a truncation: else the effect of re-estimation would count as damage.
    """

    key: str
    untrained: Untrained
    model: nn.Module
    epochs: tuple[Epoch, ...]
    accuracy: Accuracy
    decompose: Decompose
    search: Callable[[], tuple[Tensor, Tensor]]


@dataclass(frozen=True, kw_only=True)
class Context:
    """The context of a training: the sweep, its images, the directory of trained weights, and whom to report `what`."""

    spec: SweepSpec
    data: Dataset
    weights: Path
    progress: Progress
    what: str

    def tell(self, stage: str, done: int, total: int) -> None:
        """Report the progress of a stage."""
        self.progress(self.what, stage, done, total)

    def note(self, text: str) -> None:
        """Tell of something that was found and mended."""
        self.progress(self.what, NOTICE + text, 0, 1)

    def calibration(self, how: Batching) -> Iterator[Tensor]:
        """The calibration images in batches."""
        return calibration_batches(self.data, how, self.spec.calibration)

    def recipe(self, stage: Stage) -> Recipe:
        """The recipe of a stage."""
        return self.spec.baseline if stage == "baseline" else self.spec.finetune


def context_of(job: Job, worker: Worker) -> Context:
    """The context of a job's trials in a process."""
    label = job.trials[0].label
    return Context(spec=job.spec, data=worker.data(job), weights=job.weights, progress=worker.progress, what=label)


def dense_of(job: Job, worker: Worker) -> Dense:
    """The dense model of a job's trials, trained or loaded, and kept by the process for the next trial."""
    trial, context = job.trials[0], context_of(job, worker)
    dense_context = replace(context, what=f"dense seed {trial.baseline_seed}")
    untrained = worker.untrained(job, seed=trial.baseline_seed)
    return worker.keep(trial.baseline, lambda: train_dense(untrained, trial.baseline, context=dense_context))


def trained(
    model: nn.Module,
    key: str,
    *,
    context: Context,
    stage: Stage,
    seed: int,
    teacher: nn.Module | None = None,
) -> tuple[tuple[Epoch, ...], bool]:
    """Train a model in place, or load the weights (or the checkpoint) of an earlier training with the same key.

    Kept weights of another shape are ignored: latency budgets choose other ranks where other times were measured.

    Returns: the epochs, and whether the weights were reused.
    """
    recipe, path = context.recipe(stage), weights_path(context.weights, key)
    if recipe.epochs == 0:
        return (), False
    if path.exists() and (recalled := _recalled(model, path, context=context)) is not None:
        return recalled, True
    context.tell(stage, 0, recipe.epochs)
    if isinstance(recipe, Finetune) and recipe.loop:
        return _by_own_loop(model, recipe, context=context, path=path, seed=seed), False
    checkpoint = Checkpoint(
        path=context.weights / f"{key}.checkpoint",
        every_s=60 * context.spec.run.checkpoint_minutes,
        tell=context.note,
    )
    epochs = tuple(
        train_(
            model,
            context.data.train,
            recipe=recipe,
            how=batching(recipe, context.spec.data),
            stage=stage,
            seed=seed,
            on_step=lambda done, total: context.tell(stage, done, total),
            checkpoint=checkpoint,
            teacher=teacher,
        )
    )
    _settle_(model, recipe, context=context)
    keep(model, path, epochs=epochs, context=context)
    checkpoint.path.unlink(missing_ok=True)
    return epochs, False


def _settle_(model: nn.Module, recipe: Recipe, *, context: Context) -> None:
    """Re-estimate batch norm after finetuning (in place), where the recipe says so."""
    if isinstance(recipe, Finetune) and recipe.batch_norm == "re-estimated":
        reestimate_batch_norm_(model, context.calibration(batching(recipe, context.spec.data)))


def _by_own_loop(model: nn.Module, recipe: Finetune, *, context: Context, path: Path, seed: int) -> tuple[Epoch, ...]:
    """Finetune a model by the user's loop (in place), and keep its weights."""
    tuned, epochs = tune_by_loop(
        model,
        context.data,
        recipe=recipe,
        how=batching(recipe, context.spec.data),
        seed=seed,
        on_step=lambda done, total: context.tell("finetune", done, total),
    )
    if tuned is not model:
        model.load_state_dict(tuned.state_dict())
        restore_odd_(model, odd_state(tuned))
    _settle_(model.eval(), recipe, context=context)
    keep(model, path, epochs=epochs, context=context)
    return epochs


def _recalled(model: nn.Module, path: Path, *, context: Context) -> tuple[Epoch, ...] | None:
    """The epochs of kept weights, loaded into a model (in place); None when there are none of its shapes.

    A file that cannot be used is put aside, and said so: what is not known to be right is never trained on.
    """
    try:
        return recall_weights(model, path) if is_training(path) and fits(model, path) else None
    except Exception as error:  # safetensors, torch and pydantic each raise their own
        context.note(f"{put_aside(path)} holds weights that cannot be used ({reason_of(error)}): trained anew")
        return None


def keep(
    model: nn.Module, path: Path, *, context: Context, epochs: tuple[Epoch, ...] = (), stage: KeptStage | None = None
) -> None:
    """Keep the weights of a model after a stage; a model whose weights cannot be written loses them, and no more.

    Raises: InputError when the disk refuses them.
    """
    try:
        keep_weights(model, path, epochs=epochs, stage=stage)
    except InputError:
        raise
    except Exception as error:  # whatever a user's own state does
        context.note(f"its weights cannot be kept: {reason_of(error)}")


def reestimated(model: nn.Module, *, context: Context, how: Batching) -> nn.Module:
    """A copy of a model with batch norm re-estimated on the calibration images, if there are any."""
    copy = copy_of(model)
    if context.spec.calibration.images:
        reestimate_batch_norm_(copy, context.calibration(how))
    return copy


def _checked(untrained: Untrained, model: nn.Module, *, context: Context, how: Batching) -> Untrained:
    """The same with the layers that cannot be replaced in the trained model, by real images; they are told."""
    few = context.spec.calibration.model_copy(update={"images": CHECKED_IMAGES, "batch_size": CHECKED_IMAGES})
    images = next(iter(calibration_batches(context.data, how, few)), None)
    if images is None:
        return untrained
    here = copy_of(model).cpu()  # a GPU may round more
    rows = images.cpu()
    unsound = unsound_layers(context.spec, untrained.layers, model=here, call=lambda network: network(rows))
    for line in in_words(unsound):
        context.note(line)
    return replace(untrained, layers=mark_unsound(untrained.layers, unsound))


def train_dense(untrained: Untrained, key: str, *, context: Context) -> Dense:
    """Train the dense model by the baseline recipe (or load it) and measure its accuracy on the test split."""
    model = copy_of(untrained.model)
    how = batching(context.spec.baseline, context.spec.data)
    model.to(device=how.device, memory_format=how.memory_format)  # type: ignore[call-overload]
    epochs, _ = trained(model, key, context=context, stage="baseline", seed=untrained.seed)
    context.tell("evaluate", 0, 1)
    accuracy = evaluate(model, test_batches(context.data.test, how))
    untrained = _checked(untrained, model, context=context, how=how)

    @cache
    def search() -> tuple[Tensor, Tensor]:
        return predict(reestimated(model, context=context, how=how), test_batches(context.data.search, how))

    return Dense(
        key=key,
        untrained=untrained,
        model=model,
        epochs=epochs,
        accuracy=accuracy,
        decompose=decompositions(
            model, chosen_layers(context.spec, untrained.layers), lambda: context.calibration(how)
        ),
        search=search,
    )
