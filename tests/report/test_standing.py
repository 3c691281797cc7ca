"""The three words for a point, how probable the front is, and what a trial loses to its dense control."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import samples
from hypothesis import given
from hypothesis import strategies as st

from lrbench.report.frames.control import with_control
from lrbench.report.frames.latency import latency_ratios
from lrbench.report.frames.pooling import pool_points, unpack_answers
from lrbench.report.frames.standing import BEATEN, FRONT, UNPROVEN, standings, words_of
from lrbench.report.frames.trials import done_trials
from lrbench.results.records import Accuracy, Measurement, Record
from lrbench.results.tables import build_tables
from lrbench.statistics.components import Component
from lrbench.statistics.posterior import Answers, drop_between

IMAGES = 100
LUCK = Component(variance=0.01**2, freedom=4.0)
POINTS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, IMAGES), st.integers(0, 3), st.sampled_from([True, True, False, None])),
    min_size=1,
    max_size=12,
)
"""Cost, right answers, loss, and whether the timing is fit."""


def frame(points: list[tuple[int, int, int, bool | None]]) -> pd.DataFrame:
    answers = [
        Answers(correct={0: right}, samples=IMAGES, right=(np.arange(IMAGES) < right)[None].astype(float))
        for _, right, _, _ in points
    ]
    costs, rights, losses, fit = zip(*points, strict=True)
    worth = np.array(rights) / IMAGES - 1e-9 * np.array(losses)
    made = pd.DataFrame({"macs": costs, "ratio": costs, "fit": fit, "worth": worth, "answers": answers})
    return made.assign(luck=[LUCK] * len(made))


def lead_of(points: list[tuple[int, int, int, bool | None]], i: int, j: int) -> float:
    """The lower end of the lead of a point over another, each trained once."""
    answers = frame(points)["answers"]
    return drop_between(answers[i], answers[j]).with_luck(LUCK, 2.0).interval()[0]


def by_definition(points: list[tuple[int, int, int, bool | None]], counts: list[bool]) -> list[str]:
    """Word by word, over all pairs."""

    def beats(one: tuple, other: tuple) -> bool:
        as_accurate = (one[1], -one[2]) >= (other[1], -other[2])
        return one[0] <= other[0] and as_accurate and one[:3] != other[:3]

    front = [not any(counts[j] and beats(points[j], point) for j in range(len(points))) for point in points]
    words = []
    for i, (cost, *_) in enumerate(points):
        leads = [
            lead_of(points, i, j)
            for j in range(len(points))
            if front[i] and front[j] and counts[j] and points[j][0] < cost
        ]
        words.append(BEATEN if not front[i] else UNPROVEN if any(low <= 1e-12 for low in leads) else FRONT)
    return words


@given(POINTS)
def test_each_point_has_the_word_of_its_definition(points: list[tuple[int, int, int, bool | None]]) -> None:
    everyone = [True] * len(points)
    assert words_of(frame(points), cost="macs") == by_definition(points, everyone)
    fit = [point[3] is True for point in points]
    assert words_of(frame(points), cost="ratio") == by_definition(points, fit if any(fit) else everyone)


def logged(log: list[Record]) -> pd.DataFrame:
    tables = {name: table.infer_objects() for name, table in build_tables(log).items()}
    right = unpack_answers(tables["answers"])
    return standings(done_trials(tables["trials"]), latency_ratios(tables["latency"]), right)


def test_every_trial_stands_in_params_macs_and_each_setting() -> None:
    log = [*samples.sweep(), samples.session({"a0": 0.5}, environment="e1")]
    found = logged(log)
    assert found.groupby("cost").size().to_dict() == {"macs": 9, "params": 9, "ratio": 9 + 2}
    assert set(found["standing"]) <= {FRONT, UNPROVEN, BEATEN}
    assert (found["on_front"] == (found["standing"] != BEATEN)).all()
    assert ((found["probability"] >= 0) & (found["probability"] <= 1)).all()
    assert set(found["resamples"]) == {1000}
    assert logged([]).empty
    pd.testing.assert_frame_equal(found, logged(log))


def judged(
    key: str, *, search: int, test: int = 80, macs: int = 50, arch: str = "a0", **changes: object
) -> Measurement:
    made = samples.measurement(samples.trial(key, **changes), correct=test, arch=arch, macs=macs)
    right = np.packbits(np.arange(IMAGES) < search).tobytes().hex()
    return replace(made, search=Accuracy(correct=search, samples=IMAGES, loss=1 - search / IMAGES, right=right))


def test_a_lone_point_of_the_front_is_there_in_every_resample() -> None:
    log = [
        judged("low", search=50, macs=20, rank_rule="rank=1"),
        judged("high", search=95, macs=60, rank_rule="rank=9"),
    ]
    found = logged([*log, judged("worse", search=20, macs=80, rank_rule="rank=3")]).set_index(["cost", "trial"])
    assert found.loc["macs", "probability"].to_dict() == {"low": 1.0, "high": 1.0, "worse": 0.0}
    assert found.loc["macs", "standing"].to_dict() == {"low": FRONT, "high": FRONT, "worse": BEATEN}


def test_words_go_by_the_search_split_and_by_all_seeds() -> None:
    log = [
        judged("a0", search=90, test=50, macs=40, rank_rule="rank=4", seed=0),
        judged("a1", search=80, test=50, macs=40, rank_rule="rank=4", seed=1),
        judged("b0", search=84, test=99, macs=60, rank_rule="rank=6", seed=0),
    ]
    found = logged(log)
    assert set(found["split"]) == {"search"}
    words = found[found["cost"] == "macs"].set_index("trial")
    assert words["standing"].to_dict() == {"a0": FRONT, "a1": FRONT, "b0": BEATEN}, "85 of 100 on average for less"
    assert words["point_trial"].to_dict() == {"a0": "a0", "a1": "a0", "b0": "b0"}
    blind = [replace(one, search=None) for one in log]
    assert logged(blind).set_index(["cost", "trial"]).loc["macs", "standing"]["b0"] == FRONT
    assert set(logged(blind)["split"]) == {"test"}


def test_of_equal_answers_the_smaller_loss_is_better() -> None:
    log = [judged("a", search=90, macs=40, rank_rule="rank=4"), judged("b", search=90, macs=60, rank_rule="rank=6")]
    sharper = replace(log[1], search=replace(log[1].search, loss=0.01))
    words = [
        logged([log[0], other]).set_index(["cost", "trial"])["standing"]["macs", "b"] for other in (log[1], sharper)
    ]
    assert words == [BEATEN, UNPROVEN]
    worth = pool_points(done_trials(build_tables([log[0], sharper])["trials"].infer_objects()), {}, split="search")[
        "worth"
    ]
    assert worth[0] < worth[1] < worth[0] + 1e-6


def test_only_rivals_are_compared() -> None:
    log = [judged("a", search=90, macs=40, rank_rule="rank=4"), judged("b", search=50, macs=60, rank_rule="rank=6")]
    apart = replace(log[1], trial=replace(log[1].trial, recipe="frozen"))
    words = [logged([log[0], other]).set_index(["cost", "trial"])["standing"]["macs", "b"] for other in (log[1], apart)]
    assert words == [BEATEN, FRONT]


def answered(key: str, correct: int, samples_: int, *, kept: bool = False, **changes: object) -> Measurement:
    made = samples.measurement(samples.trial(key, **changes), correct=correct)
    right = np.packbits(np.arange(samples_) < correct).tobytes().hex() if kept else ""
    seen = Accuracy(correct=correct, samples=samples_, loss=0.5, right=right)
    return replace(made, dense=seen, truncated=seen, finetuned=seen)


DENSE = {"scheme": "dense", "layer_set": "none", "rank_rule": "none"}


def controlled(*made: Measurement) -> pd.DataFrame:
    tables = build_tables(made)
    right = unpack_answers(tables["answers"])
    return with_control(done_trials(tables["trials"].infer_objects()), right).set_index("trial")


def test_the_interval_of_a_loss_is_newcombes_own_example() -> None:
    found = controlled(answered("d", 56, 70, **DENSE), answered("t", 48, 80))
    assert found.loc["t", ["loss", "loss_low", "loss_high"]].tolist() == pytest.approx([0.2, 0.0524, 0.3339], abs=5e-5)
    assert found.loc["d", "loss"] == 0


def test_where_answers_were_kept_a_loss_is_paired_and_narrower() -> None:
    kept, lost = (
        controlled(answered("d", 90, 100, kept=kept, **DENSE), answered("t", 85, 100, kept=kept)).loc["t"]
        for kept in (True, False)
    )
    assert kept["loss"] == lost["loss"] == pytest.approx(0.05)
    assert kept["loss_low"] > 0 > lost["loss_low"], "the five images lost are five of those the control got right"
    assert kept["loss_high"] - kept["loss_low"] < 0.6 * (lost["loss_high"] - lost["loss_low"])


def test_a_trial_is_held_against_the_control_of_its_own_seed() -> None:
    controls = [answered(f"d{seed}", 80 + seed, 100, seed=seed, **DENSE) for seed in (0, 1)]
    found = controlled(*controls, *(answered(f"t{seed}", 80, 100, seed=seed) for seed in (0, 1, 2)))
    assert found.loc[["t0", "t1", "t2"], "loss"].tolist() == pytest.approx([0, 0.01, 0])
    assert found.loc[["t0", "t1", "t2"], "control"].tolist() == ["d0", "d1", "d0"]
    assert controlled(answered("t", 80, 100))["loss"].isna().all(), "no control, no loss"


def test_a_trial_is_held_against_the_control_of_its_own_weights() -> None:
    """Also where that has another seed; of other weights only where there is none of the same."""
    controls = [answered(f"d{i}", 80 + i, 100, seed=i, weights=f"w{i}", **DENSE) for i in (0, 1)]
    cut = [("a", "w0", 0), ("b", "w1", 1), ("c", "w1", 0), ("d", "w2", 1), ("e", "w2", 7)]
    trials = [answered(name, 80, 100, weights=weights, seed=seed) for name, weights, seed in cut]
    found = controlled(*controls, *trials)
    assert found.loc[[name for name, *_ in cut], "control"].tolist() == ["d0", "d1", "d1", "d1", "d0"]
