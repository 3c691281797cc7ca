"""A results folder as frames, each computed once, when it is first asked for."""

from functools import cached_property
from pathlib import Path

import pandas as pd

from lrbench.report.frames.audit import audit, audit_correlations
from lrbench.report.frames.budgets import budget_outcomes
from lrbench.report.frames.control import with_control
from lrbench.report.frames.damage import damage_calibration, damage_order
from lrbench.report.frames.hypervolume import hypervolumes
from lrbench.report.frames.latency import additivity, breakeven, latency_ratios, layer_ratios
from lrbench.report.frames.pooling import Right, unpack_answers
from lrbench.report.frames.scores import learning_curves, score_correlations, truncation_errors
from lrbench.report.frames.sensitivity import sensitivity_grid
from lrbench.report.frames.standing import standings, with_standing
from lrbench.report.frames.summary import fronts, summarise
from lrbench.report.frames.trials import done_trials, timed_architectures, with_latency
from lrbench.results.tables import load_table
from lrbench.shown import is_hiding, shown


def _table(folder: Path, name: str) -> pd.DataFrame:
    """A table of a folder, its texts as they are shown: a stranger's name may hold what steers a terminal."""
    frame = load_table(folder, name)
    texts = frame.select_dtypes(exclude=["number", "bool"])
    hiding = [column for column in texts if any(is_hiding(cell) for cell in texts[column].unique())]
    seen = {
        str(column): frame[column].map(lambda cell: shown(cell) if isinstance(cell, str) else cell) for column in hiding
    }
    return frame.assign(**seen)


class Results:
    """The tables of a results folder, checked, and the frames that figures, page and advice share.

    A frame is what the function of its name in `frames` says. They are shared: whoever needs another makes a new one.
    Each raises InputError when a table behind it is missing or cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        """Name the folder; nothing is read yet."""
        self.folder = folder

    @cached_property
    def trials(self) -> pd.DataFrame:
        """Rows of `trials.csv`, finished and failed."""
        return _table(self.folder, "trials")

    @cached_property
    def layers(self) -> pd.DataFrame:
        """Rows of `layers.csv`."""
        return _table(self.folder, "layers")

    @cached_property
    def epochs(self) -> pd.DataFrame:
        """Rows of `epochs.csv`."""
        return _table(self.folder, "epochs")

    @cached_property
    def spectra(self) -> pd.DataFrame:
        """Rows of `spectra.csv`."""
        return _table(self.folder, "spectra")

    @cached_property
    def sensitivity(self) -> pd.DataFrame:
        """Rows of `sensitivity.csv`."""
        return _table(self.folder, "sensitivity")

    @cached_property
    def answers(self) -> pd.DataFrame:
        """Rows of `answers.csv`."""
        return _table(self.folder, "answers")

    @cached_property
    def right(self) -> Right:
        """Which images each trial got right, of `unpack_answers`."""
        return unpack_answers(self.answers)

    @cached_property
    def architectures(self) -> pd.DataFrame:
        """Rows of `architectures.csv`."""
        return _table(self.folder, "architectures")

    @cached_property
    def latency(self) -> pd.DataFrame:
        """Rows of `latency.csv`."""
        return _table(self.folder, "latency")

    @cached_property
    def layer_latency(self) -> pd.DataFrame:
        """Rows of `layer_latency.csv`."""
        return _table(self.folder, "layer_latency")

    @cached_property
    def environments(self) -> pd.DataFrame:
        """Rows of `environments.csv`."""
        return _table(self.folder, "environments")

    @cached_property
    def done(self) -> pd.DataFrame:
        """Finished trials, of `done_trials`."""
        return done_trials(self.trials)

    @cached_property
    def failed(self) -> pd.DataFrame:
        """The trials that failed, with their reasons."""
        return self.trials[self.trials["state"] == "failed"]

    @cached_property
    def latency_ratios(self) -> pd.DataFrame:
        """Of whole models."""
        return latency_ratios(self.latency)

    @cached_property
    def layer_ratios(self) -> pd.DataFrame:
        """Of single layers."""
        return layer_ratios(self.layer_latency)

    @cached_property
    def breakeven(self) -> pd.DataFrame:
        """Where each layer breaks even in latency."""
        return breakeven(self.layer_ratios)

    @cached_property
    def additivity(self) -> pd.DataFrame:
        """Whole models predicted from single layers."""
        return additivity(self.architectures, self.latency_ratios, self.layer_ratios)

    @cached_property
    def timed_trials(self) -> pd.DataFrame:
        """Finished trials beside their latency, of `with_latency`."""
        return with_latency(self.done, self.latency_ratios)

    @cached_property
    def timed_architectures(self) -> pd.DataFrame:
        """Architectures beside their latency, trained or not."""
        return timed_architectures(self.architectures, self.latency_ratios)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """Finished trials with how they stand in MACs and the latency of the first setting timed, of `summarise`."""
        return summarise(self.stood("macs"), self.latency_ratios, self.layers)

    @cached_property
    def front(self) -> pd.DataFrame:
        """The dense controls and the fronts of `summary`."""
        return fronts(self.summary)

    @cached_property
    def standings(self) -> pd.DataFrame:
        """How each finished trial stands by each cost."""
        return standings(self.done, self.latency_ratios, self.right)

    def stood(self, cost: str) -> pd.DataFrame:
        """Finished trials as they stand in `params`, `macs` or `ratio`; in that, a row for each setting timed."""
        return with_standing(self.timed_trials if cost == "ratio" else self.done, self.standings, cost=cost)

    @cached_property
    def losses(self) -> pd.DataFrame:
        """Finished trials with what they lose to their dense control, of `with_control`."""
        return with_control(self.done, self.right)

    @cached_property
    def score_correlations(self) -> pd.DataFrame:
        """How well cheap scores order trials."""
        return score_correlations(self.done, self.layers, self.sensitivity)

    @cached_property
    def hypervolumes(self) -> pd.DataFrame:
        """What each method dominates of what all compared methods have."""
        return hypervolumes(self.done, self.right)

    @cached_property
    def budgets(self) -> pd.DataFrame:
        """Trials by budget rules, of `budget_outcomes`."""
        return budget_outcomes(self.losses)

    @cached_property
    def truncation_errors(self) -> pd.DataFrame:
        """What each rank costs a layer's weight."""
        return truncation_errors(self.spectra)

    @cached_property
    def learning_curves(self) -> pd.DataFrame:
        """Epochs of baselines and trials."""
        return learning_curves(self.epochs, self.done)

    @cached_property
    def sensitivity_grid(self) -> pd.DataFrame:
        """What cutting one layer alone costs."""
        return sensitivity_grid(self.sensitivity)

    @cached_property
    def audit(self) -> pd.DataFrame:
        """Plans for a budget, predicted and measured."""
        return audit(self.losses, self.latency_ratios, self.layer_latency, self.additivity)

    @cached_property
    def audit_correlations(self) -> pd.DataFrame:
        """How well predicted damage orders the measured one."""
        return audit_correlations(self.audit)

    @cached_property
    def damage_calibration(self) -> pd.DataFrame:
        """Damage of single layers and of whole models, predicted and measured."""
        return damage_calibration(self.sensitivity, self.losses, self.layers)

    @cached_property
    def damage_order(self) -> pd.DataFrame:
        """How often predicted damage orders two methods rightly."""
        return damage_order(self.damage_calibration, self.losses, self.right)
