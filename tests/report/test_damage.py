"""Predicted against measured damage, of layers and models whose law is known."""

from dataclasses import replace
from math import exp, sqrt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import samples

from lrbench.report.figures import damage_calibration as figure
from lrbench.report.results import Results
from lrbench.results.records import Accuracy, Probe, Record

OFFSETS = {"channel": -0.5, "weight": 0.5}
SCALES = {"conv1": 0.1, "conv2": 0.5, "conv3": 0.02}
SCALE = 1.5
"""Models lose this much more than their layers together."""


def true_damage(layer: str, scheme: str, error: float) -> float:
    return SCALES[layer] * error * exp(OFFSETS[scheme] + 4 * sqrt(error))


def error_at(rank: int) -> float:
    return 0.7**rank


def probed(noise: float, seed: int) -> list[Record]:
    """Each layer cut alone at six ranks by each method; the MACs of both are equal."""
    random, made = np.random.default_rng(seed), []
    for layer in SCALES:
        for scheme in OFFSETS:
            probes = [
                Probe(
                    rank=rank,
                    params=rank,
                    macs=10 * rank,
                    energy=0.5,
                    weight_error=0.5,
                    spectral_error=0.5,
                    output_error=error_at(rank),
                    search=Accuracy(correct=90, samples=100, loss=0.3),
                    divergence=true_damage(layer, scheme, error_at(rank)) * exp(random.normal(0, noise)),
                )
                for rank in range(1, 13, 2)
            ]
            made.append(replace(samples.sensitivity(layer, {}), scheme=scheme, probes=tuple(probes)))
    return made


def model(key: str, scheme: str, rank: int, *, seed: int = 0) -> Record:
    """A model cut in all layers at one rank, whose loss is what its layers' damages say, and whose answers follow."""
    damage = SCALE * sum(true_damage(layer, scheme, error_at(rank)) for layer in SCALES)
    planned = samples.trial(key, scheme=scheme, rank_rule=f"rank={rank}", seed=seed)
    made = samples.measurement(planned, macs=30 * rank, arch=f"{scheme}{rank}")
    wrong = min(900, int(900 * damage))
    right = np.r_[np.zeros(wrong, np.uint8), np.ones(1000 - wrong, np.uint8)]
    answered = Accuracy(correct=1000 - wrong, samples=1000, loss=0.3 + damage, right=np.packbits(right).tobytes().hex())
    layers = tuple(samples.layer(layer, scheme=scheme, rank=rank) for layer in SCALES)
    return replace(made, truncated=answered, dense=replace(made.dense, samples=1000), layers=layers)


def control() -> Record:
    planned = samples.trial("d", scheme="dense", layer_set="none", rank_rule="none")
    made = samples.measurement(planned, macs=1000, arch="dense")
    return replace(made, truncated=Accuracy(correct=1000, samples=1000, loss=0.3), layers=())


def folder(path: Path, *, noise: float = 0.0, seed: int = 0, models: bool = True) -> Results:
    cut = [model(f"{scheme}{rank}", scheme, rank) for scheme in OFFSETS for rank in (3, 5, 6, 7, 9)] if models else []
    again = [model("again", "weight", 9, seed=1)] if models else []
    return Results(samples.folder_of(path, [control(), *cut, *again, *probed(noise, seed)]))


def test_a_known_law_is_predicted_by_what_is_left_and_models_by_the_sum_of_their_layers(tmp_path: Path) -> None:
    found = folder(tmp_path).damage_calibration
    assert found["what"].value_counts().to_dict() == {"layer": 36, "model": 10}, "a model of two seeds is one"
    for what, tolerance in (("layer", 0.1), ("model", 0.05)):
        some = found[found["what"] == what]
        assert some["predicted"].to_numpy(float) == pytest.approx(some["measured"].to_numpy(float), rel=tolerance)
    assert set(found.loc[found["what"] == "model", "stage"]) == {"truncated"}
    models = found[found["what"] == "model"].set_index("name")
    assert models.loc["channel6", "measured"] == pytest.approx(
        SCALE * sum(true_damage(layer, "channel", error_at(6)) for layer in SCALES)
    ), "a rank that was not probed lies between"


def test_the_band_covers_what_it_says_on_simulated_probes(tmp_path: Path) -> None:
    inside = [
        folder(tmp_path / str(seed), noise=0.4, seed=seed, models=False).damage_calibration["inside"]
        for seed in range(8)
    ]
    assert np.mean(np.concatenate(inside).astype(bool)) == pytest.approx(0.9, abs=0.04)


def test_of_two_methods_at_equal_macs_the_less_damaging_is_told(tmp_path: Path) -> None:
    order = folder(tmp_path).damage_order.set_index("what")
    assert order.loc["layer", ["pairs", "ordered"]].tolist() == [18, 18]
    assert order.loc["model", ["pairs", "ordered"]].tolist() == [5, 5]
    clear, right = order.loc["model", ["significant", "significant_ordered"]]
    assert 0 < clear < 5, "where hardly anything is lost, methods do not differ"
    assert right == clear
    assert pd.isna(order.loc["layer", "significant"])


def test_noise_in_the_probes_costs_order(tmp_path: Path) -> None:
    order = folder(tmp_path, noise=1.5).damage_order.set_index("what")
    assert order.loc["layer", "ordered"] < 18


def test_without_judged_probes_nothing_is_predicted(tmp_path: Path) -> None:
    results = Results(samples.folder_of(tmp_path, [*samples.sweep(), samples.sensitivity("conv1", {4: 0.5})]))
    assert results.damage_calibration.empty
    assert results.damage_order.empty


def test_a_model_with_a_layer_that_was_never_judged_is_left_out(tmp_path: Path) -> None:
    odd = replace(model("odd", "weight", 5), layers=(samples.layer("conv9", scheme="weight", rank=5),))
    known = [record for layer in ("conv1", "conv2") for record in probed(0.0, 0) if record.layer == layer]
    results = Results(samples.folder_of(tmp_path, [control(), odd, *known]))
    assert set(results.damage_calibration["what"]) == {"layer"}
    drawn = figure.draw(results.damage_calibration)
    assert [axis.get_title() for axis in drawn.axes] == ["single layers: the band holds 24 of 24"]


def test_few_models_are_predicted_without_a_band(tmp_path: Path) -> None:
    results = Results(samples.folder_of(tmp_path, [control(), model("one", "weight", 5), *probed(0.0, 0)]))
    (row,) = results.damage_calibration.query("what == 'model'").to_dict("records")
    assert row["measured"] == pytest.approx(SCALE * row["predicted"], rel=0.05), "the bare sum"
    assert pd.isna([row["low"], row["high"], row["inside"]]).all()
    assert figure.draw(results.damage_calibration).axes[1].get_title() == "whole models: 1, too few for a band"
