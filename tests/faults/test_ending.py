"""A command that is asked to end, at any moment from its first import on, ends with one line and its exit code."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import samples
from click.testing import Result

from lrbench.cli.ending import fault, stoppable

ROOT = Path(__file__).parents[2]
LINE = "interrupted: what is finished is kept; the same command continues\n"

AT_AN_IMPORT = """
import os, signal, sys

signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background inherits that it is ignored
wanted, number = sys.argv.pop(1), int(sys.argv.pop(1))


class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == wanted:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), number)


sys.meta_path.insert(0, Interrupting())
from lrbench.cli import main

main()
"""
"""The command, sent a signal by itself when it imports a module."""


def interrupted(module: str, number: int, *words: str, place: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", AT_AN_IMPORT, module, str(int(number)), *words],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "module", ["typer", "rich.console", "lrbench.cli.commands", "lrbench.cli.gate", "numpy", "pandas"]
)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_an_import_ends_with_one_line(module: str, number: int, tmp_path: Path) -> None:
    samples.folder_of(tmp_path / "r", samples.sweep())
    done = interrupted(module, number, "table", "r", place=tmp_path)
    assert (done.returncode, done.stderr, done.stdout) == (128 + number, LINE, "")


@pytest.mark.long
@pytest.mark.parametrize(
    "module", ["torch", "torch._C", "torchvision", "sklearn", "fvcore", "lrbench.plan.run", "scipy"]
)
def test_a_signal_while_torch_is_imported_ends_with_one_line(module: str, workplace: Path) -> None:
    done = interrupted(module, signal.SIGINT, "plan", "tiny.toml", place=workplace)
    assert (done.returncode, done.stderr, done.stdout) == (130, LINE, "")


@pytest.mark.long
def test_a_signal_at_any_moment_of_the_first_seconds_ends_with_one_line(workplace: Path) -> None:
    hearing = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from lrbench.cli import main; main()"
    )
    for tenths in range(2, 30, 4):
        process = subprocess.Popen(
            [sys.executable, "-c", hearing, "plan", "tiny.toml"],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        time.sleep(tenths / 10)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
        ended = process.returncode == 0 or (process.returncode, errors) == (130, LINE)
        python_itself = "lrbench" not in errors and "site" in errors  # not one line of ours had run
        assert ended or python_itself or process.returncode == -signal.SIGINT, errors


@pytest.mark.parametrize(
    "error", [ImportError("half imported"), SystemError("error return without exception set"), ValueError()]
)
def test_whatever_a_library_makes_of_a_signal_the_command_was_interrupted(
    error: Exception, workplace: Path, lrbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: object) -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)
        except KeyboardInterrupt:
            raise error from None

    monkeypatch.setattr("lrbench.plan.spec.load_spec", load)
    result: Result = lrbench("plan", "tiny.toml")
    assert (result.exit_code, result.output) == (143, LINE)


def test_signals_that_are_ignored_stay_ignored_and_handlers_come_back() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        usual = signal.getsignal(signal.SIGINT)
        with stoppable():
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGINT) is not usual
        assert signal.getsignal(signal.SIGINT) is usual
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_broken_installation_is_one_line(tmp_path: Path) -> None:
    broken = "import sys; sys.modules['typer'] = None; from lrbench.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", broken],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: lrbench has a fault, or met one: ModuleNotFoundError")
    assert Path(line.rpartition(" in ")[2]).parent == tmp_path


def test_a_fault_without_a_place_is_told() -> None:
    assert "ValueError: odd" in fault(ValueError("odd"))


def test_a_plan_of_many_seeds_says_how_many_trials_there_are(workplace: Path, lrbench) -> None:
    seeds = f"sweep.seeds=[{','.join(map(str, range(10_000)))}]"
    result = lrbench("plan", "tiny.toml", "--set", seeds, "--set", "sweep.ranks=['rank=2']")
    assert result.exit_code == 0, result.output[-2000:]
    assert "30,000 trials of 10,000 seeds" in result.output
    assert "30,000 trials of tiny.toml; the first 500 are listed" in result.output
    assert len(result.output.splitlines()) < 600


def test_what_decides_every_seed_is_read_once(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lrbench.plan import trials
    from lrbench.plan.spec import make_spec

    asked = []
    monkeypatch.setattr(trials, "code_of", lambda name: asked.append(name) or {})
    spec = make_spec({"sweep": {"seeds": list(range(100))}}, where="spec")
    planned = trials.plan_trials(spec, identity="x")
    assert len(asked) == 1
    (last,) = trials.plan_trials(spec, identity="x", seeds=[99])[-1:]
    assert planned[-1].baseline == last.baseline
