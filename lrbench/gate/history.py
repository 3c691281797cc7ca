"""A figure over recorded runs, one results folder a run, and where it took a step."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from lrbench.gate.folders import Folder, load_folder
from lrbench.gate.steps import LEAST, find_steps
from lrbench.gate.timed import timing_ratios
from lrbench.report.figures.canvas import canvas, colours_of, say_empty
from lrbench.results.log import last_spec
from lrbench.shown import shown
from lrbench.statistics.posterior import Floats

EXACT = ("params", "macs")
"""Figures without noise: every change is a step."""

COUNTED = ("accuracy_truncated", "accuracy_finetuned", "accuracy_kept")
"""Figures that are so many of the test images."""

SHOWN = 12
"""Names in a legend at most."""

Values = Iterator[tuple[str, float]]


def _trials(column: str) -> Callable[[Folder], Values]:
    def values(side: Folder) -> Values:
        done = side.trials[side.trials["state"] == "done"].dropna(subset=column)
        yield from zip(done["name"], done[column].astype(float), strict=True)

    return values


FIGURES: Mapping[str, Callable[[Folder], Values]] = MappingProxyType(
    {
        **{name: _trials(name) for name in (*EXACT, *COUNTED)},
        "latency_ratio": lambda side: iter(timing_ratios(side)),
        "benchmark": lambda side: iter(side.benchmarks.items()),
    }
)
"""By name, a function from a run to (name, value) of everything that has the figure."""


def read_history(folders: Sequence[Path], figure: str) -> pd.DataFrame:
    """One row for each run and name, in the order of the folders.

    Returns: `run` (its place, from 0), `folder`, `commit` (of lrbench), `repository_commit` (of the repository that
        it was swept in, "" where the log does not say), `code` (both, for people), `name`, `value`, `judged`, false
        where its name has too few runs, and `step`, true where the value is the first of a new level (`find_steps`).

    Raises: InputError when a folder cannot be read.
    """
    rows, samples = [], 0
    for run, folder in enumerate(folders):
        side = load_folder(folder)
        samples = max([samples, *side.trials["samples"].dropna().astype(int)])
        labels = {"run": run, "folder": str(folder), **_code(side)}
        rows += [{**labels, "name": name, "value": value} for name, value in FIGURES[figure](side)]
    names = ["run", "folder", "commit", "repository_commit", "code", "name", "value"]
    frame = pd.DataFrame(rows, columns=names).assign(judged=False, step=False)
    for _, line in frame.groupby("name", sort=False):
        values = line["value"].to_numpy(float)
        if figure in EXACT:
            places, least = changes(values), 2
        else:
            places, least = find_steps(values, resolution=1 / samples if figure in COUNTED else None), LEAST
        frame.loc[line.index, "judged"] = len(values) >= least
        frame.loc[line.index[places], "step"] = True
    return frame


def _code(side: Folder) -> dict[str, str]:
    """By which code a run was made: the user's own and lrbench's, and both in words."""
    commits = [*side.trials["commit"].dropna(), *side.latency["commit"].dropna()]
    commit, spec = str(commits[-1]) if commits else "", last_spec(side.path)
    own = spec.repository_commit if spec else ""
    code = f"{own}, lrbench {commit}" if own and commit else own or commit
    return {"commit": commit, "repository_commit": own, "code": code}


def changes(values: Floats) -> list[int]:
    """The places where a series is not what it was just before."""
    return [place for place in range(1, len(values)) if values[place] != values[place - 1]]


def history_figure(history: pd.DataFrame, *, figure: str) -> Figure:
    """A line for each name over the runs; a ring marks a step.

    Args:
        history: of `read_history`.
        figure: its name, for the axis.
    """
    drawn, (axis,) = canvas(height=6.5)
    axis.set(xlabel="run (commit)", ylabel=figure, title=f"{figure} over recorded runs")
    if history.empty:
        say_empty(axis, f"no run has {figure}")
        return drawn
    names = list(dict.fromkeys(history["name"]))
    colours = colours_of(names)
    for name, line in history.groupby("name", sort=False):
        axis.plot(
            line["run"], line["value"], color=colours[str(name)], marker="o", ms=4, lw=1.2, label=shown(str(name))
        )
        taken = line[line["step"]]
        axis.scatter(taken["run"], taken["value"], s=150, facecolors="none", edgecolors="black", zorder=3)
    runs = history.drop_duplicates("run")
    labels = [shown(f"{folder}\n{code}") for folder, code in zip(runs["folder"], runs["code"], strict=True)]
    axis.set_xticks(runs["run"], labels, rotation=30, ha="right", fontsize=7)
    handles = [
        mpl.lines.Line2D([], [], color=colours[name], marker="o", ms=4, label=shown(name)) for name in names[:SHOWN]
    ]
    if len(names) > SHOWN:
        handles.append(mpl.lines.Line2D([], [], ls="", label=f"and {len(names) - SHOWN} more names"))
    handles.append(mpl.lines.Line2D([], [], color="black", marker="o", mfc="none", ms=10, ls="", label="step"))
    drawn.legend(handles=handles, loc="outside lower center", ncols=1, fontsize=7, frameon=False)
    return drawn
