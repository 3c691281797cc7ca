"""What is recommended, against going through every point; how seeds are pooled; the real command on small folders."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import samples
from hypothesis import given
from hypothesis import strategies as st

from lrbench.errors import InputError
from lrbench.report.advice.constraints import CONSTRAINTS, COSTS
from lrbench.report.advice.recommend import Nearest, recommend
from lrbench.report.frames.latency import latency_ratios
from lrbench.report.frames.points import Where, choose_rivals, choose_setting, pool_points
from lrbench.report.frames.trials import done_trials
from lrbench.results.records import Accuracy, Measurement, Record
from lrbench.results.tables import build_tables

EVEN = ("--confidence", 0.5)
DENSE = {"scheme": "dense", "layer_set": "none", "rank_rule": "none"}
STEP = st.integers(1, 10).map(lambda tenth: tenth / 10)
POINT = st.fixed_dictionaries(
    {
        "accuracy": STEP,
        "ratio": st.one_of(st.none(), STEP),
        "mac_ratio": STEP,
        "param_ratio": STEP,
        "fit": st.booleans(),
        "dense": st.sampled_from([False, False, False, True]),
    }
)
LIMITS = st.dictionaries(st.sampled_from(list(CONSTRAINTS)), STEP, min_size=1)


def frame(rows: list[dict[str, object]]) -> pd.DataFrame:
    made = pd.DataFrame(rows).assign(name=[f"p{i}" for i in range(len(rows))], drop=lambda f: 1 - f["accuracy"])
    mean = made["accuracy"].clip(0.05, 0.95)
    spread = {"accuracy_error": 0.1, "drop_error": 0.1, "log_error": 0.1, "freedom": 9.0}
    return made.assign(accuracy_mean=mean, drop_mean=1 - mean, **spread)


def chance(row: Mapping[str, object], name: str, limit: float) -> float:
    value = row[CONSTRAINTS[name].column]
    return 0.0 if value is None or pd.isna(value) else CONSTRAINTS[name].probability(row, limit)


def keeps(row: Mapping[str, object], limits: Mapping[str, float], confidence: float) -> bool:
    return all(chance(row, name, limit) >= confidence for name, limit in limits.items())


def best(
    rows: list[dict[str, object]], limits: Mapping[str, float], confidence: float, objective: str, cost: str
) -> object:
    """By going through all points: the name of the one to choose."""
    column, sought = CONSTRAINTS[cost].column, CONSTRAINTS[objective].column
    known = [row for row in rows if not row["dense"] and not pd.isna(row[sought]) and keeps(row, limits, confidence)]
    if "latency" in limits or objective == "latency":
        known = [row for row in known if row["fit"]] or known
    if not known:
        return None

    def rank(row: dict[str, object]) -> tuple[float, ...]:
        price = np.inf if pd.isna(row[column]) else row[column]
        order = (-row["accuracy"], price) if objective == "accuracy" else (price, -row["accuracy"])
        return (*order, row["mac_ratio"])

    return min(known, key=rank)["name"]


@given(
    st.lists(POINT, min_size=1, max_size=9).filter(lambda all_: not all(one["dense"] for one in all_)),
    LIMITS,
    st.sampled_from([0.05, 0.5, 0.8, 0.99]),
    st.sampled_from([None, *COSTS]),
)
def test_the_choice_is_the_best_of_all_that_are_sure_enough(
    drawn: list[dict[str, object]], limits: dict[str, float], confidence: float, minimise: str | None
) -> None:
    points = frame(drawn)
    rows = points.to_dict("records")
    cut = [row for row in rows if not row["dense"]]
    timed = any(not pd.isna(row["ratio"]) for row in cut)
    if "latency" in {*limits, minimise} and not timed:
        with pytest.raises(InputError):
            recommend(points, limits, minimise=minimise)
        return
    found = recommend(points, limits, confidence=confidence, minimise=minimise)
    cost = minimise or next((name for name in COSTS if name in limits), "latency" if timed else "macs")
    objective = cost if minimise or {"accuracy", "max-drop"} & set(limits) else "accuracy"
    assert (found.cost, found.objective, found.candidates) == (cost, objective, len(cut))
    expected = best(rows, limits, confidence, objective, cost)
    assert (found.point and found.point["name"]) == expected
    if found.point is None:
        check_nearest(cut, limits, confidence, found.nearest)
        least = {row["name"]: min(chance(row, *limit) for limit in limits.items()) for row in cut}
        assert (found.surest is not None) == (max(least.values()) > 0)
        assert found.surest is None or found.surest.probability == max(least.values()) == least[found.surest.point]
        return
    for one in found.held:
        assert one.value == found.point[CONSTRAINTS[one.name].column]
        others = {key: value for key, value in limits.items() if key != one.name}
        without = best(rows, others, confidence, objective, cost)
        assert one.binding == (without != expected)
    check_neighbours(rows, found.point, CONSTRAINTS[cost].column, (found.cheaper, found.dearer))


def check_nearest(
    cut: list[dict[str, object]], limits: Mapping[str, float], confidence: float, nearest: tuple[Nearest, ...]
) -> None:
    assert [one.name for one in nearest] == list(limits)
    for one in nearest:
        column, worth = CONSTRAINTS[one.name].column, max if one.name == "accuracy" else min
        others = {key: value for key, value in limits.items() if key != one.name}
        kept = [row for row in cut if keeps(row, others, confidence)]
        for among, found in ((cut, one.alone), (kept, one.together)):
            rows = {row["name"]: row for row in among if not pd.isna(row[column])}
            assert (found is None) == (not rows)
            if found is not None:
                assert found.value == worth(row[column] for row in rows.values()) == rows[found.point][column]
                assert found.probability == chance(rows[found.point], one.name, one.limit)


def check_neighbours(rows: list[dict[str, object]], point: Mapping[str, object], column: str, beside: tuple) -> None:
    """The neighbours are on the front, and no point of the front lies between."""
    known = [row for row in rows if not pd.isna(row[column])]
    front = [
        row[column]
        for row in known
        if not any(
            other[column] <= row[column]
            and other["accuracy"] >= row["accuracy"]
            and (other[column], other["accuracy"]) != (row[column], row["accuracy"])
            for other in known
        )
    ]
    cheaper = max((cost for cost in front if cost < point[column]), default=None)
    dearer = min((cost for cost in front if cost > point[column]), default=None)
    assert tuple(one and one[column] for one in beside) == (cheaper, dearer)


def test_known_costs_hold_or_do_not_and_the_rest_is_a_probability() -> None:
    points = frame(
        [{**dict.fromkeys(("accuracy", "ratio", "mac_ratio", "param_ratio"), 0.5), "fit": True, "dense": False}]
    )
    held = {one.name: one.probability for one in recommend(points, {"macs": 0.5, "params": 0.7, "latency": 0.5}).held}
    assert held == {"macs": 1.0, "params": 1.0, "latency": pytest.approx(0.5)}
    assert recommend(points, {"accuracy": 0.5}).held[0].probability == pytest.approx(0.5)
    assert recommend(points, {"max-drop": 0.8}).held[0].probability > 0.99


def test_a_timing_without_a_spread_is_taken_at_its_value() -> None:
    point = {**dict.fromkeys(("accuracy", "ratio", "mac_ratio", "param_ratio"), 0.5), "fit": True, "dense": False}
    points = frame([point]).assign(freedom=0.0)
    held = recommend(points, {"latency": 0.5}, confidence=0.99).held[0]
    assert (held.value, np.isnan(held.probability)) == (0.5, True)
    assert recommend(points, {"latency": 0.49}, confidence=0.01).point is None


def judged(key: str, *, test: int, search: int | None, arch: str, macs: int = 50, **changes: object) -> Measurement:
    """A trial with so many right answers of 100 on the test and on the search split, the first images."""
    made = samples.measurement(samples.trial(key, **changes), correct=test, arch=arch, macs=macs)
    right = {count: np.packbits(np.arange(100) < count).tobytes().hex() for count in (test, search or 0)}
    return replace(
        made,
        finetuned=Accuracy(correct=test, samples=100, loss=0.5, right=right[test]),
        search=None if search is None else Accuracy(correct=search, samples=100, loss=0.5, right=right[search]),
    )


def study(*, search: bool = True) -> list[Record]:
    """Two seeds of dense and of two rules; `rank=8` is better on the search split, `rank=16` on the test split."""
    log: list[Record] = []
    for seed in (0, 1):
        for rule, arch, macs, on_test, on_search in (
            ("none", "dense", 100, 90, 92),
            ("rank=8", "a0", 40, 80, 91 - 2 * seed),
            ("rank=16", "a1", 60, 89, 85 + seed),
        ):
            changes = DENSE if rule == "none" else {"rank_rule": rule}
            log.append(
                judged(
                    f"{rule} {seed}",
                    test=on_test,
                    search=on_search if search else None,
                    arch=arch,
                    macs=macs,
                    seed=seed,
                    **changes,
                )
            )
    return [*log, samples.session({"a0": 0.5, "a1": 0.8}, noise=0.02)]


def pooled(log: list[Record], split: str) -> pd.DataFrame:
    tables = {name: table.infer_objects() for name, table in build_tables(log).items()}
    trials, _ = choose_rivals(done_trials(tables["trials"]), None)
    ratios, _ = choose_setting(latency_ratios(tables["latency"]), Where())
    return pool_points(trials, tables["answers"], ratios, split=split).set_index("name")


def test_seeds_are_pooled_into_points_and_the_best_on_the_search_split_is_exported() -> None:
    points = pooled(study(), "search")
    assert list(points.index) == ["dense control", "channel, layers early, rank=8", "channel, layers early, rank=16"]
    eight = points.loc["channel, layers early, rank=8"]
    assert eight["trials"] == ("rank=8 0", "rank=8 1")
    assert eight["trial"] == "rank=8 0"
    assert (eight["accuracy"], eight["drop"]) == pytest.approx((0.90, 0.02))
    assert (eight["test_accuracy"], eight["test_drop"]) == pytest.approx((0.80, 0.10))
    assert eight["test_drop_low"] < 0.10 < eight["test_drop_high"]
    assert eight["ratio"] == pytest.approx(0.5 * 1.02**0.5, rel=1e-3)
    assert points.loc["channel, layers early, rank=16", "trial"] == "rank=16 1"


def test_a_drop_is_weighed_image_by_image_where_answers_were_kept() -> None:
    log = study()
    bare = [
        replace(one, search=replace(one.search, right="")) if isinstance(one, Measurement) and one.search else one
        for one in log
    ]
    kept, lost = (pooled(records, "search")["drop_error"].iloc[2] for records in (log, bare))
    assert kept < 0.7 * lost


def test_a_seed_that_comes_again_is_another_recipe_and_another_point() -> None:
    again = judged("again", test=70, search=70, arch="a0", rank_rule="rank=8")
    names = pooled([*study(), again], "search").reset_index()["name"]
    assert names.tolist().count("channel, layers early, rank=8") == 2


def test_the_choice_never_sees_the_test_split(tmp_path: Path, lrbench) -> None:
    folder = samples.folder_of(tmp_path, study())
    found = json.loads(lrbench("recommend", folder, "--max-drop", 3, *EVEN, "--format", "json").output)
    assert found["split"] == "search"
    assert found["recommended"]["trials"] == ["rank=8 0", "rank=8 1"], "on the test split it loses 10 points"
    assert found["recommended"]["test_drop"] == pytest.approx(0.10)
    assert found["dearer"]["dense"] is True, "rank=16 costs more and is less accurate on the search split"
    assert found["command"] == f"lrbench export {folder} 'rank=8 0' --to 'export/rank=8 0'"
    assert [layer["layer"] for layer in found["layers"]] == ["conv1", "fc"]
    assert "On the test split --max-drop 3 does not hold: it is 10.00 there." in found["notes"]


def test_without_a_search_split_the_bias_is_said(tmp_path: Path, lrbench) -> None:
    result = lrbench("recommend", samples.folder_of(tmp_path, study(search=False)), "--max-drop", 3, *EVEN)
    assert result.exit_code == 0, result.output
    assert "rank=16" in result.output.splitlines()[0]
    assert "The choice was made on the TEST split, and its accuracies are biased by it: 6 of 6 trials" in result.output


def test_what_is_infeasible_says_what_is_nearest_and_ends_with_1(tmp_path: Path, lrbench) -> None:
    folder = samples.folder_of(tmp_path, study())
    result = lrbench("recommend", folder, "--max-drop", 1, "--latency", 0.3, "--format", "json")
    assert result.exit_code == 1
    drop, latency = json.loads(result.output)["nearest"]
    assert (drop["alone"]["value"], drop["together"]) == (pytest.approx(0.02), None)
    assert 0 < drop["alone"]["probability"] < 0.8
    assert latency["alone"]["value"] == pytest.approx(0.5, abs=0.01)
    assert latency["together"] is None
    text = lrbench("recommend", folder, "--max-drop", 1, "--latency", 0.3)
    assert text.exit_code == 1
    assert text.output.startswith("infeasible: none of 2 points")
    assert "none keeps the others" in text.output
    unsure = lrbench("recommend", folder, "--max-drop", 3)
    assert unsure.exit_code == 1
    assert "keeps to all that is wanted with a probability of 80% each" in unsure.output
    surest = json.loads(lrbench("recommend", folder, "--max-drop", 3, "--format", "json").output)["surest"]
    assert surest["point"] == "channel, layers early, rank=8"
    assert f"it keeps to each limit with {surest['probability']:.1%} or more" in unsure.output
    assert lrbench("recommend", folder, "--max-drop", 3, "--confidence", surest["probability"]).exit_code == 0


def test_unfit_timings_come_last_and_are_said(tmp_path: Path, lrbench) -> None:
    log = study()
    log[-1] = samples.session({"a0": 0.5}, control_within=1e-9, noise=0.02)  # every control is wider than that
    wall = [(1.0, 1.0 + 0.01 * (turn % 2), 0.5) for turn in range(20)]
    log[-1] = replace(log[-1], rounds=samples.rounds_of(wall))
    alone = lrbench("recommend", samples.folder_of(tmp_path / "unfit", log), "--latency", 0.7)
    assert alone.exit_code == 0
    assert "UNFIT timings (recommended; next dearer)" in alone.output
    nearest = lrbench("recommend", tmp_path / "unfit", "--latency", 0.1)
    assert nearest.exit_code == 1
    assert "UNFIT timings (channel, layers early, rank=8)" in nearest.output
    both = [*log, samples.session({"a1": 0.6}, started="2026-01-02T00:00:00+00:00")]
    found = lrbench("recommend", samples.folder_of(tmp_path / "both", both), "--latency", 0.7, "--format", "json")
    assert json.loads(found.output)["recommended"]["trial"] == "rank=16 1", "less accurate on search, but fit"


def test_settings_are_never_mixed_and_the_one_most_timed_is_taken(tmp_path: Path, lrbench) -> None:
    other = replace(samples.SETTING, threads=2)
    log = [*study(), samples.session({"a0": 0.9}, environment="e1"), samples.session({"a0": 0.7}, setting=other)]
    folder = samples.folder_of(tmp_path, log)

    def ratio(*words: object) -> float:
        result = lrbench("recommend", folder, "--max-drop", 3, *EVEN, "--format", "json", *words)
        return json.loads(result.output)["recommended"]["ratio"]

    assert ratio() == pytest.approx(0.5, abs=0.01)
    assert ratio("--environment", "e1") == pytest.approx(0.9)
    assert ratio("--threads", 2) == pytest.approx(0.7)
    said = lrbench("recommend", folder, "--max-drop", 3, *EVEN, "--threads", 2).output
    assert "1 of 2 points were not timed in this setting" in said
    assert "Latencies are of cpu, batch 1, threads 2, contiguous (environment e0)" in said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "nothing was asked for; give at least one of --max-drop, --accuracy, --latency, --macs, --params"),
        (("--max-drop", "nan"), "--max-drop must be a finite number, got nan"),
        (("--macs", "0.5", "--threads", "7"), "nothing was timed with threads 7; there is: cpu, batch 1, threads 1"),
        (("--macs", "0.5", "--among", "vgg"), "no trials are named 'vgg'; there are: resnet18 on digits, 32 px, 1+1"),
    ],
)
def test_what_cannot_be_answered_is_refused(words: tuple[str, ...], says: str, tmp_path: Path, lrbench) -> None:
    result = lrbench("recommend", samples.folder_of(tmp_path, study()), *words)
    assert result.exit_code == 2
    assert says in result.output.replace("\n", "")


@pytest.mark.parametrize(
    ("log", "words", "says"),
    [
        ([], ("--macs", "0.5"), "no finished trial of a factorized model"),
        ([samples.failure(samples.trial())], ("--macs", "0.5"), "no finished trial of a factorized model"),
        (study()[:-1], ("--latency", "0.5"), "no factorized model was timed"),
        (
            study()[:-1],
            ("--macs", "0.5", "--device", "cuda"),
            "nothing was timed with device cuda; there is: no timings",
        ),
        (study()[1:3], ("--max-drop", "1"), "--max-drop needs the dense control"),
    ],
    ids=["empty", "failed", "untimed", "untimed setting", "no control"],
)
def test_a_folder_that_lacks_what_is_needed_is_refused(
    log: list[Record], words: tuple[str, ...], says: str, tmp_path: Path, lrbench
) -> None:
    result = lrbench("recommend", samples.folder_of(tmp_path, log), *words)
    assert result.exit_code == 2
    assert says in result.output.replace("\n", "")


def test_no_folder_is_refused(tmp_path: Path, lrbench) -> None:
    result = lrbench("recommend", tmp_path, "--macs", "0.5")
    assert result.exit_code == 2
    assert "is no results folder" in result.output


def test_a_strangers_names_are_printed_as_they_are(tmp_path: Path, lrbench) -> None:
    log = [replace(one, trial=replace(one.trial, layer_set="[red]x[/red] [/]")) for one in study()[:-1]]
    result = lrbench("recommend", samples.folder_of(tmp_path, log), "--macs", "0.7")
    assert result.exit_code == 0, result.output
    assert "layers [red]x[/red] [/]" in result.output


def test_trials_of_another_recipe_are_never_compared(tmp_path: Path, lrbench) -> None:
    longer = [replace(one, trial=replace(one.trial, finetune_epochs=9)) for one in study()[:2]]
    longer = [replace(one, trial=replace(one.trial, key=f"long {one.trial.key}")) for one in longer]
    folder = samples.folder_of(tmp_path, [*study(), *longer])
    said = lrbench("recommend", folder, "--macs", "0.7").output
    assert "(resnet18 on digits, 32 px, 1+1 epochs)" in said.splitlines()[0]
    assert "Not compared, since they were trained otherwise: resnet18 on digits, 32 px, 1+9 epochs" in said
    assert "trial long rank=8 0" in lrbench("recommend", folder, "--macs", "0.7", "--among", "1+9 epochs").output


def test_the_recipe_whose_dense_control_is_best_is_chosen_from(tmp_path: Path, lrbench) -> None:
    """Three of five trials were finetuned better: what they lose, they lose to the better control."""
    better = [replace(one, trial=replace(one.trial, recipe="frozen")) for one in study()[:3]]
    better = [
        replace(one, trial=replace(one.trial, key=f"new {one.trial.key}"), search=replace(one.search, correct=99))
        for one in better
    ]
    folder = samples.folder_of(tmp_path, [*better, *study()])
    found = json.loads(lrbench("recommend", folder, "--macs", "0.7", "--format", "json").output)
    assert found["rivals"].endswith("1+1 epochs, frozen")
    assert found["recommended"]["trial"] == "new rank=8 0"


def test_a_recommendation_needs_no_torch(tmp_path: Path) -> None:
    samples.folder_of(tmp_path, study())
    (tmp_path / "records.jsonl").unlink()
    code = (
        "import sys; from typer.testing import CliRunner; from lrbench.cli import app; "
        f"result = CliRunner().invoke(app, ['recommend', {str(tmp_path)!r}, '--max-drop', '9']); "
        "sys.exit(result.exit_code or len({'torch', 'torchvision', 'fvcore', 'matplotlib'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_pair_of_limits_is_answered_on_a_real_study(lrbench) -> None:
    real = Path(__file__).parents[2] / "results" / "seed"
    for first, second in product(("--max-drop", "--accuracy"), ("--latency", "--macs", "--params")):
        result = lrbench("recommend", real, first, 50, second, 0.99999)
        assert result.exit_code == 0, result.output
        assert "channel, layers notebook, rank=8" in result.output.splitlines()[0]


def test_a_real_sweep_is_chosen_from_by_its_search_split(workplace: Path, lrbench, undrawn: None) -> None:
    words = ("--set", "sweep.ranks=['rank=1','rank=2','rank=4']", "--set", "sweep.schemes=['channel']")
    assert lrbench("sweep", "tiny.toml", *words).exit_code == 0
    found = json.loads(lrbench("recommend", "results/tiny", "--macs", 1.0, "--format", "json").output)
    trials = pd.read_csv(workplace / "results/tiny/trials.csv").set_index("trial")
    cut = trials[trials["scheme"] == "channel"]
    chosen = trials.loc[found["recommended"]["trial"]]
    assert chosen["accuracy_search"] == found["recommended"]["accuracy"] == cut["accuracy_search"].max()
    assert chosen["accuracy_finetuned"] == found["recommended"]["test_accuracy"]
    assert found["split"] == "search"
    kept = pd.read_csv(workplace / "results/tiny/answers.csv", dtype=str)
    masks = kept[kept["stage"] == "search"].set_index("trial")["right"]
    ones = masks.map(lambda mask: int(mask, 16).bit_count())
    assert ones.sort_index().to_dict() == trials["correct_search"].sort_index().to_dict()
