"""Commands that run a spec, or show what would run.

Commands import what they need when they run, so that plots and help do not wait for torch.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lrbench.choices import DEFAULTS_HELP
from lrbench.cli.shared import Out, Overrides, SpecPath, app, draw, err, exit_codes, folder_for, out, say
from lrbench.screen import Screen, table

Cache = Annotated[Path, typer.Option(envvar="LRBENCH_CACHE", help="directory of decoded images and trained weights")]
Retry = Annotated[bool, typer.Option("--retry-failed", help="run failed trials again")]


class Stage(StrEnum):
    """The two stages of a sweep."""

    ACCURACY = "accuracy"
    LATENCY = "latency"


Only = Annotated[
    Stage | None,
    typer.Option("--only", help="one stage alone; `latency` trains nothing and times what is planned", metavar="STAGE"),
]


@app.command(epilog=DEFAULTS_HELP)
def sweep(
    spec: SpecPath,
    out_folder: Out = None,
    set_: Overrides = None,
    cache: Cache = Path("cache"),
    retry_failed: Retry = False,
    only: Only = None,
) -> None:
    """Run what is missing of a sweep, write its tables and draw its figures: accuracy first, then timing alone.

    Example: `lrbench sweep bench/sweeps/digits.toml --set finetune.epochs=1`
    """
    folder = folder_for(spec, out_folder)
    with exit_codes():
        stages = tuple(Stage) if only is None else (only,)
        worked = _run(spec, folder, overrides=set_ or [], cache=cache, retry_failed=retry_failed, stages=stages)
        if worked or not (folder / "figures").is_dir():
            draw(folder)
        failed = _summarise(folder)
    if failed:
        raise typer.Exit(1)


def _run(
    spec: Path, folder: Path, *, overrides: list[str], cache: Path, retry_failed: bool, stages: tuple[Stage, ...]
) -> bool:
    """Run and record what is missing; say whether anything was."""
    from lrbench.measure.environment import read_environment
    from lrbench.store import Store
    from lrbench.sweep.plan import prepare_sweep
    from lrbench.sweep.run import missing_trials
    from lrbench.sweep.spec import load_spec
    from lrbench.sweep.stage import plan_architectures, run_stages

    chosen = load_spec(spec, overrides)
    trials, skeleton = prepare_sweep(chosen)
    for note in (skeleton.note, *chosen.left_out()):
        if note:
            say(note)
    with Store(folder) as store:
        before = len(store.records)
        todo = missing_trials(trials, store.records, retry_failed=retry_failed) if Stage.ACCURACY in stages else ()
        if Stage.ACCURACY in stages:
            say(f"{len(trials)} trials planned, {len(trials) - len(todo)} skipped, {len(todo)} to run, in {folder}")
        else:
            planned, waiting = plan_architectures(chosen, trials, skeleton=skeleton, held=store.records)
            store.extend(planned)
            if waiting:
                say(f"trials whose ranks need trained weights, not timed: {waiting}; run --only accuracy first")
        epochs = {"baseline": chosen.baseline.epochs, "finetune": chosen.finetune.epochs}
        with Screen(out, todo, epochs=epochs) as screen:
            for record in run_stages(
                chosen,
                trials,
                todo=todo,
                timed=Stage.LATENCY in stages,
                held=store.records,
                skeleton=skeleton,
                environment=read_environment(),
                cache=cache,
                notify=screen.notify,
            ):
                store.append(record)
                screen.finish(record)
        return len(store.records) > before


def _summarise(folder: Path) -> int:
    """Print the trials worth having, and those that failed; give the number of failed ones."""
    from lrbench.report.summary import COLUMNS, failed_trials, front_trials, rows_of, timed_only

    front, failed = front_trials(folder), failed_trials(folder)
    if len(front):
        title = f"Dense control and Pareto front of {folder}, accuracy over MACs (latency: {front['setting'].iloc[0]})"
        out.print(table(title, COLUMNS, rows_of(front)))
    else:
        for title, columns, rows in timed_only(folder):
            out.print(table(title, columns, rows))
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
    say(f"tables and figures: {folder}")
    return len(failed)


@app.command(epilog=DEFAULTS_HELP)
def plan(spec: SpecPath, set_: Overrides = None) -> None:
    """Show the trials of a sweep with layers, ranks, params and MACs; train and write nothing.

    Example: `lrbench plan bench/sweeps/digits.toml`
    """
    with exit_codes():
        from lrbench.sweep.outline import outline, outline_row, reasons
        from lrbench.sweep.plan import layers_of, prepare_sweep
        from lrbench.sweep.spec import load_spec

        chosen = load_spec(spec, set_ or [])
        trials, skeleton = prepare_sweep(chosen)
        for note in chosen.left_out():
            say(note)
        for name in chosen.chosen_layer_sets():
            say(f"layer set {name}: {' '.join(layer.name for layer in layers_of(chosen, name, skeleton.layers))}")
        outlines = [outline(trial, chosen, skeleton) for trial in trials]
        columns = ("trial", "ranks of the set's layers (- dense)", "#params", "#ratio", "#MACs", "#ratio")
        out.print(table(f"{len(trials)} trials of {spec}", columns, [outline_row(o, skeleton.cost) for o in outlines]))
        for line in reasons(outlines):
            say(line)
