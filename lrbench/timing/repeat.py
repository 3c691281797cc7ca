"""How often timings are made: in as many processes as the spec says, spread over time, and again where one is unfit."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from traceback import format_exception
from typing import Generic, Protocol, TypeVar, cast

from lrbench.config.axes import Setting
from lrbench.config.sections import LatencyChoice
from lrbench.errors import InputError
from lrbench.guard import Interrupted, reason_of, user_code
from lrbench.learn.memory import given_back
from lrbench.measure.environment import now
from lrbench.measure.faults import is_out_of_memory, plain_text
from lrbench.results.sessions import Fault, LayerSession, Session, Timed, TimingFailure
from lrbench.results.timings import is_fit_timing, last_attempt
from lrbench.results.valid import require_readable
from lrbench.timing import isolation
from lrbench.timing.isolation import ProcessLostError, in_fresh_process
from lrbench.timing.lock import BusyError

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
class Subject:
    """What is timed, and where: the fields of a `TimingFailure` that are known before anything fails."""

    environment: str
    commit: str
    setting: Setting
    architectures: tuple[str, ...] = ()
    shape: str = ""


@dataclass(frozen=True, kw_only=True)
class Series(Generic[S]):
    """One timing.

    Attributes:
        run: runs a process (from 0) of an attempt (from 1).
        subject: what is timed, as the record of a failure names it.
        held: the sessions of that attempt that are there already.
        attempt: the attempt to begin with.
        is_odd: whether a session's B/B control tells that it is to be made again.
    """

    run: Callable[[int, int], S]
    subject: Subject
    held: tuple[S, ...] = ()
    attempt: int = 1
    is_odd: Callable[[S], bool] = lambda _: False


def resumed(
    run: Callable[[int, int], S],
    subject: Subject,
    sessions: Sequence[S],
    *,
    is_odd: Callable[[S], bool] = lambda _: False,
) -> Series[S]:
    """A timing of which some sessions were made before it was interrupted."""
    held = tuple(last_attempt(sessions))
    return Series(run=run, subject=subject, held=held, attempt=held[0].attempt if held else 1, is_odd=is_odd)


def until_fit(choice: LatencyChoice, timings: Sequence[Series[S]]) -> Iterator[S | TimingFailure]:
    """Run the missing processes of timings, and all of a timing again when a control of it speaks against it.

    The A/A control does when it finds the timing unfit, the B/B control when a session is odd beside earlier ones.

    The first process of every timing comes first, then the second of every one, and so on: processes that follow one
    another all see the same minutes of a machine, and agree more than they should. A timing of which a process fails
    ends there, and the others go on.
    """
    left = list(timings)
    while left:
        done = [list(timing.held) for timing in left]
        lost: set[int] = set()
        for process in range(choice.processes):
            for number, (timing, sessions) in enumerate(zip(left, done, strict=True)):
                if number in lost or process in {session.process for session in sessions}:
                    continue
                outcome = _attempt(timing, process)
                yield outcome
                if isinstance(outcome, TimingFailure):
                    lost.add(number)
                else:
                    sessions.append(outcome)
        left = [
            replace(timing, held=(), attempt=timing.attempt + 1)
            for number, (timing, sessions) in enumerate(zip(left, done, strict=True))
            if number not in lost and timing.attempt < ATTEMPTS and _is_to_repeat(timing, sessions)
        ]


def _is_to_repeat(timing: Series[S], sessions: Sequence[S]) -> bool:
    return not is_fit_timing(cast("Sequence[Timed]", sessions)) or any(timing.is_odd(session) for session in sessions)


def _attempt(timing: Series[S], process: int) -> S | TimingFailure:
    started, clock = now(), perf_counter()
    try:
        with user_code():
            session = timing.run(process, timing.attempt)
        if isinstance(session, Session | LayerSession):
            require_readable([session])
    except (Interrupted, BusyError):  # no fault of what is timed
        raise
    except BaseException as error:  # whatever the model's own code or a library raises, sys.exit() too
        fault: Fault = "oom" if is_out_of_memory(error) else "failed"
        if isinstance(error, TimeoutError | ProcessLostError):
            fault = "timeout" if isinstance(error, TimeoutError) else "killed"
        return TimingFailure(
            **vars(timing.subject),
            started=started,
            process=process,
            attempt=timing.attempt,
            reason=plain_text(str(error) if isinstance(error, InputError) else reason_of(error)),
            traceback=plain_text("".join(format_exception(error))),
            seconds=perf_counter() - clock,
            failure=fault,
        )
    return session


def in_process(choice: LatencyChoice, work: Callable[[J], T], job: J, *, model: str) -> T:
    """Run a job that times a model: in a fresh process, which Ctrl-C ends too, or in this one when the spec says one.

    A user's own model gets a fresh process in any case: it may crash or hang. This process gives freed memory back
    meanwhile, even if it trains: timings see what a user's process would.

    Raises: TimeoutError after the spec's `timeout_s` in a fresh process; what the work raises.
    """
    if choice.processes == 1 and not isolation.needs_child(model):
        with given_back():
            return work(job)
    return in_fresh_process(work, job, timeout_s=choice.timeout_s)
