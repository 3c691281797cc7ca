"""Keys of trials: those of recorded results are those that the same spec plans today."""

from dataclasses import replace
from pathlib import Path

import pytest

from lrbench.config.sections import SECTIONS
from lrbench.measure.environment import read_environment
from lrbench.plan.run import prepare
from lrbench.plan.spec import load_spec, make_spec
from lrbench.plan.trials import plan_trials
from lrbench.results.tables import load_table

BENCH = Path(__file__).parents[2] / "bench"

IN_KEYS = {
    "model": {"name", "weights"},
    "data": {"name", "root", "image_size", "mean", "std", "augment", "search_share"},
    "baseline": {
        *("epochs", "batch_size", "optimizer", "lr", "momentum", "weight_decay", "schedule", "label_smoothing"),
        *("device", "channels_last", "amp", "seed"),
    },
    "calibration": {"images", "batch_size", "split"},
    "layer_sets.NAME": {"include", "exclude", "kinds"},
    "sensitivity": {"step", "points", "accuracy_points"},
}
"""Keys that stand in the keys of trials at their defaults too, since the first results were recorded."""
IN_KEYS["finetune"] = IN_KEYS["baseline"] - {"seed"}


def test_a_spec_plans_the_trials_that_were_recorded_by_it() -> None:
    planned = plan_trials(load_spec(BENCH / "gate.toml"), identity="digits")
    assert {trial.key for trial in planned} == set(load_table(BENCH / "baseline", "trials")["trial"])


def test_a_spec_that_calibrates_on_the_search_split_plans_the_trials_of_earlier_versions() -> None:
    spec = make_spec({"calibration": {"split": "search"}}, where="test")
    old, new = (plan_trials(one, identity="digits") for one in (spec, make_spec({}, where="test")))
    assert {trial.key for trial in old}.isdisjoint(trial.key for trial in new)
    assert old[0].baseline == new[0].baseline, "the dense model is the same"


def test_trainings_on_changed_images_have_the_version_of_the_changes_in_their_keys() -> None:
    """Else weights that were trained on images changed in another way would be taken for theirs."""
    plain, changed = (
        make_spec({"data": {"augment": name}, "calibration": {"images": 0}}, where="test") for name in ("none", "flip")
    )
    keys = [plan_trials(spec, identity="digits")[0].baseline for spec in (plain, changed)]
    assert keys[0] == "0feb6fa2ec081c94", "unchanged images: as ever"
    assert len(set(keys)) == 2


def test_only_trials_whose_ranks_the_law_of_damage_chooses_have_its_version_in_their_keys(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The knapsack where damage was measured: not other rules, nor where damage is the output error."""
    specs = [
        make_spec(
            {"sweep": {"ranks": ["knapsack macs=0.5", "uniform macs=0.5"]}, "sensitivity": {"accuracy_points": points}},
            where="test",
        )
        for points in (0, 2)
    ]

    def keys() -> list[list[str]]:
        planned = [plan_trials(spec, identity="digits") for spec in specs]
        return [[t.key for t in trials if t.rank_rule.startswith(rule)] for trials in planned for rule in "ku"]

    now = keys()
    monkeypatch.setattr("lrbench.statistics.damage.VERSION", 99)
    assert [old == new for old, new in zip(now, keys(), strict=True)] == [True, True, False, True]


@pytest.mark.parametrize(("isa", "amp"), [("avx512f amx_bf16", "bfloat16"), ("avx2 fma", False)])
def test_keys_and_the_kept_spec_say_which_number_format_auto_was(
    isa: str, amp: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = replace(read_environment(), isa=isa)
    monkeypatch.setattr("lrbench.plan.run.read_environment", lambda: where)
    auto, told = (
        prepare(make_spec({"baseline": {"amp": word, "device": "cpu", "batch_size": 128}}, where="test"))
        for word in ("auto", amp)
    )
    assert auto.spec == told.spec
    assert auto.spec.baseline.amp == amp
    assert [trial.key for trial in auto.trials] == [trial.key for trial in told.trials]
    assert auto.notes == told.notes == ()


def test_slow_bfloat16_is_told_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    where = replace(read_environment(), isa="avx2 fma")
    monkeypatch.setattr("lrbench.plan.run.read_environment", lambda: where)
    (note,) = prepare(make_spec({"finetune": {"amp": "bfloat16", "device": "cpu"}}, where="test")).notes
    assert note.startswith('Warning: finetune.amp = "bfloat16", but this processor has no units for it')
    assert "7 images/s" in note
    assert "75" in note


def test_a_key_that_came_later_is_left_out_at_its_default() -> None:
    """Else every trial gets another key, and every sweep trains again: such a key has `exclude_if`."""
    for name, first in IN_KEYS.items():
        assert set(SECTIONS[name]().model_dump(mode="json")) == first, name


def test_images_to_choose_by_of_their_own_make_the_share_set_aside_say_nothing() -> None:
    """Nothing is set aside then: keys are those of the usual share, as they were."""

    def baseline(**data: object) -> str:
        return plan_trials(make_spec({"data": data}, where="test"), identity="digits")[0].baseline

    assert baseline(search="d", search_share=0.3) == baseline(search="d") == baseline()
    assert baseline(search_share=0.3) != baseline()
