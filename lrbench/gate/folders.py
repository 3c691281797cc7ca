"""A results folder as the gate sees it: tables whose rows have names that two folders share."""

import json
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from lrbench.errors import InputError, reading
from lrbench.report.frames.trials import name_methods
from lrbench.results import columns
from lrbench.results.files import is_there
from lrbench.results.tables import load_table

BENCHMARKS = "benchmarks.json"
"""What `make bench` wrote, in the format of pytest-benchmark."""

Row = Mapping[Hashable, Any]


@dataclass(frozen=True, kw_only=True)
class Folder:
    """The tables of one side. `trials` has the columns `subject` (the trial without its seed) and `name`.

    `benchmarks` are names with the median seconds of a call.
    """

    path: Path
    trials: pd.DataFrame
    layers: pd.DataFrame
    answers: pd.DataFrame
    architectures: pd.DataFrame
    latency: pd.DataFrame
    benchmarks: Mapping[str, float]


def load_folder(path: Path) -> Folder:
    """Read one side of a check.

    Raises: InputError when there is nothing to read, or a table is damaged or of another schema.
    """
    if not path.is_dir():
        raise InputError(f"{path} is not a results folder: no such directory")
    recorded = path / BENCHMARKS
    benchmarks = _read_benchmarks(recorded) if recorded.is_file() else {}
    bare = recorded.is_file() and not is_there(path / "trials.csv")
    tables = {
        name: pd.DataFrame(columns=["schema", *columns.TABLES[name].names]) if bare else load_table(path, name)
        for name in ("trials", "layers", "answers", "architectures", "latency")
    }
    if not len(tables["trials"]) and not len(tables["latency"]) and not recorded.is_file():
        raise InputError(f"{path} has no trials, no timings and no {BENCHMARKS}: there is nothing to check")
    return Folder(path=path, benchmarks=benchmarks, **{**tables, "trials": name_trials(tables["trials"])})


def name_trials(trials: pd.DataFrame) -> pd.DataFrame:
    """Trials with the columns `subject` and `name`; a repeated name gets `#2`."""
    cells = trials.astype(str)
    size, epochs = cells["image_size"] + "px", cells["baseline_epochs"] + "+" + cells["finetune_epochs"]
    epochs += (" " + cells["recipe"]).where(cells["recipe"] != "train", "")
    words = (cells["model"], cells["data"], size, epochs, name_methods(cells), cells["layer_set"], cells["rank_rule"])
    subjects = [" ".join(row) for row in zip(*words, strict=True)]
    names = (f"{subject} seed {seed}" for subject, seed in zip(subjects, cells["seed"], strict=True))
    return trials.assign(subject=subjects, name=number_repeats(names))


def number_repeats(names: Iterable[str]) -> list[str]:
    """Names; one that repeats gets `#2`, `#3`, ... behind it."""
    seen = Counter[str]()
    numbered = []
    for name in names:
        seen[name] += 1
        numbered.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return numbered


def by_name(frame: pd.DataFrame) -> dict[str, Row]:
    """The rows of a table by their name."""
    return {str(row["name"]): row for row in frame.to_dict("records")}


def _read_benchmarks(path: Path) -> dict[str, float]:
    with reading(path, "cannot be read as the JSON of pytest-benchmark"):
        entries = json.loads(path.read_text(encoding="utf-8"))["benchmarks"]
        return {str(entry["fullname"]): float(entry["stats"]["median"]) for entry in entries}
