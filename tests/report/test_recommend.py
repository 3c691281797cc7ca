"""What is recommended, against going through every point; how seeds are pooled; the real command on small folders."""

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import samples
from hypothesis import given, settings
from hypothesis import strategies as st

from lrbench.errors import InputError
from lrbench.report.choice.constraints import ACCURACIES, CONSTRAINTS, COSTS
from lrbench.report.choice.pick import choices_of
from lrbench.report.choice.recommend import Nearest, recommend
from lrbench.report.frames.pooling import with_timings
from lrbench.report.frames.rivals import Where, choose_rivals, choose_setting
from lrbench.report.results import Results
from lrbench.results.records import Accuracy, Measurement, Record
from lrbench.statistics.components import Component
from lrbench.statistics.posterior import Answers, Share, drop_between
from lrbench.statistics.shrinkage import Shrunk

EVEN = ("--confidence", 0.5)
DENSE = {"scheme": "dense", "layer_set": "none", "rank_rule": "none"}
STEP = st.integers(1, 10).map(lambda tenth: tenth / 10)
POINT = st.fixed_dictionaries(
    {
        "accuracy": STEP,
        "loss": st.integers(0, 3),
        "ratio": st.one_of(st.none(), STEP),
        "mac_ratio": STEP,
        "param_ratio": STEP,
        "fit": st.booleans(),
        "dense": st.sampled_from([False, False, False, True]),
    }
)
POINTS = st.lists(POINT, min_size=1, max_size=9).filter(lambda all_: not all(one["dense"] for one in all_))
LIMITS = st.dictionaries(st.sampled_from(list(CONSTRAINTS)), STEP, min_size=1)
SURE = st.sampled_from([0.05, 0.5, 0.8, 0.99])
IMAGES = 40
LUCK = Component(variance=0.01**2, freedom=5.0)
Point = Mapping[str, Any]


def shrunk(moments: list[tuple[float, float]]) -> list[Shrunk]:
    """Posteriors of drops of this mean and error, of whose luck nothing was drawn."""
    return [
        Shrunk(
            weights=np.ones(1),
            means=np.full(1, mean),
            width=error,
            freedom=np.inf,
            drops=np.full(1, mean),
            luck=Component(variance=error**2 + LUCK.variance, freedom=5.0),
        )
        for mean, error in moments
    ]


def frame(rows: list[dict[str, object]]) -> pd.DataFrame:
    """Points with posteriors of drops around 1 - accuracy, on the first images of 40."""
    made = pd.DataFrame(rows).assign(name=[f"p{i}" for i in range(len(rows))], drop=lambda f: 1 - f["accuracy"])
    right = [np.arange(IMAGES) < IMAGES * accuracy for accuracy in made["accuracy"]]
    shares = [Share(mean=accuracy, error=0.1) for accuracy in made["accuracy"].clip(0.05, 0.95)]
    return made.assign(
        accuracy_posterior=shares,
        accuracy_retrained=[share.with_luck(LUCK, 1) for share in shares],
        luck=[LUCK] * len(made),
        worth=made["accuracy"] - 1e-9 * made["loss"],
        samples=IMAGES,
        answers=[Answers(correct={0: int(one.sum())}, samples=IMAGES, right=one[None].astype(float)) for one in right],
        drop_posterior=shrunk([(drop, 0.1) for drop in made["drop"]]),
        log_error=0.1,
        freedom=9.0,
    )


def is_tied(one: Point, other: Point) -> bool:
    """Whether the interval of the difference reaches 0; each was trained once."""
    low, high = drop_between(one["answers"], other["answers"]).with_luck(LUCK, 2.0).interval()
    return low <= 1e-12 and high >= -1e-12


def chance(row: Point, name: str, limit: float) -> float:
    value = row[CONSTRAINTS[name].column]
    return 0.0 if value is None or pd.isna(value) else CONSTRAINTS[name].probability(row, limit)


def beats(one: Point, other: Point, column: str) -> bool:
    """At least as good in cost and in accuracy (of equal ones the smaller loss), and better in one."""
    as_accurate = (one["accuracy"], -one["loss"]) >= (other["accuracy"], -other["loss"])
    same = all(one[name] == other[name] for name in (column, "accuracy", "loss"))
    return one[column] <= other[column] and as_accurate and not same


def eligible_of(rows: list[Point], limits: Mapping[str, float], confidence: float, cost: str) -> list[Point]:
    """By going through all points: those that keep to the limits of cost, fit ones where latency counts."""
    costly = {name: limit for name, limit in limits.items() if name not in ACCURACIES}
    kept = [row for row in rows if all(chance(row, *limit) >= confidence for limit in costly.items())]
    kept = [row for row in kept if not pd.isna(row[CONSTRAINTS[cost].column])]
    if "latency" in (*costly, cost) and any(row["fit"] and not row["dense"] for row in kept):
        kept = [row for row in kept if row["fit"] or row["dense"]]
    return kept


def best(rows: list[Point], limits: Mapping[str, float], confidence: float, objective: str, cost: str) -> set[str]:
    """By going through all points: the names of those that may be chosen."""
    column, kept = CONSTRAINTS[cost].column, eligible_of(rows, limits, confidence, cost)
    front = [row for row in kept if not any(beats(other, row, column) for other in kept)]
    told = {name: limit for name, limit in limits.items() if name in ACCURACIES}
    sure = {row["name"] for row in kept if all(chance(row, *limit) >= confidence for limit in told.items())}
    cut = [row for row in kept if row["name"] in sure and not row["dense"]]
    candidates = [row for row in front if row["name"] in sure]
    if not candidates or not cut:
        return set()
    if objective == "accuracy":
        top = max(candidates, key=lambda row: row["worth"])
        tied = [row for row in kept if is_tied(top, row)]
        least = min(row["accuracy"] for row in tied)
        named = [row for row in tied if row["accuracy"] > least] or tied
        candidates = [row for row in candidates if row in named]
        lowest = min(row["loss"] for row in candidates)
        candidates = [row for row in candidates if row["loss"] == lowest]
    cheapest = min(row[column] for row in candidates)
    chosen = [row for row in candidates if row[column] == cheapest]
    if objective != "accuracy" and any(row["dense"] for row in chosen):
        chosen = [row for row in chosen if not row["dense"] or all(other[column] >= cheapest for other in cut)]
    return {row["name"] for row in chosen}


@settings(max_examples=40)
@given(POINTS, LIMITS, SURE, st.sampled_from([None, *COSTS]))
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
    assert (found.point is None) == (not expected)
    if found.point is None:
        check_nearest(cut, limits, confidence, found.nearest)
        if found.surest:
            asked = recommend(points, limits, confidence=found.surest.probability, minimise=minimise)
            assert asked.point is not None
            assert asked.point["name"] == found.surest.point
        return
    assert found.point["name"] in expected
    for one in found.held:
        assert one.value == found.point[CONSTRAINTS[one.name].column]
        others = {key: value for key, value in limits.items() if key != one.name}
        without = best(rows, others, confidence, objective, cost)
        assert one.binding == (found.point["name"] not in without) or len(without | expected) > 1, "of equals the first"
    kept = eligible_of(rows, limits, confidence, cost)
    check_neighbours(kept, found.point, CONSTRAINTS[cost].column, (found.cheaper, found.dearer))
    assert found.tied == sum(is_tied(found.point, row) for row in kept) - 1


@settings(max_examples=40)
@given(POINTS, LIMITS, SURE, st.sampled_from([None, *COSTS]))
def test_a_recommended_point_is_never_beaten_in_its_own_table(
    drawn: list[dict[str, object]], limits: dict[str, float], confidence: float, minimise: str | None
) -> None:
    points = frame([{**one, "ratio": one["ratio"] or 1.0} for one in drawn])
    found = recommend(points, limits, confidence=confidence, minimise=minimise)
    if found.point is None:
        return
    column = CONSTRAINTS[found.cost].column
    shown = [row for row in (found.cheaper, found.dearer) if row is not None]
    assert not any(beats(row, found.point, column) for row in shown)
    dense = [row for row in points.to_dict("records") if row["dense"]]
    allowed = eligible_of(dense, limits, confidence, found.cost)
    assert not any(beats(row, found.point, column) for row in allowed), "nor by the dense control, if that would do"


def check_nearest(
    cut: list[Point], limits: Mapping[str, float], confidence: float, nearest: tuple[Nearest, ...]
) -> None:
    assert [one.name for one in nearest] == list(limits)
    for one in nearest:
        column, worth = CONSTRAINTS[one.name].column, max if one.name == "accuracy" else min
        others = {key: value for key, value in limits.items() if key != one.name}
        kept = [row for row in cut if all(chance(row, *limit) >= confidence for limit in others.items())]
        for among, found in ((cut, one.alone), (kept, one.together)):
            rows = {row["name"]: row for row in among if not pd.isna(row[column])}
            assert (found is None) == (not rows)
            if found is not None:
                assert found.value == worth(row[column] for row in rows.values()) == rows[found.point][column]
                assert found.probability == chance(rows[found.point], one.name, one.limit)


def check_neighbours(rows: list[Point], point: Point, column: str, beside: tuple[Point | None, ...]) -> None:
    """The neighbours are on the front, and no point of the front lies between."""
    front = [row[column] for row in rows if not any(beats(other, row, column) for other in rows)]
    cheaper = max((cost for cost in front if cost < point[column]), default=None)
    dearer = min((cost for cost in front if cost > point[column]), default=None)
    assert tuple(one and one[column] for one in beside) == (cheaper, dearer)


def point(**changes: object) -> dict[str, object]:
    half = dict.fromkeys(("accuracy", "ratio", "mac_ratio", "param_ratio"), 0.5)
    return {**half, "loss": 1, "fit": True, "dense": False, **changes}


def test_the_dense_control_is_recommended_where_it_beats_what_would_do() -> None:
    """Seen in the wild: 1.038 of dense's latency at 79.85 %, beside the dense control at 82.95 %."""
    slow, slower = point(ratio=1.038, accuracy=0.8), point(ratio=1.2, accuracy=0.85)
    dense = point(ratio=1.0, accuracy=0.9, dense=True, mac_ratio=1.0, param_ratio=1.0)
    found = recommend(frame([slow, slower, dense]), {"max-drop": 0.9}, minimise="latency")
    assert found.point is not None
    assert found.point["dense"]
    assert recommend(frame([slow, slower]), {"max-drop": 0.9}, minimise="latency").point["name"] == "p0"
    fast = point(ratio=0.7, accuracy=0.8)
    assert recommend(frame([slow, fast, dense]), {"max-drop": 0.9}, minimise="latency").point["name"] == "p1"
    assert recommend(frame([slow, dense]), {"max-drop": 0.01}, confidence=0.9, minimise="latency").point is None


def test_ties_in_accuracy_are_broken_by_loss_and_never_for_the_least_accurate() -> None:
    """A hundred points with all images right: their losses tell them apart."""
    tied = [point(accuracy=1.0, loss=100 - i, ratio=0.2 + i / 1000) for i in range(100)]
    found = recommend(frame(tied), {"latency": 0.9})
    assert found.point is not None
    assert (found.point["loss"], found.tied) == (1, 99)
    near = [
        point(accuracy=1.0, loss=3, ratio=0.5),
        point(accuracy=0.975, loss=2, ratio=0.4),
        point(accuracy=0.95, loss=1),
    ]
    lowest = [*near[:2], {**near[2], "ratio": 0.3}]
    found = recommend(frame(lowest), {"latency": 0.9})
    assert found.point["name"] == "p1", "p2 has the least loss, and is the least accurate of the three"


def test_a_point_that_is_beaten_by_a_less_certain_one_is_no_reason_to_take_the_dense() -> None:
    unsure = point(ratio=0.3, accuracy=0.9)
    sure, dense = point(ratio=0.5, accuracy=0.8), point(ratio=1.0, accuracy=0.85, dense=True, mac_ratio=1.0)
    points = frame([unsure, sure, dense])
    points["drop_posterior"] = shrunk([(0.1, 0.5), (0.1, 0.01), (0.0, 0.01)])
    found = recommend(points, {"max-drop": 0.2}, confidence=0.8, minimise="latency")
    assert found.point is None
    assert found.surest is not None
    assert found.surest.point == "p0"


def test_known_costs_hold_or_do_not_and_the_rest_is_a_probability() -> None:
    points = frame([point()])
    held = {one.name: one.probability for one in recommend(points, {"macs": 0.5, "params": 0.7, "latency": 0.5}).held}
    assert held == {"macs": 1.0, "params": 1.0, "latency": pytest.approx(0.5)}
    assert recommend(points, {"accuracy": 0.5}).held[0].probability == pytest.approx(0.5)
    assert recommend(points, {"max-drop": 0.8}).held[0].probability > 0.99


def test_a_timing_without_a_spread_is_taken_at_its_value() -> None:
    points = frame([point()]).assign(freedom=0.0)
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


def pooled(path: Path, log: list[Record]) -> pd.DataFrame:
    results = Results(samples.folder_of(path, log))
    trials, _ = choose_rivals(results.done, None)
    ratios, _ = choose_setting(results.latency_ratios, Where())
    return with_timings(choices_of(results, trials).points, ratios).set_index("name")


def test_seeds_are_pooled_into_points_and_the_best_on_the_search_split_is_exported(tmp_path: Path) -> None:
    points = pooled(tmp_path, study())
    assert list(points.index) == ["dense control", "channel, layers early, rank=8", "channel, layers early, rank=16"]
    eight = points.loc["channel, layers early, rank=8"]
    assert eight["trials"] == ("rank=8 0", "rank=8 1")
    assert eight["trial"] == "rank=8 0"
    assert (eight["accuracy"], eight["drop"]) == pytest.approx((0.90, 0.02))
    assert (eight["test_accuracy"], eight["test_drop"]) == pytest.approx((0.80, 0.10))
    assert eight["test_drop_low"] < 0.10 < eight["test_drop_high"]
    assert eight["ratio"] == pytest.approx(0.5 * 1.02**0.5, rel=1e-3)
    assert points.loc["channel, layers early, rank=16", "trial"] == "rank=16 1"


def test_a_drop_is_weighed_image_by_image_where_answers_were_kept(tmp_path: Path) -> None:
    log = study()
    bare = [
        replace(one, finetuned=replace(one.finetuned, right="")) if isinstance(one, Measurement) else one for one in log
    ]
    kept, lost = (pooled(tmp_path / name, records).iloc[2] for name, records in (("kept", log), ("lost", bare)))
    widths = [point["test_drop_high"] - point["test_drop_low"] for point in (kept, lost)]
    assert widths[0] < 0.7 * widths[1]


def test_a_seed_that_comes_again_is_another_recipe_and_another_point(tmp_path: Path) -> None:
    again = judged("again", test=70, search=70, arch="a0", rank_rule="rank=8")
    names = pooled(tmp_path, [*study(), again]).reset_index()["name"]
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


def test_it_says_how_sure_it_is_of_these_weights_and_of_the_method_retrained(tmp_path: Path, lrbench) -> None:
    folder = samples.folder_of(tmp_path, study())
    found = json.loads(lrbench("recommend", folder, "--max-drop", 3, "--macs", 0.5, *EVEN, "--format", "json").output)
    drop, macs = found["constraints"]
    assert 0 < drop["retrained"] < drop["probability"] < 1, "the better of two seeds, which are 2 points apart"
    assert macs["retrained"] == macs["probability"] == 1
    told = lrbench("recommend", folder, "--max-drop", 3, *EVEN).output
    assert "these weights hold with" in told
    said = (
        f"probability of {drop['probability']:.1%}; the same method trained again would with {drop['retrained']:.1%}."
    )
    assert said in told
    assert "from 2 points with several seeds (t, " in told
    once = [one for one in study() if not (isinstance(one, Measurement) and one.trial.seed)]
    told = lrbench("recommend", samples.folder_of(tmp_path / "once", once), "--max-drop", 3, *EVEN).output
    assert "Training noise: 0.3 points" in told
    assert "from published studies, since no point has several seeds (t, 3.0 degrees of freedom)" in told


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
    closest = json.loads(result.output)["closest"]
    assert closest["reached"].keys() == {"max-drop", "latency"}
    said, name, trial = " ".join(text.output.split()), closest["point"]["name"], closest["point"]["trial"]
    assert f"closest to all is {name}, trial {trial}" in said
    assert f"to export what comes closest: lrbench export {folder} '{trial}' " in said
    hopeless = lrbench("recommend", folder, "--macs", 0.01, "--format", "json")
    assert hopeless.exit_code == 1
    told = json.loads(hopeless.output)
    assert (told["surest"], told["closest"]["point"]["trial"] in told["command"]) == (None, True)
    unsure = lrbench("recommend", folder, "--max-drop", 2)
    assert unsure.exit_code == 1
    assert "keeps to all that is wanted with a probability of 80% each" in unsure.output
    surest = json.loads(lrbench("recommend", folder, "--max-drop", 2, "--format", "json").output)["surest"]
    assert surest["point"] == "channel, layers early, rank=8"
    assert f"it keeps to each limit with {surest['probability']:.1%} or more" in unsure.output
    assert lrbench("recommend", folder, "--max-drop", 2, "--confidence", surest["probability"]).exit_code == 0


def test_unfit_timings_come_last_and_are_said(tmp_path: Path, lrbench) -> None:
    log = study()
    log[-1] = samples.session({"a0": 0.5}, control_within=1e-9, noise=0.02)  # every control is wider than that
    wall = [(1.0, 1.0 + 0.01 * (turn % 2), 0.5) for turn in range(20)]
    log[-1] = replace(log[-1], rounds=samples.rounds_of(wall))
    alone = lrbench("recommend", samples.folder_of(tmp_path / "unfit", log), "--latency", 0.7)
    assert alone.exit_code == 0
    assert "UNFIT timings (recommended)" in alone.output
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


def test_a_cheaper_point_that_is_too_unsure_is_taken_by_who_asks_for_less(lrbench) -> None:
    words = ("recommend", Path(__file__).parents[2] / "results" / "imagenette", "--max-drop", 1, "--format", "json")
    usual = json.loads(lrbench(*words).output)
    (note,) = [note for note in usual["notes"] if note.startswith("The next cheaper point was not taken")]
    chance = float(re.findall(r"probability of ([\d.]+)% only", note)[0]) / 100
    assert chance < usual["confidence"]
    bolder = json.loads(lrbench(*words, "--confidence", chance - 0.001).output)
    assert bolder["recommended"]["trial"] == usual["cheaper"]["trial"]


def test_a_real_sweep_is_chosen_from_by_its_search_split(workplace: Path, lrbench, undrawn: None) -> None:
    words = ("--set", "sweep.ranks=['rank=1','rank=2','rank=4']", "--set", "sweep.schemes=['channel']")
    assert lrbench("sweep", "tiny.toml", *words).exit_code == 0
    found = json.loads(lrbench("recommend", "results/tiny", "--macs", 0.99, "--format", "json").output)
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
