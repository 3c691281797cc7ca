"""The columns of epochs.csv and answers.csv: how a trial was trained, and which images it classifies correctly."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lrbench.results.columns.column import ALWAYS, COUNT, NUMBER, RATE, SHARE, SIGNED, TEXT, Column, Table, Text
from lrbench.results.columns.outcomes import finished
from lrbench.results.records import Accuracy, Epoch, Record


@dataclass(frozen=True, kw_only=True)
class EpochRow:
    """An epoch of the trial with this key."""

    trial: str
    epoch: Epoch


@dataclass(frozen=True, kw_only=True)
class AnswerRow:
    """Which images the trial with this key classified correctly at a stage."""

    trial: str
    stage: str
    right: str


def _epochs(records: Sequence[Record]) -> Iterator[EpochRow]:
    return (EpochRow(trial=done.trial.key, epoch=epoch) for done in finished(records) for epoch in done.epochs)


def _answers(records: Sequence[Record]) -> Iterator[AnswerRow]:
    for done in finished(records):
        stages: dict[str, Accuracy | None] = {
            "truncated": done.truncated,
            "finetuned": done.after_finetuning,
            "recalibrated": done.recalibrated,
            "search": done.search,
        }
        if done.trial.scheme == "dense" and (done.dense_search or not done.trial.finetune_epochs):
            stages |= {"dense": done.dense, "dense_search": done.dense_search}
        stages[done.kept_stage] = done.kept_accuracy
        for stage, accuracy in stages.items():
            if accuracy and accuracy.right:
                yield AnswerRow(trial=done.trial.key, stage=stage, right=accuracy.right)


_BYTES = Text(pattern="([0-9a-f]{2})+", allowed="whole bytes in hexadecimal")
_SEEN = "running mean over the training images during the epoch"

EPOCHS = Table[EpochRow](
    meaning="a row for each epoch",
    rows=_epochs,
    columns=(
        Column("trial", TEXT, lambda row: row.trial, "key of the trial"),
        Column("stage", TEXT, lambda row: row.epoch.stage, "`baseline` or `finetune`"),
        Column("epoch", COUNT, lambda row: row.epoch.epoch, "number of the epoch in its stage, from 1"),
        Column("loss", SIGNED, lambda row: row.epoch.loss, _SEEN),
        Column("accuracy", SHARE, lambda row: row.epoch.accuracy, _SEEN),
        Column("learning_rate", RATE, lambda row: row.epoch.learning_rate, "learning rate at the start of the epoch"),
        Column("seconds", NUMBER, lambda row: row.epoch.seconds, "wall seconds of the epoch"),
    ),
)

ANSWERS = Table[AnswerRow](
    meaning="a row for each stage of a trial",
    note="Trials from before answers were recorded have no rows.",
    rows=_answers,
    columns=(
        Column("trial", TEXT, lambda row: row.trial, "key of the trial", filled=ALWAYS),
        Column(
            "stage",
            TEXT,
            lambda row: row.stage,
            "`truncated`, `recalibrated`, `finetuned`: test images; `search`: the kept model on the search split; "
            "`dense`, `dense_search`: the model as given on both, with the dense control",
            filled=ALWAYS,
        ),
        Column(
            "right",
            _BYTES,
            lambda row: row.right,
            "which images were classified correctly: a bit each, in order, hexadecimal, padded with 0 to whole bytes",
            filled=ALWAYS,
        ),
    ),
)
