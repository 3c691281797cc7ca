"""Code that a user supplies runs inside `user_code`: what it raises is its own failure, this process stays as it was.

Such code may raise anything, end the process by `sys.exit`, swallow an interrupt or change the working directory.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from lrbench.errors import InputError
from lrbench.shown import said

_signals: list[int] = []
"""The signals that asked this process to end, in the order in which they came."""


class Interrupted(KeyboardInterrupt):
    """A signal asked this process to end while a user's code ran."""


def note_signal(number: int) -> None:
    """Remember that a signal asked this process to end; for the handlers of signals."""
    _signals.append(number)


def signals() -> tuple[int, ...]:
    """The signals noted since `forget_signals`."""
    return tuple(_signals)


def forget_signals() -> None:
    """Begin anew: no signal has come yet."""
    _signals.clear()


def reason_of(error: BaseException) -> str:
    """An error in words, `KeyError: 'x'`, even where its own text cannot be made."""
    name, text = type(error).__name__, said(error)
    return text if text.startswith(name) else f"{name}: {text}"


@contextmanager
def user_code() -> Iterator[None]:
    """Run a user's code: the working directory is restored, and a signal is heard even where the code swallows it.

    Raises: Interrupted when a signal asked this process to end; else whatever the code raises, SystemExit and a
        KeyboardInterrupt that nobody typed among it: catch BaseException outside, after Interrupted.
    """
    directory = _directory()
    with _hearing():
        try:
            yield
            if _signals:
                raise Interrupted
        except BaseException as error:
            if _signals and not isinstance(error, Interrupted):
                raise Interrupted from error
            raise
        finally:
            if directory and directory != _directory():
                with suppress(OSError):
                    os.chdir(directory)


@contextmanager
def guarded(beginning: str) -> Iterator[None]:
    """Run a user's code as `user_code` does; whatever it raises is an InputError, in one line after a beginning.

    Raises: InputError, such as `model.name='own:build' raised` KeyError: 'x'; Interrupted as `user_code` does.
    """
    try:
        with user_code():
            yield
    except (InputError, Interrupted):
        raise
    except BaseException as error:  # sys.exit() and the like too
        raise InputError(f"{beginning} {' '.join(reason_of(error).split())}") from error


@contextmanager
def _hearing() -> Iterator[None]:
    """Note Ctrl-C where nobody else does, as in a script of the user's."""
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return

    def hear(number: int, _: FrameType | None) -> None:
        note_signal(number)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, hear)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        forget_signals()


def _directory() -> str:
    """The working directory; "" where it was removed."""
    try:
        return os.getcwd()  # noqa: PTH109 - a text
    except OSError:
        return ""
