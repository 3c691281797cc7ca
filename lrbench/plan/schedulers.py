"""Schedulers: which trials follow those of the grid, by their outcomes.

A scheduler is a pure function: (planned trials, trials that may follow, outcomes by key) -> the trials that follow as
far as is known, those with an outcome too. It is asked again when these have one, until it names nothing new. What it
names must not depend on which trials of a round are done already: then an interrupted sweep continues as if it had not
been. To add one, add an entry to `SCHEDULERS`, and in `prepare` of `run` the trials that may follow.
"""

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from lrbench.plan.run import Run
from lrbench.plan.spec import SweepSpec
from lrbench.results.columns.outcomes import Outcome, outcomes
from lrbench.results.records import Accuracy, Measurement, Record, Trial
from lrbench.statistics.fronts import near_front, worths_of
from lrbench.statistics.posterior import Answers, luck_of, stack_right

Point = tuple[str, str, str, str]
"""What the trials of a point share within a spec: scheme, truncation, layer set, rank rule."""

DENSE: Point = ("dense", "plain", "none", "none")
"""The dense control."""

Follow = Callable[[Sequence[Trial], Sequence[Trial], Mapping[str, Outcome]], tuple[Trial, ...]]


@dataclass(frozen=True, kw_only=True)
class Scheduler:
    """A way to choose trials by the outcomes of others.

    Attributes:
        follow: the function, see above.
        announce: a line about trials before they run.
        forecast: a line about the trials that may follow, before anything is known.
    """

    follow: Follow
    announce: Callable[[SweepSpec, Sequence[Trial]], str]
    forecast: Callable[[SweepSpec, Sequence[Trial]], str]


def repeat_front(planned: Sequence[Trial], later: Sequence[Trial], held: Mapping[str, Outcome]) -> tuple[Trial, ...]:
    """The trials of later seeds of the points on or near the front of MACs and accuracy, and of the dense control.

    Round by round: first by the outcomes of the planned trials, then by those of the repeated ones too, until no other
    point comes near. Nothing follows while a trial of the round before has no outcome. A failed trial has one: it is
    not run again, and no other seed takes its place.
    """
    known = {trial.key: trial for trial in planned}
    follow: dict[str, Trial] = {}
    while later and known.keys() <= held.keys():
        chosen = _to_repeat([one for key in known if isinstance(one := held[key], Measurement)])
        new = {trial.key: trial for trial in later if trial.key not in known and point_of(trial) in chosen}
        if not new:
            break
        known, follow = known | new, follow | new
    return tuple(trial for trial in later if trial.key in follow)


def point_of(trial: Trial) -> Point:
    """The point of a trial of a spec."""
    return trial.scheme, trial.truncation, trial.layer_set, trial.rank_rule


def _to_repeat(measured: Sequence[Measurement]) -> Container[Point]:
    """The points on or near the front; the dense control always.

    As in reports: by the accuracy on the search split where all were judged on it, else on the test split; a point has
    the mean over its seeds, and costs what the best of them costs.
    """
    split = "search" if all(one.search is not None for one in measured) else "kept_accuracy"
    members: dict[Point, list[Measurement]] = {}
    for one in measured:
        members.setdefault(point_of(one.trial), []).append(one)

    def judged(one: Measurement) -> Accuracy:
        accuracy: Accuracy = getattr(one, split)
        return accuracy

    best = [max(seeds, key=lambda one: judged(one).accuracy) for seeds in members.values()]
    answers = [_answers(list(map(judged, seeds))) for seeds in members.values()]
    losses = [float(np.mean([judged(one).loss for one in seeds])) for seeds in members.values()]
    worths = worths_of(np.array([point.accuracies.mean() for point in answers]), np.array(losses))
    near = near_front(np.array([one.cost.macs for one in best], float), worths, answers, luck_of(answers))
    return {DENSE, *(point for point, is_near in zip(members, near, strict=True) if is_near)}


def _answers(seeds: Sequence[Accuracy]) -> Answers:
    samples = seeds[0].samples
    return Answers(
        correct={seed: accuracy.correct for seed, accuracy in enumerate(seeds)},
        samples=samples,
        right=stack_right([accuracy.right for accuracy in seeds], samples),
    )


def _front_line(spec: SweepSpec, trials: Sequence[Trial]) -> str:
    points = _counted(len({point_of(trial) for trial in trials}), "point")
    more = _counted(len(trials), "more trial")
    return f"{points} on or near the front: {more}, for {spec.sweep.front_seeds} seeds each"


def _front_forecast(spec: SweepSpec, trials: Sequence[Trial]) -> str:
    first, last = trials[0].seed, trials[-1].seed
    seeds = f"seed {first}" if first == last else f"seeds {first} to {last}"
    more = _counted(len(trials), "more trial")
    return f"sweep.front_seeds = {spec.sweep.front_seeds}: up to {more}, of {seeds}, once the front is known"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


SCHEDULERS: Mapping[str, Scheduler] = MappingProxyType(
    {"front_seeds": Scheduler(follow=repeat_front, announce=_front_line, forecast=_front_forecast)}
)
"""Schedulers by the keys of `[sweep]` that ask for them, in the order in which they choose."""


def following(run: Run, records: Sequence[Record]) -> tuple[Trial, ...]:
    """The trials that follow the planned ones as far as records tell, those that have an outcome too."""
    known = _by_key(records)
    follow = (trial for scheduler in SCHEDULERS.values() for trial in scheduler.follow(run.trials, run.later, known))
    return tuple(dict.fromkeys(follow))


def next_round(run: Run, records: Sequence[Record]) -> tuple[str, tuple[Trial, ...]]:
    """A line about the trials to run next by what records tell, and these; none when nothing more follows."""
    known = _by_key(records)
    for scheduler in SCHEDULERS.values():
        follow = scheduler.follow(run.trials, run.later, known)
        if todo := tuple(trial for trial in follow if trial.key not in known):
            return scheduler.announce(run.spec, todo), todo
    return "", ()


def forecasts(run: Run) -> tuple[str, ...]:
    """What may follow the planned trials, a line for each scheduler that has something to choose."""
    return tuple(scheduler.forecast(run.spec, run.later) for scheduler in SCHEDULERS.values() if run.later)


def _by_key(records: Sequence[Record]) -> Mapping[str, Outcome]:
    return {outcome.trial.key: outcome for outcome in outcomes(records)}
