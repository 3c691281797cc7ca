"""Keys of trials: those of recorded results are those that the same spec plans today."""

from pathlib import Path

from lrbench.config.sections import SECTIONS
from lrbench.plan.spec import load_spec
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
    "calibration": {"images", "batch_size"},
    "layer_sets.NAME": {"include", "exclude", "kinds"},
    "sensitivity": {"step", "points", "accuracy_points"},
}
"""Keys that stand in the keys of trials at their defaults too, since the first results were recorded."""
IN_KEYS["finetune"] = IN_KEYS["baseline"] - {"seed"}


def test_a_spec_plans_the_trials_that_were_recorded_by_it() -> None:
    planned = plan_trials(load_spec(BENCH / "gate.toml"), identity="digits")
    assert {trial.key for trial in planned} == set(load_table(BENCH / "baseline", "trials")["trial"])


def test_a_key_that_came_later_is_left_out_at_its_default() -> None:
    """Else every trial gets another key, and every sweep trains again: such a key has `exclude_if`."""
    for name, first in IN_KEYS.items():
        assert set(SECTIONS[name]().model_dump(mode="json")) == first, name
