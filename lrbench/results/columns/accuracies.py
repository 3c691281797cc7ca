"""The columns of a trial's accuracies, stage by stage, on the test split and on the search split."""

from collections.abc import Callable
from typing import Any

from lrbench.results.columns.column import COUNT, NUMBER, SHARE, WHEN_DONE, WHOLE, Column, Text, beside
from lrbench.results.columns.outcomes import Outcome, measured
from lrbench.results.records import MEASURED, Accuracy, Measurement

_CORRECT = "correct answers on the test split at the same stages"
_LOSS = "loss on the test split at the same stages"

_STAGES: dict[str, Callable[[Measurement], Accuracy | None]] = {
    "dense": lambda done: done.dense,
    "truncated": lambda done: done.truncated,
    "recalibrated": lambda done: done.recalibrated,
    "finetuned": lambda done: done.after_finetuning,
    "kept": lambda done: done.kept_accuracy,
}
"""By the end of a column's name, the accuracy that is in it."""

_MEANINGS = {
    "dense": "accuracy of the dense baseline, before this trial's finetuning: of the model as given, where weights are",
    "truncated": "accuracy right after truncation",
    "recalibrated": "accuracy after re-estimating batch norm on calibration images, before finetuning; empty: not done",
    "finetuned": "accuracy after finetuning; empty: nothing was finetuned",
    "kept": "accuracy of the model that was kept, which reports and exports mean",
}
_ALWAYS = ("dense", "truncated", "kept")
"""Stages that every finished trial has."""

_KEPT = Text(pattern="dense|truncated|recalibrated|finetuned", allowed="dense, truncated, recalibrated or finetuned")


def _of(stage: str, field: str) -> Callable[[Outcome], Any]:
    """A cell of a stage: a field of its accuracy; empty where the trial did not have the stage."""
    return measured(lambda done: getattr(_STAGES[stage](done), field, None))


def _of_search(stage: str) -> Callable[[Outcome], Any]:
    return measured(lambda done: getattr(done.search_after(stage), "accuracy", None))


def _test(stage: str) -> tuple[Column[Outcome], Column[Outcome], Column[Outcome]]:
    """The columns of a stage: accuracy, correct answers, loss."""
    filled = WHEN_DONE if stage in _ALWAYS else None
    most = "samples" if stage in ("finetuned", "kept") else ""
    return (
        Column(f"accuracy_{stage}", SHARE, _of(stage, "accuracy"), _MEANINGS[stage], filled=filled),
        Column(
            f"correct_{stage}",
            WHOLE,
            _of(stage, "correct"),
            _CORRECT,
            filled=filled if stage == "kept" else None,
            at_most=most,
        ),
        Column(f"loss_{stage}", NUMBER, _of(stage, "loss"), _LOSS),
    )


_accuracies, _corrects, _losses = zip(*map(_test, ("dense", *MEASURED)), strict=True)

ACCURACIES: tuple[Column[Outcome], ...] = (
    *_accuracies,
    *_corrects,
    Column("samples", COUNT, measured(lambda done: done.dense.samples), "images of the test split", filled=WHEN_DONE),
    *_losses,
)

SEARCHED: tuple[Column[Outcome], ...] = (
    Column(
        "accuracy_search",
        SHARE,
        measured(lambda done: done.search and done.search.accuracy),
        "accuracy of the kept model on the **search** split, by which trials may be chosen",
    ),
    Column(
        "correct_search",
        WHOLE,
        measured(lambda done: done.search and done.search.correct),
        "correct answers of the kept model on the search split",
        at_most="samples_search",
    ),
    Column(
        "samples_search",
        COUNT,
        measured(lambda done: done.search and done.search.samples),
        "images of the search split",
        filled=beside("correct_search"),
    ),
    Column(
        "loss_search",
        NUMBER,
        measured(lambda done: done.search and done.search.loss),
        "loss of the kept model on the search split",
    ),
)

KEPT: tuple[Column[Outcome], ...] = (
    Column(
        "kept",
        _KEPT,
        measured(lambda done: done.kept_stage),
        "the stage whose model was kept; `dense`: a dense control as the model was given",
        filled=WHEN_DONE,
    ),
    *_test("kept"),
    *(
        Column(
            f"accuracy_search_{stage}",
            SHARE,
            _of_search(stage),
            "accuracy on the search split after each stage; empty: not measured",
        )
        for stage in MEASURED
    ),
)
