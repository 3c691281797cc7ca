"""The command that runs a spec.

Commands import what they need when they run, so that plots and help do not wait for torch.
"""

from collections.abc import Iterator
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lrbench.cli.screen import Screen, table
from lrbench.cli.shared import (
    Cache,
    Out,
    Overrides,
    SpecPath,
    app,
    draw,
    err,
    exit_codes,
    explained,
    folder_for,
    out,
    say,
)
from lrbench.cli.workers import Address, Jobs, On, Timeout, TrialCpus, TrialGpus, Where, choose_workers
from lrbench.config import names
from lrbench.config.manual import describe_spec

if TYPE_CHECKING:
    from lrbench.execute.workers import Workers
    from lrbench.plan.run import Run
    from lrbench.plan.spec import SweepSpec
    from lrbench.results.log import Store
    from lrbench.results.records import Trial

Retry = Annotated[bool, typer.Option("--retry-failed", help="run failed trials again")]
Fresh = Annotated[bool, typer.Option("--fresh", help="move what the results folder holds to NAME.old-N first")]


class Stage(StrEnum):
    """The two stages of a sweep."""

    ACCURACY = "accuracy"
    LATENCY = "latency"


Only = Annotated[
    Stage | None,
    typer.Option(
        "--only",
        help="`accuracy` or `latency` alone; `latency` trains nothing and times what is planned",
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
    """Run what is missing of a sweep, write its tables and draw its figures: accuracy first, then timing alone.

    Example: `lrbench sweep bench/sweeps/digits.toml --set finetune.epochs=1`
    """
    folder = folder_for(spec, out_folder)
    options = {"jobs": jobs, "timeout": timeout, "address": address, "on": on}
    options |= {"cpus-per-trial": cpus_per_trial, "gpus-per-trial": gpus_per_trial}
    with exit_codes():
        from lrbench.plan.run import prepare
        from lrbench.plan.spec import load_spec

        workers = choose_workers(executor, options)
        run = prepare(load_spec(spec, set_ or []), cache=cache)
        if fresh:
            _set_aside(folder)
        worked = _run(run, folder, retry_failed=retry_failed, only=only, workers=workers)
        if worked or not (folder / "figures").is_dir():
            draw(folder)
        failed = _summarise(folder, {trial.key for trial in run.trials})
    if failed:
        raise typer.Exit(1)


def _set_aside(folder: Path) -> None:
    from lrbench.results.log import set_aside

    moved = set_aside(folder)
    say(f"{folder} was moved to {moved}" if moved else f"{folder} holds nothing to move")


def _run(run: "Run", folder: Path, *, retry_failed: bool, only: Stage | None, workers: "Workers") -> bool:
    """Run and record what is missing; say whether anything was."""
    from lrbench.results.log import Store
    from lrbench.trials.run import missing_trials
    from lrbench.trials.sweep import run_sweep

    spec, stages = run.spec, tuple(Stage) if only is None else (only,)
    for note in (run.dense.note, *spec.left_out()):
        if note:
            say(note)
    with Store(folder) as store:
        for note in (*store.notices, *_note_spec(spec, store)):
            say(note)
        before = len(store.records)
        todo = missing_trials(run.trials, store.records, retry_failed=retry_failed) if Stage.ACCURACY in stages else ()
        if Stage.ACCURACY in stages:
            _announce(run, todo, folder, workers)
        else:
            _plan(run, store)
        epochs = {"baseline": spec.baseline.epochs, "finetune": spec.finetune.epochs}
        with Screen(out, todo, epochs=epochs) as screen:
            told = replace(run, progress=screen.progress)
            records = run_sweep(told, todo, tuple(store.records), stages=stages, workers=workers)
            store.keep(records, screen.finish)
        return len(store.records) > before


def _announce(run: "Run", todo: "tuple[Trial, ...]", folder: Path, workers: "Workers") -> None:
    """Say how much there is to do, and refuse it where the disk is too small."""
    from lrbench.execute.executors import EXECUTORS
    from lrbench.plan.needs import check_disk

    planned = len(run.trials)
    say(f"{planned} trials planned, {planned - len(todo)} skipped, {len(todo)} to run, in {folder}")
    check_disk(run, todo, folder=folder, jobs=max(1, EXECUTORS[workers.executor].at_once(workers)))


def _plan(run: "Run", store: "Store") -> None:
    """Record the architectures that are to be timed without being trained, and say which are not known yet."""
    from lrbench.trials.sweep import missing_plans

    planned, waiting = missing_plans(run, store.records)
    store.extend(planned)
    for reason in waiting:
        say(f"not timed: {reason}")


def _note_spec(spec: "SweepSpec", store: "Store") -> Iterator[str]:
    """Keep the spec in the log when it is not the one kept last, or ran in other code, and say what differs in it.

    Beside the log it is kept as it was resolved.
    """
    from importlib.metadata import version

    from lrbench.config.writing import to_toml
    from lrbench.measure.environment import now, read_repository_commit
    from lrbench.plan.spec import differences, flat_keys
    from lrbench.results.files import write_file
    from lrbench.results.log import SPEC
    from lrbench.results.records import SpecRecord

    commit = read_repository_commit(Path.cwd())
    noted = SpecRecord(
        started=now(), keys=flat_keys(spec), repository_commit=commit, lrbench_version=version("lrbench")
    )
    last = next((record for record in reversed(store.records) if isinstance(record, SpecRecord)), None)
    changes = differences(last.keys, noted.keys) if last is not None else ()
    if last is None or replace(noted, started=last.started) != last:
        store.append(noted)
    resolved, path = to_toml(spec).encode(), store.folder / SPEC
    if not path.is_file() or path.read_bytes() != resolved:
        write_file(path, resolved)
    if changes:
        yield f"the spec is not the one that {store.folder} was last swept by:"
        yield from (f"  {change}" for change in changes)
        yield "trials of both stay, told apart by their keys; --fresh moves the old ones aside, --out keeps them apart"


def _summarise(folder: Path, planned: set[str]) -> int:
    """Print the trials worth having, and those planned that failed; give the number of failed ones."""
    from lrbench.report.summary import COLUMNS, failed_trials, front_trials, rows_of, timed_only

    front, failed = front_trials(folder), failed_trials(folder)
    failed = failed[failed["trial"].isin(planned)]
    if len(front):
        title = f"Dense control and Pareto front of {folder}, accuracy over MACs (latency: {front['setting'].iloc[0]})"
        out.print(table(title, COLUMNS, rows_of(front)))
    else:
        for title, columns, rows in timed_only(folder):
            out.print(table(title, columns, rows))
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
    return len(failed)
