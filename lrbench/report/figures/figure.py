"""What an entry of the table of figures is, and how many pictures a figure comes to."""

import re
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

import pandas as pd
from matplotlib.figure import Figure as Picture

from lrbench.config.axes import in_file_name
from lrbench.report.frames.latency import SETTING, describe
from lrbench.report.results import Results

Frame = Callable[[Results], pd.DataFrame]
Drawings = Iterator[tuple[str, Callable[[], Picture]]]
"""File names without suffix, each with the function that draws it."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure that a results folder gives.

    Attributes:
        info: what it shows.
        draw: from what it shows, or one setting of it, to a picture. What is not `alone` is given a `title` too.
        pictures: `alone`, `with_subject` or `by_setting`: how many pictures there are, and what stands above them.
        title: what stands above a picture, before its subject or setting.
        needs: the frame that must have a row for the figure to be drawn; that of `info` when None.
        tables: what is written beside it as CSV, by file name without suffix, where there is a row.
    """

    info: Frame
    draw: Callable[..., Picture]
    pictures: "Pictures"
    title: str = ""
    needs: Frame | None = None
    tables: Mapping[str, Frame] = field(default_factory=dict)


Pictures = Callable[[str, Figure, Results], Drawings]
"""From a figure and its name in the table to pictures of a folder."""


def alone(name: str, figure: Figure, results: Results) -> Drawings:
    """One picture of all."""
    yield name, partial(figure.draw, figure.info(results))


def with_subject(name: str, figure: Figure, results: Results) -> Drawings:
    """One picture of all, with models and data in its title."""
    subjects = results.trials[["model", "data", "image_size"]].drop_duplicates().itertuples(index=False, name=None)
    subject = " and ".join(f"{model} on {data}, {size} px" for model, data, size in subjects)
    yield name, partial(figure.draw, figure.info(results), title=f"{figure.title}: {subject}")


def by_setting(name: str, figure: Figure, results: Results) -> Drawings:
    """One picture for each setting timed; environments are told apart by name where there are several."""
    frame = figure.info(results)
    several = len(set(frame["environment"])) > 1
    for key, group in frame.groupby(SETTING, sort=False, dropna=False):
        setting = dict(zip(SETTING, key, strict=True))
        file = f"{name}_{_safe(in_file_name(setting))}" + (f"_{_safe(setting['environment'])}" if several else "")
        title = f"{figure.title}\n{setting['model']}, {setting['image_size']} px, {describe(setting.items())}"
        yield file, partial(figure.draw, group, title=title)


def _safe(name: Hashable) -> str:
    """A name as a part of a file's: a stranger's table must not lead elsewhere."""
    return re.sub(r"[^\w.-]", "-", str(name))
