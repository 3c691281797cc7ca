"""Draw what the table of figures lists, from the tables of a results folder alone, and save it as PNG, SVG and CSV."""

import hashlib
import json
import warnings
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from lrbench.limits import writing
from lrbench.report.figures import table
from lrbench.report.figures.canvas import shorten_
from lrbench.report.figures.figure import Drawings
from lrbench.report.results import Results
from lrbench.results import columns
from lrbench.results.files import is_there, read_file
from lrbench.results.log import write_table
from lrbench.results.writers import WRITTEN
from lrbench.whole import refuse_links, replacing, write_whole

DRAWN = ".drawn.json"
"""In `figures/`: the digest of the tables that the figures were drawn from, and which files these are."""


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


def are_drawn(folder: Path) -> bool:
    """Whether the figures of a results folder are there, all of them, and drawn from the tables as they are now.

    Raises: InputError when a table is missing or cannot be read.
    """
    try:
        drawn = json.loads((folder / "figures" / DRAWN).read_text(encoding="utf-8"))
        names, tables = set(map(str, drawn["files"])), drawn["tables"]
    except Exception:  # none, or a stranger's
        return False
    return tables == _digest(folder) and names <= {path.name for path in (folder / "figures").iterdir()}


def _digest(folder: Path) -> str:
    """A digest of the tables, and of the version that draws."""
    digest = hashlib.sha256(version("lrbench").encode())
    for name in columns.TABLES:
        content = read_file(folder / f"{name}.csv") if is_there(folder / f"{name}.csv") else b""
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def draw_missing_figures(results: Results) -> list[Path]:
    """What `draw_figures` does, unless the figures are those of the tables already; then nothing.

    Raises: InputError as `draw_figures` does.
    """
    return [] if are_drawn(results.folder) else draw_figures(results)


def draw_figures(results: Results) -> list[Path]:
    """Draw every figure into `figures/` of a results folder, and write the tables behind them.

    At last is written which tables they belong to, so that what a full disk cut short is drawn by the next command.

    Returns: the PNG files.

    Raises: InputError when the folder holds no readable tables or cannot be written.
    """
    target = results.folder / "figures"
    refuse_links(results.folder, *WRITTEN)
    digest, tables, drawn = _digest(results.folder), figure_tables(results), list[Path]()
    with writing(target):
        target.mkdir(exist_ok=True)
    for name, draw in drawings(results):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing")  # of a name in another script
            picture = shorten_(draw())
            for suffix in (".svg", ".png"):
                with replacing(target / f"{name}{suffix}", suffix=suffix) as part:
                    picture.savefig(part, dpi=100, metadata={"Date": None} if suffix == ".svg" else None)
        drawn.append(target / f"{name}.png")
    kept = {name: frame for name, frame in tables.items() if len(frame)}
    for name, frame in kept.items():
        write_table(frame, target / f"{name}.csv")
    files = [*(f"{name}.csv" for name in kept), *(p.with_suffix(s).name for p in drawn for s in (".png", ".svg"))]
    write_whole(target / DRAWN, f"{json.dumps({'tables': digest, 'files': files})}\n".encode())
    return drawn
