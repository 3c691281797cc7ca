"""Timing as a stage: what is still due, fresh processes, and second attempts."""

import os
import time
from collections.abc import Container
from dataclasses import replace

import pytest
import samples

from lrbench.config.sections import LatencyChoice, LayerTableChoice
from lrbench.errors import InputError
from lrbench.learn.architectures import make_architecture
from lrbench.lowrank.cuts import Cut
from lrbench.lowrank.layers import Shape
from lrbench.lowrank.schemes import SCHEMES
from lrbench.plan.layer_ranks import ranks_to_time
from lrbench.results.records import SpecRecord, from_line, to_line
from lrbench.results.sessions import Architecture, Session, TimingFailure
from lrbench.results.timings import fit_sessions
from lrbench.timing.architectures import DueTiming, missing_timings, reference_of
from lrbench.timing.isolation import ProcessLostError, in_fresh_process
from lrbench.timing.repeat import Series, Subject, resumed, until_fit
from lrbench.trials.retime import subjects

CHOICE = LatencyChoice(devices=("cpu",), memory_formats=("contiguous",), processes=2, group=3)
SUBJECT = Subject(environment="e0", commit="c0", setting=samples.SETTING, architectures=("a0",))
WANTED = {key: samples.architecture(key) for key in ("a0", "a1", "a2", "a3")}


def due(*sessions: Session | TimingFailure, model_bytes: int = 1000, again: Container[str] = ()) -> list[list[str]]:
    found = missing_timings(CHOICE, WANTED, sessions, environment="e0", model_bytes=model_bytes, again=again)
    return [[one.key for one in timing.architectures] for timing in found]


def test_architectures_are_timed_in_groups() -> None:
    assert due() == [["a0", "a1", "a2"], ["a0", "a3", "a1"]], "each beside the B/B control, all equally large"


def test_every_group_has_the_strongest_compressed_architecture() -> None:
    cuts = [Cut(layer=name, scheme="channel", rank=8) for name in ("conv1", "conv2")]
    strong = replace(WANTED["a3"], layers=(*cuts,))
    weaker = replace(strong, key="a2", layers=(cuts[0], replace(cuts[1], rank=9)))
    assert reference_of([*WANTED.values(), weaker, strong]) == strong
    assert reference_of(reversed(list(WANTED.values()))) == WANTED["a0"], "the same one in whatever order"


@pytest.mark.parametrize("count", range(1, 12))
@pytest.mark.parametrize("largest", [1, 2, 3, 5])
def test_groups_hold_everything_and_are_equally_large(count: int, largest: int) -> None:
    wanted = {f"a{i}": samples.architecture(f"a{i}") for i in range(count)}
    choice = CHOICE.model_copy(update={"group": largest})
    found = missing_timings(choice, wanted, (), environment="e0", model_bytes=1)
    groups = [[one.key for one in timing.architectures] for timing in found]
    assert {key for group in groups for key in group} == set(wanted)
    assert len({len(group) for group in groups}) == 1
    assert all(len(set(group)) == len(group) <= largest for group in groups)
    assert largest == 1 or all(group[0] == "a0" for group in groups)


def test_the_dense_model_takes_no_place_of_its_own() -> None:
    dense = samples.architecture("dense", dense=True)

    def keys(wanted: dict[str, Architecture]) -> list[list[str]]:
        found = missing_timings(CHOICE, wanted, (), environment="e0", model_bytes=1)
        return [[one.key for one in timing.architectures] for timing in found]

    assert keys({"dense": dense, **WANTED}) == keys(WANTED)
    assert keys({"dense": dense}) == [["dense"]]


def test_models_too_large_to_be_held_together_are_timed_apart() -> None:
    assert due(model_bytes=2**60) == [["a0"], ["a1"], ["a2"], ["a3"]]


def test_a_timing_counts_once_all_its_processes_are_there() -> None:
    half = samples.session({"a0": 0.5, "a1": 0.5}, series="s")
    assert due(half, replace(half, process=1)) == [["a0", "a2", "a3"]]
    assert due(half, replace(half, process=1, environment="e1")) == due(half), "another machine's does not count"


def test_an_interrupted_timing_is_finished_before_others_are_made() -> None:
    half = samples.session({"a0": 0.5, "a1": 0.5}, series="s")
    first, *others = missing_timings(CHOICE, WANTED, [half], environment="e0", model_bytes=1000)
    assert (first.held, [one.key for one in first.architectures]) == ((half,), ["a0", "a1"])
    assert [[one.key for one in timing.architectures] for timing in others] == [["a2", "a3"]]
    broken = [half, replace(half, process=1), replace(half, attempt=2)]
    (again, *_) = missing_timings(CHOICE, WANTED, broken, environment="e0", model_bytes=1000)
    assert again.held == (broken[2],), "an attempt that was broken off is finished"
    done = [half, replace(half, process=1, attempt=1)]
    unwanted = missing_timings(CHOICE, {"a2": WANTED["a2"]}, [half], environment="e0", model_bytes=1000)
    assert [timing.held for timing in unwanted] == [()], "what nobody wants is not finished"
    assert due(*done) == [["a0", "a2", "a3"]]


def test_only_the_missing_processes_of_a_timing_are_run() -> None:
    held = scripted(1.0)(1, 1)
    made = list(until_fit(CHOICE, [resumed(scripted(1.0), SUBJECT, [held])]))
    assert [(one.attempt, one.process) for one in made] == [(1, 0)]
    second = replace(held, attempt=2)
    made = list(until_fit(CHOICE, [resumed(scripted(1.0), SUBJECT, [held, replace(held, process=0), second])]))
    assert [(one.attempt, one.process) for one in made] == [(2, 0)]


def test_the_processes_of_several_timings_take_turns() -> None:
    order = []

    def timing(name: str, *controls: float) -> Series[Session]:
        run = scripted(*controls)

        def noted(process: int, attempt: int) -> Session:
            order.append((attempt, process, name))
            return run(process, attempt)

        return Series(run=noted, subject=SUBJECT)

    list(until_fit(CHOICE, [timing("a", 1.0, 1.0), timing("b", 1.2, 1.2, 1.0, 1.0)]))
    assert order == [(1, 0, "a"), (1, 0, "b"), (1, 1, "a"), (1, 1, "b"), (2, 0, "b"), (2, 1, "b")]


def test_a_timing_whose_strong_control_is_far_from_earlier_ones_is_made_once_more() -> None:
    earlier = tuple(samples.session({"a0": 0.5}, series=f"s{number}") for number in range(5))
    timing = DueTiming(setting=samples.SETTING, architectures=(WANTED["a0"],), earlier=earlier)

    def attempts_at(ratio: float, timing: DueTiming) -> list[int]:
        def run(process: int, attempt: int) -> Session:
            return replace(samples.session({"a0": ratio}), process=process, attempt=attempt)

        return [made.attempt for made in until_fit(CHOICE, [resumed(run, SUBJECT, (), is_odd=timing.is_odd)])]

    assert attempts_at(0.5, timing) == [1, 1]
    assert attempts_at(0.9, timing) == [1, 1, 2, 2]
    assert attempts_at(0.9, replace(timing, earlier=earlier[1:])) == [1, 1], "four earlier values tell nothing"


@pytest.mark.parametrize(
    ("error", "fault", "reason"),
    [
        (RuntimeError("view size is not compatible"), "failed", "RuntimeError: view size is not compatible"),
        (InputError("threads must lie in 1..2, got 9"), "failed", "threads must lie in 1..2, got 9"),
        (MemoryError(), "oom", "MemoryError: memory ran out"),
        (TimeoutError("not finished after 9 s"), "timeout", "TimeoutError: not finished after 9 s"),
        (ProcessLostError("a process for timings ended too early"), "killed", "a process for timings ended too early"),
    ],
)
def test_a_timing_that_fails_is_a_record_and_the_others_go_on(error: Exception, fault: str, reason: str) -> None:
    def broken(process: int, attempt: int) -> Session:
        if process:
            raise error
        return scripted(1.0)(process, attempt)

    timings = [Series(run=broken, subject=SUBJECT), Series(run=scripted(1.0, 1.0), subject=SUBJECT)]
    good, other, failure, last = until_fit(CHOICE, timings)
    assert [one.process for one in (good, other, last)] == [0, 0, 1]
    assert isinstance(failure, TimingFailure)
    assert (failure.failure, failure.reason, failure.process, failure.architectures) == (fault, reason, 1, ("a0",))
    assert type(error).__name__ in failure.traceback
    assert from_line(to_line(failure)) == failure


def test_a_failed_timing_is_not_due_until_failed_ones_are_wanted() -> None:
    failure = TimingFailure(
        environment="e0",
        commit="c0",
        started="",
        setting=samples.SETTING,
        architectures=("a0", "a1"),
        process=0,
        attempt=1,
        reason="r",
        traceback="t",
        seconds=1.0,
        failure="failed",
    )
    assert [one[:2] for one in due(failure)] == [["a2", "a3"]]
    elsewhere = replace(failure, environment="e1"), replace(failure, setting=replace(samples.SETTING, threads=2))
    assert due(*elsewhere) == due()


def test_a_process_that_takes_too_long_is_ended() -> None:
    with pytest.raises(TimeoutError, match=r"not finished after 0\.5 s"):
        in_fresh_process(time.sleep, 600, timeout_s=0.5)


def test_a_group_that_is_not_full_is_filled_up_with_what_was_timed_before() -> None:
    done = [replace(samples.session({"a0": 0.5, "a1": 0.5}), series="s", process=process) for process in (0, 1)]
    assert due(*done, again=("a1",)) == [["a0", "a1", "a2"], ["a0", "a3", "a1"]]
    assert due(*done, again=tuple(WANTED)) == due(), "a new occasion is timed as the first one"
    foreign = replace(done[0], architectures=tuple(replace(one, classes=3) for one in done[0].architectures))
    assert due(foreign, replace(foreign, process=1)) == [["a2", "a3"]], "another model is no company"


def scripted(*controls: float):
    """Sessions whose A/A controls are these, one after another."""
    left = iter(controls)

    def run(process: int, attempt: int) -> Session:
        wall = [(1.0, next(ratio), 0.5) for ratio in [iter([one] * 20) for one in [next(left)]] for _ in range(20)]
        return replace(samples.session({"a0": 0.5}), rounds=samples.rounds_of(wall), process=process, attempt=attempt)

    return run


def attempts(*controls: float) -> list[tuple[int, int]]:
    return [(one.attempt, one.process) for one in until_fit(CHOICE, [Series(run=scripted(*controls), subject=SUBJECT)])]


def test_a_fit_timing_is_made_once() -> None:
    assert attempts(1.0, 1.0) == [(1, 0), (1, 1)]


def test_an_unfit_timing_is_made_once_more_and_then_kept() -> None:
    assert attempts(1.2, 1.2, 1.0, 1.0) == attempts(1.2, 1.2, 1.2, 1.2) == [(1, 0), (1, 1), (2, 0), (2, 1)]


def test_a_fresh_process_is_another_one_and_its_errors_come_back() -> None:
    assert in_fresh_process(os.getpid) != os.getpid()
    with pytest.raises(ValueError, match="invalid literal"):
        in_fresh_process(int, "rank")
    with pytest.raises(InputError, match=r"ended too early .* `if __name__ == \"__main__\":`"):
        in_fresh_process(os._exit, 3)


@pytest.mark.parametrize("scheme", [name for name in SCHEMES if name not in ("writeback", "linear")])
@pytest.mark.parametrize("points", [3, 5, 100])
def test_timed_ranks_are_multiples_of_the_step_up_to_break_even(scheme: str, points: int) -> None:
    shape = Shape(
        out_channels=256, in_channels=128, groups=1, kernel=(3, 3), in_size=(8, 8), out_size=(4, 4), bias=False
    )
    ranks = ranks_to_time(shape, scheme, LayerTableChoice(points=points))
    limit = SCHEMES[scheme].breakeven_macs(shape)
    assert limit is not None
    assert list(ranks) == sorted(set(ranks))
    assert len(ranks) <= points
    assert ranks[-2] < limit <= ranks[-1] < limit + 16
    assert all(rank % 16 == 0 for rank in ranks)


def test_a_layer_whose_cost_rank_does_not_change_is_timed_at_no_rank() -> None:
    shape = Shape(out_channels=8, in_channels=8, groups=1, kernel=(3, 3), in_size=(4, 4), out_size=(4, 4), bias=False)
    assert ranks_to_time(shape, "writeback", LayerTableChoice()) == ()


def test_own_code_is_only_run_when_it_is_named() -> None:
    own = samples.measurement(samples.trial())
    own = replace(own, architecture=replace(own.architecture, model="evil:build"))
    with pytest.raises(InputError, match=r"'evil:build' is your own code: .*--model evil:build"):
        list(subjects([own], overrides=(), models=()))
    with pytest.raises(InputError, match="has no architecture to time"):
        list(subjects([], overrides=(), models=()))
    with pytest.raises(InputError, match=r"--set must be latency\.KEY=VALUE here, got 'model\.name=evil:build'"):
        list(subjects([own], overrides=("model.name=evil:build",), models=()))


def test_a_folder_is_timed_as_its_spec_says_in_the_settings_of_its_sessions() -> None:
    architecture = make_architecture("resnet18", image_size=32, classes=10)
    own = replace(samples.measurement(samples.trial()), architecture=architecture)
    spec = SpecRecord(started="", keys=(("latency.limit_s", "15.0"), ("latency.threads", "[2]"), ("data.root", '"x"')))
    (subject,) = subjects([spec, own], overrides=(), models=())
    assert (subject.choice.limit_s, subject.choice.threads) == (15.0, (2,))
    (subject,) = subjects([spec, own, samples.session({"a0": 0.5})], overrides=("latency.rounds=20",), models=())
    assert (subject.choice.limit_s, subject.choice.threads, subject.choice.rounds) == (15.0, (1,), 20)


def test_unfit_timings_are_not_among_the_fit_ones() -> None:
    good, bad = (
        samples.session({"a0": 0.5}, series="good"),
        samples.session({"a0": 0.5}, series="bad", control_within=-1.0),
    )
    again = replace(bad, control_within=0.05, series="mended", attempt=2)
    assert fit_sessions([good, bad, again]) == [good, again]
