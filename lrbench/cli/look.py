"""Commands that read a results folder; none of them needs torch."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lrbench.cli.shared import Folder, app, out, redraw, say
from lrbench.fitted import table


@app.command()
def plots(folder: Folder) -> None:
    """Draw the figures of a results folder again, from its CSV tables.

    Example: `lrbench plots results/digits`
    """
    redraw(folder)


class Format(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    MD = "md"


@app.command("table")
def table_(
    folder: Folder,
    form: Annotated[
        Format | None,
        typer.Option("--format", help="how rows are printed", show_default="table on a terminal, md elsewhere"),
    ] = None,
    columns: Annotated[
        str | None, typer.Option(help="heads to print, by commas: `trial,MACs,finetuned`", show_default="all")
    ] = None,
    sort: Annotated[str | None, typer.Option(help="head to sort by; with - in front from the largest on")] = None,
) -> None:
    """Print every finished trial of a results folder, with latency in the first setting timed.

    Example: `lrbench table results/seed --columns trial,method,MACs,finetuned --sort -finetuned`
    """
    from lrbench.report.advice.summary import trial_table
    from lrbench.report.results import Results
    from lrbench.report.rows import chosen_columns, sorted_rows, written

    texts = trial_table(Results(folder).summary)
    texts = chosen_columns(sorted_rows(texts, sort), columns)
    wanted = form or (Format.TABLE if out.is_terminal else Format.MD)
    if wanted is Format.TABLE:
        out.print(table(texts))
    else:
        say(written(texts, str(wanted)))


@app.command()
def report(
    folders: Annotated[list[Path], typer.Argument(help="results folders; several are overlaid", show_default=False)],
    out: Annotated[
        Path | None,
        typer.Option(
            help="HTML file", show_default="report.html in the folder, comparison.html in the first of several"
        ),
    ] = None,
) -> None:
    """Write one HTML file that opens offline: summary in words, charts, trials, noise, and how to run it again.

    Several folders (two machines, two commits, two methods) are overlaid, each relative to its own dense model.

    Example: `lrbench report results/digits`, `lrbench report results/before results/after --out change.html`
    """
    from lrbench.report.page.page import write_report

    name = "report.html" if len(folders) == 1 else "comparison.html"
    target = write_report(folders, out or folders[0] / name, tell=say)
    say(f"{target} ({target.stat().st_size / 1e6:.1f} MB): open it in a browser")
