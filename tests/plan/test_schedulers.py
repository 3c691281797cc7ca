"""Which trials follow by the outcomes of others: more seeds for the points on or near the front, and for no other."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import failure, measurement

from lrbench.errors import InputError
from lrbench.plan.run import Run
from lrbench.plan.schedulers import following, forecasts, next_round, point_of, repeat_front
from lrbench.plan.spec import SweepSpec, flat_keys, make_spec
from lrbench.plan.trials import plan_trials
from lrbench.results.records import Accuracy, Failure, Measurement, Trial

IMAGES = 100
RULES = ("rank=1", "rank=2", "rank=4", "rank=8")
MACS = {"none": 100, "rank=1": 10, "rank=2": 20, "rank=4": 40, "rank=8": 80}

Outcome = Measurement | Failure


def spec_of(**sweep: object) -> SweepSpec:
    return make_spec({"sweep": {"schemes": ["channel"], "ranks": list(RULES), **sweep}}, where="test")


def run_of(**sweep: object) -> Run:
    """What schedulers look at in a run."""
    spec = spec_of(**sweep)
    planned, later = (plan_trials(spec, identity="x", seeds=seeds) for seeds in (None, spec.sweep.later_seeds()))
    return SimpleNamespace(spec=spec, trials=planned, later=later)


def answered(correct: int, *, shift: int = 0) -> Accuracy:
    """So many right answers, from some image on."""
    right = np.roll(np.arange(IMAGES) < correct, shift)
    return Accuracy(correct=correct, samples=IMAGES, loss=1.0, right=np.packbits(right).tobytes().hex())


def outcome(trial: Trial, correct: int | None, *, on: str = "search") -> Outcome:
    """A measurement with so many right answers on a split; None: a failure."""
    if correct is None:
        return failure(trial)
    made = replace(measurement(trial, macs=MACS[trial.rank_rule]), finetuned=answered(50))
    return replace(made, **{on: answered(correct)})


def outcomes_of(trials: Iterable[Trial], correct: Mapping[str, int | None], **how: str) -> dict[str, Outcome]:
    return {trial.key: outcome(trial, correct[trial.rank_rule], **how) for trial in trials}


def rules(trials: Iterable[Trial]) -> list[tuple[str, int]]:
    return [(trial.rank_rule, trial.seed) for trial in trials]


@pytest.mark.parametrize("baseline", [{}, {"seed": 3}])
@pytest.mark.parametrize(("seeds", "later"), [([0], (1, 2)), ([4, 1], (5,)), ([7, 8, 9], ()), ([2, 2], (3, 4))])
def test_later_seeds_are_the_trials_of_those_seeds_listed_by_hand(
    seeds: list[int], later: tuple[int, ...], baseline: dict[str, int]
) -> None:
    short, by_hand = (
        make_spec({"sweep": sweep, "baseline": baseline}, where="test")
        for sweep in ({"seeds": seeds, "front_seeds": 3}, {"seeds": [*seeds, *later]})
    )
    assert short.sweep.later_seeds() == later
    followed = plan_trials(short, identity="x", seeds=short.sweep.later_seeds())
    assert (*plan_trials(short, identity="x"), *followed) == plan_trials(by_hand, identity="x")


def test_without_the_key_nothing_follows_and_nothing_is_noted() -> None:
    assert spec_of().sweep.later_seeds() == spec_of(front_seeds=1).sweep.later_seeds() == ()
    assert "sweep.front_seeds" not in dict(flat_keys(spec_of()))
    assert dict(flat_keys(spec_of(front_seeds=2)))["sweep.front_seeds"] == "2"
    run = run_of()
    held = outcomes_of(run.trials, dict.fromkeys(MACS, 90))
    assert (next_round(run, list(held.values())), forecasts(run)) == (("", ()), ())


def test_a_seed_that_no_record_holds_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"sweep: .*front_seeds: seeds must be at most 9007199254740992, got 9007199254"
    ):
        spec_of(seeds=[2**53], front_seeds=2)


def test_the_front_and_what_is_near_it_get_more_seeds_and_what_is_beaten_gets_none() -> None:
    run = run_of(front_seeds=3)
    held = outcomes_of(run.trials, {"none": 90, "rank=1": 30, "rank=2": 60, "rank=4": 59, "rank=8": 50})
    chosen = ["none", "rank=1", "rank=2", "rank=4"]
    follow = repeat_front(run.trials, run.later, held)
    assert rules(follow) == [(rule, seed) for seed in (1, 2) for rule in chosen]
    line, todo = next_round(run, list(held.values()))
    assert (line, todo) == ("4 points on or near the front: 8 more trials, for 3 seeds each", follow)
    assert forecasts(run) == ("sweep.front_seeds = 3: up to 10 more trials, of seeds 1 to 2, once the front is known",)


@pytest.mark.parametrize("correct", [10, None])
def test_the_dense_control_is_repeated_however_it_does(correct: int | None) -> None:
    run = run_of(front_seeds=2)
    held = outcomes_of(run.trials, {**dict.fromkeys(RULES, None), "rank=1": 80, "none": correct})
    assert rules(repeat_front(run.trials, run.later, held)) == [("none", 1), ("rank=1", 1)]
    nothing = outcomes_of(run.trials, dict.fromkeys(MACS, None))
    line, todo = next_round(run, list(nothing.values()))
    assert (line, rules(todo)) == ("1 point on or near the front: 1 more trial, for 2 seeds each", [("none", 1)])


def test_without_a_search_split_the_test_split_tells() -> None:
    run = run_of(front_seeds=2)
    correct = {"none": 90, "rank=1": 30, "rank=2": 20, "rank=4": 80, "rank=8": 70}
    held = outcomes_of(run.trials, correct, on="finetuned")
    assert rules(repeat_front(run.trials, run.later, held)) == [("none", 1), ("rank=1", 1), ("rank=4", 1)]


def test_nothing_follows_before_all_is_done_nor_after() -> None:
    run = run_of(front_seeds=2)
    correct = {"none": 90, "rank=1": 30, "rank=2": 20, "rank=4": 80, "rank=8": 70}
    held = outcomes_of(run.trials, correct)
    for trial in run.trials:
        assert repeat_front(run.trials, run.later, {k: v for k, v in held.items() if k != trial.key}) == ()
    follow = repeat_front(run.trials, run.later, held)
    done = held | outcomes_of(follow, correct)
    assert repeat_front(run.trials, run.later, done) == follow
    assert next_round(run, list(done.values())) == ("", ())
    assert following(run, list(done.values())) == follow


def test_a_failed_trial_is_not_run_again_unless_its_failure_is_left_out() -> None:
    run = run_of(front_seeds=3)
    correct = {"none": 90, "rank=1": 30, "rank=2": 20, "rank=4": 80, "rank=8": 70}
    held = outcomes_of(run.trials, correct)
    follow = repeat_front(run.trials, run.later, held)
    done = held | outcomes_of(follow, {**correct, "rank=4": None})
    assert next_round(run, list(done.values())) == ("", ())
    kept = [record for record in done.values() if not isinstance(record, Failure)]
    assert rules(next_round(run, kept)[1]) == [("rank=4", 1), ("rank=4", 2)]


def test_what_comes_to_the_front_as_others_fall_is_repeated_in_a_later_round() -> None:
    run = run_of(front_seeds=2)
    held = outcomes_of(run.trials, {"none": 90, "rank=1": 30, "rank=2": 70, "rank=4": 60, "rank=8": 20})
    line, first = next_round(run, list(held.values()))
    assert rules(first) == [("none", 1), ("rank=1", 1), ("rank=2", 1)]
    held |= outcomes_of(first, {"none": 90, "rank=1": 30, "rank=2": 40})
    line, second = next_round(run, list(held.values()))
    assert (line, rules(second)) == ("1 point on or near the front: 1 more trial, for 2 seeds each", [("rank=4", 1)])
    held |= outcomes_of(second, {"rank=4": 10})
    assert next_round(run, list(held.values())) == ("", ())
    assert set(following(run, list(held.values()))) == {*first, *second}, "what was chosen stays"


def test_what_other_commands_repeated_decides_nothing() -> None:
    """Else a sweep would end otherwise where a log holds more than it asked for."""
    run = run_of(front_seeds=2)
    held = outcomes_of(run.trials, {"none": 90, "rank=1": 30, "rank=2": 70, "rank=4": 60, "rank=8": 20})
    other = [trial for trial in run.later if trial.rank_rule == "rank=8"]
    more = held | outcomes_of(other, {"rank=8": 100})
    assert repeat_front(run.trials, run.later, more) == repeat_front(run.trials, run.later, held)


SCORES = st.fixed_dictionaries(
    {rule: st.lists(st.none() | st.integers(0, IMAGES), min_size=3, max_size=3) for rule in MACS}
)


@given(SCORES, st.randoms(use_true_random=False))
def test_a_sweep_that_is_interrupted_anywhere_runs_the_trials_of_one_that_is_not(scores, random) -> None:
    run = run_of(front_seeds=3)

    def finished(records: list[Outcome], *, interrupted: bool) -> list[Outcome]:
        while todo := list(next_round(run, records)[1]):
            if interrupted:
                random.shuffle(todo)
                todo = todo[: random.randint(1, len(todo))]
            records = [*records, *(outcome(trial, scores[trial.rank_rule][trial.seed]) for trial in todo)]
            if interrupted:
                random.shuffle(records)
        return records

    planned = [outcome(trial, scores[trial.rank_rule][trial.seed]) for trial in run.trials]
    whole, pieces = (finished(planned, interrupted=interrupted) for interrupted in (False, True))
    assert len({one.trial.key for one in pieces}) == len(pieces), "none is run twice"
    assert {one.trial.key for one in pieces} == {one.trial.key for one in whole}
    assert following(run, pieces) == following(run, whole)
    points = {point_of(trial) for trial in following(run, whole)}
    assert {trial.key for trial in following(run, whole)} == {
        trial.key for trial in run.later if point_of(trial) in points
    }, "a point gets all seeds or none"
