"""Commands that show what would run, and what truncating single layers loses."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from lrbench.cli.shared import Cache, Out, Overrides, SpecPath, app, draw, explained, folder_for, out, say
from lrbench.cli.workers import Jobs, choose_workers
from lrbench.config.manual import describe_spec
from lrbench.fitted import table
from lrbench.screen import Screen

if TYPE_CHECKING:
    from lrbench.plan.preview import Preview
    from lrbench.results.records import Cost

LISTED = 500
"""Trials that a plan shows at most."""


@app.command(cls=explained(describe_spec))
def plan(spec: SpecPath, out_folder: Out = None, set_: Overrides = None) -> None:
    """Show the trials of a sweep with layers, ranks, params and MACs; trains and writes nothing.

    Budget rules use what `lrbench sensitivity` and `lrbench layers` measured in the results folder.

    Example: `lrbench plan digits`
    """
    folder = folder_for(spec, out_folder)
    from lrbench.plan.evidence import gather_evidence
    from lrbench.plan.preview import preview, preview_row, reasons, why_rows
    from lrbench.plan.run import prepare
    from lrbench.plan.schedulers import forecasts
    from lrbench.plan.spec import load_spec
    from lrbench.plan.trials import layers_of
    from lrbench.report.texts import TextTable
    from lrbench.results.files import is_there
    from lrbench.results.log import LOG, read_records

    run = prepare(load_spec(spec, set_ or []))
    chosen = run.spec
    seeds = len({trial.seed for trial in run.trials})
    say(f"{len(run.trials):,} trials of {seeds:,} seed{'s' if seeds != 1 else ''}")
    for note in (*run.notes, *forecasts(run), *chosen.left_out()):
        say(note)
    for name in chosen.chosen_layer_sets():
        say(f"layer set {name}: {' '.join(layer.name for layer in layers_of(chosen, name, run.dense.layers))}")
    held = read_records(folder) if is_there(folder / LOG) else []
    evidence = gather_evidence(chosen, held, environment=run.environment.key)
    count, shown = len(run.trials), run.trials[:LISTED]
    previews = [preview(trial, chosen, run.dense, evidence=evidence) for trial in shown]
    columns = ("trial", "ranks of the set's layers (- dense)", "#params", "#ratio", "#MACs", "#ratio")
    rows = [preview_row(planned, run.dense.cost) for planned in previews]
    title = f"{count:,} trials of {spec}" + (f"; the first {LISTED:,} are listed" if count > LISTED else "")
    out.print(table(TextTable(title=title, heads=columns, rows=rows)))
    for planned in previews:
        if planned.prediction is not None:
            why = ("layer", "method", "#rank", "#of its MACs", "#output error", "#damage", "why dense")
            rows_of_layers = list(why_rows(planned, run.dense, evidence))
            title = _expected(planned, run.dense.cost)
            out.print(table(TextTable(title=title, heads=why, rows=rows_of_layers)))
    for line in reasons(previews):
        say(line)
    predictions = [planned.prediction for planned in previews if planned.prediction]
    if any(prediction.latency_ratio is not None for prediction in predictions):
        say(evidence.words())


def _expected(planned: "Preview", dense: "Cost") -> str:
    """What a budget rule predicts for a trial, in words, beside the budget in the trial's name."""
    expected = planned.prediction
    assert expected is not None
    spent = [("params", expected.params / dense.params), ("MACs", expected.macs / dense.macs)]
    spent += [("time", expected.latency_ratio)] if expected.latency_ratio is not None else []
    shares = ", ".join(f"{share:.3f} of the {name}" for name, share in spent)
    return f"{planned.trial.label}: {shares}; predicted damage {expected.damage:.4f}"


@app.command(cls=explained(describe_spec))
def sensitivity(
    spec: SpecPath,
    out_folder: Out = None,
    set_: Overrides = None,
    cache: Cache = Path("cache"),
    jobs: Jobs = None,
) -> None:
    """Truncate one layer at a time, by each method at each rank, and record the loss (sensitivity.csv).

    The error of the layer's outputs takes one pass over the calibration images for all ranks together; accuracy on the
    search split is measured at `sensitivity.accuracy_points` ranks. Budget rules choose ranks by this table. Exit code
    1 when a baseline could not be trained.

    Example: `lrbench sensitivity digits --set sensitivity.accuracy_points=3`
    """
    folder = folder_for(spec, out_folder)
    from lrbench.plan.run import prepare
    from lrbench.plan.spec import load_spec
    from lrbench.results.log import Store
    from lrbench.results.records import Failure
    from lrbench.trials.run import probe_baselines

    options = dict.fromkeys(("timeout", "address", "cpus-per-trial", "gpus-per-trial", "on"))
    chosen = load_spec(spec, set_ or [])
    run, workers = prepare(chosen, cache=cache), choose_workers(None, {"jobs": jobs, **options}, spec=chosen)
    with Store(folder) as store, Screen(out, (), epochs={}) as screen:
        for note in store.notices:
            say(note)
        shown, held = replace(run, progress=screen.progress), len(store.records)
        store.keep(probe_baselines(shown, tuple(store.records), workers=workers), screen.finish)
        failed = [record for record in store.records[held:] if isinstance(record, Failure)]
    draw(folder)
    if failed:
        raise typer.Exit(1)
