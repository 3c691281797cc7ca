"""Correlations and truncation errors against independent oracles."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import samples
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from lrbench.report.frames.scores import (
    learning_curves,
    output_errors,
    rank_correlation,
    score_correlations,
    truncation_errors,
)
from lrbench.report.frames.trials import done_trials
from lrbench.results.records import Epoch
from lrbench.results.tables import build_tables, load_table

STUDY = Path(__file__).parents[2] / "results" / "truncation"


def tables(log: list[samples.Record]) -> dict[str, pd.DataFrame]:
    return {name: table.infer_objects() for name, table in build_tables(log).items()}


def scored(values: list[tuple[float, int]]) -> pd.DataFrame:
    """Correlations of trials whose cut layer lost this much of its weight, and which answered so many right."""
    log = [
        replace(
            samples.measurement(samples.trial(f"t{i}"), correct=correct),
            layers=(samples.layer(weight_error=error, energy=1 - error**2),),
        )
        for i, (error, correct) in enumerate(values)
    ]
    made = tables(log)
    return score_correlations(done_trials(made["trials"]), made["layers"], made["sensitivity"]).set_index("score")


@settings(max_examples=30)
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 100)), min_size=5, max_size=20))
def test_rho_is_scipys(values: list[tuple[float, int]]) -> None:
    errors, correct = zip(*values, strict=True)
    found = scored(values)
    if len(set(errors)) == 1 or len(set(correct)) == 1:
        assert "weight_error" not in found.index
        return
    row = found.loc["weight_error"]
    assert row["rho"] == pytest.approx(spearmanr(errors, correct).statistic, abs=1e-12)
    assert -1 - 1e-9 <= row["rho_low"] <= row["rho_high"] <= 1 + 1e-9


def test_what_orders_perfectly_has_no_spread_and_more_trials_narrow_the_interval() -> None:
    found = scored([(0.1 * i, 90 - i) for i in range(8)])
    assert found.loc["weight_error", ["rho", "rho_low", "rho_high"]].tolist() == pytest.approx([-1, -1, -1])
    assert found.loc["energy", "rho"] == pytest.approx(1)
    assert not {"mac_ratio", "accuracy_truncated", "accuracy_recalibrated"} & set(found.index), "constant or missing"
    values = [(0.1 * i, (7 * i) % 10) for i in range(8)]
    few, many = (scored(values * times).loc["weight_error"] for times in (1, 9))
    assert few["rho"] == pytest.approx(many["rho"])
    assert many["rho_high"] - many["rho_low"] < (few["rho_high"] - few["rho_low"]) / 2


def test_output_errors_are_those_of_single_layers_between_the_ranks_probed() -> None:
    log: list[samples.Record] = [
        replace(
            samples.measurement(samples.trial(f"t{i}"), correct=correct),
            layers=(samples.layer(rank=rank), samples.layer("conv2", rank=8)),
        )
        for i, (rank, correct) in enumerate([(2, 10), (4, 30), (6, 50), (7, 60), (8, 70), (20, 70)])
    ]
    errors = {"conv1": {4: 0.6, 8: 0.2}, "conv2": {8: 0.5}}
    found = tables([*log, *(samples.sensitivity(layer, known) for layer, known in errors.items())])
    done, cut = done_trials(found["trials"]), found["layers"].merge(found["trials"][["trial", "baseline"]], on="trial")
    assert output_errors(cut, found["sensitivity"])[::2] == pytest.approx(
        [0.6**0.5, 0.6, (0.6 * 0.2) ** 0.5, 0.6**0.25 * 0.2**0.75, 0.2, 0.2]
    )
    rows = score_correlations(done, found["layers"], found["sensitivity"]).set_index("score")
    assert rows.loc["output_error", "rho"] == pytest.approx(-1)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=20))
def test_a_correlation_within_groups_is_that_of_ranks_less_their_groups_mean(rows: list[tuple[str, int, int]]) -> None:
    frame = pd.DataFrame(rows, columns=["group", "x", "y"])
    found = rank_correlation(frame, "x", "y", within=["group"])
    kept = frame[frame.groupby("group")["x"].transform("size") > 1]
    ranks = kept.groupby("group")[["x", "y"]].rank(pct=True)
    x, y = (ranks - ranks.groupby(kept["group"]).transform("mean")).to_numpy().T
    if len(kept) < 5 or frame["group"].nunique() < 2 or not x.any() or not y.any():
        assert found == {}
        return
    assert found["rho"] == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-9)
    assert found["trials"] == len(kept)
    assert -1 - 1e-9 <= found["rho_low"] <= found["rho_high"] <= 1 + 1e-9


def test_what_groups_alone_explain_is_no_correlation_within_them() -> None:
    """Two budgets, one of great damage; within each, prediction has nothing to say."""
    frame = pd.DataFrame(
        {"group": list("aaaabbbb"), "x": [1, 2, 3, 4, 11, 12, 13, 14], "y": [2, 4, 1, 3, 12, 14, 11, 13]}
    )
    assert rank_correlation(frame, "x", "y")["rho"] == pytest.approx(spearmanr(frame["x"], frame["y"]).statistic)
    assert rank_correlation(frame, "x", "y")["rho"] > 0.7
    assert rank_correlation(frame, "x", "y", within=["group"])["rho"] == pytest.approx(0, abs=1e-9)


def test_what_was_not_finetuned_predicts_nothing() -> None:
    log = [samples.measurement(samples.trial(f"t{i}", finetune_epochs=0), macs=i, correct=i) for i in range(9)]
    made = tables(log)
    assert score_correlations(done_trials(made["trials"]), made["layers"], made["sensitivity"]).empty


@given(st.integers(2, 9), st.integers(2, 9), st.integers(0, 2**32 - 1))
def test_a_truncation_error_is_the_norm_of_what_numpy_drops(height: int, width: int, seed: int) -> None:
    matrix = np.random.default_rng(seed).normal(size=(height, width))
    u, values, v = np.linalg.svd(matrix, full_matrices=False)
    rows = {"baseline": "b", "trial": None, "scheme": "channel", "layer": "conv", "index": range(1, len(values) + 1)}
    found = truncation_errors(pd.DataFrame({**rows, "singular_value": values}))
    assert found["rank"].tolist() == [r for r in (1, 2, 4, 8) if r < len(values)]
    for rank, error in zip(found["rank"], found["weight_error"], strict=True):
        cut = (u[:, :rank] * values[:rank]) @ v[:rank]
        assert error == pytest.approx(np.linalg.norm(matrix - cut) / np.linalg.norm(matrix))


def test_a_truncation_error_is_what_a_real_study_measured_on_the_weights() -> None:
    trials, layers = (load_table(STUDY, name) for name in ("trials", "layers"))
    errors = truncation_errors(load_table(STUDY, "spectra"))
    plain = (
        layers[layers["truncation"] == "plain"].drop(columns="scheme").merge(trials[["trial", "baseline", "scheme"]])
    )
    both = plain.merge(errors, on=["baseline", "scheme", "layer", "rank"], suffixes=("", "_spectrum"))
    assert len(both) >= 4
    assert both["weight_error_spectrum"].to_numpy() == pytest.approx(both["weight_error"].to_numpy(), rel=1e-4)


def test_the_epochs_of_a_shared_baseline_are_one_curve() -> None:
    run = [Epoch(stage="baseline", epoch=i, loss=1, accuracy=0.5, learning_rate=0.1, seconds=1) for i in (1, 2)]
    log = [samples.measurement(samples.trial(key)) for key in ("t0", "t1")]
    made = tables([replace(one, epochs=(*run, *one.epochs)) for one in log])
    curves = learning_curves(made["epochs"], done_trials(made["trials"]))
    assert curves.groupby(["stage", "method"]).size().to_dict() == {
        ("baseline", "dense"): 2,
        ("finetune", "channel"): 2,
    }


def test_where_nothing_was_finetuned_the_curves_are_those_of_the_baseline() -> None:
    curves = learning_curves(load_table(STUDY, "epochs"), done_trials(load_table(STUDY, "trials")))
    assert set(curves["method"]) == {"dense"}
    assert curves.groupby("curve")["epoch"].nunique().tolist() == [12, 12, 12]
