"""What goes through a sweep from end to end: the spec, and all that is prepared from it before anything runs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lrbench.config.recipes import Recipe
from lrbench.guard import guarded, user_code
from lrbench.learn.own_loop import require_loop
from lrbench.learn.precision import SLOW, is_slow, resolve
from lrbench.learn.presets import with_preset
from lrbench.learn.survey import survey
from lrbench.learn.train import pick_device
from lrbench.measure import cost
from lrbench.measure.environment import read_commit, read_environment
from lrbench.measure.settings import settings
from lrbench.measure.side_by_side import fold_batch_norm
from lrbench.plan.memory_formats import without_refused_formats
from lrbench.plan.spec import SweepSpec
from lrbench.plan.trials import Untrained, build_untrained, plan_trials
from lrbench.progress import Progress, silent
from lrbench.results.environment import Environment
from lrbench.results.records import Trial

Announce = Callable[[str, Sequence[Trial]], None]
"""Called with a line that says which trials follow, and these, before they run."""


def untold(line: str) -> None:
    """Say nothing."""


def unannounced(why: str, trials: Sequence[Trial]) -> None:
    """Say nothing."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of a sweep on this machine.

    Attributes:
        spec: the sweep's spec.
        trials: all trials of the spec; for each seed the dense control comes first.
        dense: the untrained dense model of the first trial's baseline.
        environment: this machine.
        commit: of lrbench.
        cache: directory for decoded images and trained weights.
        progress: called with the progress of the work.
        notes: what a user should know before it starts, a sentence each.
        later: trials of seeds after those of the spec, of which some may follow by the outcomes of `trials`; in the
            same order.
        announce: called before trials that follow.
        tell: called with a line that a user should see and that stays.
    """

    spec: SweepSpec
    trials: tuple[Trial, ...]
    dense: Untrained
    environment: Environment
    commit: str
    cache: Path
    progress: Progress
    notes: tuple[str, ...] = ()
    later: tuple[Trial, ...] = ()
    announce: Announce = unannounced
    tell: Callable[[str], None] = untold


@user_code()
def prepare(
    spec: SweepSpec, *, cache: Path = Path("cache"), progress: Progress = silent, limit_s: float | None = None
) -> Run:
    """Plan a spec's trials and build its dense model; what cannot run here is refused before anything starts.

    In the run's spec `amp` says what is done on this machine, and channels_last is left out where the model cannot
    compute in it. `limit_s`: seconds in which a user's own model must be built and run once; None for no limit.

    Raises: InputError for a device that is not available, or data or a model that cannot be used.
    """
    settings(spec.latency)
    spec = spec.model_copy(update={"data": with_preset(spec.data, spec.model)})
    environment = read_environment()
    spec, slow = _resolved(spec, environment)
    require_loop(spec.finetune)
    seen = survey(spec.data, cache=cache / "images")
    identity, classes = seen.identity, seen.classes
    first = spec.baseline.seed if spec.baseline.seed is not None else spec.sweep.seeds[0]
    dense = build_untrained(spec, classes=classes, seed=first, limit_s=limit_s)
    seeds = spec.sweep.later_seeds()
    spec, formats = without_refused_formats(spec, dense.model)
    if "folded" in spec.latency.batch_norms:
        with guarded(f"model.name={spec.model.name!r} cannot be folded, it raised"):
            fold_batch_norm(dense.model)
    counted = cost.in_words(dense.cost)
    notes = (*seen.notes, dense.note, *dense.unsound, *counted, formats, *slow, seen_before(spec))
    return Run(
        spec=spec,
        trials=plan_trials(spec, identity=identity, layers=dense.layers),
        dense=dense,
        environment=environment,
        commit=read_commit(),
        cache=cache.absolute(),  # a user's code may change the working directory
        progress=progress,
        notes=tuple(filter(None, notes)),
        later=plan_trials(spec, identity=identity, seeds=seeds, layers=dense.layers) if seeds else (),
    )


def _resolved(spec: SweepSpec, environment: Environment) -> tuple[SweepSpec, list[str]]:
    """A spec whose `amp` says what is done on this machine, and warnings of what is slow on it."""
    flags = environment.isa.split()
    devices = {name: pick_device(recipe.device) for name, recipe in recipes_of(spec).items()}
    recipes = {
        name: resolve(recipe, devices[name], flags, image_size=spec.data.image_size)
        for name, recipe in recipes_of(spec).items()
    }
    slow = [
        f'Warning: {name}.amp = "bfloat16", but {SLOW}'
        for name, recipe in recipes.items()
        if is_slow(recipe, devices[name], flags)
    ]
    return spec.model_copy(update=recipes), slow


def seen_before(spec: SweepSpec) -> str:
    """That images to choose by may have been trained on, in words; "" where they cannot."""
    if spec.model.weights == "none" or spec.data.search or not spec.data.search_share:
        return ""
    return (
        "the search split is a share of the training images, which the weights given may have been trained on: its "
        'accuracies may be too high. data.search = "DIR" names images that the model has not seen'
    )


def recipes_of(spec: SweepSpec) -> dict[str, Recipe]:
    """The recipes of a spec by the names of their sections."""
    return {"baseline": spec.baseline, "finetune": spec.finetune}
