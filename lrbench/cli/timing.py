"""Commands that time: the models of a folder, single layers, and the machine itself."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from lrbench.cli.shared import Folder, Out, Overrides, SpecPath, app, draw, err, explained, folder_for, out, say
from lrbench.config.manual import describe_spec
from lrbench.fitted import table
from lrbench.screen import Screen

if TYPE_CHECKING:
    from lrbench.results.log import Store
    from lrbench.results.records import Record


Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="override a key: `latency.threads=[2]`")
]
Models = Annotated[
    list[str] | None, typer.Option("--model", metavar="MODULE:CALLABLE", help="your own model code that may be run")
]
Again = Annotated[
    list[str] | None,
    typer.Option("--again", metavar="TRIAL", help="trial to time once more: its key, or the beginning of it"),
]
Occasion = Annotated[
    bool, typer.Option("--occasion", help="time everything once more: best half an hour or more after the last time")
]


def _keep(store: "Store", records: "Iterator[Record]", screen: Screen) -> bool:
    """Append records as they come; gives whether a timing among them failed."""
    from lrbench.results.sessions import TimingFailure

    held = len(store.records)
    store.keep(records, screen.finish)
    return any(isinstance(record, TimingFailure) for record in store.records[held:])


@app.command("time")
def time_(
    folder: Folder, set_: Settings = None, model: Models = None, again: Again = None, occasion: Occasion = False
) -> None:
    """Add this machine's timings to a results folder; trains nothing, and needs no data and no spec.

    What was already timed here is skipped, unless that timing was unfit (its A/A control failed), --again names it, or
    --occasion asks for all of it. All sessions of an architecture count together, and its interval widens where they
    disagree. An interrupted timing is continued by the same command. Exit code 1 when a timing failed: the others are
    made all the same.

    The settings are those that the folder was timed in, unless --set changes them.

    Example: `lrbench time results/digits --set latency.threads=[2]`
    """
    from lrbench.export.find import find_measurement
    from lrbench.measure.environment import read_environment
    from lrbench.results.log import Store
    from lrbench.trials.retime import subjects, time_subjects

    with Store(folder, create=False) as store:
        for note in store.notices:
            say(note)
        to_time = list(subjects(store.records, overrides=set_ or [], models=model or []))
        once_more = {find_measurement(store.records, key).architecture.key for key in again or ()}
        once_more |= {key for subject in to_time for key in subject.architectures if occasion}
        with Screen(out, (), epochs={}) as screen:
            records = time_subjects(
                to_time,
                tuple(store.records),
                environment=read_environment(),
                progress=screen.progress,
                again=once_more,
            )
            failed = _keep(store, records, screen)
    draw(folder)
    if failed:
        raise typer.Exit(1)


@app.command(cls=explained(describe_spec))
def layers(spec: SpecPath, out_folder: Out = None, set_: Overrides = None) -> None:
    """Time each distinct layer of a spec beside its factors, at a range of ranks; trains nothing.

    Reports the measured break-even rank of each layer, and the backend that ran it.

    Example: `lrbench layers bench/sweeps/latency.toml`
    """
    folder = folder_for(spec, out_folder)
    from lrbench.plan.run import prepare
    from lrbench.plan.spec import load_spec
    from lrbench.report.advice.summary import breakeven_tables
    from lrbench.report.results import Results
    from lrbench.results.log import Store
    from lrbench.trials.layers import plan_layers, time_layers

    run = prepare(load_spec(spec, set_ or []))
    with Store(folder) as store:
        for note in store.notices:
            say(note)
        jobs = plan_layers(run, store.records)
        count = sum(len(job.candidates) for job in jobs)
        say(f"{len(jobs)} layers to time, {count} factorizations, in {folder}")
        with Screen(out, (), epochs={}) as screen:
            shown = replace(run, progress=screen.progress)
            failed = _keep(store, time_layers(shown, jobs, tuple(store.records)), screen)
    draw(folder)
    for texts in breakeven_tables(Results(folder)):
        out.print(table(texts))
    if failed:
        raise typer.Exit(1)


@app.command()
def doctor(
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of torch")] = 1,
    model: Annotated[str, typer.Option(help="a torchvision model")] = "resnet18",
    image_size: Annotated[int, typer.Option(min=8, max=1024, help="height and width in pixels")] = 64,
) -> None:
    """Check whether this machine is fit for timing: time a model beside its own copy, for half a minute.

    Exit code 1 when it is unfit.

    Example: `lrbench doctor --threads 2`
    """
    from lrbench.report.texts import Form, with_interval
    from lrbench.timing.doctor import ROUNDS, diagnose

    with Screen(err, (), epochs={}) as screen:
        diagnosis = diagnose(model=model, image_size=image_size, threads=threads, progress=screen.progress)
    where = diagnosis.environment
    control = diagnosis.control
    isa = f" ({where.isa})" if where.isa else ""
    say(f"{where.processor}, {where.cpus} CPUs{isa}, torch {where.torch}, oneDNN {where.onednn}, {where.system}")
    say(f"{model}, {image_size} px, {diagnosis.setting.label}: {diagnosis.dense_s * 1000:.2f} ms a call")
    ratio = with_interval(control.ratio, control.low, control.high, form=Form(value=".4f", ends=".4f"), note="99 %")
    say(f"ratio of the model to its copy: {ratio}")
    say(f"noise of one round: {diagnosis.noise:.2%}")
    say(f"smallest change visible in {ROUNDS} rounds: {diagnosis.visible:.2%}")
    for line in diagnosis.advice:
        say(f"- {line}")
    say("fit for timing" if diagnosis.fit else "unfit for timing: the model and its copy took different times")
    if not diagnosis.fit:
        raise typer.Exit(1)
