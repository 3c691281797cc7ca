"""Do intervals of latency ratios cover the truth as often as they say? A simulation, where the truth is known.

    python -m bench.study_intervals results/intervals

Folders of two timings of eight architectures each. How far processes and occasions move them is drawn for each folder
as it differs among the published studies (`lrbench/statistics/components.py`); layouts scatter by 3 %, as there. With
`drift`, a part of what moves a process moves on while it runs. With `stops_early`, sessions end when every interval of
their layouts is within 2 %, as `latency.precision` has it, else after 16 layouts. Writes `coverage.csv`: a row for each
scenario and rule (those of `study_repeat.py`).
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.study_repeat import RULES
from lrbench.statistics.components import KNEE, PRIORS, Component, Components, Occasions, learned
from lrbench.statistics.paired import Logs, widest_half_width

Floats = np.ndarray[Any, np.dtype[np.float64]]

FOLDERS = 2000
TRUTHS = np.linspace(-0.05, -1.2, 8)
"""The log ratios of the architectures of a timing."""

LAYOUT, LAYOUTS, MOST_LAYOUTS, PRECISION = 0.03, 16, 80, 0.02
"""Deviation of a layout, how many a session has without an early stop, at most with one, and where that stops."""

MEMORY = 10
"""Layouts after which a drift has forgotten where it was."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """How a folder is timed: `drift` is the share of a process's variance that moves while it runs."""

    drift: float
    stops_early: bool
    occasions: int
    processes: int


SCENARIOS = tuple(
    Scenario(drift=drift, stops_early=stops_early, occasions=occasions, processes=processes)
    for drift in (0.0, 0.5)
    for stops_early in (False, True)
    for occasions, processes in ((1, 2), (1, 3), (2, 3))
)


def folder_of(scenario: Scenario, random: np.random.Generator, prior: Components) -> list[Occasions]:
    """The timings of the architectures of one folder, with components of its own."""
    process, occasion = (_drawn(component, random) for component in (prior.process, prior.occasion))
    subjects: list[Occasions] = []
    for group in range(2):
        sessions: list[list[Floats]] = []
        for _ in range(scenario.occasions):
            shift = random.normal(0, occasion)
            sessions.append([_session(scenario, random, shift, process) for _ in range(scenario.processes)])
        subjects += (
            [{(group, o, p): session[:, model] for p, session in enumerate(taken)} for o, taken in enumerate(sessions)]
            for model in range(len(TRUTHS))
        )
    return subjects


def _drawn(component: Component, random: np.random.Generator) -> float:
    """A standard deviation from the scaled inverse chi-squared distribution of a component."""
    return float(np.sqrt(component.freedom * component.variance / random.chisquare(component.freedom)))


def _session(scenario: Scenario, random: np.random.Generator, shift: float, process: float) -> Floats:
    """Log ratios of the layouts of one process, (layouts, models)."""
    still, moving = process * np.sqrt([1 - scenario.drift, scenario.drift])
    shifts = shift + random.normal(0, still) + moving * _drift(random)
    logs: Floats = (
        TRUTHS + shifts[:, None] * np.hypot(KNEE, TRUTHS) + random.normal(0, LAYOUT, (MOST_LAYOUTS, len(TRUTHS)))
    )
    return logs[: _end(logs) if scenario.stops_early else LAYOUTS]


def _drift(random: np.random.Generator) -> Floats:
    """A stationary random walk of variance 1 that is drawn back to 0, (layouts,)."""
    kept = np.exp(-1 / MEMORY)
    steps = random.normal(0, 1, MOST_LAYOUTS)
    steps[1:] *= np.sqrt(1 - kept**2)
    for i in range(1, MOST_LAYOUTS):
        steps[i] += kept * steps[i - 1]
    return steps


def _end(logs: Logs) -> int:
    """The layouts after which a session of this precision ends."""
    return next((n for n in range(2, len(logs)) if widest_half_width(logs[:n]) <= PRECISION), len(logs))


def coverage(scenario: Scenario, *, folders: int, seed: int) -> pd.DataFrame:
    """How often the intervals of each rule hold the truth, and their median half width."""
    prior, rows = PRIORS["one thread"], []
    for number in range(folders):
        subjects = folder_of(scenario, np.random.default_rng([seed, number]), prior)
        components = learned(prior, subjects)
        for truth, subject in zip(np.tile(TRUTHS, 2), subjects, strict=True):
            for name, rule in RULES.items():
                interval = rule(subject, components).ratio()
                held = interval.low <= np.exp(truth) <= interval.high
                rows.append({"rule": name, "covered": held, "half_width": interval.half_width})
    told = pd.DataFrame(rows).groupby("rule", sort=False).agg({"covered": "mean", "half_width": "median"})
    return told.reset_index().assign(folders=folders)


def table(scenarios: Sequence[Scenario], *, folders: int) -> pd.DataFrame:
    """The coverages of scenarios, the facts of each in columns before them."""
    parts = [
        coverage(scenario, folders=folders, seed=seed).assign(**vars(scenario))
        for seed, scenario in enumerate(scenarios)
    ]
    every = pd.concat(parts, ignore_index=True)
    return every[[*vars(scenarios[0]), "rule", "folders", "covered", "half_width"]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    told = table(SCENARIOS, folders=FOLDERS)
    told.to_csv(folder / "coverage.csv", index=False)
    print(told.to_string(index=False, float_format="{:.4f}".format))


if __name__ == "__main__":
    main()
