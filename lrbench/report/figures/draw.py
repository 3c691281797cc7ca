"""Which figures a results folder gives, by file name; drawn from its tables alone and saved as PNG and SVG."""

import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from lrbench.config.axes import in_file_name
from lrbench.limits import writing
from lrbench.report.figures.audit import audit_figure, sensitivity_figure
from lrbench.report.figures.layers import additivity_figure, heat_figure, layer_figure, macs_latency_figure
from lrbench.report.figures.learning_curves import curves_figure, error_figure, hypervolume_figure, scores_figure
from lrbench.report.figures.pareto import pareto_figure, spectra_figure, stages_figure
from lrbench.report.frames.audit import audit, audit_correlations
from lrbench.report.frames.budgets import budget_outcomes, budgets_figure, is_budgeted
from lrbench.report.frames.latency import SETTING, additivity, breakeven, describe, latency_ratios, layer_ratios
from lrbench.report.frames.scores import hypervolumes, learning_curves, score_correlations, truncation_errors
from lrbench.report.frames.sensitivity import sensitivity_grid
from lrbench.report.frames.standing import standings
from lrbench.report.frames.trials import done_trials, timed_architectures, with_latency
from lrbench.results.log import write_table
from lrbench.results.tables import load_table

Drawing = Callable[[], Figure]
Drawings = Iterator[tuple[str, Drawing]]
Tables = Mapping[str, pd.DataFrame]


def figure_tables(folder: Path) -> Tables:
    """The tables behind the figures, by file name.

    Raises: InputError when the folder holds no readable tables.
    """
    done = done_trials(load_table(folder, "trials"))
    models, layer_latency = latency_ratios(load_table(folder, "latency")), load_table(folder, "layer_latency")
    layers = layer_ratios(layer_latency)
    sums = additivity(load_table(folder, "architectures"), models, layers)
    audited = audit(done, models, layer_latency, sums)
    return {
        "standings": standings(done, models),
        "score_correlations": score_correlations(done, load_table(folder, "layers"), load_table(folder, "sensitivity")),
        "hypervolumes": hypervolumes(done),
        "budgets": budget_outcomes(done),
        "truncation_errors": truncation_errors(load_table(folder, "spectra")),
        "latency_ratios": models,
        "layer_latency_ratios": layers,
        "layer_breakeven": breakeven(layers),
        "additivity": sums,
        "audit": audited,
        "audit_correlations": audit_correlations(audited),
        "sensitivity": sensitivity_grid(load_table(folder, "sensitivity")),
    }


def drawings(folder: Path, tables: Tables) -> Drawings:
    """Each figure's name with the function that draws it; what there is no data for gets no figure.

    Args:
        folder: of results.
        tables: of `figure_tables`.

    Raises: InputError when the folder holds no readable tables.
    """
    trials = load_table(folder, "trials")
    if not trials.empty:
        yield from _accuracy(trials, load_table(folder, "spectra"))
        timed = with_latency(done_trials(trials), tables["latency_ratios"])
        yield from _by_setting(timed, "accuracy_latency", _latency_figure)
        yield from _study(tables, learning_curves(load_table(folder, "epochs"), done_trials(trials)))
    models = timed_architectures(folder)
    cut = set(models.loc[models["scheme"] != "dense", "architecture"])
    if cut:
        yield from _by_setting(models, "macs_latency", macs_latency_figure, "Latency against MACs")
    if not tables["layer_latency_ratios"].empty:
        yield from _by_setting(tables["layer_latency_ratios"], "layers", layer_figure, "Latency of single layers")
        yield from _by_setting(tables["layer_latency_ratios"], "layers_heat", heat_figure, "Latency ratio of layers")
    if not tables["additivity"].empty:
        yield from _by_setting(tables["additivity"], "additivity", additivity_figure, "Layers against whole models")
    for name, draw in (("audit", audit_figure), ("sensitivity", sensitivity_figure)):
        if not tables[name].empty:
            yield name, partial(draw, tables[name])


def _accuracy(trials: pd.DataFrame, spectra: pd.DataFrame) -> Drawings:
    points = done_trials(trials)
    subjects = trials[["model", "data", "image_size"]].drop_duplicates().itertuples(index=False, name=None)
    subject = " and ".join(f"{model} on {data}, {size} px" for model, data, size in subjects)
    for cost, label in (("params", "params"), ("macs", "MACs of one image")):
        title = f"Accuracy against {label}: {subject}"
        yield f"accuracy_{cost}", partial(pareto_figure, points, cost=cost, label=label, unit="", title=title)
    yield "accuracy_stages", partial(stages_figure, points[~is_budgeted(points)])
    yield "spectra", partial(spectra_figure, spectra)


def _study(tables: Tables, curves: pd.DataFrame) -> Drawings:
    frames = {name: tables[name] for name in ("truncation_errors", "score_correlations", "hypervolumes", "budgets")}
    draws = (error_figure, scores_figure, hypervolume_figure, budgets_figure, curves_figure)
    for (name, frame), draw in zip((*frames.items(), ("learning_curves", curves)), draws, strict=True):
        if not frame.empty:
            yield name, partial(draw, frame)


def _by_setting(
    frame: pd.DataFrame, name: str, draw: Callable[..., Figure], what: str = "Accuracy against latency"
) -> Drawings:
    """One figure for each setting timed; environments are told apart by name where there are several."""
    several = len(set(frame["environment"])) > 1
    for key, group in frame.groupby(SETTING, sort=False, dropna=False):
        setting = dict(zip(SETTING, key, strict=True))
        file = f"{name}_{_safe(in_file_name(setting))}" + (f"_{_safe(setting['environment'])}" if several else "")
        title = f"{what}\n{setting['model']}, {setting['image_size']} px, {describe(setting.items())}"
        yield file, partial(draw, group, title=title)


def _safe(name: Hashable) -> str:
    """A name as a part of a file's: a stranger's table must not lead elsewhere."""
    return re.sub(r"[^\w.-]", "-", str(name))


def _latency_figure(group: pd.DataFrame, *, title: str) -> Figure:
    """Accuracy against latency: the ratio times the dense latency, so that points share one minute."""
    dense = group["dense_latency_s"].median()
    points = group.assign(
        paired_s=group["ratio"] * dense, cost_low=group["ratio_low"] * dense, cost_high=group["ratio_high"] * dense
    )
    label = "latency of a batch, with 99 % interval"
    return pareto_figure(points, cost="paired_s", label=label, unit="s", title=title)


def draw_figures(folder: Path) -> list[Path]:
    """Draw every figure into `figures/` of a results folder, and write the tables behind them.

    Returns: the PNG files.

    Raises: InputError when the folder holds no readable tables or cannot be written.
    """
    target = folder / "figures"
    tables, drawn = figure_tables(folder), []
    for name, draw in drawings(folder, tables):
        figure = draw()
        with writing(target):
            target.mkdir(exist_ok=True)
            for suffix in (".svg", ".png"):
                part = target / f".{name}{suffix}"
                figure.savefig(part, dpi=100, metadata={"Date": None} if suffix == ".svg" else None)
                part.replace(target / f"{name}{suffix}")
        drawn.append(target / f"{name}.png")
    _write_tables(target, tables.items())
    return drawn


def _write_tables(target: Path, tables: Iterable[tuple[str, pd.DataFrame]]) -> None:
    for name, table in tables:
        if len(table):
            write_table(table, target / f"{name}.csv")
