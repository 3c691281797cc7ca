"""What each trial loses in accuracy against its dense control, on the test split."""

from collections.abc import Hashable, Iterator

import numpy as np
import pandas as pd

from lrbench.report.frames.pooling import STAGE, Right, answers_of
from lrbench.report.frames.rivals import RIVALS, Row
from lrbench.report.frames.rows import rows_of
from lrbench.statistics.posterior import drop_between

SEEDS = [*RIVALS, "seed", "baseline_seed"]
NEARNESS = ([*SEEDS, "weights"], [*RIVALS, "weights"], SEEDS, RIVALS)
"""What a trial shares with its dense control, the nearest first: other weights only where none has the same."""


def with_control(trials: pd.DataFrame, right: Right) -> pd.DataFrame:
    """Trials with `control`, the key of their dense control, `loss`, what they lose to it, and its 95 % interval.

    The control is the first dense trial that shares the first of `NEARNESS` that any shares; without finetuning it
    is the dense model with batch norm re-estimated, as after a truncation. Both see the same images: where it was kept
    which of them they got right, the interval is that of matched proportions (`drop_between`), else Newcombe's hybrid
    score (1998, method 10) for two independent samples, rather too wide. Empty where there is no control.

    Args:
        trials: finished ones with the interval of their accuracy, of one results folder.
        right: of `unpack_answers`.
    """
    controls: dict[tuple[int, tuple[Hashable, ...]], Row] = {}
    for dense in rows_of(trials[trials["scheme"] == "dense"]):
        for key in _keys(dense):
            controls.setdefault(key, dense)
    rows = []
    for trial in rows_of(trials):
        control = next((controls[key] for key in _keys(trial) if key in controls), None)
        rows.append((control["trial"], *_loss(trial, control, right)) if control else (None, np.nan, np.nan, np.nan))
    judged = pd.DataFrame(rows, index=trials.index, columns=["control", "loss", "loss_low", "loss_high"])
    return trials.join(judged)


def _keys(trial: Row) -> Iterator[tuple[int, tuple[Hashable, ...]]]:
    """What a trial and its control share, the nearest first."""
    for place, names in enumerate(NEARNESS):
        yield place, tuple(trial[name] for name in names)


def _loss(trial: Row, control: Row, right: Right) -> tuple[float, float, float]:
    """What was lost, and the ends of its interval."""
    middle, low, high = ("accuracy_kept", "accuracy_low", "accuracy_high")
    loss = control[middle] - trial[middle]
    before, after = (answers_of([row], right, stage=STAGE["test"], split="test") for row in (control, trial))
    if before.right is not None and after.right is not None and before.samples == after.samples:
        return loss, *drop_between(before, after).interval()
    return (
        loss,
        loss - np.hypot(control[middle] - control[low], trial[high] - trial[middle]),
        loss + np.hypot(control[high] - control[middle], trial[middle] - trial[low]),
    )
