"""A sweep from Python: `lrbench.sweep`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lrbench.execute.workers import ALONE, Workers
from lrbench.library.fill import fill
from lrbench.library.results import Results, read
from lrbench.plan.run import prepare
from lrbench.plan.spec import load_spec, make_spec
from lrbench.report.figures.draw import draw_missing_figures
from lrbench.screen import console


def sweep(
    spec: str | Path | Mapping[str, Any],
    overrides: Mapping[str, Any] | None = None,
    *,
    out: str | Path | None = None,
    cache: str | Path = "cache",
    workers: Workers = ALONE,
) -> Results:
    """Run what is missing of a sweep and draw its figures, as `lrbench sweep` does and with its progress.

    Timings run in fresh processes, which import the script that calls this: in a script it must stand below
    ``if __name__ == "__main__":``.

    Args:
        spec: a TOML file, or its sections as a mapping: ``{"model": {"name": "resnet18"}, "sweep": {...}}``.
        overrides: keys that are to have other values: ``{"finetune.epochs": 1}``.
        out: results folder; for a file `results/` and its name unless it is given.
        cache: directory of decoded images and trained weights.
        workers: how trials are run; one after the other by default; ``lrbench.Workers(jobs=2)``: two at a time.

    Returns: the results folder. Trials that failed are in its `failed`.

    Raises: InputError (a ValueError) naming what is wrong and what is allowed.
    """
    if isinstance(spec, Mapping):
        chosen, folder = make_spec(spec, overrides or {}, where="spec"), Path(out or "results/sweep")
    else:
        chosen, folder = load_spec(Path(spec), overrides or {}), Path(out or Path("results") / Path(spec).stem)
    fill(prepare(chosen, cache=Path(cache)), folder, workers=workers, console=console(stderr=False))
    results = read(folder)
    draw_missing_figures(results.frames)
    return results
