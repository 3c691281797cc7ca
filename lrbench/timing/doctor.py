"""Is this machine fit for timing? A dense model is timed against its own copy, and likely disturbances are named."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import psutil

from lrbench.config.axes import Setting
from lrbench.config.sections import LatencyChoice
from lrbench.learn.architectures import build_dense, make_architecture
from lrbench.limits import require_cpus, usable_cpus
from lrbench.lowrank.copies import copy_of
from lrbench.measure.environment import read_environment, read_watch
from lrbench.measure.prepared import renew_all
from lrbench.measure.settings import settings
from lrbench.measure.side_by_side import block_of, prepare, quiet, time_side_by_side
from lrbench.progress import Progress, silent
from lrbench.results.environment import Environment
from lrbench.results.sessions import CONTROL, DENSE, Timed
from lrbench.results.timings import control_ratio, is_fit_timing
from lrbench.statistics.paired import Ratio, log_ratios
from lrbench.timing.lock import alone

ROUNDS = 100


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """The result of an A/A session of 100 rounds.

    `noise` is the standard deviation of log(copy / dense) over single rounds, by the quartiles; `visible` the smallest
    change of a ratio that such a session can detect, the half width of its 99 % interval; `advice` what to improve,
    most important first.
    """

    environment: Environment
    setting: Setting
    control: Ratio
    fit: bool
    dense_s: float
    noise: float
    visible: float
    load: float | None
    advice: tuple[str, ...]


def diagnose(*, model: str, image_size: int, threads: int, progress: Progress = silent) -> Diagnosis:
    """Time a model against its copy and nothing else, for about half a minute.

    Raises: InputError for an unknown model, or when torch does not accept so many threads.
    """
    require_cpus(threads, what="--threads")
    choice = LatencyChoice(devices=("cpu",), threads=(threads,), rounds=ROUNDS, precision=1e-9, block_s=0.01)
    setting, before = settings(choice)[0], read_watch()
    with alone(progress), quiet(threads):
        dense = build_dense(make_architecture(model, image_size=image_size, classes=10))
        models = [prepare(copy_of(dense), setting, shape=(3, image_size, image_size)) for _ in range(2)]
        timed = time_side_by_side(
            [block_of(model.call, setting) for model in models], choice, renew=lambda: renew_all(models)
        )
    environment, control = read_environment(), control_ratio([timed])
    logs = log_ratios((r.wall_s[CONTROL] for r in timed.rounds), (r.wall_s[DENSE] for r in timed.rounds))
    low, high = np.quantile(logs, [0.25, 0.75])
    return Diagnosis(
        environment=environment,
        setting=setting,
        control=control,
        fit=is_fit_timing([timed]),
        dense_s=sorted(r.wall_s[DENSE] for r in timed.rounds)[len(timed.rounds) // 2],
        noise=float(high - low) / 1.349,
        visible=control.half_width,
        load=before.load,
        advice=tuple(_advice(environment, timed, load=before.load, threads=threads)),
    )


def _advice(environment: Environment, timed: Timed, *, load: float | None, threads: int) -> Iterator[str]:
    cpus = usable_cpus()
    if load is not None and load > 0.25 * cpus:
        yield f"load was {load:.2f} on {cpus} CPUs before the session: stop other programs"
    stolen = sum(r.steal_s or 0.0 for r in timed.rounds)
    spent = sum(sum(r.wall_s) for r in timed.rounds)
    if stolen > 0.01 * spent:
        yield f"the host withheld {stolen:.1f} s of CPU time: other virtual machines on it are busy"
    if environment.governor not in ("performance", "unknown"):
        yield f"CPU frequency governor is {environment.governor!r}: run `cpupower frequency-set -g performance`"
    quota, _, period = environment.cgroup_cpus.partition(" ")
    if quota.isdigit() and period.isdigit() and int(quota) / int(period) < threads:
        yield f"the container may use {int(quota) / int(period):g} CPUs: time with fewer than {threads} threads"
    if threads > (psutil.cpu_count(logical=False) or cpus):
        yield f"{threads} threads share {psutil.cpu_count(logical=False)} cores: time with fewer threads"
    if psutil.virtual_memory().available < 2**30:
        yield "less than 1 GiB of memory is free: timings may include swapping"
