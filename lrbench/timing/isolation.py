"""Where timings run: each in a process of its own."""

from collections.abc import Callable
from typing import TypeVar

from lrbench.children import ChildLostError, run_in_child
from lrbench.config.names import is_own
from lrbench.errors import InputError
from lrbench.processes import GUARD

T = TypeVar("T")


def needs_child(model: str, *others: str) -> bool:
    """Whether a model, a data set or a loop is a user's own code: it may crash or hang, so it gets child processes."""
    return is_own(model) or any(":" in name for name in others)


class ProcessLostError(InputError):
    """A fresh process could not be started, or ended before its work did."""


def in_fresh_process(work: Callable[..., T], *arguments: object, timeout_s: float | None = None) -> T:
    """Call a function in a fresh process and return its result (or raise its error); an interrupt ends the process.

    Raises: ProcessLostError (an InputError) when the process could not be started, or ended before the function did;
        TimeoutError after `timeout_s`.
    """
    try:
        result: T = run_in_child(work, *arguments, timeout_s=timeout_s)
    except ChildLostError as error:
        raise ProcessLostError(
            f"a process for timings ended too early ({error}). Finished results are kept; the same command continues. "
            f"Memory may have run out; and {GUARD}"
        ) from error
    return result
