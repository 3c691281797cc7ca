"""Executors as a table: a new entry runs a sweep; and what a run does once only, whatever its executor."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd
import pytest
from outcomes import assert_same_tables

from lrbench.config import names
from lrbench.execute import executors
from lrbench.execute.jobs import Execute, Worker
from lrbench.execute.workers import Workers
from lrbench.plan import preview, trials
from lrbench.trials import trial as trials_trial

pytestmark = pytest.mark.usefixtures("undrawn")

REPEATED = ("--set", "sweep.front_seeds=2")
QUICK = ("--set", "latency.devices=[]", "--set", "sweep.schemes=['channel']", "--set", "sweep.ranks=['rank=2']")


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """What the executor "toy" was given to do; it runs jobs backwards."""
    done: Counter[str] = Counter()

    @contextmanager
    def open_toy(workers: Workers, worker: Worker) -> Iterator[Execute]:
        def execute(work: Any, jobs: Any, timeout_s: float | None) -> Iterator[Any]:
            for job in reversed(jobs):
                done[work.__name__] += 1
                yield work(job, worker)

        yield execute

    entry = executors.Executor(
        open=open_toy,
        threads=lambda workers, ours: ours,
        at_once=lambda workers: 1,
        holds_images=True,
        time=executors.EXECUTORS["here"].time,
        by_name=True,
    )
    monkeypatch.setattr(executors, "EXECUTORS", MappingProxyType({**executors.EXECUTORS, "toy": entry}))
    monkeypatch.setattr(names, "EXECUTORS", MappingProxyType({**names.EXECUTORS, "toy": "backwards"}))
    return done


def test_an_executor_is_one_entry_of_a_table(toy: Counter[str], workplace: Path, lrbench) -> None:
    assert lrbench("sweep", "tiny.toml", *QUICK, "--out", "here").exit_code == 0
    assert not toy
    result = lrbench("sweep", "tiny.toml", *QUICK, "--executor", "toy", "--out", "there", "--cache", "other")
    assert result.exit_code == 0, result.output
    assert toy == {"train_baseline": 1, "measure_trial": 2}
    assert_same_tables(workplace / "here", workplace / "there")
    refused = lrbench("sweep", "tiny.toml", "--executor", "toy", "--jobs", 2)
    assert (refused.exit_code, "--jobs goes with --executor pool, not toy" in refused.output) == (2, True)


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name, entry in executors.EXECUTORS.items() if not entry.by_name])
def test_every_executor_of_this_machine_leaves_the_tables_of_the_first(name: str, workplace: Path, lrbench) -> None:
    first = next(iter(executors.EXECUTORS))
    for executor in dict.fromkeys((first, name)):
        words = ("--executor", executor, "--out", executor, "--cache", f"cache-{executor}", *REPEATED)
        result = lrbench("sweep", "tiny.toml", *QUICK, *words)
        assert result.exit_code == 0, result.output
    assert_same_tables(workplace / first, workplace / name)


def counting(monkeypatch: pytest.MonkeyPatch, module: object, name: str, key: Callable[..., Any]) -> Counter[Any]:
    """How often a function of a module is called, by something of its arguments."""
    original, counts = getattr(module, name), Counter[Any]()

    def counted(*args: Any, **named: Any) -> Any:
        counts[key(*args, **named)] += 1
        return original(*args, **named)

    monkeypatch.setattr(module, name, counted)
    return counts


def test_the_dense_model_is_built_once_a_baseline(workplace: Path, lrbench, monkeypatch: pytest.MonkeyPatch) -> None:
    built = counting(monkeypatch, trials, "build_model", lambda choice, **_: choice.name)
    result = lrbench("sweep", "tiny.toml", *QUICK, "--set", "sweep.seeds=[3,5]")
    assert result.exit_code == 0, result.output
    assert built == {"nets:build": 2}


def test_ranks_are_chosen_once_a_trial(workplace: Path, lrbench, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [
        counting(monkeypatch, module, name, lambda trial, *_, **__: trial.key)
        for module, name in ((trials_trial, "choose_cuts"), (preview, "spend_budget"))
    ]
    rules = "sweep.ranks=['rank=2','energy=0.5','knapsack macs=0.7']"
    probes = ("--set", "sensitivity.step=1", "--set", "sensitivity.points=4")
    result = lrbench(
        "sweep",
        "tiny.toml",
        "--set",
        "latency.devices=[]",
        "--set",
        "sweep.schemes=['channel']",
        "--set",
        rules,
        *probes,
    )
    assert result.exit_code == 0, result.output
    done = pd.read_csv(workplace / "results/tiny/trials.csv")
    assert sum(asked, Counter()) == dict.fromkeys(done["trial"], 1)
    assert len(done) == 4
