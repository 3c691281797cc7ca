"""Child processes: however one ends, its task is told of; none outlives its parent; no clock that is set matters."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from waiting import until

from lrbench.children import Child, ChildLostError, RemoteError, first_ended, run_in_child
from lrbench.errors import InputError
from lrbench.processes import how_it_ends

ROOT = Path(__file__).parents[2]


class WordyError(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


def raise_wordy() -> None:
    raise WordyError(1, 2)


def raise_exit() -> None:
    sys.exit(0)


def give_local() -> object:
    return lambda: None


def give_large(size: int) -> bytes:
    return bytes(size)


def fork_and_leave() -> None:
    """A process that holds this one's pipes open outlives it."""
    if os.fork() == 0:
        time.sleep(20)
        os._exit(0)
    os._exit(0)


@pytest.mark.parametrize(
    ("work", "words"),
    [
        ((os._exit, 0), "exit code 0"),
        ((os._exit, 3), "exit code 3"),
        ((os.abort,), r"signal 6 \(SIGABRT\)"),
        ((signal.raise_signal, signal.SIGKILL), r"signal 9 \(SIGKILL\)"),
        ((os.closerange, 3, 300), "signal 9|exit code"),
        ((fork_and_leave,), "exit code 0"),
    ],
)
def test_a_child_that_is_gone_with_its_task_is_told_whatever_its_exit_code(work: tuple, words: str) -> None:
    with pytest.raises(ChildLostError, match=words):
        run_in_child(*work)


def test_what_a_task_gives_and_raises_comes_back() -> None:
    child = Child()
    try:
        child.start(give_large, 3_000_000)
        assert first_ended([child]).result() == bytes(3_000_000)
        for work, kind, text in (
            ((int, "rank"), ValueError, "invalid literal"),
            ((raise_wordy,), RemoteError, "WordyError: 1 and 2"),
            ((raise_exit,), RemoteError, "SystemExit: 0"),
            ((give_local,), Exception, "local object"),
        ):
            child.start(*work)
            with pytest.raises(kind, match=text) as raised:
                first_ended([child]).result()
            assert "Traceback" in str(raised.value.__cause__)
            assert child.is_usable
        child.start(os.getpid)
        assert first_ended([child]).result() != os.getpid()
    finally:
        child.end()
    assert not child.is_usable


def test_a_limit_of_time_runs_from_when_the_task_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    hours = iter(range(10**6))
    monkeypatch.setattr(time, "time", lambda: 1_800_000_000.0 - 3600 * next(hours))
    assert run_in_child(os.getpid, timeout_s=3600.0) != os.getpid()
    with pytest.raises(TimeoutError, match=r"^not finished after 0\.2 s$"):
        run_in_child(time.sleep, 3600, timeout_s=0.2)


def test_one_child_that_ends_is_found_among_others() -> None:
    children = [Child() for _ in range(2)]
    try:
        children[0].start(time.sleep, 3600)
        children[1].start(os.getpid)
        assert first_ended(children) is children[1]
        assert not children[0].has_ended()
    finally:
        for child in children:
            child.end()


def test_a_system_without_room_for_a_process_is_an_input_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(process: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("multiprocessing.context.SpawnProcess.start", refuse)
    with pytest.raises(InputError, match=r"no child processes can be started: .*temporarily unavailable"):
        Child()


@pytest.mark.parametrize(
    ("work", "code"), [(os.abort, -6), (lambda: os._exit(7), 7), (raise_exit, 0), (raise_wordy, 0)]
)
def test_a_copy_of_this_process_tries_what_may_end_it(work: Callable[[], object], code: int) -> None:
    assert how_it_ends(work, limit_s=60.0) == code


def test_a_copy_that_does_not_end_is_ended() -> None:
    with pytest.raises(TimeoutError, match=r"not finished after 0\.1 s"):
        how_it_ends(lambda: time.sleep(3600), limit_s=0.1)


HELD = """
import ctypes, os, sys, time
from pathlib import Path
import torch
from torch import nn
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack


class Held(nn.Module):
    def forward(self, x):
        if {when} and Path("hold").exists():
            Path(f"held.{os.getpid()}").touch()
            ctypes.PyDLL(None).sleep(3000)  # in native code, with the GIL
        return x


def build(num_classes):
    return nn.Sequential(
        Held(), nn.Conv2d(3, 8, 3, stride=2), nn.Conv2d(8, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(8, num_classes),
    )
"""
SPEC = """
model.name = "held:build"
data.image_size = 8
baseline.epochs = 0
finetune.epochs = 1
sweep = {schemes = ["channel"], ranks = ["rank=2"]}
layer_sets.convs.include = ["*"]
latency = {devices = %s, rounds = 10, processes = %d}
"""
WORKLOADS = """
import ctypes, os
from pathlib import Path


def hold():
    Path(f"held.{os.getpid()}").touch()
    ctypes.PyDLL(None).sleep(3000)


WORKLOADS = {"hold": lambda: hold}
BOUNDS = {"hold": ("hold", 2.0)}
"""


TIMED = "torch.is_inference_mode_enabled() and not _get_current_dispatch_mode_stack()"
"""When a call of a model is timed: not where its operators are counted."""


def still_alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="processes end with their parent by a call of Linux")
@pytest.mark.parametrize(
    ("when", "latency", "words"),
    [
        ("self.training", ("[]", 1), ("sweep", "held.toml")),
        ("self.training", ("[]", 1), ("sweep", "held.toml", "--jobs", "2")),
        (TIMED, ('["cpu"]', 1), ("sweep", "held.toml", "--only", "latency")),
        (TIMED, ('["cpu"]', 2), ("sweep", "held.toml", "--only", "latency")),
        ("True", ("[]", 1), ("plan", "held.toml")),
        ("True", ("[]", 1), ("regress", "--only", "timed", "--workloads", "loads.py")),
        ("self.training", ("[]", 1), ("regress", "--only", "recorded", "--spec", "held.toml", "--baseline", ".")),
    ],
)
def test_no_process_outlives_a_command_that_was_killed(
    when: str, latency: tuple[str, int], words: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "held.py").write_text(HELD.replace("{when}", when))
    (tmp_path / "held.toml").write_text(SPEC % latency)
    (tmp_path / "loads.py").write_text(WORKLOADS)
    (tmp_path / "hold").touch()
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    known = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "lrbench.cli", *words]
    with (tmp_path / "output").open("w") as output:
        process = subprocess.Popen(command, cwd=tmp_path, env=known, stdout=output, stderr=output)
    until(lambda: list(tmp_path.glob("held.[0-9]*")) or process.poll() is not None, "the call that holds")
    assert process.poll() is None, (tmp_path / "output").read_text()
    pids = [child.pid for child in psutil.Process(process.pid).children(recursive=True)]
    held = [int(path.suffix[1:]) for path in tmp_path.glob("held.[0-9]*")]
    assert set(held) <= set(pids), "a child holds, not the command"
    process.kill()
    process.wait()
    until(lambda: not still_alive([*pids, *held]), "the end of the children of a command that was killed")
