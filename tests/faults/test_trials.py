"""Trials that raise, run out of memory or time, or kill their process: each fails alone, in a pool as in process."""

import os
import signal
from pathlib import Path

import pandas as pd
import pytest
import torch
from outcomes import assert_same_tables, assert_same_weights, tables_of

from lrbench.children import Child
from lrbench.cli.workers import choose_workers
from lrbench.errors import InputError
from lrbench.execute.executors import EXECUTORS
from lrbench.execute.jobs import Job, fault_of
from lrbench.execute.workers import Workers
from lrbench.learn.train import DivergedError
from lrbench.processes import describe_exit
from lrbench.results.log import read_records
from lrbench.results.records import Failure, SpecRecord
from lrbench.results.sessions import TimingFailure
from lrbench.results.tables import load_table

pytestmark = pytest.mark.usefixtures("undrawn")

WILD_NET = '''
import os, time
from pathlib import Path
import torch
from torch import nn


class Net(nn.Module):
    """In training, what happens depends on the rank of its second layer, unless a file says that all is calm."""

    def __init__(self, classes):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 16, 3, stride=2), nn.Conv2d(16, 16, 3)
        self.head = nn.Linear(16, classes)

    def forward(self, x):
        out = self.head(self.second(self.first(x).relu()).mean((2, 3)))
        rank = next(iter(self.second.parameters())).shape[0]
        if self.training and not Path("calm").exists():
            if rank == 2:
                os.kill(os.getpid(), 11)
            if rank == 3:
                time.sleep(3600)
            if rank == 4:
                torch.empty(1 << 55)
            if rank == 5:
                out = out * float("nan")
            if rank == 6:
                raise ValueError("no luck")
        return out


def build(num_classes):
    return Net(num_classes)
'''


WIDE_NET = """
from torch import nn


def build(num_classes):
    wide = nn.Conv2d(3, 300_000, 1)
    return nn.Sequential(wide, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(300_000, num_classes))
"""


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the trial that never ends has a limit of time: no other can take too long on a slow machine."""
    start = Child.start

    def limited(child: Child, run: object, work: object, job: Job, *, timeout_s: float | None) -> None:
        endless = job.trials[0].rank_rule == "rank=3"
        start(child, run, work, job, timeout_s=timeout_s if endless else None)

    monkeypatch.setattr(Child, "start", limited)


@pytest.mark.long
def test_each_fault_of_a_trial_is_its_own_and_only_failed_ones_are_tried_again(
    workplace: Path, lrbench, patient: None
) -> None:
    (workplace / "wild.py").write_text(WILD_NET)
    ranks = ",".join(f"'rank={rank}'" for rank in range(1, 7))
    words = (
        *("--set", "model.name=wild:build", "--set", f"sweep.ranks=[{ranks}]", "--set", "sweep.schemes=['channel']"),
        *("--set", "layer_sets.convs.include=['second']", "--set", "latency.devices=[]", "--set", "data.image_size=16"),
    )
    result = lrbench("sweep", "tiny.toml", *words, "--jobs", 2, "--timeout", 1)
    assert result.exit_code == 1, result.output
    trials = load_table(workplace / "results/tiny", "trials").set_index("rank_rule")
    assert trials["state"].to_dict() == {
        **dict.fromkeys(["none", "rank=1"], "done"),
        **{f"rank={rank}": "failed" for rank in range(2, 7)},
    }
    failed = trials[trials["state"] == "failed"]
    faults = dict(
        zip((f"rank={rank}" for rank in range(2, 7)), ("killed", "timeout", "oom", "nan", "failed"), strict=True)
    )
    assert failed["failure"].to_dict() == faults
    assert trials["failure"].isna().sum() == 2
    assert "ended by signal 11 (SIGSEGV)" in failed.loc["rank=2", "reason"]
    assert "not finished after 1 s" in failed.loc["rank=3", "reason"]
    assert "can't allocate memory" in failed.loc["rank=4", "reason"]
    assert failed.loc["rank=5", "reason"].startswith("finetune: DivergedError: loss became nan")
    assert failed.loc["rank=6", "reason"] == "finetune: ValueError: no luck"
    tracebacks = [one.traceback for one in read_records(workplace / "results/tiny") if isinstance(one, Failure)]
    assert all("Error" in text for text in tracebacks)
    assert (trials["attempt"] == 1).all()
    (workplace / "calm").touch()
    retried = lrbench("sweep", "tiny.toml", *words, "--retry-failed")
    assert "7 trials planned, 2 skipped, 5 to run" in retried.output
    again = load_table(workplace / "results/tiny", "trials").set_index("rank_rule")
    assert set(again["state"]) == {"done"}
    assert again["attempt"].to_dict() == {"none": 1, "rank=1": 1, **dict.fromkeys(failed.index, 2)}


@pytest.mark.long
def test_a_pool_gives_the_records_of_one_process(workplace: Path, lrbench) -> None:
    words = (
        "--set",
        "latency.devices=[]",
        "--set",
        "sweep.seeds=[0,1]",
        "--set",
        "sweep.truncations=['plain','output']",
    )
    for out, more in (("alone", ()), ("together", ("--jobs", 2))):
        result = lrbench("sweep", "tiny.toml", *words, "--out", out, "--cache", f"cache-{out}", *more)
        assert result.exit_code == 0, result.output
    assert_same_tables(workplace / "alone", workplace / "together")
    alone = tables_of(workplace / "alone")
    assert len(alone["trials"]) == 14
    assert alone["trials"]["deterministic"].all()
    assert set(alone["trials"]["threads"]) == {1}


@pytest.mark.long
def test_the_same_spec_and_seed_give_the_same_weights_bit_by_bit(workplace: Path, lrbench) -> None:
    caches = [workplace / name for name in ("one", "two")]
    for cache in caches:
        words = ("--out", f"r-{cache.name}", "--cache", cache, "--set", "latency.devices=[]")
        assert lrbench("sweep", "tiny.toml", "--set", "data.augment='crop-flip'", *words).exit_code == 0
    assert_same_weights(*caches, models=6)


@pytest.mark.long
def test_an_interrupted_sweep_continues_its_trainings_to_the_same_weights(
    workplace: Path, lrbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lrbench.learn import train

    words = ("--set", "latency.devices=[]", "--set", "finetune.epochs=4", "--set", "run.checkpoint_minutes=0")
    original, count = train.keep_checkpoint, iter(range(100))

    def interrupted(path: Path, *args: object, **kwargs: object) -> None:
        original(path, *args, **kwargs)
        if next(count) == 4:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(train, "keep_checkpoint", interrupted)
        assert lrbench("sweep", "tiny.toml", *words).exit_code == 130
    (left,) = (workplace / "cache").rglob("*.checkpoint")
    resumed = lrbench("sweep", "tiny.toml", *words)
    assert "5 trials planned, 1 skipped, 4 to run" in resumed.output
    assert not left.exists()
    assert lrbench("sweep", "tiny.toml", *words, "--out", "calm", "--cache", "calm-cache").exit_code == 0
    assert_same_weights(workplace / "cache", workplace / "calm-cache", models=6)
    assert_same_tables(workplace / "calm", workplace / "results/tiny")


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (MemoryError(), "oom"),
        (torch.OutOfMemoryError("CUDA out of memory"), "oom"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate"), "oom"),
        (DivergedError("loss became inf"), "nan"),
        (ArithmeticError("a logit on the test images is not finite"), "nan"),
        (ZeroDivisionError("division by zero"), "failed"),
        (RuntimeError("shape"), "failed"),
    ],
)
def test_errors_are_counted_by_what_they_mean(error: Exception, fault: str) -> None:
    assert fault_of(error) == fault


def test_the_end_of_a_process_is_told_in_words() -> None:
    assert describe_exit(3) == "its process ended with exit code 3"
    assert describe_exit(-9) == "its process was ended by signal 9 (SIGKILL), perhaps because memory ran out"
    assert describe_exit(-11) == "its process was ended by signal 11 (SIGSEGV)"


def test_threads_are_shared_out_and_a_limit_of_time_needs_a_pool() -> None:
    pool = EXECUTORS["pool"]
    assert [pool.threads(Workers(jobs=jobs), 8) for jobs in (1, 2, 3, 16)] == [8, 4, 2, 1]
    assert EXECUTORS["here"].threads(Workers(), 8) == 8
    nothing = dict.fromkeys(("jobs", "timeout", "address", "cpus-per-trial", "gpus-per-trial", "on"))
    asked = [nothing, {**nothing, "jobs": 1}, {**nothing, "timeout": 1.0}, {**nothing, "jobs": 3, "timeout": 1.0}]
    assert [choose_workers(None, options).executor for options in asked] == ["here", "pool", "pool", "pool"]
    with pytest.raises(InputError, match="--address goes with --executor ray, not here"):
        choose_workers(None, {**nothing, "address": "auto"})
    with pytest.raises(InputError, match=r"unknown --executor 'pol': did you mean 'pool'\? allowed: here, pool, ray"):
        choose_workers("pol", nothing)


def test_a_changed_spec_says_what_differs_and_both_sets_of_trials_stay(workplace: Path, lrbench) -> None:
    quick = ("--set", "latency.devices=[]", "--set", "sweep.schemes=['channel']", "--set", "sweep.ranks=['rank=2']")
    assert "differs from the one" not in lrbench("sweep", "tiny.toml", *quick).output
    assert (
        "differs from the one" not in lrbench("sweep", "tiny.toml", *quick, "--set", "run.checkpoint_minutes=1").output
    )
    output = lrbench("sweep", "tiny.toml", *quick, "--set", "finetune.epochs=0").output
    assert "finetune.epochs: 1 -> 0\n" in output
    assert "--fresh moves the old ones" in output
    folder = workplace / "results/tiny"
    assert len(pd.read_csv(folder / "trials.csv")) == 4
    assert sum(isinstance(record, SpecRecord) for record in read_records(folder)) == 2
    fresh = lrbench("sweep", "tiny.toml", *quick, "--fresh")
    assert "results/tiny was moved to results/tiny.old-1" in fresh.output
    assert "2 trials planned, 0 skipped" in fresh.output
    assert len(pd.read_csv(workplace / "results/tiny.old-1/trials.csv")) == 4
    assert len(pd.read_csv(folder / "trials.csv")) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--jobs", str(10**15)), "trained models of"),
        (("--set", "model.name=wide:build", "--set", "finetune.batch_size=2000"), "wide:build in batches of 1293 on"),
        (("--cache", "nets.py/cache"), "nets.py/cache cannot be written: Not a directory"),
        (("--jobs", "0"), "--jobs"),
    ],
)
def test_what_will_not_fit_is_refused_before_any_training(
    words: tuple[str, ...], message: str, workplace: Path, lrbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lrbench.limits.memory_left", lambda: 16_000_000_000)
    (workplace / "wide.py").write_text(WIDE_NET)
    result = lrbench("sweep", "tiny.toml", *words)
    assert result.exit_code == 2, result.output
    assert message in result.output
    assert "baseline" not in result.output


def test_a_folder_that_vanishes_on_the_way_is_named(workplace: Path, lrbench) -> None:
    net = (workplace / "nets.py").read_text().replace("from torch import nn", "import shutil\nfrom torch import nn")
    away = """
class Away(nn.Module):
    def forward(self, x):
        if self.training:
            shutil.rmtree("results/tiny", ignore_errors=True)
        return x
"""
    (workplace / "nets.py").write_text(net.replace("\n\ndef", f"{away}\n\ndef").replace("nn.ReLU(),", "Away(),", 1))
    result = lrbench("sweep", "tiny.toml")
    assert result.exit_code == 2, result.output
    assert "results/tiny/records.jsonl cannot be written: No such file or directory" in result.output


@pytest.mark.parametrize("more", [(), pytest.param(("--jobs", 1), marks=pytest.mark.long)])
def test_a_disk_that_fills_up_under_the_weights_stops_the_sweep_in_order(
    more: tuple[str, ...], workplace: Path, small_disk: Path, lrbench
) -> None:
    net = (
        (workplace / "nets.py")
        .read_text()
        .replace("from torch import nn", "import shutil, os, torch\nfrom torch import nn")
    )
    fill = f"""
class Fill(nn.Module):
    def forward(self, x):
        if self.training and torch.is_grad_enabled() and not os.path.exists("calm"):
            with open({str(small_disk / "filler")!r}, "wb") as file:
                os.posix_fallocate(file.fileno(), 0, shutil.disk_usage({str(small_disk)!r}).free)
        return x
"""
    (workplace / "nets.py").write_text(net.replace("\n\ndef", f"{fill}\n\ndef").replace("nn.ReLU(),", "Fill(),", 1))
    words = ("sweep", "tiny.toml", "--set", "latency.devices=[]", "--cache", small_disk / "cache", *more)
    result = lrbench(*words)
    assert result.exit_code == 2, result.output
    assert "safetensors cannot be written" in result.output
    assert "No space left on device" in result.output
    (small_disk / "filler").unlink()
    (workplace / "calm").touch()
    assert lrbench(*words).exit_code == 0


@pytest.mark.long
def test_a_clock_that_is_set_back_loses_no_trial(workplace: Path, lrbench, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    hours = iter(range(10**6))
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: 1_800_000_000.0 - 3600 * next(hours))
        assert lrbench("sweep", "tiny.toml", "--set", "latency.devices=[]").exit_code == 0
    os.utime(workplace / "results/tiny/records.jsonl", (2_000_000_000, 2_000_000_000))
    assert "5 trials planned, 5 skipped" in lrbench("sweep", "tiny.toml", "--set", "latency.devices=[]").output


CROWD_NET = """
from pathlib import Path
from torch import nn


class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.first, self.second, self.head = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 16, 3), nn.Linear(256, classes)

    def forward(self, x):
        x = self.second(self.first(x).relu())
        if len(x) == 3 and not Path("calm").exists():
            raise RuntimeError("three images are a crowd")
        return self.head(x.flatten(1))


def build(num_classes):
    return Net(num_classes)
"""


@pytest.mark.long
def test_a_setting_that_cannot_be_timed_leaves_the_others_and_is_made_again_on_demand(workplace: Path, lrbench) -> None:
    (workplace / "nets.py").write_text(CROWD_NET)
    words = ["--set", "latency.batch_sizes=[1,3]", "--set", "data.search_share=0.0"]
    words += ["--set", "sweep.ranks=['rank=2']", "--set", "sweep.schemes=['channel']"]

    def sweep(*more: str) -> tuple[int, list[int], int]:
        result = lrbench("sweep", "tiny.toml", *words, *more)
        failures = [one for one in read_records(workplace / "results/tiny") if isinstance(one, TimingFailure)]
        assert "three images are a crowd" in result.output or not result.exit_code
        timed = load_table(workplace / "results/tiny", "latency")
        return result.exit_code, sorted(set(timed["batch_size"])), len(failures)

    assert sweep() == (1, [1], 1)
    assert sweep() == (1, [1], 1), "it is told, and not tried again"
    (workplace / "calm").touch()
    assert sweep("--retry-failed") == (0, [1, 3], 1)
    assert sweep() == (0, [1, 3], 1)
