"""Do intervals of latency ratios cover what another occasion finds?

    python bench/study_repeat.py results/repeat

Of each architecture of a results folder, one occasion (or two) is held against all others, and in each occasion all
processes but one against that one, by three rules: `components`, that of `lrbench/statistics/components.py`, with the
components of variance estimated without the occasions tested; `layouts`, which lrbench had before; `processes`,
Student's t over process means. Writes `coverage.csv` into the folder: a row for each setting, test and rule.
"""

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import hypot, inf, nan
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t

from lrbench.results.environment import Environment
from lrbench.results.log import read_records
from lrbench.results.observed import ModelSubject, Observed, observe_models
from lrbench.results.occasions import occasions_of
from lrbench.results.records import Record
from lrbench.results.sessions import Session
from lrbench.results.timings import counted_by_subject
from lrbench.statistics.components import Components, Occasions, estimate_over, learned
from lrbench.statistics.paired import CONFIDENCE, Estimate, Logs

Timed = Sequence[Sequence[Observed[ModelSubject]]]
"""The occasions of one architecture."""

DRAWS = 2000
"""Of moments, for the interval of a coverage."""


def by_layouts(occasions: Occasions, _: Components) -> Estimate:
    """As lrbench had it: the larger of the standard errors of layouts and of processes, and the freedom of layouts."""
    processes = _processes(occasions)
    layouts = np.concatenate(processes)
    error = float(layouts.std(ddof=1)) / len(layouts) ** 0.5
    return Estimate(log=float(layouts.mean()), error=max(error, _of_means(processes)[0]), freedom=len(layouts) - 1)


def by_processes(occasions: Occasions, _: Components) -> Estimate:
    """Student's t over the means of processes."""
    processes = _processes(occasions)
    error, log = _of_means(processes)
    return Estimate(log=log, error=error or inf, freedom=len(processes) - 1)


def _processes(occasions: Occasions) -> list[Logs]:
    return [logs for occasion in occasions for logs in occasion.values()]


def _of_means(processes: Sequence[Logs]) -> tuple[float, float]:
    """Standard error (0 for a single one) and mean of the processes' means."""
    means = np.array([logs.mean() for logs in processes])
    return (float(means.std(ddof=1)) / len(means) ** 0.5 if len(means) > 1 else 0.0), float(means.mean())


RULES: Mapping[str, Callable[[Occasions, Components], Estimate]] = MappingProxyType(
    {"layouts": by_layouts, "processes": by_processes, "components": estimate_over}
)


@dataclass(frozen=True, kw_only=True)
class Test:
    """Some occasions of an architecture (or processes of one) to be held against others.

    Attributes:
        tested: what they are, in words.
        numbers: of the occasions, from 0.
        chosen: their layouts.
        rest: those of the others.
    """

    tested: str
    numbers: tuple[int, ...]
    chosen: Occasions
    rest: Occasions


def tests_of(occasions: Occasions) -> Iterator[Test]:
    """All tests of one architecture."""
    for count in (1, 2):
        for numbers in combinations(range(len(occasions)), count) if len(occasions) > count else ():
            rest = [occasion for i, occasion in enumerate(occasions) if i not in numbers]
            chosen = [occasions[i] for i in numbers]
            yield Test(tested=_counted(count, "occasion"), numbers=numbers, chosen=chosen, rest=rest)
    for number, occasion in enumerate(occasions):
        for session in occasion if len(occasion) > 1 else ():
            chosen = [{other: logs for other, logs in occasion.items() if other != session}]
            rest = [{session: occasion[session]}]
            yield Test(tested=_counted(len(occasion) - 1, "process"), numbers=(number,), chosen=chosen, rest=rest)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}{'es' if noun == 'process' else 's'}"


def held_out(records: Iterable[Record], *, prior: Components | None = None) -> pd.DataFrame:
    """Each test of each factorized architecture, by each rule.

    Args:
        records: of a results folder.
        prior: of the components, in place of the published one.

    Returns: `setting`, `architecture`, the `moments` tested, `tested` (what they are), `processes` of them,
        `rule`, `half_width` of the interval, `covered` (the others' mean lies no further off than both errors say;
        empty where nothing is known of the others' error) and `inside` (it lies in the interval).
    """
    sessions = _on_machines(list(records))
    places: dict[Any, dict[ModelSubject, Timed]] = {}
    for subject, group in counted_by_subject(list(observe_models(sessions))).items():
        if not group[0].control:
            places.setdefault(group[0].place, {})[subject] = occasions_of(group)
    rows = [row for subjects in places.values() for row in _in_place(subjects, prior=prior)]
    return pd.DataFrame(rows)


def _on_machines(records: Sequence[Record]) -> list[Session]:
    """The sessions, with one key for environments that differ by their variables alone.

    A library sets variables of OpenMP where it is imported, as a sweep does and `lrbench time` does not.
    """
    facts = {r.key: replace(r, key="", variables="") for r in records if isinstance(r, Environment)}
    keys = {fact: key for key, fact in facts.items()}
    return [
        replace(r, environment=keys[facts[r.environment]] if r.environment in facts else r.environment)
        for r in records
        if isinstance(r, Session)
    ]


def _in_place(subjects: Mapping[ModelSubject, Timed], *, prior: Components | None) -> Iterator[dict[str, Any]]:
    moments, known = moments_of(subjects.values()), dict[Any, Components]()
    for ((environment, *_, setting), architecture), timed in subjects.items():
        for test in tests_of(_logs(timed)):
            within = tuple(next(span for span in moments if timed[i][0].started <= span[1]) for i in test.numbers)
            if within not in known:
                others = (_without(occasions, within) for occasions in subjects.values())
                known[within] = learned(prior or timed[0][0].prior, [other for other in others if other])
            components = known[within] if "occasion" in test.tested else _of_processes(known[within])
            for name, rule in RULES.items():
                yield {
                    "setting": f"{environment}: {setting.label}",
                    "architecture": architecture,
                    "moments": tuple(f"{environment} {setting.label} {first}" for first, _ in within),
                    "tested": test.tested,
                    "processes": sum(len(occasion) for occasion in test.chosen),
                    "rule": name,
                    **_judge(rule(test.chosen, components), rule(test.rest, components)),
                }


def moments_of(timings: Iterable[Timed]) -> list[tuple[str, str]]:
    """When a setting was timed: the first and the last start of sessions whose occasions overlap, in order."""
    moments: list[tuple[str, str]] = []
    for first, last in sorted((occasion[0].started, occasion[-1].started) for timed in timings for occasion in timed):
        if moments and first <= moments[-1][1]:
            moments[-1] = (moments[-1][0], max(last, moments[-1][1]))
        else:
            moments.append((first, last))
    return moments


def _of_processes(components: Components) -> Components:
    """The components within one occasion."""
    return replace(components, occasion=replace(components.occasion, variance=0.0))


def _without(timed: Timed, spans: Sequence[tuple[str, str]]) -> Occasions:
    """The occasions less all sessions that began within some spans of time."""
    kept = [
        [item for item in occasion if not any(first <= item.started <= last for first, last in spans)]
        for occasion in timed
    ]
    return _logs([occasion for occasion in kept if occasion])


def _logs(timed: Timed) -> Occasions:
    return [{item.session: item.logs for item in occasion} for occasion in timed]


def _judge(tested: Estimate, rest: Estimate) -> dict[str, Any]:
    """Whether an interval, and what is known of the others, explains how far the two lie apart."""
    gap, interval = abs(tested.log - rest.log), tested.ratio()
    freedom = min(tested.freedom, rest.freedom)
    reach = t.ppf((1 + CONFIDENCE) / 2, freedom) * hypot(tested.error, rest.error) if freedom else nan
    return {
        "half_width": interval.half_width,
        "covered": float(gap <= reach) if freedom else nan,
        "inside": bool(interval.low <= np.exp(rest.log) <= interval.high),
    }


def coverage(tests: pd.DataFrame) -> pd.DataFrame:
    """The share covered, by setting (and in all), what was tested, and rule.

    Returns: `covered` with its 95 % interval `covered_low`, `covered_high` by a bootstrap over moments (two count as
        often as both are drawn), `inside`, the median `half_width`, `processes`, `tests` and `architectures`.
    """
    rows = []
    both = pd.concat([tests, tests.assign(setting="all")])
    for (setting, tested, rule), group in both.groupby(["setting", "tested", "rule"], sort=False):
        low, high = _bootstrap(group.dropna(subset="covered"))
        rows.append(
            {
                "setting": setting,
                "tested": tested,
                "processes": group["processes"].median(),
                "rule": rule,
                "covered": group["covered"].mean(),
                "covered_low": low,
                "covered_high": high,
                "inside": group["inside"].mean(),
                "half_width": group["half_width"].median(),
                "tests": len(group),
                "architectures": group["architecture"].nunique(),
            }
        )
    return pd.DataFrame(rows)


def _bootstrap(tests: pd.DataFrame) -> tuple[float, float]:
    """The 95 % interval of a coverage over draws of the moments; NaN without tests."""
    if tests.empty:
        return nan, nan
    moments = sorted({moment for tested in tests["moments"] for moment in tested})
    places = [[moments.index(moment) for moment in tested] for tested in tests["moments"]]
    drawn = np.random.default_rng(0).multinomial(len(moments), np.full(len(moments), 1 / len(moments)), size=DRAWS)
    weights = drawn[:, places].prod(axis=2)
    weights = weights[weights.sum(axis=1) > 0]
    low, high = np.quantile(weights @ tests["covered"].to_numpy(float) / weights.sum(axis=1), [0.025, 0.975])
    return float(low), float(high)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    table = coverage(held_out(read_records(folder)))
    table.to_csv(folder / "coverage.csv", index=False)
    print(table.to_string(index=False, float_format="{:.3f}".format))


if __name__ == "__main__":
    main()
