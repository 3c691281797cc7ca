"""One timing at a time on a machine, for all accounts: tried early, waited for by name, for a stated time."""

import fcntl
import json
import multiprocessing
import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from lrbench.errors import InputError
from lrbench.timing import lock
from lrbench.timing.lock import BusyError, alone, busy, holder
from lrbench.timing.repeat import Series, until_fit

ME = pwd.getpwuid(os.getuid()).pw_name


@pytest.fixture
def taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The lock, held by a timing elsewhere that signed it."""
    monkeypatch.setattr(lock, "LOCK", tmp_path / "timing.lock")
    facts = {"pid": 123, "user": "ada", "started": "2026-01-01T00:00:00+00:00"}
    lock.LOCK.write_text(json.dumps(facts))
    number = os.open(lock.LOCK, os.O_RDONLY)
    fcntl.flock(number, fcntl.LOCK_EX)
    yield number
    os.close(number)


def test_a_timing_waits_for_a_named_holder_and_goes_on_once_it_ends(taken: int) -> None:
    told: list[str] = []
    naps = []

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 3:
            fcntl.flock(taken, fcntl.LOCK_UN)

    with alone(lambda *step: told.append(step[1]), sleep=sleep):
        assert holder().startswith(f"process {os.getpid()} of {ME} (since 20")
        assert busy() == holder()
    assert told == [
        "waiting up to 2 h for process 123 of ada (since 2026-01-01T00:00:00+00:00), which times on this machine"
    ]
    assert len(naps) == 3
    assert busy() is None


def test_a_timing_ends_after_the_stated_time_and_no_failure_of_it_is_recorded(taken: int) -> None:
    now = iter(range(0, 10**6, 1000)).__next__

    def run(process: int, attempt: int) -> object:
        with alone(lambda *_: None, clock=now, sleep=lambda _: None):
            raise AssertionError

    class Choice:
        processes = 1

    series = Series(run=run, subject=None)  # type: ignore[arg-type,type-var]
    with pytest.raises(BusyError, match=r"process 123 of ada \(since .*\) had this machine for timings for 2 h"):
        list(until_fit(Choice(), [series]))  # type: ignore[arg-type]


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"pid": "x"}', '{"pid": 1, "user": "\\u001b[31m", "started": 1}'])
def test_any_account_may_write_anything_into_the_lock(content: str, taken: int) -> None:
    lock.LOCK.write_text(content)
    assert "\x1b" not in str(busy())
    assert str(busy()).startswith(("another process", "process 1 of "))


def test_the_lock_is_for_all_accounts_whatever_the_umask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "LOCK", tmp_path / "timing.lock")
    before = os.umask(0o077)
    try:
        assert busy() is None
    finally:
        os.umask(before)
    assert stat.S_IMODE(lock.LOCK.stat().st_mode) == 0o666


def as_nobody(path: Path, answers: "multiprocessing.Queue[object]") -> None:
    os.setgid(65534)
    os.setuid(65534)
    lock.LOCK = path
    answers.put(busy())
    with alone(lambda *_: None, wait_s=0):
        answers.put(holder())


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be another account")
@pytest.mark.parametrize("mode", [0o666, 0o644])
def test_another_account_takes_turns_in_a_shared_folder(mode: int, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = Path("/tmp") / f"lrbench-test-{os.getpid()}"
    shared.mkdir()
    shared.chmod(0o1777)
    try:
        monkeypatch.setattr(lock, "LOCK", shared / "timing.lock")
        with alone(lambda *_: None):
            pass
        lock.LOCK.chmod(mode)
        context = multiprocessing.get_context("fork")
        answers = context.Queue()
        child = context.Process(target=as_nobody, args=(lock.LOCK, answers))
        child.start()
        assert answers.get(timeout=60) is None
        assert ("of nobody" in str(answers.get(timeout=60))) is (mode == 0o666)
        child.join()
        assert child.exitcode == 0
    finally:
        lock.LOCK.unlink()
        shared.rmdir()


@pytest.mark.parametrize("kind", ["folder", "link", "no folder"])
def test_a_lock_that_cannot_be_one_is_told_before_anything_is_trained(
    kind: str, workplace: Path, lrbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = workplace / "nowhere" / "lock" if kind == "no folder" else workplace / "lock"
    place.mkdir() if kind == "folder" else place.symlink_to(workplace / "tiny.toml") if kind == "link" else None
    monkeypatch.setattr(lock, "LOCK", place)
    result = lrbench("sweep", "tiny.toml")
    assert result.exit_code == 2, result.output
    assert "lock, the lock of timings on this machine, cannot be used" in result.output
    assert not (workplace / "results/tiny/records.jsonl").exists()


def test_a_sweep_says_before_training_that_its_timings_will_wait(
    workplace: Path, lrbench, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "WAIT_S", 0.0)
    result = lrbench("sweep", "tiny.toml", "--set", "sweep.ranks=['rank=2']", "--set", "sweep.schemes=['channel']")
    assert result.exit_code == 2
    lines = result.output.splitlines()
    assert lines[0].startswith("Warning: process 123 of ada")
    assert "2 trials planned" in result.output
    assert result.output.count("done    ") == 2
    assert "had this machine for timings for 0 s. What is finished is kept" in lines[-1]
    with pytest.raises(InputError), alone(lambda *_: None, wait_s=0):
        raise AssertionError
