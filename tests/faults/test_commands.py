"""The real command in a process of its own: signals, lost terminals and readers, odd places, two at once, kill -9."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from waiting import until

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
SLOW_NET = """
import time
from pathlib import Path
from torch import nn


class Slow(nn.Module):
    def forward(self, x):
        log = Path("results/slow/records.jsonl")
        while self.training and Path("hold").exists() and log.exists() and b'"kind":"trial"' in log.read_bytes():
            time.sleep(0.01)
        return x


def build(num_classes):
    return nn.Sequential(
        Slow(), nn.Conv2d(3, 8, 3, stride=2), nn.Conv2d(8, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(8, num_classes),
    )
"""
SPEC = """
model.name = "slow:build"
data.image_size = 8
baseline.epochs = 1
finetune.epochs = 3
sweep = {schemes = ["channel"], ranks = ["rank=2", "rank=3"]}
layer_sets.convs.include = ["*"]
latency.devices = []
run.checkpoint_minutes = 0
"""
HEARING = """
import signal

from lrbench.cli import app

signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background inherits that it is ignored
app()
"""
Start = Callable[..., subprocess.Popen]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with a space and an umlaut, a spec, and a model that trains no second trial while `hold` is there."""
    made = tmp_path / "mit Leerzeichen und ä"
    made.mkdir()
    (made / "slow.py").write_text(SLOW_NET)
    (made / "slow.toml").write_text(SPEC)
    return made


@pytest.fixture
def start(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts lrbench in a process of its own, without a terminal; this process may import the same model."""
    monkeypatch.syspath_prepend(str(place))
    monkeypatch.delitem(sys.modules, "slow", raising=False)
    begun = []

    def begin(*words: str, **variables: str) -> subprocess.Popen:
        known = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **variables}
        command = [sys.executable, "-c", HEARING, "sweep", "slow.toml", *words]
        begun.append(
            subprocess.Popen(
                command,
                cwd=place,
                env=known,
                text=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        )
        return begun[-1]

    yield begin
    for process in begun:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def wait_for(process: subprocess.Popen, is_there: Callable[[], bool]) -> None:
    """Wait until something is there, while the process lives."""
    until(lambda: is_there() or process.poll() is not None, "what was waited for")
    assert process.poll() is None, process.communicate()[0]


def finished(folder: Path) -> int:
    """How many trials the log of a folder holds."""
    log = folder / "records.jsonl"
    return log.read_bytes().count(b'"kind":"trial"') if log.exists() else 0


def trials(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "trials.csv")


def children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def test_one_sweep_through_a_rival_a_sigterm_two_interrupts_and_a_lost_reader(
    place: Path, start: Start, lrbench, undrawn: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    folder = place / "results/slow"
    (place / "hold").touch()
    first = start()
    wait_for(first, lambda: finished(folder))
    rival = lrbench("sweep", "slow.toml")
    assert (rival.exit_code, f"is being written by process {first.pid} on" in rival.output) == (2, True)
    first.send_signal(signal.SIGTERM)
    output, _ = first.communicate()
    assert first.returncode == 143, output
    assert output.endswith("interrupted: what is finished is kept; the same command continues\n")
    assert finished(folder) == 1
    assert not (folder / ".writer").exists()
    second = start("--jobs", "2")
    wait_for(second, lambda: len(children(second.pid)) >= 2)
    workers = children(second.pid)
    second.send_signal(signal.SIGINT)
    time.sleep(0.1)
    second.send_signal(signal.SIGINT)
    second.communicate()
    assert second.returncode in (130, -signal.SIGINT)
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), "the end of children without a parent")
    third = start()
    assert any("3 trials planned" in line for line in third.stdout)
    third.stdout.close()
    (place / "hold").unlink()
    assert third.wait() == 141
    last = lrbench("sweep", "slow.toml")
    assert last.exit_code == 0, last.output
    assert trials(folder)["state"].tolist() == ["done"] * 3


def test_sweeps_started_together_share_a_cache_but_no_folder(place: Path, start: Start) -> None:
    """Without UTF-8 and without a terminal, in a directory with a space and an umlaut."""
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "TERM": "dumb"}
    one, two = (start("--out", f"Ergebnis ü {name}", "--cache", "ein cache ö", **plain) for name in ("a", "b"))
    for process in (one, two):
        output, _ = process.communicate()
        assert process.returncode == 0, output
        assert "Traceback" not in output
    frames = [trials(place / f"Ergebnis ü {name}") for name in ("a", "b")]
    assert frames[0]["loss_finetuned"].tolist() == frames[1]["loss_finetuned"].tolist()
    assert len(list((place / "Ergebnis ü a" / "figures").glob("*.png"))) >= 4


def test_kills_at_random_moments_change_no_table(tmp_path: Path) -> None:
    command = [sys.executable, ROOT / "bench/study_faults.py", tmp_path / "faults", "--kills", "2"]
    known = {**os.environ, "PYTHONPATH": str(ROOT)}
    found = subprocess.run(command, env=known, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
    kills = pd.read_csv(tmp_path / "faults/kills.csv")
    assert len(kills) == 2
    assert kills["tables_equal"].all()
