"""A runtime, a metric and an executor are each an entry of a table: no other line of lrbench knows them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pandas as pd
import pytest

from lrbench.config import axes, names
from lrbench.execute import executors
from lrbench.execute.jobs import Execute, Worker
from lrbench.execute.workers import Workers
from lrbench.measure import runtimes
from lrbench.results import columns
from lrbench.results.columns.column import SHARE, Column
from lrbench.results.columns.outcomes import measured


@contextmanager
def backwards(workers: Workers, worker: Worker) -> Iterator[Execute]:
    """Run jobs in this process, the last one first."""
    yield lambda work, jobs, timeout_s: (work(job, worker) for job in reversed(jobs))


METRIC = Column("toy_share", SHARE, measured(lambda done: done.truncated.accuracy / 2), "half of what truncation left")


@pytest.fixture
def entries(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tables with one more entry each."""
    more = {
        (axes, "RUNTIMES"): "as a toy runs it",
        (runtimes, "RUNTIMES"): replace(runtimes.RUNTIMES["eager"]),
        (names, "EXECUTORS"): "the last one first",
        (executors, "EXECUTORS"): replace(executors.EXECUTORS["here"], open=backwards, by_name=True),
    }
    for (module, table), entry in more.items():
        monkeypatch.setattr(module, table, MappingProxyType({**getattr(module, table), "toy": entry}))
    trials = replace(columns.TABLES["trials"], columns=(*columns.TABLES["trials"].columns, METRIC))
    monkeypatch.setattr(columns, "TABLES", MappingProxyType({**columns.TABLES, "trials": trials}))


def test_new_entries_are_in_tables_checks_and_help(entries: None, workplace: Path, lrbench, undrawn: None) -> None:
    words = ("--set", "sweep.ranks=['rank=2']", "--set", "sweep.schemes=['channel']")
    result = lrbench("sweep", "tiny.toml", *words, "--set", "latency.runtimes=['eager','toy']", "--executor", "toy")
    assert result.exit_code == 0, result.output
    folder = workplace / "results/tiny"
    trials, latency = pd.read_csv(folder / "trials.csv"), pd.read_csv(folder / "latency.csv")
    assert trials["scheme"].tolist() == ["channel", "dense"], "the last one first"
    assert trials["toy_share"].tolist() == (trials["accuracy_truncated"] / 2).tolist()
    assert set(latency["runtime"]) == {"eager", "toy"}

    judged = lrbench("check", folder, folder, "--format", "json")
    assert judged.exit_code == 0
    verdicts = json.loads(judged.output)["verdicts"]
    assert {one["verdict"] for one in verdicts if one["name"].endswith(", toy")} <= {"ok", "inconclusive"}
    assert any(one["name"].endswith(", toy") for one in verdicts)
    trials.assign(toy_share=1.5).to_csv(folder / "trials.csv", index=False)
    refused = lrbench("check", folder, folder)
    assert refused.exit_code == 2
    assert "trials.csv, line 2: toy_share must be in 0..1, got 1.5" in " ".join(refused.output.split())

    told = " ".join(lrbench("sweep", "--help").output.split())
    assert "as a toy runs it" in told
    assert "the last one first" in told
