"""The columns of a trial's accuracies, stage by stage, on the test split and on the search split."""

from lrbench.results.columns.column import COUNT, NUMBER, SHARE, WHEN_DONE, WHOLE, Column, beside
from lrbench.results.columns.outcomes import Outcome, measured

_CORRECT = "correct answers on the test split at the same stages"
_LOSS = "loss on the test split at the same stages"

ACCURACIES: tuple[Column[Outcome], ...] = (
    Column(
        "accuracy_dense",
        SHARE,
        measured(lambda done: done.dense.accuracy),
        "accuracy of the dense baseline, before this trial's finetuning",
        filled=WHEN_DONE,
    ),
    Column(
        "accuracy_truncated",
        SHARE,
        measured(lambda done: done.truncated.accuracy),
        "accuracy right after truncation",
        filled=WHEN_DONE,
    ),
    Column(
        "accuracy_recalibrated",
        SHARE,
        measured(lambda done: done.recalibrated and done.recalibrated.accuracy),
        "accuracy after re-estimating batch norm on calibration images, before finetuning",
    ),
    Column(
        "accuracy_finetuned",
        SHARE,
        measured(lambda done: done.finetuned.accuracy),
        "accuracy after finetuning",
        filled=WHEN_DONE,
    ),
    Column("correct_dense", WHOLE, measured(lambda done: done.dense.correct), _CORRECT),
    Column("correct_truncated", WHOLE, measured(lambda done: done.truncated.correct), _CORRECT),
    Column(
        "correct_recalibrated",
        WHOLE,
        measured(lambda done: done.recalibrated and done.recalibrated.correct),
        _CORRECT,
    ),
    Column(
        "correct_finetuned",
        WHOLE,
        measured(lambda done: done.finetuned.correct),
        _CORRECT,
        filled=WHEN_DONE,
        at_most="samples",
    ),
    Column("samples", COUNT, measured(lambda done: done.dense.samples), "images of the test split", filled=WHEN_DONE),
    Column("loss_dense", NUMBER, measured(lambda done: done.dense.loss), _LOSS),
    Column("loss_truncated", NUMBER, measured(lambda done: done.truncated.loss), _LOSS),
    Column("loss_recalibrated", NUMBER, measured(lambda done: done.recalibrated and done.recalibrated.loss), _LOSS),
    Column("loss_finetuned", NUMBER, measured(lambda done: done.finetuned.loss), _LOSS),
)

SEARCHED: tuple[Column[Outcome], ...] = (
    Column(
        "accuracy_search",
        SHARE,
        measured(lambda done: done.search and done.search.accuracy),
        "accuracy of the finetuned model on the **search** split, by which trials may be chosen",
    ),
    Column(
        "correct_search",
        WHOLE,
        measured(lambda done: done.search and done.search.correct),
        "correct answers of the finetuned model on the search split",
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
        "loss of the finetuned model on the search split",
    ),
)
