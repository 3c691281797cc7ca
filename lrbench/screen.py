"""What a terminal shows: progress while a sweep runs. On a pipe, plain lines. Tables are those of `fitted`."""

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from io import TextIOWrapper
from types import TracebackType
from typing import Self

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.segment import Segment

from lrbench.config.names import STAGES
from lrbench.results.records import MEASURED, Failure, Measurement, Record, Sensitivity, Trial
from lrbench.results.sessions import LayerSession, Session, TimingFailure
from lrbench.shown import shown

TIMINGS = ("latency", "layers")
"""What timings call themselves where they tell their progress."""

PIPE_WIDTH = 200
"""Characters of a line of a table that goes to a pipe or file, which has no width of its own."""


class ClosedPipe(SystemExit):
    """The reader of what is printed is gone."""


class _Console(Console):
    """A console that shows what steers a terminal as escapes, whoever wrote it.

    Its reader may close the pipe (`| head`): the command then ends as by the signal SIGPIPE.
    """

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Segments of text that only shows; the console's own controls stay."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=shown(segment.text))

    def on_broken_pipe(self) -> None:
        """Discard further output, and end with exit code 141."""
        os.dup2(os.open(os.devnull, os.O_WRONLY), (sys.stderr if self.stderr else sys.stdout).fileno())
        raise ClosedPipe(141)


def console(*, stderr: bool) -> Console:
    """A console for stdout or stderr; it breaks no long lines, and escapes characters that the encoding lacks."""
    stream = sys.stderr if stderr else sys.stdout
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    terminal = _Console(stderr=stderr, soft_wrap=True)
    return terminal if terminal.is_terminal else _Console(stderr=stderr, soft_wrap=True, width=PIPE_WIDTH)


def units_of(trials: Iterable[Trial]) -> int:
    """The work in trials: epochs of training, and one for the rest of each, which goes by its truncation."""
    listed = list(trials)
    baselines = {trial.baseline: trial.baseline_epochs for trial in listed}
    return sum(baselines.values()) + sum(trial.finetune_epochs + 1 for trial in listed)


def describe(record: Record) -> str:
    """One lasting line for a finished trial or timing session; "" for records that need none."""
    if isinstance(record, Measurement):
        measured = (record.dense, record.truncated, record.recalibrated, record.after_finetuning)
        words = ("dense", *(STAGES[stage] for stage in MEASURED))
        stages = zip(words, measured, strict=True)
        told = ", ".join(f"{accuracy.accuracy:.2%} {stage}" for stage, accuracy in stages if accuracy)
        return (
            f"done    {record.trial.label}: {record.cost.params:,} params, {record.cost.macs:,} MACs, accuracy {told}; "
            f"kept: {STAGES[record.kept_stage]}"
        )
    if isinstance(record, Failure):
        return f"{record.failure:<7} {record.trial.label}: {record.stage}: {record.reason}"
    if isinstance(record, TimingFailure):
        what = record.shape or f"{len(record.architectures)} architectures"
        return (
            f"{record.failure:<7} timing of {what}: {record.setting.label}, process {record.process + 1}: "
            f"{record.reason}"
        )
    if isinstance(record, Session):
        return (
            f"timed   {len(record.architectures) - 1} architectures beside dense: {record.setting.label}, process "
            f"{record.process + 1}, {len(record.rounds)} rounds, {record.ended}"
            + (", again because the A/A control was unfit" if record.attempt > 1 else "")
        )
    if isinstance(record, LayerSession):
        return (
            f"timed   {record.shape}, {len(record.replacements) - 2} factorizations: {record.setting.label}, process "
            f"{record.process + 1}, {len(record.rounds)} rounds, {record.ended}"
        )
    if isinstance(record, Sensitivity):
        first, last = record.probes[0], record.probes[-1]
        return (
            f"probed  {record.layer}, {record.scheme} {record.truncation}: rank {first.rank} loses "
            f"{first.output_error:.2%} of its outputs, rank {last.rank} {last.output_error:.2%}"
        )
    return ""


class Screen:
    """Progress of a sweep; use it as a context manager. A live display on a terminal, one line a stage elsewhere."""

    def __init__(
        self,
        console: Console,
        trials: Sequence[Trial],
        *,
        epochs: Mapping[str, int],
        then: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Name the console, the trials to come, and how their time is told.

        Args:
            console: to print on.
            trials: that will be run.
            epochs: that a whole stage has, by its name.
            then: what comes after the trials, which the time left does not count until it has begun.
            clock: seconds.
        """
        self._console, self._epochs, self._clock = console, epochs, clock
        self._trials, self._done = list(trials), list[Trial]()
        self._total, self._started = max(1, units_of(trials)), clock()
        self._pending, self._stage_units = 0.0, 0.0
        self._last, self._then = ("", "", ""), f", then {then}" if then else ""
        self._timings: tuple[float, int, int, int] | None = None  # since when, and how many were, are and will be done
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[note]}", markup=False),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(elapsed_when_finished=False),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._sweep = self._bars.add_task("sweep", total=self._total, note="")
        self._stage = self._bars.add_task("start", total=1, note="")

    def __enter__(self) -> Self:
        """Start the display."""
        self._bars.start()
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the display away."""
        self._bars.stop()

    def add(self, trials: Sequence[Trial]) -> None:
        """Count more trials among those to come."""
        self._trials += trials
        self._total = max(1, units_of(self._trials))
        self._bars.update(self._sweep, total=self._total)

    def progress(self, what: str, stage: str, done: int, total: int) -> None:
        """Show how far a stage is: `done` of `total` steps."""
        share, epochs = done / max(total, 1), self._epochs.get(stage, 0)
        note = f"epoch {min(epochs, int(share * epochs) + 1)} of {epochs}" if epochs else ""
        if (what, stage) != self._last[:2]:
            self._pending, self._stage_units = self._pending + self._stage_units, 0.0
            self._bars.reset(self._stage)
        if what in TIMINGS and total > 1:
            begun, first = self._timings[:2] if self._timings else (self._clock(), done)
            self._timings = begun, first, done, total
        if (what, stage, note) != self._last and not self._console.is_terminal:
            self._console.print(f"[{self._clock_text()}] {what}: {stage} {note}", markup=False, highlight=False)
        self._last = (what, stage, note)
        self._stage_units = (epochs or int(stage == "truncate")) * share
        self._bars.update(self._stage, description=f"{what}: {stage}", completed=done, total=total, note=note)
        self._bars.update(self._sweep, completed=self._units())

    def finish(self, record: Record) -> None:
        """Count a record's work as done, and print its lasting line."""
        if isinstance(record, Measurement | Failure):
            self._done.append(record.trial)
            self._pending = self._stage_units = 0.0
        if line := describe(record):
            self._console.print(line, markup=False, highlight=False)

    def _units(self) -> float:
        return units_of(self._done) + self._pending + self._stage_units

    def _clock_text(self) -> str:
        now = self._clock()
        left = self._timings_left(now, *self._timings) if self._timings else self._trials_left(now)
        return _duration(now - self._started) + left

    def _trials_left(self, now: float) -> str:
        units = self._units()
        seconds = (now - self._started) / units * (self._total - units) if self._done else None
        return "" if seconds is None else f", about {_duration(seconds)} left{self._then}"

    def _timings_left(self, now: float, begun: float, first: int, done: int, total: int) -> str:
        """By what each timing since the first took."""
        return f", about {_duration((now - begun) / (done - first) * (total - done))} left" if done > first else ""


def _duration(seconds: float) -> str:
    minutes, seconds_left = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds_left:02}"
