"""How work reports its progress."""

from collections.abc import Callable

Progress = Callable[[str, str, int, int], None]
"""Called with (what, stage, done, total) as work goes on."""


def silent(what: str, stage: str, done: int, total: int) -> None:
    """Report nothing."""


NOTICE = "note: "
"""With it begins a stage that is a notice: it is told by child processes too, which tell no progress."""
