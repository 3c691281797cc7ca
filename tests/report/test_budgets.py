"""What budget rules were worth: the frame of their outcomes, and its figure."""

from dataclasses import replace
from pathlib import Path

import samples

from lrbench.report.figures import budgets
from lrbench.report.figures.draw import drawings
from lrbench.report.page import points
from lrbench.report.results import Results
from lrbench.results.log import read_records
from lrbench.results.records import Accuracy, Measurement, Prediction

RULES = ("knapsack macs=0.5", "uniform macs=0.5", "knapsack macs=0.25", "greedy latency=0.7")


def folder(tmp_path: Path) -> Path:
    planned = [samples.trial(f"b{i}", rank_rule=rule, seed=i) for i, rule in enumerate(RULES)]
    predicted = Prediction(params=1, macs=50, damage=0.5)
    records = [replace(samples.measurement(trial, arch=trial.key), predicted=predicted) for trial in planned]
    return samples.folder_of(tmp_path, [*samples.sweep(), *records])


def test_the_outcomes_are_the_budget_trials_with_rule_and_budget_apart(tmp_path: Path) -> None:
    found = Results(folder(tmp_path)).budgets
    assert (found["allocation"] + " " + found["budget"]).tolist() == list(RULES)
    assert (found["predicted_damage"] == 0.5).all()


def test_each_budget_has_a_panel_from_wide_to_tight(tmp_path: Path) -> None:
    outcomes = Results(folder(tmp_path)).budgets
    titles = [axis.get_title() for axis in budgets.draw(outcomes).axes if axis.get_visible()]
    assert titles == ["latency at most 0.7", "macs at most 0.5", "macs at most 0.25"]


def test_the_figure_is_drawn_where_there_are_such_trials(tmp_path: Path) -> None:
    some, none = folder(tmp_path / "some"), samples.folder_of(tmp_path / "none", samples.sweep())
    assert ["budgets" in dict(drawings(Results(place))) for place in (some, none)] == [True, False]
    assert len(budgets.draw(Results(none).budgets).axes) == 1


def test_the_page_shows_the_accuracy_that_was_kept(tmp_path: Path) -> None:
    """A finetuning that did harm was not kept: its accuracy is none of the plan's."""
    records = [
        replace(record, recalibrated=Accuracy(correct=70, samples=100, loss=1.0), kept="recalibrated")
        if isinstance(record, Measurement) and record.predicted
        else record
        for record in read_records(folder(tmp_path / "first"))
    ]
    results = Results(samples.folder_of(tmp_path / "kept", records))
    assert set(points.budgets(results)["accuracy"]) == {70.0}
    assert set(points.damages(results)["lost"].round(9)) == {10.0}, "the dense control of these has 80"
