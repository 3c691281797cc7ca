"""Commands that read a results folder; none of them needs torch."""

from lrbench.cli.shared import Folder, app, draw, exit_codes, say


@app.command()
def plots(folder: Folder) -> None:
    """Draw the figures of a results folder again, from its CSV tables alone.

    Example: `lrbench plots results/digits`
    """
    with exit_codes():
        draw(folder)


@app.command("table")
def table_(folder: Folder) -> None:
    """Print every finished trial of a results folder as a Markdown table, latency in the first setting timed.

    Example: `lrbench table results/seed`
    """
    with exit_codes():
        from lrbench.report.summary import all_trials, markdown

        say(markdown(all_trials(folder)))
