"""What the dense model before finetuning is called: "as given" only where weights were given; what it hides."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import samples

from lrbench.config.names import STAGES
from lrbench.report.advice.advice import advise
from lrbench.report.advice.advice_texts import tables_of
from lrbench.report.advice.summary import trial_table
from lrbench.report.frames.rivals import Where
from lrbench.report.page.overlay import read_overlay
from lrbench.report.page.sections import trial_table as page_table
from lrbench.report.results import Results
from lrbench.results.records import Accuracy, KeptStage, Measurement

WORDS = {"none": "dense before finetuning", "given.pt": "the model as given"}


def seen(correct: int) -> Accuracy:
    right = np.packbits(np.arange(100) < correct).tobytes().hex()
    return Accuracy(correct=correct, samples=100, loss=0.5, right=right)


def trial_of(weights: str, *, dense: bool, kept: KeptStage, reestimated: int = 88) -> Measurement:
    names = {"scheme": "dense", "layer_set": "none", "rank_rule": "none"} if dense else {}
    planned = samples.trial("d" if dense else "t", weights=weights, recalibrate="best", **names)
    made = samples.measurement(planned, macs=100 if dense else 50, arch="dense" if dense else "a0")
    stages = {"truncated": seen(85 if dense else 60), "recalibrated": seen(reestimated), "finetuned": seen(90)}
    return replace(made, dense=seen(85), search=seen(90), kept=kept, **stages)


def folder(path: Path, weights: str, *, kept: KeptStage, reestimated: int = 88) -> Results:
    log = [
        trial_of(weights, dense=True, kept=kept, reestimated=reestimated),
        trial_of(weights, dense=False, kept="finetuned"),
    ]
    return Results(samples.folder_of(path, log))


@pytest.mark.parametrize("kept", ["dense", "finetuned"])
@pytest.mark.parametrize("weights", WORDS)
def test_as_given_is_said_only_of_given_weights(weights: str, kept: KeptStage, tmp_path: Path) -> None:
    results = folder(tmp_path / "run", weights, kept=kept)
    words, other = WORDS[weights], next(words for key, words in WORDS.items() if key != weights)
    advice = advise(results, {"max-drop": 0.5}, confidence=0.01, minimise=None, where=Where(), among=None)
    assert advice.reference == (words if kept == "dense" else "the dense control")
    told = " ".join([*advice.notes, *(head for table in tables_of(advice) for head in table.heads)])
    assert words in told
    assert other not in told
    overlay = read_overlay([results.folder])
    assert f"points from {words}" in page_table(overlay).heads
    short = words.removeprefix("the model as ")
    assert f"#points from {short}" in trial_table(results.summary).heads


@pytest.mark.parametrize(
    ("weights", "reestimated", "noted"), [("given.pt", 88, True), ("given.pt", 80, False), ("none", 88, False)]
)
def test_a_gain_that_re_estimation_alone_gives_is_noted(
    weights: str, reestimated: int, noted: bool, tmp_path: Path
) -> None:
    results = folder(tmp_path / "run", weights, kept="dense", reestimated=reestimated)
    advice = advise(results, {"max-drop": 0.5}, confidence=0.01, minimise=None, where=Where(), among=None)
    told = [note for note in advice.notes if "Batch norm re-estimated" in note]
    assert bool(told) == noted
    assert all("88.00% on the test split, and as given 85.00%" in note for note in told)


def test_every_table_uses_the_words_of_the_stages(tmp_path: Path) -> None:
    results = folder(tmp_path / "run", "none", kept="dense")
    plain = [head.removeprefix("#") for head in trial_table(results.summary).heads]
    page = page_table(read_overlay([results.folder])).heads
    measured = [STAGES[stage] for stage in ("truncated", "recalibrated", "finetuned")]
    for heads in (plain, page):
        assert [head for head in heads if head in measured] == measured
