"""What is known of latencies before a machine was timed: the priors of `lrbench/statistics/components.py`.

    python bench/study_components.py

Estimates from the published studies how far processes and occasions move factorized models against the dense one, in
each setting of each machine, and how much settings differ in that: the variance of a setting is taken as drawn from a
scaled inverse chi-squared distribution, whose scale and degrees of freedom are the most likely. Prints the table.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from scipy.stats import chi2

from lrbench.results.log import read_records
from lrbench.results.observed import observe_models
from lrbench.results.occasions import by_place
from lrbench.results.sessions import Session
from lrbench.results.timings import counted_by_subject
from lrbench.statistics.components import (
    PRIORS,
    Component,
    Components,
    Deviations,
    Occasions,
    between_occasions,
    between_processes,
    learned,
)

STUDIES = ("latency", "imagenette", "repeat")
ROOT = Path(__file__).parents[1] / "results"

Settings = list[tuple[str, tuple[Occasions, ...]]]
"""The kind of each setting, by `PRIORS`, and the timings of its subjects."""


def settings_of(folder: Path) -> Iterator[tuple[str, tuple[Occasions, ...]]]:
    """Of one study."""
    kinds = {id(prior): kind for kind, prior in PRIORS.items()}
    sessions = [record for record in read_records(folder) if isinstance(record, Session)]
    for (_, prior), subjects in by_place(counted_by_subject(list(observe_models(sessions)))).items():
        yield kinds[id(prior)], tuple(subjects.values())


def most_likely(seen: Sequence[Deviations]) -> Component:
    """The prior under which settings most likely deviate as they do, known no better than they are together."""
    told = [deviations for deviations in seen if deviations.freedom]
    most = sum(deviations.freedom for deviations in told)
    best = minimize(lambda logs: _surprise(told, *np.exp(logs)), [np.log(1e-4), np.log(4.0)], method="Nelder-Mead").x
    freedom = min(float(np.exp(best[1])), most)
    again = minimize(lambda logs: _surprise(told, np.exp(logs[0]), freedom), best[:1], method="Nelder-Mead").x
    return Component(variance=float(np.exp(again[0])), freedom=freedom)


def _surprise(seen: Sequence[Deviations], scale: float, freedom: float) -> float:
    """The negative log likelihood of deviations, over quantiles of the settings' variances."""
    variances = freedom * scale / chi2.ppf((np.arange(400) + 0.5) / 400, freedom)
    surprise = 0.0
    for deviations in seen:
        ratio = deviations.freedom * deviations.squares / (variances * deviations.loading + deviations.noise)
        surprise -= float(np.log(np.mean(ratio * chi2.pdf(ratio, deviations.freedom))))
    return surprise


def priors_of(settings: Settings) -> Mapping[str, Components]:
    """The priors by kind.

    Occasions of a kind that was timed on one occasion only are taken to differ as on one thread. Controls do not differ
    from occasion to occasion.
    """
    by_kind = {kind: [subjects for other, subjects in settings if other == kind] for kind in PRIORS}
    priors: dict[str, Components] = {}
    for kind, every in by_kind.items():
        process = most_likely([between_processes(subjects) for subjects in every])
        none = Component(variance=0.0, freedom=process.freedom)
        known = [learned(Components(process=process, occasion=none), subjects).process for subjects in every]
        occasions = [between_occasions(*pair) for pair in zip(every, known, strict=True)]
        if kind == "control":
            occasion = none
        elif any(deviations.freedom for deviations in occasions):
            occasion = most_likely(occasions)
        else:
            occasion = priors["one thread"].occasion
        priors[kind] = Components(process=process, occasion=occasion)
    return priors


def main() -> None:
    settings = [setting for study in STUDIES for setting in settings_of(ROOT / study)]
    for kind, components in priors_of(settings).items():
        for name, component in vars(components).items():
            print(f"{kind}, {name}: {component.variance**0.5:.4f}**2, freedom {component.freedom:.1f}")


if __name__ == "__main__":
    main()
