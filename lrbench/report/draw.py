"""Which figures a results folder gives, by file name; drawn from its tables alone and saved as PNG and SVG."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from lrbench.report.figures import pareto_figure, spectra_figure, stages_figure
from lrbench.report.frame import SETTING, done_trials, latency_ratios, load_table, with_latency

Drawing = Callable[[], Figure]


def drawings(folder: Path) -> Iterator[tuple[str, Drawing]]:
    """Each figure's name with the function that draws it.

    Raises: InputError when the folder holds no readable tables.
    """
    trials, latency, spectra = (load_table(folder, name) for name in ("trials", "latency", "spectra"))
    points = done_trials(trials)
    subject = " and ".join(f"{m} on {d}, {s} px" for m, d, s in _subjects(trials))
    for cost, label in (("params", "params"), ("macs", "MACs of one image")):
        title = f"Accuracy against {label}: {subject}"
        yield f"accuracy_{cost}", partial(pareto_figure, points, cost=cost, label=label, unit="", title=title)
    timed = with_latency(points, latency_ratios(latency))
    several = len(set(timed["environment"])) > 1
    for key, group in timed.groupby(SETTING, sort=False):
        yield _latency_drawing(group, dict(zip(SETTING, key, strict=True)), several=several)
    yield "accuracy_stages", lambda: stages_figure(points)
    yield "spectra", lambda: spectra_figure(spectra)


def _subjects(trials: pd.DataFrame) -> list[tuple[str, str, int]]:
    return list(trials[["model", "data", "image_size"]].drop_duplicates().itertuples(index=False, name=None))


def _latency_drawing(group: pd.DataFrame, setting: dict[str, object], *, several: bool) -> tuple[str, Drawing]:
    """The figure of one setting. A latency is the ratio times the dense latency, so that points share one minute."""
    device, batch, threads = setting["device"], setting["batch_size"], setting["threads"]
    dense = group["dense_latency_s"].median()
    points = group.assign(
        paired_s=group["ratio"] * dense, cost_low=group["ratio_low"] * dense, cost_high=group["ratio_high"] * dense
    )
    name = f"accuracy_latency_{device}_b{batch}_t{threads}_{setting['memory_format']}"
    title = (
        f"Accuracy against latency: {setting['model']}, {setting['image_size']} px, {device}, batch {batch}, "
        f"{threads} thread{'s' if threads != 1 else ''}, {setting['memory_format']}"
    )
    return (
        f"{name}_{setting['environment']}" if several else name,
        lambda: pareto_figure(
            points, cost="paired_s", label="latency of a batch, with 95 % interval", unit="s", title=title
        ),
    )


def draw_figures(folder: Path) -> list[Path]:
    """Draw every figure into `figures/` of a results folder, each through a temporary name.

    Returns: the PNG files.

    Raises: InputError when the folder holds no readable tables or cannot be written.
    """
    target = folder / "figures"
    drawn = []
    for name, draw in drawings(folder):
        target.mkdir(exist_ok=True)
        figure = draw()
        for suffix in (".svg", ".png"):
            part = target / f".{name}{suffix}"
            figure.savefig(part, dpi=100, metadata={"Date": None} if suffix == ".svg" else None)
            part.replace(target / f"{name}{suffix}")
        drawn.append(target / f"{name}.png")
    return drawn
