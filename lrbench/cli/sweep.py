"""The command that runs a spec.

Commands import what they need when they run, so that plots and help do not wait for torch.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lrbench.cli.shared import (
    Cache,
    Out,
    Overrides,
    SpecPath,
    app,
    draw,
    err,
    explained,
    folder_for,
    out,
    say,
)
from lrbench.cli.workers import Address, Jobs, On, Timeout, TrialCpus, TrialGpus, Where, choose_workers
from lrbench.config import names
from lrbench.config.manual import describe_spec
from lrbench.fitted import table
from lrbench.screen import describe

Retry = Annotated[bool, typer.Option("--retry-failed", help="run failed trials and timings again")]
Fresh = Annotated[bool, typer.Option("--fresh", help="move the results folder to NAME.old-N first")]


class Stage(StrEnum):
    """The two stages of a sweep."""

    ACCURACY = "accuracy"
    LATENCY = "latency"


Only = Annotated[
    Stage | None,
    typer.Option(
        "--only",
        help="run one stage: `accuracy`, or `latency`, which trains nothing and times what is planned",
        metavar="STAGE",
    ),
]


@app.command(cls=explained(describe_spec, {"executor": lambda: names.in_a_row(names.EXECUTORS)}))
def sweep(  # noqa: PLR0913 - one for each option
    spec: SpecPath,
    out_folder: Out = None,
    set_: Overrides = None,
    cache: Cache = Path("cache"),
    retry_failed: Retry = False,
    only: Only = None,
    fresh: Fresh = False,
    jobs: Jobs = None,
    timeout: Timeout = None,
    executor: Where = None,
    address: Address = None,
    cpus_per_trial: TrialCpus = None,
    gpus_per_trial: TrialGpus = None,
    on: On = None,
) -> None:
    """Run the missing trials of a sweep, then time them alone; write tables and draw figures.

    Example: `lrbench sweep digits --set finetune.epochs=1`
    """
    folder = folder_for(spec, out_folder)
    options = {"jobs": jobs, "timeout": timeout, "address": address, "on": on}
    options |= {"cpus-per-trial": cpus_per_trial, "gpus-per-trial": gpus_per_trial}
    from lrbench.library.fill import fill
    from lrbench.plan.run import prepare
    from lrbench.plan.spec import load_spec

    chosen = load_spec(spec, set_ or [])
    workers = choose_workers(executor, options, spec=chosen)
    run = prepare(chosen, cache=cache, limit_s=timeout)
    if fresh:
        _set_aside(folder)
    stages = tuple(map(str, Stage if only is None else (only,)))
    filled = fill(run, folder, stages=stages, retry_failed=retry_failed, workers=workers, console=out)
    draw(folder)
    failed = _summarise(folder, {trial.key for trial in filled.trials})
    for failure in filled.failed:
        err.print(f"failed: {describe(failure)}", style="red", markup=False, highlight=False)
    if filled.failed:
        err.print(f"{len(filled.failed)} timings failed; --retry-failed makes them again", markup=False)
    if filled.absent:
        err.print(f"{len(filled.absent)} planned trials have no outcome; the same command runs them", markup=False)
    if failed or filled.failed or filled.absent:
        raise typer.Exit(1)


def _set_aside(folder: Path) -> None:
    from lrbench.results.log import set_aside

    moved = set_aside(folder)
    say(f"{folder} was moved to {moved}" if moved else f"{folder} has nothing to move")


def _summarise(folder: Path, planned: set[str]) -> int:
    """Print the front and the planned trials that failed; return the number of failed ones."""
    from lrbench.report.advice.end import end_lines
    from lrbench.report.advice.summary import BRIEF, timed_tables, trial_table
    from lrbench.report.results import Results
    from lrbench.report.rows import put_first

    results = Results(folder)
    front, failed = results.front, results.failed
    failed = failed[failed["trial"].isin(planned)]
    if len(front):
        split, setting = front["split"].iloc[0], front["setting"].iloc[0]
        title = f"Dense control and front of {folder}, accuracy over MACs, by the {split} split (latency: {setting})"
        out.print(table(put_first(trial_table(front, title=title), BRIEF)))
    else:
        for texts in timed_tables(results):
            out.print(table(texts))
    for trial in failed.itertuples():
        err.print(
            f"failed: {trial.scheme} {trial.truncation} {trial.layer_set} {trial.rank_rule} seed {trial.seed}: "
            f"{trial.reason} ({trial.failure}, attempt {trial.attempt})",
            style="red",
            markup=False,
            highlight=False,
        )
    if len(failed):
        err.print(f"{len(failed)} trials failed; --retry-failed runs them again", markup=False)
    say(f"tables and figures: {folder}")
    for line in end_lines(results):
        say(line)
    return len(failed)
