"""Commands that run a spec, or show what would run.

Commands import what they need when they run, so that plots and help do not wait for torch.
"""

from collections.abc import Iterator
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lrbench.cli.screen import Screen, table
from lrbench.cli.shared import Out, Overrides, SpecPath, app, draw, err, exit_codes, explained, folder_for, out, say
from lrbench.config import names
from lrbench.config.manual import describe_spec
from lrbench.errors import InputError, nearest

if TYPE_CHECKING:
    from lrbench.execute.executors import Crew
    from lrbench.execute.ray_jobs import Cluster
    from lrbench.plan.preview import Outline
    from lrbench.plan.spec import SweepSpec
    from lrbench.plan.trials import Skeleton
    from lrbench.results.log import Store
    from lrbench.results.records import Cost, Trial

Cache = Annotated[Path, typer.Option(envvar="LRBENCH_CACHE", help="directory of decoded images and trained weights")]
Retry = Annotated[bool, typer.Option("--retry-failed", help="run failed trials again")]
Fresh = Annotated[bool, typer.Option("--fresh", help="move what the results folder holds to NAME.old-N first")]
Jobs = Annotated[
    int | None,
    typer.Option("--jobs", min=1, help="trials at a time, in child processes that share the threads", metavar="N"),
]
Timeout = Annotated[
    float | None,
    typer.Option("--timeout", min=0.001, help="after which a trial is ended and counts as failed", metavar="SECONDS"),
]


Where = Annotated[
    str | None,
    typer.Option(
        "--executor",
        show_default="pool with --jobs or --timeout, else here",
        metavar="NAME",
    ),
]
Address = Annotated[
    str | None,
    typer.Option(help="of a Ray cluster: `auto`, `host:port`", show_default="a Ray that ends with the command"),
]
TrialCpus = Annotated[int | None, typer.Option(min=1, help="CPUs of a trial on a cluster", show_default="1")]
TrialGpus = Annotated[
    float | None, typer.Option(min=0, help="GPUs of a trial on a cluster, or a share of one", show_default="0")
]
On = Annotated[
    list[str] | None,
    typer.Option("--on", metavar="KEY=VALUE", help="time only on nodes of a cluster that have this label"),
]


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
    with exit_codes():
        from lrbench.plan.spec import load_spec
        from lrbench.plan.trials import prepare_sweep

        if executor is not None and executor not in names.EXECUTORS:
            raise InputError(f"unknown --executor {executor!r}: {nearest(executor, names.EXECUTORS)}")
        chosen = load_spec(spec, set_ or [])
        prepared = prepare_sweep(chosen)
        if fresh:
            _set_aside(folder)
        cluster = _cluster(executor, address=address, cpus=cpus_per_trial, gpus=gpus_per_trial, on=on)
        crew, stages = _crew(executor, cluster, jobs, timeout), tuple(Stage) if only is None else (only,)
        worked = _run(chosen, prepared, folder=folder, cache=cache, retry_failed=retry_failed, stages=stages, crew=crew)
        if worked or not (folder / "figures").is_dir():
            draw(folder)
        failed = _summarise(folder, {trial.key for trial in prepared[0]})
    if failed:
        raise typer.Exit(1)


def _cluster(
    executor: str | None, *, address: str | None, cpus: int | None, gpus: float | None, on: list[str] | None
) -> "Cluster | None":
    """The cluster that is meant; its options mean nothing elsewhere."""
    from lrbench.execute.ray_jobs import Cluster

    asked = {"--address": address, "--cpus-per-trial": cpus, "--gpus-per-trial": gpus, "--on": on}
    given = [name for name, value in asked.items() if value is not None]
    if executor != "ray":
        if given:
            raise InputError(f"{', '.join(given)} goes with --executor ray")
        return None
    if gpus is not None and gpus > 1 and gpus % 1:
        raise InputError(f"--gpus-per-trial takes a whole number or a share below 1, got {gpus:g}")
    labels = dict(text.partition("=")[::2] for text in on or ())
    if wrong := [text for text in on or () if "=" not in text]:
        raise InputError(f"--on takes KEY=VALUE, got {wrong[0]!r}")
    return Cluster(address=address, cpus=cpus or 1, gpus=gpus or 0.0, on=labels)


def _crew(executor: str | None, cluster: "Cluster | None", jobs: int | None, timeout: float | None) -> "Crew":
    """Who runs the trials."""
    from lrbench.execute.executors import Crew

    if executor in ("here", "ray") and jobs is not None:
        raise InputError(f"--jobs goes with --executor pool, not {executor}")
    if executor == "here" and timeout is not None:
        raise InputError("--timeout needs processes that can be killed: --executor pool or ray")
    return Crew(jobs=(jobs or 1) if executor == "pool" else jobs, timeout_s=timeout, cluster=cluster)


def _set_aside(folder: Path) -> None:
    from lrbench.results.log import set_aside

    moved = set_aside(folder)
    say(f"{folder} was moved to {moved}" if moved else f"{folder} holds nothing to move")


def _run(
    chosen: "SweepSpec",
    prepared: "tuple[tuple[Trial, ...], Skeleton]",
    *,
    folder: Path,
    cache: Path,
    retry_failed: bool,
    stages: tuple[Stage, ...],
    crew: "Crew",
) -> bool:
    """Run and record what is missing; say whether anything was."""
    from lrbench.measure.environment import read_environment
    from lrbench.plan.needs import check_disk
    from lrbench.results.log import Store
    from lrbench.trials.run import missing_trials
    from lrbench.trials.stages import plan_architectures, run_stages

    trials, skeleton = prepared
    for note in (skeleton.note, *chosen.left_out()):
        if note:
            say(note)
    with Store(folder) as store:
        for note in (*store.notices, *_note_spec(chosen, store)):
            say(note)
        before = len(store.records)
        todo = missing_trials(trials, store.records, retry_failed=retry_failed) if Stage.ACCURACY in stages else ()
        if Stage.ACCURACY in stages:
            say(f"{len(trials)} trials planned, {len(trials) - len(todo)} skipped, {len(todo)} to run, in {folder}")
            check_disk(chosen, skeleton, todo, folder=folder, cache=cache, jobs=crew.jobs or 1)
        else:
            here = read_environment().key
            planned, waiting = plan_architectures(
                chosen, trials, skeleton=skeleton, held=store.records, environment=here
            )
            store.extend(planned)
            for reason in waiting:
                say(f"not timed: {reason}")
        epochs = {"baseline": chosen.baseline.epochs, "finetune": chosen.finetune.epochs}
        with (
            Screen(out, todo, epochs=epochs) as screen,
            closing(
                run_stages(
                    chosen,
                    trials,
                    todo=todo,
                    timed=Stage.LATENCY in stages,
                    held=store.records,
                    skeleton=skeleton,
                    environment=read_environment(),
                    cache=cache,
                    notify=screen.notify,
                    crew=crew,
                )
            ) as records,
        ):
            for record in records:
                store.append(record)
                screen.finish(record)
        return len(store.records) > before


def _note_spec(chosen: "SweepSpec", store: "Store") -> Iterator[str]:
    """Keep the spec in the log when it is not the one kept last, and say what differs."""
    from lrbench.measure.environment import now
    from lrbench.plan.spec import differences, flat_keys
    from lrbench.results.records import SpecRecord

    keys = flat_keys(chosen)
    last = next((record.keys for record in reversed(store.records) if isinstance(record, SpecRecord)), None)
    changes = differences(last, keys) if last is not None else ()
    if last is None or changes:
        store.append(SpecRecord(started=now(), keys=keys))
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


@app.command(cls=explained(describe_spec))
def plan(spec: SpecPath, out_folder: Out = None, set_: Overrides = None) -> None:
    """Show the trials of a sweep with layers, ranks, params and MACs; train and write nothing.

    Budget rules go by what the results folder knows of the layers (`lrbench sensitivity`, `lrbench layers`).

    Example: `lrbench plan bench/sweeps/digits.toml`
    """
    folder = folder_for(spec, out_folder)
    with exit_codes():
        from lrbench.measure.environment import read_environment
        from lrbench.plan.budgets import gather_evidence
        from lrbench.plan.preview import outline, outline_row, reasons, why_rows
        from lrbench.plan.spec import load_spec
        from lrbench.plan.trials import layers_of, prepare_sweep
        from lrbench.results.log import LOG, read_records

        chosen = load_spec(spec, set_ or [])
        trials, skeleton = prepare_sweep(chosen)
        for note in chosen.left_out():
            say(note)
        for name in chosen.chosen_layer_sets():
            say(f"layer set {name}: {' '.join(layer.name for layer in layers_of(chosen, name, skeleton.layers))}")
        held = read_records(folder) if (folder / LOG).exists() else []
        evidence = gather_evidence(chosen, held, environment=read_environment().key)
        outlines = [outline(trial, chosen, skeleton, evidence=evidence) for trial in trials]
        columns = ("trial", "ranks of the set's layers (- dense)", "#params", "#ratio", "#MACs", "#ratio")
        out.print(table(f"{len(trials)} trials of {spec}", columns, [outline_row(o, skeleton.cost) for o in outlines]))
        for one in outlines:
            if one.prediction is not None:
                why = ("layer", "method", "#rank", "#of its MACs", "#output error", "#damage", "why dense")
                out.print(table(_expected(one, skeleton.cost), why, why_rows(one, evidence)))
        for line in reasons(outlines):
            say(line)
        if any(one.prediction and one.prediction.latency_ratio is not None for one in outlines):
            say(evidence.words())


def _expected(outline: "Outline", dense: "Cost") -> str:
    """What a budget rule expects of a trial, in words, beside the budget that its name tells."""
    expected = outline.prediction
    assert expected is not None
    spent = [("params", expected.params / dense.params), ("MACs", expected.macs / dense.macs)]
    spent += [("time", expected.latency_ratio)] if expected.latency_ratio is not None else []
    shares = ", ".join(f"{share:.3f} of the {name}" for name, share in spent)
    return f"{outline.trial.label}: {shares}; predicted damage {expected.damage:.4f}"


@app.command(cls=explained(describe_spec))
def sensitivity(
    spec: SpecPath,
    out_folder: Out = None,
    set_: Overrides = None,
    cache: Cache = Path("cache"),
    jobs: Jobs = None,
) -> None:
    """Truncate one layer at a time, by each method at each rank, and write what that loses: sensitivity.csv.

    What the layer's outputs lose costs one pass over the calibration images for all ranks together; accuracy on the
    search split is measured where `sensitivity.accuracy_points` asks for it. Budget rules choose ranks by this table.

    Example: `lrbench sensitivity bench/sweeps/digits.toml --set sensitivity.accuracy_points=3`
    """
    folder = folder_for(spec, out_folder)
    with exit_codes():
        from lrbench.execute.executors import Crew
        from lrbench.measure.environment import read_environment
        from lrbench.plan.spec import load_spec
        from lrbench.plan.trials import prepare_sweep
        from lrbench.results.log import Store
        from lrbench.trials.run import run_sensitivity

        chosen = load_spec(spec, set_ or [])
        trials, _ = prepare_sweep(chosen)
        with Store(folder) as store, Screen(out, (), epochs={}) as screen:
            for note in store.notices:
                say(note)
            for record in run_sensitivity(
                chosen,
                trials,
                held=store.records,
                environment=read_environment(),
                cache=cache,
                notify=screen.notify,
                crew=Crew(jobs=jobs),
            ):
                store.append(record)
                screen.finish(record)
        draw(folder)
