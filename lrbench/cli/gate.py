"""Commands that guard against regressions: compare folders, compare versions, plot recorded runs."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lrbench.cli.shared import app, err, explained, out, say
from lrbench.errors import InputError, nearest
from lrbench.fitted import table
from lrbench.gate.tolerances import describe_tolerances
from lrbench.gate.verdicts import BLOCKING, EXIT_CODES, STRICT, Judgement, Outcome, Verdict
from lrbench.whole import begins, make_room, replacing


class Format(StrEnum):
    """How verdicts are printed."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"
    JUNIT = "junit"
    GITHUB = "github"


GATE = Path("build/gate")
Chosen = Annotated[Format, typer.Option("--format", help="how verdicts are printed")]
Strict = Annotated[bool, typer.Option("--strict", help="fail on inconclusive verdicts too")]
ToleranceFile = Annotated[
    Path | None, typer.Option("--tolerances", help="TOML file", show_default="tolerances.toml beside the baseline")
]


@app.command(cls=explained(describe_tolerances))
def check(
    baseline: Annotated[Path, typer.Argument(help="results folder to compare with", show_default=False)],
    current: Annotated[Path, typer.Argument(help="results folder to judge", show_default=False)],
    tolerances: ToleranceFile = None,
    chosen: Chosen = Format.TABLE,
    strict: Strict = False,
    accept: Annotated[bool, typer.Option("--accept", help="make CURRENT the baseline, and print what changed")] = False,
) -> None:
    """Judge a results folder against a baseline: params, MACs, ranks, errors, accuracies, latencies, benchmarks.

    Exit code 1 when something is worse, missing or incomparable, 3 when nothing could be judged (all is new or
    inconclusive), else 0; 2 for input that cannot be used.

    Example: `lrbench check bench/baseline results/my --format markdown`
    """
    from lrbench.gate.check import check_folders, replace_baseline
    from lrbench.gate.tolerances import load_tolerances, tolerances_beside

    allowed = load_tolerances(tolerances) if tolerances else tolerances_beside(baseline)
    verdicts = () if accept and not baseline.exists() else check_folders(baseline, current, allowed)
    judgement = _judgement(verdicts, strict=strict)
    if accept:
        replace_baseline(baseline, current)
        _note(f"{current} is now the baseline {baseline}" + ("; what changed:" if verdicts else ""))
    if verdicts or not accept:
        _tell(judgement, chosen)
    if not accept:
        _end(judgement.outcome)


class Half(StrEnum):
    """The halves of a regression gate."""

    TIMED = "timed"
    RECORDED = "recorded"


@app.command(cls=explained(describe_tolerances))
def regress(  # noqa: PLR0913 - the options of a command
    against: Annotated[str, typer.Option(help="git revision to compare with in the timed half")] = "HEAD^",
    workloads: Annotated[Path, typer.Option(help="Python file of workloads to time")] = Path("bench/workloads.py"),
    spec: Annotated[Path, typer.Option(help="spec to sweep")] = Path("bench/gate.toml"),
    baseline: Annotated[Path, typer.Option(help="results folder to compare the sweep with")] = Path("bench/baseline"),
    out_folder: Annotated[Path, typer.Option("--out", help="folder for the sweep and the raw times")] = GATE,
    only: Annotated[Half | None, typer.Option("--only", help="run one half only")] = None,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of torch in the timed half")] = 1,
    processes: Annotated[int, typer.Option(min=3, help="fresh processes of the timed half, one after another")] = 8,
    chosen: Chosen = Format.TABLE,
    strict: Strict = False,
) -> None:
    """Judge this checkout: compare a sweep with the committed baseline, and time workloads against a revision.

    Both versions run in turn on this machine, in one job; a slowdown counts when fresh processes confirm it.
    Exit codes are those of `check`.

    Example: `lrbench regress --against main --only timed`
    """
    from lrbench.gate.alternate import TimingOptions
    from lrbench.gate.job import judge_sweep, judge_workloads, make_ready
    from lrbench.gate.tolerances import tolerances_beside
    from lrbench.limits import require_cpus

    require_cpus(threads, what="--threads")
    given = {Half.RECORDED: (spec, baseline), Half.TIMED: (workloads,)}
    lacking = {half: [path for path in paths if not path.exists()] for half, paths in given.items()}
    halves = [half for half in Half if (only is None and not lacking[half]) or only is half]
    for half in halves or Half:
        if lacking[half]:
            raise InputError(f"the {half} half needs {', '.join(map(str, lacking[half]))}, which does not exist")
    for half in set(Half) - set(halves):
        _note(f"the {half} half is skipped" + (f": {lacking[half][0]} does not exist" if lacking[half] else ""))
    allowed = tolerances_beside(baseline)
    for note in make_ready(out_folder):
        _note(note)
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
    judgement = _judgement(verdicts, strict=strict)
    _tell(judgement, chosen)
    _end(judgement.outcome)


@app.command()
def history(
    folders: Annotated[list[Path], typer.Argument(help="results folders, oldest first", show_default=False)],
    figure: Annotated[str, typer.Option(help="figure to plot")] = "latency_ratio",
    out_file: Annotated[Path, typer.Option("--out", help="PNG or SVG file to write")] = Path("history.png"),
) -> None:
    """Plot a figure over recorded runs, one results folder for each, and mark where its level changes.

    Exit code 3 when no name has enough runs to judge (6, or 2 of params and macs), 2 for unusable input, else 0.

    Example: `lrbench history runs/* --figure macs`
    """
    from lrbench.gate.history import FIGURES, history_figure, read_history

    if figure not in FIGURES:
        raise InputError(f"unknown figure {figure!r}: {nearest(figure, FIGURES)}")
    values = read_history(folders, figure)
    if out_file.suffix not in (".png", ".svg"):
        raise InputError(f"--out must end in .png or .svg, got {out_file}")
    if moved := make_room(out_file, is_ours=out_file.is_dir() or begins(out_file, b"lrbench history")):
        say(f"{out_file} is not of lrbench history: moved to {moved}")
    title = {"Title": "lrbench history"}
    with replacing(out_file, suffix=out_file.suffix) as part:
        history_figure(values, figure=figure).savefig(part, dpi=100, metadata=title)
    for row in values[values["step"]].itertuples():
        say(f"step: {row.name} is {row.value:.6g} since {row.folder} ({row.code})")
    judged = values.loc[values["judged"], "name"].nunique()
    say(f"{figure} of {values['name'].nunique()} names over {len(folders)} runs, {judged} judged: {out_file}")
    if not judged:
        say("nothing judged: no name has enough runs")
        _end("nothing judged")


def _judgement(verdicts: Sequence[Verdict], *, strict: bool) -> Judgement:
    return Judgement(verdicts=tuple(verdicts), blocking=STRICT if strict else BLOCKING)


def _tell(judgement: Judgement, chosen: Format) -> None:
    """Print verdicts."""
    from lrbench.gate.formats import FORMATS, HEADS, cells, summary
    from lrbench.report.texts import TextTable

    if chosen is not Format.TABLE:
        say(FORMATS[chosen](judgement))
        return
    rows = [cells(verdict) for verdict in judgement.verdicts if verdict.verdict != "ok"]
    if rows:
        out.print(table(TextTable(title="Verdicts that are not ok", heads=HEADS, rows=rows)))
    for line in summary(judgement):
        say(line)


def _end(outcome: Outcome) -> None:
    """End with the exit code of an outcome."""
    if code := EXIT_CODES[outcome]:
        raise typer.Exit(code)


def _follow(what: str, stage: str, done: int, total: int) -> None:
    """Report the progress of the timed half."""
    _note(stage)


def _note(text: str) -> None:
    """Print to stderr, so that stdout has only verdicts."""
    err.print(text, markup=False, highlight=False)
