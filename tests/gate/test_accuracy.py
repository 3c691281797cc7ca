"""Drops in accuracy: how often an allowed one is called worse, how often a larger one is found, what is said of it."""

from math import sqrt
from pathlib import Path

import noise
import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest, norm

from lrbench.gate.accuracy import judge_answers
from lrbench.gate.formats import summary
from lrbench.gate.tolerances import AccuracyTolerance
from lrbench.gate.verdicts import Judgement, Verdict
from lrbench.statistics.posterior import Answers

ROOT = Path(__file__).parents[2]
CASES, IMAGES = 150, 3925


def called_worse(*, seeds: int, excess: float) -> int:
    random = np.random.default_rng(seeds)
    return sum(
        noise.judged(random, noise.Training(), excess=excess, seeds=seeds, images=IMAGES)[0] for _ in range(CASES)
    )


@pytest.mark.parametrize("seeds", [1, 2, 6])
def test_an_allowed_drop_is_rarely_called_worse(seeds: int) -> None:
    worse = called_worse(seeds=seeds, excess=0.0)
    assert binomtest(worse, CASES, 0.01, alternative="greater").pvalue > 0.1, f"{worse} of {CASES}"


@pytest.mark.parametrize(("seeds", "excess"), [(1, 0.025), (6, 0.015)])
def test_a_drop_beyond_what_is_allowed_is_found(seeds: int, excess: float) -> None:
    assert called_worse(seeds=seeds, excess=excess) >= 0.9 * CASES


def test_the_published_study_keeps_to_one_percent_and_finds_nine_of_ten() -> None:
    study = pd.read_csv(ROOT / "results/gate/accuracy.csv")
    share = study["worse"] / study["cases"]
    assert (share[(study["excess"] == 0) & (study["noise"] != "four times")] <= 0.01).all()
    measured = study[study["noise"] == "measured"].assign(share=share).set_index(["seeds", "excess"])["share"]
    assert measured[1, 0.025] >= 0.9
    assert measured[6, 0.015] >= 0.9


def test_what_is_assumed_of_seeds_is_what_the_published_study_shows() -> None:
    trials = pd.read_csv(ROOT / "results/imagenette/trials.csv")
    point = ["scheme", "truncation", "layer_set", "rank_rule", "recipe"]
    seeds = trials.groupby(point)["accuracy_finetuned"].agg(["size", "var"]).query("size > 1")
    assert len(seeds) == 14
    assert round(sqrt(seeds["var"].mean()), 4) == AccuracyTolerance().seed_sd


def test_made_up_noise_is_as_large_as_what_was_measured() -> None:
    """What tests/noise.py says of itself: 5.65 % of the images answered differently, 0.315 points from seed to seed."""
    random = np.random.default_rng(0)
    pairs = [noise.versions(random, noise.Training(), drops=(0.0,), seeds=2, images=IMAGES)[0] for _ in range(300)]
    assert np.mean([np.abs(np.diff(pair.right, axis=0)).mean() for pair in pairs]) == pytest.approx(0.0565, rel=0.02)
    assert np.std([np.diff(pair.accuracies) for pair in pairs]) / sqrt(2) == pytest.approx(0.00315, rel=0.1)


def answers(*wrong: int, images: int = 1000, turn: int = 0) -> Answers:
    """By seed, so many images answered wrongly: the first ones, or those from `turn` on."""
    right = np.array([np.roll(np.arange(images) >= count, turn) for count in wrong], dtype=float)
    return Answers(correct={seed: images - count for seed, count in enumerate(wrong)}, samples=images, right=right)


def judge(base: list[Answers], current: list[Answers], **tolerance: float) -> list[Verdict]:
    sides = ({(str(name), "finetuned"): one for name, one in enumerate(side)} for side in (base, current))
    return list(judge_answers(*sides, AccuracyTolerance(**tolerance)))


def test_the_excess_that_would_be_found_follows_from_images_seeds_and_names() -> None:
    base, current = answers(150), answers(158, turn=500)
    (verdict,) = judge([base], [current], seed_sd=0.01)
    error = sqrt((150 + 158 + 1 - 8**2 / 1000) / 1000**2 + 2 * 0.01**2)
    assert verdict.power is not None
    assert verdict.power.excess == pytest.approx((norm.isf(0.01) + norm.ppf(0.9)) * error, rel=1e-4)
    pair = judge([base, base], [current, base], seed_sd=0.01)
    assert pair[0].power is not None
    assert pair[0].power.excess == pytest.approx((norm.isf(0.01 / 2) + norm.ppf(0.9)) * error, rel=1e-4)
    said = summary(Judgement(verdicts=tuple(pair)))
    assert said[0] == "lrbench check: passed (2 ok)"
    assert said[1] == (
        "accuracy_finetuned: a drop 8.7 points larger than the allowed 1 would be found in 9 of 10 runs "
        "(names: 2; images: 1,000; seeds: 1; a seed is assumed to move an accuracy by 1.00 points)"
    )


@pytest.mark.parametrize(("images", "allowed"), [(360, 0.05), (3925, 0.01)])
def test_the_excess_counts_the_images_that_it_would_lose(images: int, allowed: float) -> None:
    """Two equal runs differ in no image, but a run that lost so much would: then the stated excess is found just so."""
    (verdict,) = judge([answers(30, images=images)], [answers(30, images=images)], drop=allowed)
    assert verdict.power is not None
    drop = allowed + verdict.power.excess
    error = sqrt(drop / images + 2 * AccuracyTolerance().seed_sd ** 2)
    assert verdict.power.excess / error == pytest.approx(norm.isf(0.01) + norm.ppf(0.9), rel=1e-4)


def test_many_seeds_say_themselves_how_far_they_move_an_accuracy() -> None:
    base, current = answers(*range(100, 122, 2)), answers(*range(120, 98, -2))
    (verdict,) = judge([base], [current])
    assert verdict.power is not None
    gaps = np.arange(-20, 22, 4) / 1000
    assert (verdict.power.seed_freedom, verdict.power.seed_sd) == (10, pytest.approx(gaps.std(ddof=1) / sqrt(2)))
    few = judge([answers(100, 102)], [answers(120, 99)])[0].power
    assert few is not None
    assert few.seed_freedom == 0, "two seeds say too little"
    assert few.seed_sd == pytest.approx(np.std([0.020, -0.003], ddof=1) / sqrt(2)), "but more than is assumed"


def test_runs_that_are_equal_bit_for_bit_say_nothing_of_seeds() -> None:
    still = [answers(*(range(100, 120)))] * 2
    (*_, verdict) = judge([*still, answers(100)], [*still, answers(130)])
    assert verdict.power is not None
    assert (verdict.power.seed_freedom, verdict.power.seed_sd) == (0, AccuracyTolerance().seed_sd)
