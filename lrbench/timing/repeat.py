"""How often timings are made: in as many processes as the spec says, spread over time, and again where one is unfit."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar, cast

from lrbench.config.sections import LatencyChoice
from lrbench.results.sessions import Timed
from lrbench.results.timings import is_fit_timing, last_attempt
from lrbench.timing.isolation import in_fresh_process

T = TypeVar("T")
J = TypeVar("J")

ATTEMPTS = 2
"""Largest number of attempts at a timing whose A/A control finds it unfit."""


class Numbered(Protocol):
    """A session's place in its timing: process from 0, attempt from 1."""

    @property
    def process(self) -> int: ...  # noqa: D102
    @property
    def attempt(self) -> int: ...  # noqa: D102


S = TypeVar("S", bound=Numbered)


@dataclass(frozen=True, kw_only=True)
class Series(Generic[S]):
    """One timing: runs a process of an attempt; `held` are the sessions of that attempt which are there already."""

    run: Callable[[int, int], S]
    held: tuple[S, ...] = ()
    attempt: int = 1


def resumed(run: Callable[[int, int], S], sessions: Sequence[S]) -> Series[S]:
    """A timing of which some sessions were made before it was interrupted."""
    held = tuple(last_attempt(sessions))
    return Series(run=run, held=held, attempt=held[0].attempt if held else 1)


def until_fit(choice: LatencyChoice, timings: Sequence[Series[S]]) -> Iterator[S]:
    """Run the missing processes of timings, and all of a timing again when its A/A control finds it unfit.

    The first process of every timing comes first, then the second of every one, and so on: processes that follow one
    another all see the same minutes of a machine, and agree more than they should.
    """
    left = list(timings)
    while left:
        done = [list(timing.held) for timing in left]
        for process in range(choice.processes):
            for timing, sessions in zip(left, done, strict=True):
                if process not in {session.process for session in sessions}:
                    sessions.append(timing.run(process, timing.attempt))
                    yield sessions[-1]
        left = [
            replace(timing, held=(), attempt=timing.attempt + 1)
            for timing, sessions in zip(left, done, strict=True)
            if timing.attempt < ATTEMPTS and not is_fit_timing(cast("list[Timed]", sessions))
        ]


def in_process(choice: LatencyChoice, work: Callable[[J], T], job: J) -> T:
    """Run a job in a fresh process, which Ctrl-C ends too; in this process when the spec says one process."""
    if choice.processes == 1:
        return work(job)
    return in_fresh_process(work, job)
