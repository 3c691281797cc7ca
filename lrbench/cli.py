"""The command line: parse, wire, print, exit codes (0 done, 1 something failed, 2 unusable input, 130 interrupted)."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lrbench.errors import InputError
from lrbench.records import Environment, Failure, Measurement, Session, Trial
from lrbench.screen import Screen, units_of

app = typer.Typer(
    help="Which rank, in which layers, buys me that latency, and what accuracy does it cost?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
out = Console(soft_wrap=True)
err = Console(stderr=True, soft_wrap=True)

SpecPath = Annotated[Path, typer.Argument(help="sweep spec, a TOML file", show_default=False)]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="override a key, e.g. finetune.epochs=1")
]
Cache = Annotated[
    Path, typer.Option(envvar="LRBENCH_CACHE", help="directory for decoded images and trained weights")
]
Folder = Annotated[Path, typer.Argument(help="results folder", show_default=False)]


@app.callback()
def _main() -> None:
    pass


@contextmanager
def _exits() -> Iterator[None]:
    """Turn a user's mistake into one message and exit code 2, Ctrl-C into 130."""
    try:
        yield
    except InputError as error:
        err.print(f"error: {error}", style="bold red", markup=False, highlight=False)
        raise typer.Exit(2) from error
    except KeyboardInterrupt as error:
        err.print("interrupted: what is finished is kept, the same command continues", markup=False)
        raise typer.Exit(130) from error


def _show(record: object, screen: Screen) -> None:
    """One lasting line for each trial and timing session."""
    if isinstance(record, Measurement):
        trial, facts = record.trial, record
        screen.finish(
            trial.finetune_epochs + 1,
            f"done    {trial.label}: {facts.cost.params:,} params, {facts.cost.macs:,} MACs, accuracy "
            f"{facts.dense.accuracy:.2%} dense, {facts.truncated.accuracy:.2%} truncated, "
            f"{facts.finetuned.accuracy:.2%} finetuned",
        )
    elif isinstance(record, Failure):
        screen.finish(record.trial.finetune_epochs + 1, f"failed  {record.trial.label}: {record.stage}: {record.reason}")
    elif isinstance(record, Session):
        timed, how = len(record.architectures) - 1, record.setting
        screen.finish(
            0,
            f"timed   {timed} architectures beside dense: {how.device}, batch {how.batch_size}, "
            f"threads {how.threads}, {how.memory_format}, {len(record.rounds)} rounds",
        )


@app.command()
def sweep(
    spec: SpecPath,
    out_folder: Annotated[
        Path | None, typer.Option("--out", help="results folder; default: results/ and the spec's name")
    ] = None,
    set_: Set = None,
    cache: Cache = Path("cache"),
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="run failed trials again")] = False,
) -> None:
    """Run what is missing of a sweep, write its tables and draw its figures.

    Example: `lrbench sweep bench/sweeps/digits.toml --set finetune.epochs=1`
    """
    from lrbench.learn.datasets import identify
    from lrbench.measure.environment import read_environment
    from lrbench.measure.latency import settings
    from lrbench.store import Store
    from lrbench.sweep.run import missing_timings, missing_trials, run_sweep, run_timings
    from lrbench.sweep.plan import build_skeleton, plan_trials
    from lrbench.sweep.spec import load_spec

    folder = out_folder or Path("results") / spec.stem
    with _exits():
        chosen = load_spec(spec, set_ or ())
        settings(chosen.latency)
        identity, classes = identify(chosen.data)
        trials = plan_trials(chosen, identity=identity)
        skeleton = build_skeleton(chosen, classes=classes, seed=0)
        if skeleton.note:
            out.print(skeleton.note, markup=False, highlight=False)
        with Store(folder) as store:
            todo = missing_trials(trials, store.records, retry_failed=retry_failed)
            out.print(f"{len(trials)} trials planned, {len(trials) - len(todo)} skipped, {len(todo)} to run in {folder}")
            with Screen(out, units_of(todo)) as screen:
                for record in run_sweep(chosen, todo, held=store.records, cache=cache, notify=screen.notify):
                    store.append(record)
                    _show(record, screen)
                environment = read_environment()
                timings = missing_timings(chosen, trials, store.records, environment=environment.key)
                for record in run_timings(
                    chosen, timings, skeleton=skeleton, environment=environment, notify=screen.notify
                ):
                    store.append(record)
                    _show(record, screen)


if __name__ == "__main__":
    app()
