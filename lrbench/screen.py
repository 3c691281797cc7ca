"""What a person sees while a sweep runs: one live display on a terminal, plain lines otherwise."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from lrbench.records import Trial

Units = dict[str, int]


def units_of(trials: tuple[Trial, ...]) -> int:
    """The work in trials: epochs of training, and one for the rest of each."""
    baselines = {trial.baseline: trial.baseline_epochs for trial in trials}
    return sum(baselines.values()) + sum(trial.finetune_epochs + 1 for trial in trials)


class Screen:
    """Progress of a sweep; use it as a context manager. On a pipe it prints one line a stage and trial."""

    def __init__(self, console: Console, total: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Name the console and the units of work to be done."""
        self._console = console
        self._clock = clock
        self._last: tuple[str, str] | None = None
        self._started = clock()
        self._finished = 0.0
        self._total = total
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", justify="left"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._sweep = self._bars.add_task("sweep", total=max(total, 1), note="")
        self._stage = self._bars.add_task("", total=1, note="")

    def __enter__(self) -> Self:
        """Start the display."""
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the display away."""
        self._bars.stop()

    def notify(self, what: str, stage: str, done: int, total: int, epochs: int = 0) -> None:
        """Show how far a stage of a trial is; `epochs` is what the whole stage counts in units of work."""
        if (what, stage) != self._last:
            self._last = (what, stage)
            if not self._console.is_terminal:
                self._console.print(f"[{self._eta()}] {what}: {stage}", markup=False, highlight=False)
        note = f"epoch {min(epochs, done * epochs // max(total, 1) + 1)}/{epochs}" if epochs else f"{done}/{total}"
        self._bars.update(self._stage, description=f"{what}: {stage}", completed=done, total=total, note=note)
        self._bars.update(self._sweep, completed=self._finished + epochs * done / max(total, 1))

    def finish(self, units: int, line: str) -> None:
        """Count units of work as done and print a lasting line."""
        self._finished += units
        self._bars.update(self._sweep, completed=self._finished)
        self._console.print(line, markup=False, highlight=False)

    def _eta(self) -> str:
        elapsed = self._clock() - self._started
        if self._finished <= 0:
            return f"{elapsed:.0f} s"
        left = elapsed / self._finished * (self._total - self._finished)
        return f"{elapsed:.0f} s, about {left:.0f} s left"
