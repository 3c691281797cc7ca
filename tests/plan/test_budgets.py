"""Budget rules from the table of layers to the ranks of a trial, by the real commands on a tiny model."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import samples

from lrbench.lowrank.schemes import SCHEMES
from lrbench.plan.budgets import damage_law
from lrbench.plan.evidence import gather_evidence, scale_of_layers
from lrbench.plan.spec import make_spec
from lrbench.report.frames.latency import additivity, latency_ratios, layer_ratios
from lrbench.results.tables import build_tables

BUDGET = [
    *("--set", "sensitivity.step=1", "--set", "sensitivity.points=4", "--set", "sensitivity.accuracy_points=2"),
    *("--set", "latency.devices=['cpu']", "--set", "sweep.schemes=['channel','spatial','mixed']"),
]
RULES = "'knapsack macs=0.7','uniform macs=0.7','global-energy macs=0.7','greedy macs=0.7','minmax macs=0.7'"


@pytest.fixture
def probed(workplace: Path, lrbench, undrawn: None) -> Path:
    result = lrbench("sensitivity", "tiny.toml", *BUDGET, "--set", f"sweep.ranks=[{RULES}]")
    assert result.exit_code == 0, result.output
    assert "probed" in result.output
    return workplace / "results/tiny"


def test_each_layer_is_truncated_alone_by_each_method_once(probed: Path, lrbench) -> None:
    table = pd.read_csv(probed / "sensitivity.csv")
    assert set(zip(table["layer"], table["scheme"], strict=True)) == {
        (layer, scheme) for layer in (0, 3) for scheme in ("channel", "spatial")
    }
    for _, group in table.groupby(["layer", "scheme"]):
        assert group["output_error"].is_monotonic_decreasing
        assert group["spectral_error"].is_monotonic_decreasing
        assert group["accuracy"].notna().sum() == 2
        assert (group["macs"] < group["dense_macs"]).all()
    judged = table.dropna(subset="divergence")
    assert (judged["divergence"] >= 0).all()
    assert len(set(judged["dense_accuracy"])) == 1
    before = (probed / "records.jsonl").read_bytes()
    again = lrbench("sensitivity", "tiny.toml", *BUDGET, "--set", f"sweep.ranks=[{RULES}]")
    assert (again.exit_code, (probed / "records.jsonl").read_bytes()) == (0, before)
    more = lrbench(
        "sensitivity", "tiny.toml", *BUDGET, "--set", "sensitivity.accuracy_points=3", "--set", f"sweep.ranks=[{RULES}]"
    )
    assert more.exit_code == 0
    assert pd.read_csv(probed / "sensitivity.csv")["accuracy"].notna().sum() > table["accuracy"].notna().sum()


@pytest.mark.long
def test_every_rule_keeps_to_its_budget_and_predicts_its_macs(probed: Path, lrbench) -> None:
    planned = lrbench("plan", "tiny.toml", *BUDGET, "--set", f"sweep.ranks=[{RULES}]")
    assert planned.exit_code == 0, planned.output
    assert "predicted damage" in planned.output
    result = lrbench("sweep", "tiny.toml", *BUDGET, "--set", f"sweep.ranks=[{RULES}]", "--only", "accuracy")
    assert result.exit_code == 0, result.output
    trials = pd.read_csv(probed / "trials.csv").query("scheme != 'dense'")
    assert len(trials) == 15
    assert (trials["macs"] <= 0.7 * trials["dense_macs"]).all()
    assert (trials["macs"] == trials["predicted_macs"]).all()
    assert (trials["params"] == trials["predicted_params"]).all()
    damage = trials.pivot_table(index="rank_rule", columns="scheme", values="predicted_damage")
    assert (damage.loc["knapsack macs=0.7"] <= damage.min() + 1e-9).all(), (
        "no rule beats the exact one by its own score"
    )
    assert (damage["mixed"] <= damage[["channel", "spatial"]].min(axis=1) + 1e-9)["knapsack macs=0.7"]
    layers = pd.read_csv(probed / "layers.csv").merge(trials[["trial"]], on="trial").dropna(subset="rank")
    assert set(layers["scheme"]) <= {"channel", "spatial"}


def test_a_sweep_probes_what_its_budgets_need(workplace: Path, lrbench, undrawn: None) -> None:
    words = ["--set", "sweep.ranks=['knapsack params=0.8']", "--set", "sweep.truncations=['plain','sequential']"]
    result = lrbench("sweep", "tiny.toml", *BUDGET, *words, "--only", "accuracy")
    assert result.exit_code == 0, result.output
    trials = pd.read_csv(workplace / "results/tiny/trials.csv").query("scheme != 'dense'")
    assert set(zip(trials["scheme"], trials["truncation"], strict=True)) == {
        (scheme, truncation) for scheme in ("channel", "spatial", "mixed") for truncation in ("plain", "sequential")
    }
    assert (trials["params"] <= 0.8 * trials["dense_params"]).all()
    assert (trials["params"] == trials["predicted_params"]).all()


def test_a_budget_of_latency_goes_by_the_layer_table_of_this_machine(probed: Path, lrbench) -> None:
    words = [*BUDGET, "--set", "sweep.ranks=['knapsack latency=0.999']"]
    early = lrbench("sweep", "tiny.toml", *words, "--only", "accuracy")
    assert early.exit_code == 2
    assert "the results folder has no timings of layers on this machine" in early.output
    assert lrbench("layers", "tiny.toml", *words, "--set", "layer_table.step=1").exit_code == 0
    planned = lrbench("plan", "tiny.toml", *words)
    assert planned.exit_code == 0, planned.output
    assert "of the time; predicted damage" in planned.output or "at least" in planned.output, "as this machine has it"


def test_a_budget_that_cannot_be_met_is_a_row_that_says_what_can_and_stops_nothing(probed: Path, lrbench) -> None:
    words = [*BUDGET, "--set", "sweep.ranks=['knapsack macs=0.01','knapsack macs=0.7']"]
    planned = lrbench("plan", "tiny.toml", *words)
    assert "of the dense model's macs" in planned.output
    result = lrbench("sweep", "tiny.toml", *words, "--only", "accuracy")
    assert result.exit_code == 1
    trials = pd.read_csv(probed / "trials.csv")
    states = {rule: set(rows["state"]) for rule, rows in trials.groupby("rank_rule")}
    assert states == {"none": {"done"}, "knapsack macs=0.01": {"failed"}, "knapsack macs=0.7": {"done"}}
    assert trials["reason"].dropna().str.contains("of the dense model's macs").all()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sweep.schemes=['mixed']"], "mixed needs other schemes"),
        (["sweep.schemes=['channel','mixed']"], "mixed needs a budget rule among sweep.ranks"),
        (["sweep.ranks=['greedy macs=0.5']"], "sensitivity.accuracy_points: rule greedy needs at least 2, got 0"),
        (["sweep.ranks=['knapsack latency=0.5']", "latency.devices=[]"], "a latency budget needs at least one device"),
    ],
)
def test_a_spec_whose_budgets_make_no_sense_is_refused(
    words: list[str], message: str, workplace: Path, lrbench
) -> None:
    result = lrbench("plan", "tiny.toml", *(part for word in words for part in ("--set", word)))
    assert result.exit_code == 2
    assert message in result.output


def test_a_layer_that_loses_nothing_does_no_damage(
    workplace: Path, lrbench, undrawn: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At full rank nothing is lost, though re-estimation alone changes what the dense model says."""
    monkeypatch.setattr(
        "lrbench.plan.layer_ranks.ranks_to_probe", lambda shape, scheme, choice: (SCHEMES[scheme].max_rank(shape),)
    )
    words = ["--set", "sweep.schemes=['channel']", "--set", "sweep.ranks=['rank=1']"]
    result = lrbench("sensitivity", "tiny.toml", *words, "--set", "sensitivity.accuracy_points=1")
    assert result.exit_code == 0, result.output
    table = pd.read_csv(workplace / "results/tiny/sensitivity.csv")
    assert table["divergence"].tolist() == pytest.approx([0, 0], abs=1e-9)
    assert table["accuracy"].tolist() == table["dense_accuracy"].tolist()


def test_a_divergence_that_rounding_put_below_zero_bends_no_law() -> None:
    """Nor does that of a layer or a baseline that the plan does not ask for."""
    probes = [
        replace(probe, divergence=2 * probe.output_error) for probe in samples.sensitivity("a", {1: 0.4, 2: 0.2}).probes
    ]
    odd = replace(samples.sensitivity("a", {3: 0.1}).probes[0], divergence=-1e-17)
    layer, known = SimpleNamespace(name="a"), replace(samples.sensitivity("a", {}), probes=tuple(probes))
    law = damage_law([layer], [known])
    assert damage_law([layer], [replace(known, probes=(*probes, odd)), replace(known, layer="b")]) == law
    assert law("a", "channel", 0.3) == pytest.approx(0.6, rel=0.05)


def test_where_a_layer_was_never_judged_damage_is_the_error_itself() -> None:
    judged = [replace(samples.sensitivity("a", {1: 0.4}).probes[0], divergence=2.0)]
    layers = [SimpleNamespace(name="a"), SimpleNamespace(name="b")]
    law = damage_law(layers, [replace(samples.sensitivity("a", {}), probes=tuple(judged))])
    assert law("a", "channel", 0.4) == 0.4


def test_layers_are_scaled_by_what_whole_models_save_where_such_were_timed() -> None:
    """conv1 at rank 8 saves 0.2 of a second alone, 0.3 in the model."""
    curves = {("conv1", "channel"): {4: -0.4, 12: 0.0}}
    timed = samples.session({"a0": 0.7, "a1": 0.7}, series="s")
    assert scale_of_layers([timed], curves) == (pytest.approx(1.5), 2)
    assert scale_of_layers([timed], {("conv9", "channel"): {4: -0.4}}) == (1.0, 0), "no model of these layers"
    assert scale_of_layers([samples.session({"a0": 1.3}, series="s")], curves) == (1.0, 0), "nothing that makes sense"
    wall = [(1.0, 1.2, 0.7, 0.7)] * 10
    assert scale_of_layers([replace(timed, rounds=samples.rounds_of(wall))], curves) == (1.0, 0), "unfit"


def test_an_unfit_attempt_has_no_say_in_the_scale_of_layers() -> None:
    """conv1 at rank 8 saves 0.2 of a second alone; the attempt that counts saves 0.5 of one, the unfit one 0.1."""
    curves = {("conv1", "channel"): {4: -0.4, 12: 0.0}}
    unfit = replace(samples.session({"a0": 0.9}, series="s"), rounds=samples.rounds_of([(1.0, 1.2, 0.9)] * 10))
    fit = samples.session({"a0": 0.5}, series="s", attempt=2)
    assert scale_of_layers([unfit, fit], curves) == (pytest.approx(2.5), 1)


HERE = {
    "model": {"name": "resnet18"},
    "data": {"image_size": 32},
    "latency": {"devices": ["cpu"], "batch_sizes": [1], "threads": [1], "memory_formats": ["contiguous"]},
}


def test_budgets_and_reports_say_the_same_of_the_same_timings() -> None:
    """Layers in two timings and models in two, one of them unfit; both models have conv1 at rank 8."""
    models = [
        samples.session({"a0": 0.94, "a1": 0.9}, series="s", noise=0.002),
        samples.session({"a1": 0.5}, series="u", control_within=-1.0),
        samples.session({"a1": 0.92}, series="v"),
    ]
    layers = [
        replace(samples.layer_session({("channel", 4): 0.4, ("channel", 12): 0.7}, dense_s=0.11), series="l"),
        replace(samples.layer_session({("channel", 12): 0.9}), series="m"),
    ]
    evidence = gather_evidence(make_spec(HERE, where="test"), [*models, *layers], environment="e0")
    log = [*models, *layers, *(samples.measurement(samples.trial(key), arch=key) for key in ("a0", "a1"))]
    tables = {name: table.infer_objects() for name, table in build_tables(log).items()}
    ratios, table = latency_ratios(tables["latency"]), layer_ratios(tables["layer_latency"])
    sums = additivity(tables["architectures"], ratios, table).set_index("architecture")
    curve = evidence.added_s["conv1", "channel"]
    predicted = 1 + (curve[4] + curve[12]) / 2 / evidence.scale / evidence.dense_s
    assert sums["predicted_ratio"].tolist() == pytest.approx([predicted, predicted])
    others = (sums["scaled_ratio"] - 1) / (sums["predicted_ratio"] - 1)
    assert others.min() < evidence.scale < others.max()
    assert evidence.models == 2


def test_what_was_timed_at_another_image_size_says_nothing_here() -> None:
    spec = make_spec({**HERE, "data": {"image_size": 64}}, where="test")
    log = [samples.session({"a0": 0.7}, series="s"), samples.layer_session({("channel", 8): 0.8})]
    found = gather_evidence(spec, log, environment="e0")
    assert (found.added_s, found.dense_s, found.models) == ({}, None, 0)
    assert gather_evidence(make_spec(HERE, where="test"), log, environment="e0").models == 1
