"""The command line: parse, wire, print, exit codes (0 done, 1 a trial failed, 2 unusable input, 130 interrupted).

Commands import what they need when they run, so that plots and help do not wait for torch.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from lrbench.choices import DEFAULTS_HELP
from lrbench.errors import InputError
from lrbench.screen import Screen, console, table

app = typer.Typer(
    help="Which rank, in which layers, buys me that latency, and what accuracy does it cost?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
out, err = console(stderr=False), console(stderr=True)

SpecPath = Annotated[Path, typer.Argument(help="sweep spec, a TOML file", show_default=False)]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="override a key: `finetune.epochs=1`")
]
Cache = Annotated[Path, typer.Option(envvar="LRBENCH_CACHE", help="directory of decoded images and trained weights")]
Retry = Annotated[bool, typer.Option("--retry-failed", help="run failed trials again")]
Out = Annotated[Path | None, typer.Option("--out", help="results folder", show_default="results/ and the spec's name")]
Folder = Annotated[Path, typer.Argument(help="results folder", show_default=False)]


@contextmanager
def _exit_codes() -> Iterator[None]:
    """Turn a user's mistake into one message and exit code 2, Ctrl-C into 130."""
    try:
        yield
    except InputError as error:
        err.print(f"error: {error}", style="bold red", markup=False, highlight=False)
        raise typer.Exit(2) from error
    except KeyboardInterrupt as error:
        err.print("interrupted: what is finished is kept; the same command continues", markup=False)
        raise typer.Exit(130) from error


def _say(text: str) -> None:
    out.print(text, markup=False, highlight=False)


@app.command(epilog=DEFAULTS_HELP)
def sweep(
    spec: SpecPath,
    out_folder: Out = None,
    set_: Overrides = None,
    cache: Cache = Path("cache"),
    retry_failed: Retry = False,
) -> None:
    """Run what is missing of a sweep, write its tables and draw its figures.

    Example: `lrbench sweep bench/sweeps/digits.toml --set finetune.epochs=1`
    """
    folder = out_folder or Path("results") / spec.stem
    with _exit_codes():
        worked = _run(spec, folder, overrides=set_ or [], cache=cache, retry_failed=retry_failed)
        if worked or not (folder / "figures").is_dir():
            _draw(folder)
        failed = _summarise(folder)
    if failed:
        raise typer.Exit(1)


def _run(spec: Path, folder: Path, *, overrides: list[str], cache: Path, retry_failed: bool) -> bool:
    """Run and record what is missing; say whether anything was."""
    from lrbench.measure.environment import read_environment
    from lrbench.store import Store
    from lrbench.sweep.plan import prepare_sweep
    from lrbench.sweep.run import missing_timings, missing_trials, run_sweep, run_timings
    from lrbench.sweep.spec import load_spec

    chosen = load_spec(spec, overrides)
    trials, skeleton = prepare_sweep(chosen)
    for note in (skeleton.note, *chosen.left_out()):
        if note:
            _say(note)
    with Store(folder) as store:
        before = len(store.records)
        todo = missing_trials(trials, store.records, retry_failed=retry_failed)
        _say(f"{len(trials)} trials planned, {len(trials) - len(todo)} skipped, {len(todo)} to run, in {folder}")
        epochs = {"baseline": chosen.baseline.epochs, "finetune": chosen.finetune.epochs}
        with Screen(out, todo, epochs=epochs) as screen:
            environment = read_environment()
            for record in run_sweep(
                chosen, todo, held=store.records, environment=environment, cache=cache, notify=screen.notify
            ):
                store.append(record)
                screen.finish(record)
            timings = missing_timings(chosen, trials, store.records, environment=environment.key)
            for session in run_timings(
                chosen, timings, skeleton=skeleton, environment=environment, notify=screen.notify
            ):
                store.append(session)
                screen.finish(session)
        return len(store.records) > before


def _draw(folder: Path) -> None:
    from lrbench.report.draw import draw_figures

    drawn = draw_figures(folder)
    _say(f"{len(drawn)} figures in {folder / 'figures'}, each as PNG and SVG")


def _summarise(folder: Path) -> int:
    """Print the trials worth having, and those that failed; give the number of failed ones."""
    from lrbench.report.summary import COLUMNS, failed_trials, front_trials, rows_of

    front, failed = front_trials(folder), failed_trials(folder)
    setting = front["setting"].iloc[0] if len(front) else "nothing finished"
    out.print(
        table(
            f"Dense control and Pareto front of {folder}, accuracy over MACs (latency: {setting})",
            COLUMNS,
            rows_of(front),
        )
    )
    for trial in failed.itertuples():
        err.print(
            f"failed: {trial.scheme} {trial.truncation} {trial.layer_set} {trial.rank_rule} seed {trial.seed}: "
            f"{trial.reason}",
            style="red",
            markup=False,
            highlight=False,
        )
    if len(failed):
        err.print(f"{len(failed)} trials failed; --retry-failed runs them again", markup=False)
    _say(f"tables and figures: {folder}")
    return len(failed)


@app.command(epilog=DEFAULTS_HELP)
def plan(spec: SpecPath, set_: Overrides = None) -> None:
    """Show the trials of a sweep with layers, ranks, params and MACs; train and write nothing.

    Example: `lrbench plan bench/sweeps/digits.toml`
    """
    with _exit_codes():
        from lrbench.sweep.outline import outline, outline_row, reasons
        from lrbench.sweep.plan import layers_of, prepare_sweep
        from lrbench.sweep.spec import load_spec

        chosen = load_spec(spec, set_ or [])
        trials, skeleton = prepare_sweep(chosen)
        for note in chosen.left_out():
            _say(note)
        for name in chosen.chosen_layer_sets():
            _say(f"layer set {name}: {' '.join(layer.name for layer in layers_of(chosen, name, skeleton.layers))}")
        outlines = [outline(trial, chosen, skeleton) for trial in trials]
        columns = ("trial", "ranks of the set's layers (- dense)", "#params", "#ratio", "#MACs", "#ratio")
        out.print(table(f"{len(trials)} trials of {spec}", columns, [outline_row(o, skeleton.cost) for o in outlines]))
        for line in reasons(outlines):
            _say(line)


@app.command()
def plots(folder: Folder) -> None:
    """Draw the figures of a results folder again, from its CSV tables alone.

    Example: `lrbench plots results/digits`
    """
    with _exit_codes():
        _draw(folder)


@app.command("table")
def table_(folder: Folder) -> None:
    """Print every finished trial of a results folder as a Markdown table, latency in the first setting timed.

    Example: `lrbench table results/seed`
    """
    with _exit_codes():
        from lrbench.report.summary import all_trials, markdown

        _say(markdown(all_trials(folder)))


if __name__ == "__main__":
    app()
