"""Waiting for what another process does: until it is there, however slow the machine is."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE_S = 1800.0
"""What no machine takes: past it a test has failed, because what it waits for will not come."""


def until(look: Callable[[], T], what: str) -> T:
    """What `look` gives as soon as that is something."""
    end = time.monotonic() + PATIENCE_S
    while not (found := look()):
        assert time.monotonic() < end, f"{what} never came"
        time.sleep(0.02)
    return found
