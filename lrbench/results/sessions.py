"""The frozen records of timing sessions."""

from dataclasses import dataclass
from typing import Literal

from lrbench.config.axes import Setting
from lrbench.config.ranges import Above0, Amount, Classes, Count, ImageSize, Name, Real, Whole
from lrbench.lowrank.cuts import Cut

Fault = Literal["failed", "nan", "oom", "timeout", "killed"]
"""How a trial or a timing failed: by an exception, a number that is not finite, memory, time, or with its process."""

DENSE, CONTROL = 0, 1
"""The indices in a session of the dense model and of its copy, the A/A control."""


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A model's shape after its cuts. Weights are no part of it, so latency and cost belong to its `key`.

    `materialized`: its computed weights are plain parameters.
    """

    key: Name
    model: Name
    image_size: ImageSize
    classes: Classes
    layers: tuple[Cut, ...]
    materialized: bool = False


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """What the driver reports at the end of a round: clocks in Hz, temperature in degrees C, why it throttles."""

    sm_clock_hz: Amount
    memory_clock_hz: Amount
    temperature_c: Real
    throttling: str


@dataclass(frozen=True, kw_only=True)
class Round:
    """One round of a session: every model once, in `order`; seconds per call by model, in the session's own order.

    `layout` counts how often the models had been moved in memory before the round, `load` is the length of the
    machine's run queue over the last minute, `steal_s` the seconds that its host withheld during the round.
    """

    order: tuple[Whole, ...]
    wall_s: tuple[Above0, ...]
    cpu_s: tuple[Amount, ...]
    layout: Whole | None = None
    load: Amount | None = None
    steal_s: Amount | None = None
    gpu: Gpu | None = None


ROUNDS_A_LAYOUT = 5
"""Rounds before the models of a session are moved in memory."""


def layout_of(number: int, timed: Round) -> int:
    """The layout of a round; in old sessions without layouts, a few rounds count as one layout."""
    return number // ROUNDS_A_LAYOUT if timed.layout is None else timed.layout


@dataclass(frozen=True, kw_only=True)
class Timed:
    """What one process observed of some models side by side: the dense model, its copy, the others.

    Attributes:
        calls: number of calls in one timed block of each model.
        first_wall_s: seconds of the very first call of each.
        warmup_s: seconds that each was run before the first round.
        peak_bytes: most memory that one call of each holds, its weights and results included.
        rounds: in the order they ran.
        ended: why no more rounds were run.
        control_within: largest half width of the control's interval of a fit timing.
    """

    calls: tuple[Count, ...]
    first_wall_s: tuple[Amount, ...]
    rounds: tuple[Round, ...]
    warmup_s: tuple[Amount, ...] = ()
    peak_bytes: tuple[Whole, ...] = ()
    ended: str = ""
    control_within: Amount = 0.05


@dataclass(frozen=True, kw_only=True)
class Session(Timed):
    """A timing session of whole models in one process; sessions of one `series` differ by process and attempt only.

    On a cluster `node` is the id of the node, and `finished` the time when the timing ended there.
    """

    kind: Literal["latency"] = "latency"
    environment: str
    commit: str
    started: str
    setting: Setting
    architectures: tuple[Architecture, ...]
    series: str = ""
    process: Whole = 0
    attempt: Count = 1
    node: str = ""
    finished: str = ""


@dataclass(frozen=True, kw_only=True)
class Replacement:
    """What replaces a layer: factors of a scheme and rank, or (rank None) the dense layer itself.

    Attributes:
        backend: the operators that ran, by the profiler, in order.
        macs: for one image.
        traffic_bytes: weights, inputs and results of each of its layers in one call: the least that must be moved.
    """

    scheme: str
    rank: Count | None
    backend: str
    macs: Whole
    traffic_bytes: Whole


@dataclass(frozen=True, kw_only=True)
class LayerSession(Timed):
    """A timing session of a layer: dense, its copy, its replacements. All `layers` have the shape named by `shape`.

    `breakeven_macs` are (scheme, rank) pairs by formula; `series` is as in `Session`.
    """

    kind: Literal["layer_latency"] = "layer_latency"
    environment: str
    commit: str
    started: str
    setting: Setting
    shape: str
    model: str
    image_size: ImageSize
    layers: tuple[str, ...]
    replacements: tuple[Replacement, ...]
    breakeven_macs: tuple[tuple[str, Amount], ...]
    series: str = ""
    process: Whole = 0
    attempt: Count = 1


@dataclass(frozen=True, kw_only=True)
class TimingFailure:
    """A process of a timing that did not end as it should, with the reason.

    `architectures` are the keys of the models that were to be timed; of a layer's timing `shape` names the layer.
    """

    kind: Literal["timing_failure"] = "timing_failure"
    environment: str
    commit: str
    started: str
    setting: Setting
    architectures: tuple[str, ...] = ()
    shape: str = ""
    process: Whole
    attempt: Count
    reason: str
    traceback: str
    seconds: Amount
    failure: Fault
