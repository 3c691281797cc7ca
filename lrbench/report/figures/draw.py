"""Draw what the table of figures lists, from the tables of a results folder alone, and save it as PNG, SVG and CSV."""

import warnings
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from lrbench.limits import writing
from lrbench.report.figures import table
from lrbench.report.figures.canvas import shorten_
from lrbench.report.figures.figure import Drawings
from lrbench.report.results import Results
from lrbench.results.log import write_table


def figure_tables(results: Results) -> Mapping[str, pd.DataFrame]:
    """The tables behind the figures, by file name.

    Raises: InputError when the folder holds no readable tables.
    """
    return {name: frame(results) for figure in table.FIGURES.values() for name, frame in figure.tables.items()}


def drawings(results: Results) -> Drawings:
    """Each picture's file name with the function that draws it; what there is no data for gets none.

    Raises: InputError when the folder holds no readable tables.
    """
    for name, figure in table.FIGURES.items():
        if len((figure.needs or figure.info)(results)):
            yield from figure.pictures(name, figure, results)


def draw_figures(results: Results) -> list[Path]:
    """Draw every figure into `figures/` of a results folder, and write the tables behind them.

    Returns: the PNG files.

    Raises: InputError when the folder holds no readable tables or cannot be written.
    """
    target = results.folder / "figures"
    tables, drawn = figure_tables(results), []
    for name, draw in drawings(results):
        with writing(target), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing")  # of a name in another script
            picture = shorten_(draw())
            target.mkdir(exist_ok=True)
            for suffix in (".svg", ".png"):
                part = target / f".{name}{suffix}"
                picture.savefig(part, dpi=100, metadata={"Date": None} if suffix == ".svg" else None)
                part.replace(target / f"{name}{suffix}")
        drawn.append(target / f"{name}.png")
    for name, frame in tables.items():
        if len(frame):
            write_table(frame, target / f"{name}.csv")
    return drawn
