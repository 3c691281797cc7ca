"""How far latencies scatter beyond the layouts of one process: from process to process and from occasion to occasion.

A process moves all factorized models together against the dense one, more the smaller they are, and so does the hour
at which it runs; the dense model's own copy hardly moves. Log ratios are therefore described by

    log ratio = truth + loading x (occasion + process) + layout,    loading = hypot(KNEE, truth)

with variance components of occasion and process that all architectures of a setting share. Few processes say little of
them, so they are moderated: a prior, estimated from published studies, counts as so many degrees of freedom more, as
for genes in limma (Smyth 2004, doi 10.2202/1544-6115.1027). Degrees of freedom are those of processes and occasions,
not of architectures, which share each shift. For a sum of components they are after Satterthwaite (1946), but as if
all erred together: a machine noisier than others is so in all of them.
"""

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf, sqrt
from types import MappingProxyType

import numpy as np
from scipy.stats import t

from lrbench.statistics.paired import Estimate, Logs

Occasions = Sequence[Mapping[Hashable, Logs]]
"""The timings of one subject: of each occasion the log ratios of the layouts, by session (a process each)."""

KNEE = 0.2
"""Log ratio below which a factorized model is moved no less than one of this log ratio."""


@dataclass(frozen=True, kw_only=True)
class Component:
    """A variance, per squared loading, and the degrees of freedom that it is known by (scaled inverse chi-squared)."""

    variance: float
    freedom: float


@dataclass(frozen=True, kw_only=True)
class Components:
    """What moves all factorized models of a process, and of an occasion, against the dense one."""

    process: Component
    occasion: Component


PRIORS: Mapping[str, Components] = MappingProxyType(
    {
        "one thread": Components(
            process=Component(variance=0.0116**2, freedom=2.9), occasion=Component(variance=0.0196**2, freedom=10.0)
        ),
        "several threads": Components(
            process=Component(variance=0.0689**2, freedom=8.0), occasion=Component(variance=0.0196**2, freedom=10.0)
        ),
        "control": Components(
            process=Component(variance=0.0101**2, freedom=3.3), occasion=Component(variance=0.0, freedom=3.3)
        ),
    }
)
"""By kind of timing, from `bench/study_components.py`, which says how; a test holds it to the published studies."""


def prior_of(device: str, threads: int) -> Components:
    """The prior of a setting's factorized models; a GPU, of which no study is published, has the wider one."""
    return PRIORS["one thread" if device == "cpu" and threads == 1 else "several threads"]


def learned(prior: Components, subjects: Collection[Occasions]) -> Components:
    """The components of a setting: a prior, moderated by what the subjects timed there show."""
    process = moderated(prior.process, between_processes(subjects))
    return Components(process=process, occasion=moderated(prior.occasion, between_occasions(subjects, process)))


def estimate_over(occasions: Occasions, components: Components) -> Estimate:
    """The mean log ratio over occasions, each the mean over its processes, with the error that components leave it.

    Args:
        occasions: at least one, of at least one process with at least one layout each.
        components: of the setting.

    Returns: an estimate without degrees of freedom where no process has two layouts.
    """
    log, layouts, count = _mean(occasions), _layouts(occasions), len(occasions)
    processes = sum(len(occasion) for occasion in occasions)
    if not layouts.freedom:
        return Estimate(log=log, error=inf, freedom=0, processes=processes, occasions=count)
    parts = (
        (layouts, sum(_mean_inverse(occasion) / len(occasion) for occasion in occasions) / count**2),
        (components.process, _load(log) * sum(1 / len(occasion) for occasion in occasions) / count**2),
        (components.occasion, _load(log) / count),
    )
    variances = [component.variance * share for component, share in parts]
    total = sum(variances)
    doubt = sum(part / sqrt(component.freedom) for part, (component, _) in zip(variances, parts, strict=True))
    freedom = (total / doubt) ** 2
    return Estimate(log=log, error=sqrt(total), freedom=freedom, processes=processes, occasions=count)


LEAST_EARLIER = 5
"""Earlier values without which no value is an outlier."""


def is_outlier(value: float, earlier: Sequence[float], *, prior: Components, confidence: float = 0.999) -> bool:
    """Whether a log ratio in one process lies beyond the prediction limits of earlier ones.

    Their spread is moderated by what the prior knows of processes and occasions. Few earlier values tell nothing.
    """
    if len(earlier) < LEAST_EARLIER:
        return False
    mean, count = float(np.mean(earlier)), len(earlier)
    before = (prior.process.variance + prior.occasion.variance) * _load(mean)
    freedom = prior.occasion.freedom + count - 1
    variance = (prior.occasion.freedom * before + count * float(np.var(earlier))) / freedom
    return abs(value - mean) > float(t.ppf((1 + confidence) / 2, freedom)) * sqrt(variance * (1 + 1 / count))


@dataclass(frozen=True, kw_only=True)
class Deviations:
    """What the means of some subjects deviate by, each from its own mean.

    Attributes:
        squares: sum of squared deviations.
        noise: what other components add to that sum, on average.
        loading: what a component of variance 1 adds to it.
        freedom: how many of the deviations are independent.
    """

    squares: float
    noise: float
    loading: float
    freedom: float


def between_processes(subjects: Collection[Occasions]) -> Deviations:
    """The deviations of processes from their occasion; subjects in the same sessions share their freedom."""
    parts = []
    for occasions in subjects:
        layouts, load = _layouts(occasions), _load(_mean(occasions))
        for occasion in occasions:
            means = [float(logs.mean()) for logs in occasion.values()]
            parts.append(_deviations(means, noise=layouts.variance * _mean_inverse(occasion), load=load))
    groups = {frozenset(occasion) for occasions in subjects for occasion in occasions}
    return summed(parts, freedom=_freedom_of(groups))


def between_occasions(subjects: Collection[Occasions], process: Component) -> Deviations:
    """The deviations of occasions, which all subjects share."""
    parts = []
    for occasions in subjects:
        layouts, load = _layouts(occasions), _load(_mean(occasions))
        noises = [
            (process.variance * load + layouts.variance * _mean_inverse(occasion)) / len(occasion)
            for occasion in occasions
        ]
        means = [_occasion_mean(occasion) for occasion in occasions]
        parts.append(_deviations(means, noise=float(np.mean(noises)), load=load))
    return summed(parts, freedom=max((len(occasions) for occasions in subjects), default=1) - 1)


def _deviations(means: Sequence[float], *, noise: float, load: float) -> tuple[float, float, float]:
    """Squares, noise and loading of the deviations of some means, each with such a noise and squared loading."""
    others = len(means) - 1
    return float(np.var(means)) * len(means), others * noise, others * load


def summed(parts: Sequence[tuple[float, float, float]], *, freedom: float) -> Deviations:
    """The squares, noises and loadings of several, together known by so many degrees of freedom."""
    squares, noise, loading = np.reshape(parts, (-1, 3)).sum(axis=0).tolist()
    return Deviations(squares=squares, noise=noise, loading=loading, freedom=freedom)


def moderated(prior: Component, seen: Deviations) -> Component:
    """A prior and what was seen, each by its degrees of freedom; those of noisy deviations count in part."""
    if seen.loading == 0 or prior.variance == 0:
        return prior
    variance = max(0.0, seen.squares - seen.noise) / seen.loading
    signal = max(prior.variance, variance) * seen.loading
    known = seen.freedom * (signal / (signal + seen.noise)) ** 2
    total = prior.freedom + known
    return Component(variance=(prior.freedom * prior.variance + known * variance) / total, freedom=total)


def _freedom_of(groups: Iterable[frozenset[Hashable]]) -> int:
    """Sessions, less the sets of them that no group connects."""
    connected: list[frozenset[Hashable]] = []
    for sessions in groups:
        touched = [group for group in connected if group & sessions]
        connected = [group for group in connected if not group & sessions] + [sessions.union(*touched)]
    return sum(len(group) - 1 for group in connected)


def _layouts(occasions: Occasions) -> Component:
    """The variance of layouts within their process."""
    processes = [logs for occasion in occasions for logs in occasion.values()]
    freedom = sum(len(logs) - 1 for logs in processes)
    squares = sum(float(logs.var()) * len(logs) for logs in processes)
    return Component(variance=squares / freedom if freedom else 0.0, freedom=freedom)


def _load(log: float) -> float:
    """The squared loading of a log ratio."""
    return KNEE**2 + log**2


def _mean(occasions: Occasions) -> float:
    return float(np.mean([_occasion_mean(occasion) for occasion in occasions]))


def _occasion_mean(occasion: Mapping[Hashable, Logs]) -> float:
    return float(np.mean([logs.mean() for logs in occasion.values()]))


def _mean_inverse(occasion: Mapping[Hashable, Logs]) -> float:
    """The mean over processes of 1 / layouts."""
    return float(np.mean([1 / len(logs) for logs in occasion.values()]))
