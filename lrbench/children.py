"""Child processes that run functions for this one: each ends with this process, and however it ends is told.

A child is spawned fresh, so scripts of the user's are imported in it again (see `GUARD`).
"""

import os
import pickle
import signal
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import connection, get_context
from typing import Any, cast

from lrbench.errors import InputError
from lrbench.guard import reason_of
from lrbench.processes import describe_exit, end_with_parent

LOOK_S = 0.5
"""Seconds between two looks at whether a child lives: a process that it started may keep its pipes open."""

START_S = 600.0
"""Seconds in which a child must be ready to work."""


class ChildLostError(InputError):
    """A child process could not be started, or ended before its task did. `code`: its exit code, None if unknown."""

    def __init__(self, text: str, code: int | None = None) -> None:
        """Take the text, and how the process ended."""
        super().__init__(text)
        self.code = code


class RemoteError(Exception):
    """The traceback of what was raised in a child, as text; or an error that could not be sent whole."""


class Child:
    """A fresh process that runs one task after another; `start` one, wait until it `has_ended`, ask for its `result`.

    The limit of time runs by the monotonic clock, from the moment at which the process has taken the task.
    """

    def __init__(self) -> None:
        """Start the process.

        Raises: InputError when the system starts no more processes.
        """
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, os.getpid()), daemon=True)
        try:
            with _without_interrupts():
                self._process.start()
        except OSError as error:
            raise InputError(
                f"no child processes can be started: {error}. What is finished is kept; the same command continues"
            ) from error
        finally:
            theirs.close()
        self._has_begun, self._since, self._timeout_s = False, time.monotonic(), cast("float | None", None)
        self._answer: tuple[str, Any] | None = None

    def start(self, work: Callable[..., Any], *arguments: object, timeout_s: float | None = None) -> None:
        """Begin a task, a function that can be pickled; the one before must have ended."""
        self._answer, self._has_begun, self._timeout_s = None, False, timeout_s
        self._since = time.monotonic()
        try:
            self._pipe.send((work, arguments))
        except ConnectionError:
            self._lose()

    @property
    def handles(self) -> tuple[Any, ...]:
        """What to wait for."""
        return self._pipe, self._process.sentinel

    def has_ended(self) -> bool:
        """Whether the task has ended, in whatever way; ends the process when its time is over."""
        while self._answer is None and self._pipe.poll():
            self._hear()
        if self._answer is None and not self._process.is_alive() and not self._pipe.poll():
            self._lose()
        limit_s = self._timeout_s if self._has_begun else START_S
        if self._answer is None and limit_s is not None and time.monotonic() - self._since > limit_s:
            self.end()
            self._answer = ("late", limit_s) if self._has_begun else ("lost", None)
        return self._answer is not None

    @property
    def is_usable(self) -> bool:
        """Whether it can take another task."""
        return self._process.is_alive() and (self._answer is None or self._answer[0] in ("done", "raised"))

    def result(self) -> Any:
        """What the task returned.

        Raises: what the task raised; TimeoutError when its time was over; ChildLostError when its process ended.
        """
        assert self._answer is not None, "the task has not ended"
        kind, content = self._answer
        if kind == "done":
            return content
        if kind == "late":
            raise TimeoutError(f"not finished after {content:g} s")
        if kind == "lost":
            raise ChildLostError(describe_exit(content), content)
        raise _revived(*content)

    def end(self) -> None:
        """End the process at once."""
        self._process.kill()
        self._process.join()
        self._pipe.close()

    def _hear(self) -> None:
        """Take the next message."""
        try:
            kind, content = self._pipe.recv()
        except Exception:  # the pipe's end, or what some other writer left in it
            self._lose()
            return
        if kind == "begun":
            self._has_begun, self._since = True, time.monotonic()
        else:
            self._answer = (kind, content)

    def _lose(self) -> None:
        self._process.join(LOOK_S)  # its own exit code follows within a moment
        self.end()
        code = self._process.exitcode
        self._answer = ("lost", code if self._has_begun else None)


def first_ended(children: Sequence[Child]) -> Child:
    """Wait until the task of one of these children has ended."""
    while True:
        for child in children:
            if child.has_ended():
                return child
        connection.wait([handle for child in children for handle in child.handles], timeout=LOOK_S)


def run_in_child(work: Callable[..., Any], *arguments: object, timeout_s: float | None = None) -> Any:
    """Call a function in a fresh process and return its result (or raise its error); an interrupt ends the process.

    Raises: as `Child.result` does.
    """
    child = Child()
    try:
        child.start(work, *arguments, timeout_s=timeout_s)
        return first_ended([child]).result()
    finally:
        child.end()


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Hold Ctrl-C back: a process that starts meanwhile hears none before it ignores them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(pipe: Any, parent: int) -> None:
    """In the child: run tasks until there are no more. Ctrl-C is the parent's, which ends this process."""
    end_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    while True:
        try:
            task = pipe.recv_bytes()
        except EOFError:
            return
        try:
            work, arguments = pickle.loads(task)
            pipe.send(("begun", None))
            pipe.send(("done", work(*arguments)))
        except BaseException as error:  # sys.exit() of a user's code, and a result that cannot be pickled
            pipe.send(("raised", _frozen(error)))


def _frozen(error: BaseException) -> tuple[bytes, str, str]:
    """An error as it is sent: pickled where that is possible, in words, and its traceback."""
    try:
        pickled = pickle.dumps(error)
    except Exception:
        pickled = b""
    return pickled, reason_of(error), "".join(traceback.format_exception(error))


def _revived(pickled: bytes, reason: str, trace: str) -> Exception:
    """The error of a child; an error that is no Exception, or cannot be unpickled here, as a RemoteError in words."""
    try:
        error = pickle.loads(pickled)
    except Exception:
        error = None
    revived = error if isinstance(error, Exception) else RemoteError(reason)
    revived.__cause__ = RemoteError(trace)
    return revived
