"""The grid of a sweep: tables that are no product, and schemes that go together."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from click.testing import Result

from lrbench.config.writing import to_toml
from lrbench.errors import InputError
from lrbench.plan.preview import preview
from lrbench.plan.run import prepare
from lrbench.plan.spec import load_spec, make_spec
from lrbench.plan.trials import plan_trials

TABLES = """
[sweep]
ranks = ["macs=0.5"]
truncations = ["plain", "output"]

[[sweep.grid]]
schemes = ["channel+linear", "spatial"]

[[sweep.grid]]
schemes = ["tucker2", "spatial"]
ranks = ["rank=8", "macs=0.5"]
truncations = ["plain"]
"""


def test_tables_stand_in_place_of_the_product_and_inherit_what_they_leave_out(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(TABLES)
    spec = load_spec(tmp_path / "s.toml")
    assert spec.points() == (
        ("channel+linear", "plain", "all", "macs=0.5"),
        ("channel+linear", "output", "all", "macs=0.5"),
        ("spatial", "plain", "all", "macs=0.5"),
        ("spatial", "output", "all", "macs=0.5"),
        ("tucker2", "plain", "all", "rank=8"),
        ("tucker2", "plain", "all", "macs=0.5"),
        ("spatial", "plain", "all", "rank=8"),
    )
    (tmp_path / "resolved.toml").write_text(to_toml(spec))
    assert load_spec(tmp_path / "resolved.toml") == spec, "what is kept beside results reads back"


def test_one_table_that_says_nothing_is_the_product_with_the_same_keys() -> None:
    plain, table = make_spec({}, where="test"), make_spec({"sweep": {"grid": [{}]}}, where="test")
    assert [t.key for t in plan_trials(plain, identity="x")] == [t.key for t in plan_trials(table, identity="x")]


@pytest.mark.parametrize(
    ("sweep", "words"),
    [
        ({"schemes": ["channel+svd"]}, "unknown scheme 'svd'"),
        ({"schemes": ["channel+channel"]}, "unknown scheme 'channel+channel'"),
        ({"schemes": ["channel+"]}, "unknown scheme ''"),
        ({"schemes": ["channel+mixed"]}, "mixed cannot be joined with other schemes"),
        ({"schemes": ["writeback+linear"]}, "writeback cannot be joined with other schemes"),
        ({"grid": [{"scheme": ["channel"]}]}, "unknown key sweep.grid.0.scheme: did you mean 'schemes'?"),
        ({"grid": [{"ranks": ["rank=0"]}]}, "rank must be at least 1, got 0"),
        ({"grid": [{"layer_sets": ["late"]}]}, "unknown layer set 'late'"),
        ({"grid": [{"schemes": ["mixed"]}]}, "mixed needs other schemes"),
    ],
)
def test_what_cannot_be_a_grid_is_refused_in_a_line(sweep: dict[str, object], words: str) -> None:
    with pytest.raises(InputError) as caught:
        make_spec({"sweep": sweep}, where="test")
    assert words in str(caught.value)


def test_in_joined_schemes_each_layer_gets_the_first_that_is_possible(workplace: Path) -> None:
    spec = load_spec(
        workplace / "tiny.toml",
        {
            "sweep.schemes": ["spatial+linear"],
            "sweep.truncations": ["plain", "sequential"],
            "sweep.ranks": ["rank=2"],
            "layer_sets.convs.kinds": ["conv", "linear"],
        },
    )
    run = prepare(spec)
    plain, sequential = (preview(trial, spec, run.dense).cuts for trial in run.trials[1:])
    assert plain is not None
    assert sequential is not None
    assert [(cut.scheme, cut.truncation, cut.rank) for cut in plain] == [
        ("spatial", "plain", 2),
        ("spatial", "plain", 2),
        ("linear", "plain", 2),
    ]
    assert [(cut.scheme, cut.truncation) for cut in sequential][2] == ("linear", "sequential")


INFEASIBLE = {
    "sweep.schemes": ["channel", "linear"],
    "sweep.ranks": ["rank=2", "knapsack macs=0.01"],
    "latency.devices": [],
    "sensitivity.step": 1,
}


def test_a_pair_that_cannot_be_is_known_before_training_with_its_reason(workplace: Path) -> None:
    spec = load_spec(workplace / "tiny.toml", INFEASIBLE)
    run = prepare(spec)
    previews = {trial.label: preview(trial, spec, run.dense) for trial in run.trials}
    told = {label: planned.waits for label, planned in previews.items() if planned.infeasible}
    assert {label: reason for label, reason in told.items() if label.startswith("linear")} == {
        f"linear convs {rule} seed 0": "no layer of the set can be factorized: neither a linear layer nor a 1x1 "
        "convolution"
        for rule in ("rank=2", "knapsack macs=0.01")
    }
    least = told["channel convs knapsack macs=0.01 seed 0"]
    assert re.fullmatch(
        r"knapsack macs=0\.01: these layers, methods and ranks leave at least 0\.\d{4} of the dense model's macs", least
    )
    assert len(told) == 3


@pytest.mark.usefixtures("undrawn")
def test_a_pair_that_cannot_be_is_a_row_and_stops_nothing(workplace: Path, lrbench: Callable[..., Result]) -> None:
    words = [f"--set={key}={json.dumps(value)}" for key, value in INFEASIBLE.items()]
    done = lrbench("sweep", "tiny.toml", *words)
    assert done.exit_code == 1, done.output
    trials = pd.read_csv(workplace / "results" / "tiny" / "trials.csv")
    failed = trials[trials["state"] == "failed"]
    assert all(reason.startswith("plan: ") for reason in failed["reason"])
    assert sorted(failed["scheme"]) == ["channel", "linear", "linear"]
    assert sorted(trials[trials["state"] == "done"]["scheme"]) == ["channel", "dense"]
