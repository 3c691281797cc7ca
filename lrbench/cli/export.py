"""The command that writes a trial as files for other runtimes."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lrbench.cli.shared import Cache, Folder, app, err, exit_codes, out, say
from lrbench.config.names import is_own
from lrbench.fitted import table
from lrbench.screen import Screen

if TYPE_CHECKING:
    import pandas as pd

    from lrbench.report.texts import TextTable


class Format(StrEnum):
    """The files of an export."""

    SAFETENSORS = "safetensors"
    PT2 = "pt2"
    ONNX = "onnx"


CHECKS = ("file", "#MB", "#largest difference", "#right answers", "#of the trial", "")
TIMING = ("runtime", "#batch", "#threads", "#ms", "#dense ms", "#ratio, 99 %", "#A/A control, 99 %", "")


@app.command()
def export(  # noqa: PLR0913 - the options of a command
    folder: Folder,
    trial: Annotated[str, typer.Argument(help="key of a trial in `trials.csv`, or its beginning", show_default=False)],
    to: Annotated[Path, typer.Option("--to", help="folder to write", show_default=False)],
    formats: Annotated[
        list[Format] | None,
        typer.Option("--format", help="file to write, repeatable; the weights are always written", show_default="all"),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="override `data.root`, `data.search`, `data.name`, or a key of latency: `latency.threads=[2]`",
        ),
    ] = None,
    cache: Cache = Path("cache"),
    model: Annotated[
        list[str] | None, typer.Option("--model", metavar="MODULE:CALLABLE", help="your own model code that may be run")
    ] = None,
    within: Annotated[float, typer.Option(min=0, help="difference of a logit that is always allowed")] = 1e-4,
    no_timing: Annotated[bool, typer.Option("--no-timing", help="check the files, but do not time them")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="move the folder --to to NAME.old-N first")] = False,
) -> None:
    """Write a trial as safetensors, torch.export and ONNX files; check each of them, and time it.

    Each artefact is run on the test images beside the trial's model, and timed beside the dense model in its runtime.
    Exit code 1 when one gives other outputs than the trial; then nothing is kept. `lrbench.load` reads the folder.

    Example: `lrbench export results/digits 3f2a --to exported`
    """
    with exit_codes(continues=False):
        from lrbench.export.find import find_source
        from lrbench.export.job import Request, chosen_names, export_trial
        from lrbench.results.log import read_records, set_aside

        source = find_source(
            read_records(folder), trial, weights=cache / "weights", overrides=set_ or [], models=model or []
        )
        if fresh and (moved := set_aside(to)):
            say(f"{to} was moved to {moved}")
        named = any(text.startswith("data.name=") for text in set_ or [])
        request = Request(names=chosen_names(formats or []), within=within, named_data=named, timed=not no_timing)
        with Screen(out, (), epochs={}) as screen:
            exported = export_trial(source, to, request, cache=cache, progress=screen.progress)
        say(f"{source.measurement.trial.label}, on {exported.images}")
        out.print(table(_checks(exported.checks)))
    if not exported.kept:
        failed = ", ".join(exported.checks.loc[~exported.checks["ok"], "artefact"])
        err.print(
            f"not exported: {failed} gives other outputs than the trial; nothing was kept", style="red", markup=False
        )
        raise typer.Exit(1)
    if exported.timing is not None:
        out.print(table(_timing(exported.timing)))
    own = ", build=...)" if is_own(source.spec.model.name) else ")"
    say(f"{to} holds the export; lrbench.load({str(to)!r}{own} gives the model")


def _checks(checks: "pd.DataFrame") -> "TextTable":
    from lrbench.report.texts import TextTable

    rows = []
    for row in checks.to_dict("records"):
        answers = "" if row["correct"] is None else f"{row['correct']:,} of {row['samples']:,}"
        size, difference = f"{row['size_bytes'] / 1e6:.2f}", f"{row['difference']:.1e} of {row['allowed']:.1e}"
        given = "ok" if row["ok"] else "differs"
        rows.append((row["file"], size, difference, answers, f"{row['trial_correct']:,}", given))
    return TextTable(title="Each artefact beside the trial's model", heads=CHECKS, rows=rows)


def _timing(timing: "pd.DataFrame") -> "TextTable":
    from lrbench.report.texts import UNFIT, TextTable, with_interval

    rows = [
        (
            row["runtime"],
            f"{row['batch_size']}",
            f"{row['threads']}",
            *(f"{1000 * row[name]:.2f}" for name in ("latency_s", "dense_latency_s")),
            *(with_interval(row[name], row[f"{name}_low"], row[f"{name}_high"]) for name in ("ratio", "control")),
            "fit" if row["fit"] else UNFIT,
        )
        for row in timing.to_dict("records")
    ]
    return TextTable(title="Each artefact beside the dense model in its own runtime", heads=TIMING, rows=rows)
