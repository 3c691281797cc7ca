"""A results folder from Python, without torch: `lrbench.read`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from lrbench.config.names import ADVICE_CONFIDENCE
from lrbench.errors import InputError, nearest
from lrbench.report import results as report
from lrbench.report.advice.advice import Advice, advise
from lrbench.report.advice.advice_texts import headline
from lrbench.report.choice.constraints import limits_of
from lrbench.report.figures.draw import drawings
from lrbench.report.frames.rivals import Where


@dataclass(frozen=True, repr=False)
class Recommendation:
    """A recommended trial with all that has to be said of it; it prints as `lrbench recommend` does.

    Attributes:
        advice: what was chosen, among what, and how sure it is.
    """

    advice: Advice

    @property
    def trial(self) -> str | None:
        """Key of the recommended trial, None when nothing keeps to all limits."""
        point = self.advice.choice.point
        return None if point is None else str(point["trial"])

    @property
    def point(self) -> dict[str, Any] | None:
        """The recommended point: its name, costs, accuracies and their intervals; None when there is none."""
        point = self.advice.choice.point
        return None if point is None else {str(name): value for name, value in point.items()}

    def __repr__(self) -> str:
        """A sentence, then what else has to be said of it."""
        export = [f"to export it: {self.advice.command}"] if self.advice.command else []
        return "\n".join([headline(self.advice), *self.advice.warnings, *self.advice.notes, *export])


class Results:
    """A results folder: its trials and the frames, figures and recommendations that follow from them.

    Frames are computed when they are first asked for, and shared: copy one before changing it.
    """

    def __init__(self, folder: Path) -> None:
        """Name the folder.

        Raises: InputError when it is not a results folder.
        """
        self.frames = report.Results(folder)
        self.trials = self.frames.summary

    @property
    def folder(self) -> Path:
        """Where the tables lie."""
        return self.frames.folder

    @property
    def failed(self) -> pd.DataFrame:
        """Trials that failed, with their reasons."""
        return self.frames.failed

    def front(self) -> pd.DataFrame:
        """The dense controls, then the front of accuracy over MACs, by the split that chooses, cheapest first."""
        return self.frames.front

    def recommend(
        self,
        *,
        max_drop_points: float | None = None,
        accuracy_percent: float | None = None,
        latency: float | None = None,
        macs: float | None = None,
        params: float | None = None,
        confidence: float = ADVICE_CONFIDENCE,
    ) -> Recommendation:
        """Recommend a trial that keeps to each limit: chosen on the search split, reported on the test split.

        Args:
            max_drop_points: largest loss of accuracy against the dense control, or where nothing was finetuned against
                the untouched dense model, in percentage points.
            accuracy_percent: least accuracy.
            latency: largest ratio of latencies to the dense model, in the setting in which most was timed.
            macs: largest ratio of MACs to the dense model.
            params: largest ratio of params to the dense model.
            confidence: least probability with which each limit must hold, 0..1.

        Raises: InputError when nothing is limited, or what is limited was not measured.
        """
        limits = {"max-drop": max_drop_points, "accuracy": accuracy_percent}
        limits |= {"latency": latency, "macs": macs, "params": params}
        advice = advise(self.frames, limits_of(limits), confidence=confidence, minimise=None, where=Where(), among=None)
        return Recommendation(advice)

    def figures(self) -> tuple[str, ...]:
        """Names of the figures that `figure` draws, as `lrbench plots` calls their files."""
        return tuple(name for name, _ in drawings(self.frames))

    def figure(self, name: str) -> Figure:
        """Draw a figure: one of `figures()`, or the first whose name begins so (`accuracy_latency`).

        Raises: InputError when there is none of that name.
        """
        drawn = dict(drawings(self.frames))
        fitting = [file for file in drawn if file == name] or [file for file in drawn if file.startswith(name)]
        if not fitting:
            raise InputError(f"no figure {name!r} in {self.folder}: {nearest(name, drawn)}")
        return drawn[fitting[0]]()

    def __repr__(self) -> str:
        """What the folder holds, in a line."""
        return f"Results({str(self.folder)!r}): {len(self.trials)} finished trials, {len(self.failed)} failed"

    def _repr_html_(self) -> str:
        """The front in a notebook."""
        return f"<p>{self.folder}: {len(self.trials)} finished trials</p>" + self.front().to_html(index=False)


def read(folder: str | Path) -> Results:
    """A results folder, read without torch.

    Raises: InputError when it is not a results folder.
    """
    return Results(Path(folder))
