"""Commands that read a results folder; none of them needs torch."""

from pathlib import Path
from typing import Annotated

import typer

from lrbench.cli.shared import Folder, app, redraw, say


@app.command()
def plots(folder: Folder) -> None:
    """Draw the figures of a results folder again, from its CSV tables.

    Example: `lrbench plots results/digits`
    """
    redraw(folder)


@app.command("table")
def table_(folder: Folder) -> None:
    """Print every finished trial of a results folder as a Markdown table, with latency in the first setting timed.

    Marked as recommended is what `lrbench recommend --max-drop 1 --minimise macs` takes.

    Example: `lrbench table results/seed`
    """
    from lrbench.report.advice.summary import recommended, trial_table
    from lrbench.report.results import Results
    from lrbench.report.texts import markdown

    results = Results(folder)
    texts = trial_table(results.summary, picked=recommended(results))
    say(markdown(texts.heads, texts.rows))


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
