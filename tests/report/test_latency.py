"""From rounds to ratios: attempts, processes, fitness, break-even ranks, and sums of layers."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import samples

from lrbench.report.frames.latency import additivity, breakeven, latency_ratios, layer_ratios
from lrbench.results.records import Record
from lrbench.results.sessions import Session
from lrbench.results.tables import build_tables


def table(name: str, *records: Record) -> pd.DataFrame:
    return build_tables(records)[name].infer_objects()


def ratios(*records: Record) -> pd.DataFrame:
    return latency_ratios(table("latency", *records)).set_index("architecture")


def session(ratio: float, *, control: float = 1.0, **changes: object) -> Session:
    """A session of architecture a0 whose dense copy takes `control` of the dense model's time."""
    wall = [(1.0, control * (1 + 0.001 * noise), ratio) for noise in np.random.default_rng(0).normal(size=30)]
    return replace(samples.session({"a0": ratio}), rounds=samples.rounds_of(wall), **{"series": "s", **changes})


def test_a_control_off_1_makes_every_ratio_beside_it_unfit() -> None:
    assert ratios(session(0.5))["fit"].tolist() == [True, True]
    assert ratios(session(0.5, control=1.03))["fit"].tolist() == [False, False]
    assert ratios(session(0.5, control_within=1e-6))["fit"].tolist() == [False, False]


def test_the_last_attempt_of_a_timing_counts() -> None:
    found = ratios(session(0.9, control=1.1, attempt=1), session(0.5, attempt=2))
    assert found.loc["a0", ["ratio", "fit"]].tolist() == [0.5, True]


def test_all_fit_timings_of_an_architecture_count_and_its_control_is_that_of_all() -> None:
    unfit = session(0.9, control=1.1, series="unfit")
    found = ratios(session(0.4, series="old"), unfit, session(0.5, series="new"))
    assert found.loc["a0", "ratio"] == pytest.approx((0.4 * 0.5) ** 0.5)
    assert found.loc["a0", "ratio_low"] < 0.4 < 0.5 < found.loc["a0", "ratio_high"]
    assert (found.loc["a0", "fit"], found.loc["dense", "rounds"]) == (True, 90)
    assert ratios(unfit).loc["a0", ["ratio", "fit"]].tolist() == [pytest.approx(0.9), False]


def test_processes_are_pooled_and_what_they_disagree_in_is_in_the_interval() -> None:
    found = ratios(*(session(ratio, process=i) for i, ratio in enumerate((0.4, 0.5, 0.6))))
    assert found.loc["a0", "processes"] == 3
    assert found.loc["a0", "ratio"] == pytest.approx((0.4 * 0.5 * 0.6) ** (1 / 3))
    assert found.loc["a0", "ratio_low"] < 0.4
    assert found.loc["a0", "ratio_high"] > 0.6


def test_break_even_lies_between_the_ranks_timed() -> None:
    one = samples.layer_session({("channel", 16): 0.5, ("channel", 32): 0.9, ("channel", 48): 1.1, ("spatial", 8): 0.2})
    log = [replace(one, series="s", process=process) for process in range(2)]
    found = breakeven(layer_ratios(table("layer_latency", *log))).set_index("scheme")
    assert found.loc["channel", "breakeven_rank_latency"] == pytest.approx(40.0)
    assert found.loc["channel", ["highest_faster_rank", "lowest_slower_rank"]].tolist() == [32, 48]
    assert np.isnan(found.loc["spatial", "breakeven_rank_latency"]), "always faster: no such rank was timed"
    assert (found["breakeven_rank_macs"] == 50).all()


def test_a_layer_ratio_carries_what_explains_it() -> None:
    rows = layer_ratios(table("layer_latency", samples.layer_session({("channel", 25): 0.7})))
    one = rows[rows["rank"] == 25].iloc[0]
    assert one[["share", "mac_ratio", "backend", "intensity"]].tolist() == [0.5, 0.5, "onednn", 5.0]
    assert rows["rank"].isna().sum() == 1, "the control has no rank"


def test_layers_add_up_to_the_model() -> None:
    timed = samples.session({"a0": 0.97})  # 3 % of a second saved, by a layer of 0.1 s at a ratio of 0.7
    layers = layer_ratios(table("layer_latency", samples.layer_session({("channel", 4): 0.6, ("channel", 12): 0.8})))
    made = table("architectures", samples.measurement(samples.trial()))
    found = additivity(made, latency_ratios(table("latency", timed)), layers)
    assert found["predicted_ratio"].tolist() == [pytest.approx(0.97)]
    assert found["error"].tolist() == [pytest.approx(0.0, abs=1e-12)]


def test_a_model_with_a_layer_that_was_not_timed_is_not_predicted() -> None:
    layers = layer_ratios(table("layer_latency", samples.layer_session({("channel", 4): 0.6}, layers=("conv9",))))
    made = table("architectures", samples.measurement(samples.trial()))
    assert additivity(made, latency_ratios(table("latency", samples.session({"a0": 0.9}))), layers).empty


def test_sums_of_layers_are_scaled_by_what_the_other_models_save() -> None:
    """Each of two models saves 1.5 times what its layer alone saves: 0.04 of a second of 1, at rank 8."""
    layers = layer_ratios(table("layer_latency", samples.layer_session({("channel", 4): 0.4, ("channel", 8): 0.6})))
    log = [samples.measurement(samples.trial(key), arch=key) for key in ("a0", "a1")]
    timed = samples.session({"a0": 0.94, "a1": 0.94})
    found = additivity(table("architectures", *log), latency_ratios(table("latency", timed)), layers)
    assert found["predicted_ratio"].tolist() == pytest.approx([0.96, 0.96])
    assert found["scaled_ratio"].tolist() == pytest.approx([0.94, 0.94])
    alone = additivity(table("architectures", log[0]), latency_ratios(table("latency", timed)), layers)
    assert alone["scaled_ratio"].isna().all(), "there is no other model to go by"
