"""How often a timing is made: in as many processes as the spec says, and again where it is unfit."""

from collections.abc import Callable, Iterator
from typing import TypeVar

from lrbench.config.sections import LatencyChoice
from lrbench.results.sessions import Timed
from lrbench.results.timings import is_fit_timing
from lrbench.timing.isolation import in_fresh_process

T = TypeVar("T")
J = TypeVar("J")
S = TypeVar("S", bound=Timed)

ATTEMPTS = 2
"""Largest number of attempts at a timing whose A/A control finds it unfit."""


def until_fit(choice: LatencyChoice, run: Callable[[int, int], S]) -> Iterator[S]:
    """Run every process of a timing, and all of them again when the A/A control finds the timing unfit."""
    for attempt in range(1, ATTEMPTS + 1):
        sessions = []
        for process in range(choice.processes):
            sessions.append(run(process, attempt))
            yield sessions[-1]
        if is_fit_timing(sessions):
            return


def in_process(choice: LatencyChoice, work: Callable[[J], T], job: J) -> T:
    """Run a job in a fresh process, which Ctrl-C ends too; in this process when the spec says one process."""
    if choice.processes == 1:
        return work(job)
    return in_fresh_process(work, job)
