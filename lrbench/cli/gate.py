"""Commands that guard: two folders judged, two versions judged, and what was recorded over time."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lrbench.cli.shared import app, err, exit_codes, explained, out, say
from lrbench.errors import InputError, nearest
from lrbench.gate.tolerances import describe_tolerances
from lrbench.gate.verdicts import Verdict, exit_code
from lrbench.screen import table


class Format(StrEnum):
    """How verdicts are printed."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"
    JUNIT = "junit"
    GITHUB = "github"


GATE = Path("build/gate")
Chosen = Annotated[Format, typer.Option("--format", help="of the verdicts")]
Strict = Annotated[bool, typer.Option("--strict", help="let inconclusive verdicts fail too")]
ToleranceFile = Annotated[
    Path | None, typer.Option("--tolerances", help="a TOML file", show_default="tolerances.toml beside the baseline")
]


@app.command(cls=explained(describe_tolerances))
def check(
    baseline: Annotated[Path, typer.Argument(help="folder that is judged against", show_default=False)],
    current: Annotated[Path, typer.Argument(help="folder that is judged", show_default=False)],
    tolerances: ToleranceFile = None,
    chosen: Chosen = Format.TABLE,
    strict: Strict = False,
    accept: Annotated[bool, typer.Option("--accept", help="make CURRENT the baseline, and say what changed")] = False,
) -> None:
    """Judge a results folder against a baseline: params, MACs, ranks, errors, accuracies, latencies, benchmarks.

    Exit code 0 when nothing is worse, missing or incomparable, else 1; 2 for input that cannot be judged.

    Example: `lrbench check bench/baseline results/my --format markdown`
    """
    with exit_codes():
        from lrbench.gate.check import check_folders, replace_baseline
        from lrbench.gate.tolerances import load_tolerances, tolerances_beside

        allowed = load_tolerances(tolerances) if tolerances else tolerances_beside(baseline)
        verdicts = () if accept and not baseline.exists() else check_folders(baseline, current, allowed)
        if accept:
            replace_baseline(baseline, current)
            _note(f"{current} is the baseline {baseline} now" + ("; what changed:" if verdicts else ""))
        if verdicts or not accept:
            _tell(verdicts, chosen)
    if not accept:
        _end(verdicts, strict=strict)


class Half(StrEnum):
    """The halves of a regression gate."""

    TIMED = "timed"
    RECORDED = "recorded"


@app.command(cls=explained(describe_tolerances))
def regress(  # noqa: PLR0913 - the options of a command
    against: Annotated[str, typer.Option(help="git revision that the timed half is judged against")] = "HEAD^",
    workloads: Annotated[Path, typer.Option(help="what is timed: a Python file")] = Path("bench/workloads.py"),
    spec: Annotated[Path, typer.Option(help="what is swept and checked")] = Path("bench/gate.toml"),
    baseline: Annotated[Path, typer.Option(help="folder that the sweep is judged against")] = Path("bench/baseline"),
    out_folder: Annotated[Path, typer.Option("--out", help="folder for the sweep and the raw times")] = GATE,
    only: Annotated[Half | None, typer.Option("--only", help="one half alone")] = None,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of torch in the timed half")] = 1,
    processes: Annotated[int, typer.Option(min=3, help="fresh processes in a row in the timed half")] = 8,
    chosen: Chosen = Format.TABLE,
    strict: Strict = False,
) -> None:
    """Judge this checkout: a sweep against the committed baseline, and workloads timed in turn with a revision.

    Both versions run in turn on this machine, in one job; a slowdown counts once fresh processes confirm it.
    Exit codes are those of `check`.

    Example: `lrbench regress --against main --only timed`
    """
    with exit_codes():
        from lrbench.gate.alternate import TimingOptions
        from lrbench.gate.job import judge_sweep, judge_workloads
        from lrbench.gate.tolerances import tolerances_beside

        given = {Half.RECORDED: (spec, baseline), Half.TIMED: (workloads,)}
        lacking = {half: [path for path in paths if not path.exists()] for half, paths in given.items()}
        halves = [half for half in Half if (only is None and not lacking[half]) or only is half]
        for half in halves or Half:
            if lacking[half]:
                raise InputError(f"the {half} half needs {', '.join(map(str, lacking[half]))}, which is not there")
        for half in set(Half) - set(halves):
            _note(f"the {half} half is left out" + (f": no {lacking[half][0]}" if lacking[half] else ""))
        allowed = tolerances_beside(baseline)
        verdicts: list[Verdict] = []
        if Half.RECORDED in halves:
            verdicts += judge_sweep(spec, baseline, allowed, out=out_folder / "sweep")
        if Half.TIMED in halves:
            options = TimingOptions(processes=processes, threads=threads)
            verdicts += judge_workloads(
                workloads,
                against,
                allowed,
                options=options,
                out=out_folder,
                progress=_follow,
            )
        _tell(verdicts, chosen)
    _end(verdicts, strict=strict)


@app.command()
def history(
    folders: Annotated[list[Path], typer.Argument(help="results folders, oldest first", show_default=False)],
    figure: Annotated[str, typer.Option(help="what is charted")] = "latency_ratio",
    out_file: Annotated[Path, typer.Option("--out", help="PNG or SVG")] = Path("history.png"),
) -> None:
    """Chart a figure over recorded runs, one folder a run or commit, and mark where it took a step.

    Example: `lrbench history runs/* --figure macs`
    """
    with exit_codes():
        from lrbench.gate.history import FIGURES, history_figure, read_history

        if figure not in FIGURES:
            raise InputError(f"unknown figure {figure!r}: {nearest(figure, FIGURES)}")
        found = read_history(folders, figure)
        try:
            history_figure(found, figure=figure).savefig(out_file, dpi=100)
        except (OSError, ValueError) as error:
            raise InputError(f"--out {out_file} cannot be drawn: {error}") from error
    for row in found[found["step"]].itertuples():
        say(f"step: {row.name} is {row.value:.6g} since {row.folder} ({row.commit})")
    say(f"{figure} of {found['name'].nunique()} names over {len(folders)} runs: {out_file}")


def _tell(verdicts: Sequence[Verdict], chosen: Format) -> None:
    """Print verdicts."""
    from lrbench.gate.formats import FORMATS, HEADS, cells, count_words

    if chosen is not Format.TABLE:
        say(FORMATS[chosen](verdicts))
        return
    rows = [cells(one) for one in verdicts if one.verdict != "ok"]
    if rows:
        heads = [f"#{head}" if head in ("baseline", "current", "bound") else head for head in HEADS]
        out.print(table("Verdicts that are not ok", heads, rows))
    say(count_words(verdicts))


def _end(verdicts: Sequence[Verdict], *, strict: bool) -> None:
    """End with the exit code of some verdicts."""
    if code := exit_code(verdicts, strict=strict):
        raise typer.Exit(code)


def _follow(what: str, stage: str, done: int, total: int) -> None:
    """Say how far the timed half is."""
    _note(stage)


def _note(text: str) -> None:
    """Say on stderr, so that stdout holds verdicts alone."""
    err.print(text, markup=False, highlight=False)
