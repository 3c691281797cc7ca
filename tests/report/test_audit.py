"""Plans against what was measured, and single layers cut alone; figures and the real command on small folders."""

from dataclasses import replace
from math import ceil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import samples
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from lrbench.report.figures import audit as audit_figure
from lrbench.report.figures import sensitivity as sensitivity_figure
from lrbench.report.figures.draw import draw_figures
from lrbench.report.frames.audit import audit, audit_correlations
from lrbench.report.frames.control import with_control
from lrbench.report.frames.latency import additivity, latency_ratios, layer_ratios
from lrbench.report.frames.sensitivity import sensitivity_grid
from lrbench.report.frames.trials import done_trials
from lrbench.report.page.page import write_report
from lrbench.report.results import Results
from lrbench.results.columns import TABLES
from lrbench.results.records import Accuracy, Measurement
from lrbench.results.tables import build_tables

PLANS = [
    ("knapsack", 80, 0.10),
    ("uniform", 84, 0.20),
    ("greedy", 70, 0.30),
    ("minmax", 88, 0.15),
    ("energy-level", 60, 0.4),
]
"""Planner, right answers of 100 on both splits, damage predicted; only the first was predicted to be best."""


def control() -> Measurement:
    """The dense control: 90 images right as given, 85 after finetuning."""
    dense = samples.trial("d", scheme="dense", layer_set="none", rank_rule="none")
    made = samples.measurement(dense, correct=85, arch="dense")
    return replace(made, truncated=made.dense)


def folder(path: Path, plans: list[tuple[str, int, float]] = PLANS, *, timed: bool = True, macs: int = 50) -> Path:
    """A results folder of finished plans, predicted as above at 50 MACs, 100 params and half the latency."""
    log = [control()]
    for i, (planner, correct, _) in enumerate(plans):
        planned = samples.trial(f"t{i}", scheme="mixed", rank_rule=f"{planner} macs=0.5 multiple=8")
        made = samples.measurement(planned, macs=macs, correct=correct, arch=f"a{i}")
        log.append(replace(made, search=Accuracy(correct=correct, samples=100, loss=0.5)))
    ratios = {f"a{i}": 0.5 + 0.01 * i for i in range(len(plans))}
    layers = samples.layer_session({("channel", 8): 0.5})
    extra = [samples.session(ratios), layers, samples.session(ratios, environment="e1")] if timed else []
    samples.folder_of(path, [*log, *extra])
    foreseen = {f"t{i}": damage for i, (*_, damage) in enumerate(plans)}
    trials = pd.read_csv(path / "trials.csv", keep_default_na=False, na_values=[""])
    damage = trials["trial"].map(foreseen)
    constants = {"predicted_macs": 50, "predicted_params": 100, "predicted_latency_ratio": 0.5}
    filled = {name: np.where(damage.notna(), value, np.nan) for name, value in constants.items()}
    trials.assign(**filled, predicted_damage=damage).to_csv(path / "trials.csv", index=False)
    return path


def audited(path: Path) -> pd.DataFrame:
    return Results(path).audit


def test_a_plan_stands_beside_what_was_measured_in_each_setting(tmp_path: Path) -> None:
    found = audited(folder(tmp_path))
    assert found.groupby("environment")["trial"].nunique().to_dict() == {"e0": 5, "e1": 5}
    assert found.groupby("environment")["layers_timed"].all().to_dict() == {"e0": True, "e1": False}
    assert found["macs_equal"].all()
    assert found["params_equal"].all()
    assert found["latency_error"].to_numpy() == pytest.approx(0.5 / found["ratio"].to_numpy() - 1)
    first = found.iloc[0]
    assert (first["planner"], first["budget"]) == ("knapsack", "macs=0.5 multiple=8")
    assert first["damage_finetuned"] == pytest.approx(0.85 - 0.8), "the control was finetuned too"
    assert first["damage_truncated"] == pytest.approx(0.9 - 0.2)
    assert pd.isna(first["damage_recalibrated"])


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(50, 90), st.integers(0, 20)), min_size=1, max_size=8))
def test_places_are_counted_and_rho_is_scipys(drawn: list[tuple[int, int]]) -> None:
    log = [
        *(
            samples.measurement(samples.trial(f"t{i}", scheme="mixed", rank_rule=f"p{i} macs=0.5"), correct=correct)
            for i, (correct, _) in enumerate(drawn)
        ),
        control(),
    ]
    tables = {name: table.infer_objects() for name, table in build_tables(log).items()}
    planned = tables["trials"]["scheme"] == "mixed"
    predicted = {"predicted_macs": 50.0, "predicted_params": 100.0}
    trials = tables["trials"].assign(
        **{name: planned.map({True: value}) for name, value in predicted.items()},
        predicted_damage=[*(damage for _, damage in drawn), np.nan],
    )
    ratios, layers = latency_ratios(tables["latency"]), tables["layer_latency"]
    sums = additivity(tables["architectures"], ratios, layer_ratios(layers))
    found = audit(with_control(done_trials(trials), {}), ratios, layers, sums)
    for i, (correct, damage) in enumerate(drawn):
        row = found.iloc[i]
        assert row["ranked_by"] == "test", "these were not judged on the search split"
        assert row["predicted_rank"] == 1 + sum(other < damage for _, other in drawn)
        assert row["measured_rank"] == 1 + sum(other > correct for other, _ in drawn)
        assert row["correction"] == row["predicted_rank"] - row["measured_rank"]
    rho = audit_correlations(found).set_index("stage")["rho"]
    measured, predicted = ([column[i] for column in drawn] for i in (0, 1))
    if len(drawn) < 5 or len(set(measured)) == 1 or len(set(predicted)) == 1:
        assert rho.empty
    else:
        assert rho.to_dict() == {"finetuned": pytest.approx(-spearmanr(predicted, measured).statistic, abs=1e-12)}


def test_only_plans_of_one_budget_and_seed_are_ranked_together(tmp_path: Path) -> None:
    path = folder(tmp_path, timed=False)
    trials = pd.read_csv(path / "trials.csv", keep_default_na=False, na_values=[""])
    last = trials["trial"] == "t4"
    trials.assign(rank_rule=trials["rank_rule"].mask(last, "energy-level macs=0.3")).to_csv(
        path / "trials.csv", index=False
    )
    found = audited(path).set_index("planner")
    assert found["predicted_rank"].to_dict() == {
        "knapsack": 1,
        "uniform": 3,
        "greedy": 4,
        "minmax": 2,
        "energy-level": 1,
    }
    assert found["measured_rank"].to_dict() == {
        "knapsack": 3,
        "uniform": 2,
        "greedy": 4,
        "minmax": 1,
        "energy-level": 1,
    }
    assert found["ratio"].isna().all()


def test_the_command_prints_predictions_and_corrections(tmp_path: Path, lrbench) -> None:
    result = lrbench("audit", folder(tmp_path))
    assert result.exit_code == 0, result.output
    assert "5 of 5 plans have the very MACs and params that were predicted" in result.output
    assert "(environment e0): predicted to a median of 3.8%, 7.4% at most" in result.output
    assert "(environment e1); single layers were timed elsewhere" in result.output
    assert "Measured accuracy on the search split moved 3 of 5 plans" in result.output
    assert "minmax (mixed, trial t3) is best, and was predicted at place 2" in result.output
    assert "orders the accuracy lost (finetuned) with Spearman's rho 0.70" in result.output


def test_plans_without_timings_are_audited_too(tmp_path: Path, lrbench) -> None:
    result = lrbench("audit", folder(tmp_path, timed=False))
    assert result.exit_code == 0, result.output
    assert "Plans: predicted and measured, not timed" in result.output


def test_macs_that_were_predicted_wrongly_end_with_1(tmp_path: Path, lrbench) -> None:
    result = lrbench("audit", folder(tmp_path, macs=51))
    assert result.exit_code == 1
    assert "0 of 5 plans have" in result.output
    assert "PREDICTED WRONGLY: trial t0: 50 MACs and 100 params, measured 51 and 102" in result.output


def test_a_folder_without_plans_is_refused(tmp_path: Path, lrbench) -> None:
    result = lrbench("audit", samples.folder_of(tmp_path, samples.sweep()))
    assert result.exit_code == 2
    assert "no finished trial whose ranks were planned" in result.output


CUT = st.tuples(st.sampled_from(["conv1", "conv2"]), st.integers(1, 130), st.floats(0, 1), st.none() | st.floats(0, 1))


def cuts(drawn: list[tuple[str, int, float, float | None]]) -> pd.DataFrame:
    rows = [
        {
            "baseline": "b0",
            "layer": layer,
            "scheme": "channel",
            "truncation": "plain",
            "rank": i + 1,
            "macs": macs,
            "dense_macs": 100,
            "output_error": error,
            "accuracy": accuracy,
            "dense_accuracy": 0.9,
        }
        for i, (layer, macs, error, accuracy) in enumerate(drawn)
    ]
    return pd.DataFrame(rows, columns=["schema", *TABLES["sensitivity"].names])


@given(st.lists(CUT, min_size=1, max_size=20))
def test_a_cell_is_the_mean_of_the_ranks_whose_mac_share_is_in_it(
    drawn: list[tuple[str, int, float, float | None]],
) -> None:
    grid = sensitivity_grid(cuts(drawn))
    assert grid["ranks"].sum() == len(drawn)
    for cell in grid.to_dict("records"):
        inside = [
            one for one in drawn if one[0] == cell["layer"] and ceil(one[1] / 10) == round(10 * cell["mac_share"])
        ]
        losses = [0.9 - accuracy for *_, accuracy in inside if accuracy is not None]
        assert cell["ranks"] == len(inside)
        assert cell["output_error"] == pytest.approx(np.mean([error for _, _, error, _ in inside]))
        assert cell["accuracy_loss"] == pytest.approx(np.mean(losses) if losses else np.nan, nan_ok=True)


def test_of_several_baselines_the_first_counts() -> None:
    one = cuts([("conv1", 50, 0.3, None)])
    assert len(sensitivity_grid(pd.concat([one, one.assign(baseline="b1", output_error=0.9)]))) == 1


def test_plans_and_single_layers_are_drawn_with_the_tables_behind_them(tmp_path: Path) -> None:
    path = folder(tmp_path)
    table = cuts([(f"conv{i % 2}", 10 * i + 5, 1 - 0.09 * i, 0.9 - 0.05 * i) for i in range(10)])
    table.assign(schema=1).to_csv(path / "sensitivity.csv", index=False)
    names = {drawn.stem for drawn in draw_figures(Results(path))}
    assert {"audit", "sensitivity"} <= names
    figures = path / "figures"
    assert len(pd.read_csv(figures / "audit.csv")) == 10
    assert len(pd.read_csv(figures / "sensitivity.csv")) == 10
    assert pd.read_csv(figures / "audit_correlations.csv")["trials"].tolist() == [5]


def test_the_heat_map_holds_what_was_measured_and_no_loss_where_none_was() -> None:
    both = sensitivity_figure.draw(sensitivity_grid(cuts([("conv1", 55, 0.3, 0.8), ("conv2", 15, 0.6, None)])))
    error, loss = both.axes
    assert sorted(text.get_text() for text in error.texts) == ["0.30", "0.60"]
    assert [text.get_text() for text in loss.texts] == ["10.0"]
    assert [label.get_text() for label in error.get_yticklabels()] == ["conv1", "conv2"]
    alone = sensitivity_figure.draw(sensitivity_grid(cuts([("conv1", 55, 0.3, None)])))
    assert len(alone.axes) == 1


def test_the_page_has_a_row_for_each_plan_and_setting_and_no_section_without_plans(tmp_path: Path) -> None:
    page = write_report([folder(tmp_path / "plans")], tmp_path / "page.html").read_text(encoding="utf-8")
    section = page.split('<section id="plans">')[1].split("</section>")[0]
    assert section.count("<tr>") == 1 + 2 * len(PLANS)
    assert '<td class="number">0.500 (no interval)</td>' in section
    bare = write_report([samples.folder_of(tmp_path / "bare", samples.sweep())], tmp_path / "bare.html")
    assert 'id="plans"' not in bare.read_text(encoding="utf-8")


def test_figures_say_when_there_is_nothing_to_draw(tmp_path: Path) -> None:
    nothing = audited(samples.folder_of(tmp_path, samples.sweep()))
    assert nothing.empty
    for figure in (audit_figure.draw(nothing), sensitivity_figure.draw(sensitivity_grid(cuts([])))):
        assert len(figure.axes[0].texts) == 1
