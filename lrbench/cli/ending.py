"""How a command ends when it does not end by itself: by a signal, or by a fault of its own; with one line each.

Imports next to nothing, so that it is there before all else.
"""

import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import current_thread, main_thread
from types import FrameType

from lrbench.guard import note_signal
from lrbench.shown import said

ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Signals that ask a command to end: Ctrl-C, `kill` or a scheduler, a terminal that closes."""

KEPT, STARTS_ANEW = "what is finished is kept; the same command continues", "nothing was written"

Handler = Callable[[int, FrameType | None], None]


def leave(number: int, _: FrameType | None) -> None:
    """End this process at once: nothing is begun yet, or all is done."""
    os.write(2, f"interrupted: {KEPT}\n".encode())
    os._exit(128 + number)


@contextmanager
def ending_by(handler: Handler) -> Iterator[None]:
    """Let a handler answer the signals that ask to end, but for those that are ignored, as under nohup."""
    in_main = current_thread() is main_thread()
    before = {number: signal.getsignal(number) for number in ENDING if in_main}
    handled = {number: usual for number, usual in before.items() if usual != signal.SIG_IGN}
    for number in handled:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, usual in handled.items():
            signal.signal(number, usual)


@contextmanager
def stoppable() -> Iterator[None]:
    """Let a signal end the command in order; a second one ends it at once, as the system does.

    It is noted: code in C may turn what is raised here into an error of its own, and a user's code may swallow it. An
    import is not interrupted halfway, for a library may make anything of that: the process ends, unless it writes to a
    folder.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        if _imports(frame) and not _writes():
            leave(number, frame)
        for other_number in ENDING:
            if signal.getsignal(other_number) is stop:
                signal.signal(other_number, signal.SIG_DFL)
        note_signal(number)
        raise KeyboardInterrupt

    with ending_by(stop):
        yield


def _imports(frame: FrameType | None) -> bool:
    """Whether a module is being imported."""
    while frame is not None and not frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back
    return frame is not None


def _writes() -> bool:
    """Whether this process holds a results folder."""
    writers = sys.modules.get("lrbench.results.writers")
    return writers is not None and bool(writers.HELD)


def fault(error: BaseException) -> str:
    """A line that tells of an error that nobody expected; its traceback goes to a file that the line names."""
    trace = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(trace[-1].filename).name}, line {trace[-1].lineno})" if trace else ""
    try:
        number, name = tempfile.mkstemp(prefix="lrbench-traceback-", suffix=".txt")
        with os.fdopen(number, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write("".join(traceback.format_exception(error)))
        kept = f"the traceback is in {name}"
    except OSError as worse:
        kept = f"the traceback could not be kept: {said(worse)}"
    return f"lrbench has a fault, or met one: {type(error).__name__}: {said(error)}{place}; {kept}"
