"""How reliable the paired estimator is: A/A sessions, and a session repeated beside a busy neighbour.

    python bench/study_timing.py results/latency

Writes `aa_sessions.csv` (40 sessions of a model against its own copy, interleaved and one after the other, at equal
calls) and `repeatability.csv` (10 architectures timed in two processes, the second while one core is busy), prints what
they say. Takes about ten minutes; let nothing else run.
"""

import argparse
import multiprocessing
from collections.abc import Sequence
from copy import deepcopy
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd

from lrbench.config.sections import LatencyChoice
from lrbench.learn.architectures import build_dense, make_architecture
from lrbench.measure.prepared import renew_all
from lrbench.measure.settings import settings
from lrbench.measure.side_by_side import Block, block_of, prepare, quiet, time_side_by_side
from lrbench.plan.evidence import NOTHING
from lrbench.plan.preview import plan_architectures
from lrbench.plan.run import prepare as prepare_run
from lrbench.plan.spec import make_spec
from lrbench.results.observed import layout_logs
from lrbench.results.sessions import CONTROL, Session
from lrbench.results.timings import is_fit_timing
from lrbench.statistics.paired import Ratio, estimate
from lrbench.timing.architectures import SessionJob, time_models
from lrbench.timing.isolation import in_fresh_process

SESSIONS, ROUNDS, SIZE = 40, 100, 64
SPEC = {
    "data": {"image_size": SIZE},
    "sweep": {"schemes": ["channel", "spatial"], "ranks": [f"macs={share}" for share in (0.2, 0.35, 0.5, 0.7, 0.9)]},
    "layer_sets": {"convs": {"include": ["layer*.conv*"]}},
    "latency": {"devices": ["cpu"], "rounds": 200},
}


def sequential(blocks: Sequence[Block], calls: tuple[int, ...]) -> Ratio:
    """As many calls, all of the model, then all of its copy: the ratio of medians, bootstrapped 95 % interval."""
    seconds = [[block(count)[0] / count for _ in range(ROUNDS)] for block, count in zip(blocks, calls, strict=True)]
    dense, copy = (np.array(times) for times in seconds)
    random = np.random.default_rng(0)
    draws = random.integers(ROUNDS, size=(2, 2000, ROUNDS))
    logs = np.log(np.median(copy[draws[0]], axis=1) / np.median(dense[draws[1]], axis=1))
    low, high = np.exp(np.quantile(logs, [0.025, 0.975]))
    return Ratio(ratio=float(np.median(copy) / np.median(dense)), low=float(low), high=float(high))


def aa_sessions() -> pd.DataFrame:
    """A row for each session and design."""
    spec = make_spec(SPEC, where="study")
    setting = settings(spec.latency)[0]
    choice = LatencyChoice(rounds=ROUNDS, precision=1e-9, limit_s=1e9)
    rows = []
    with quiet(1):
        dense = build_dense(make_architecture(spec.model.name, image_size=SIZE, classes=10))
        for session in range(SESSIONS):
            models = [prepare(deepcopy(dense), setting, shape=(3, SIZE, SIZE)) for _ in range(2)]
            blocks = [block_of(model.call, setting) for model in models]
            timed = time_side_by_side(blocks, choice, renew=partial(renew_all, models), seed=session)
            paired = estimate([layout_logs(timed, CONTROL)]).ratio(0.95)
            designs = {"interleaved": paired, "sequential": sequential(blocks, timed.calls)}
            for design, ratio in designs.items():
                rows.append({"session": session, "design": design, **vars(ratio)})
            print(f"A/A session {session + 1} of {SESSIONS}: {designs['interleaved']}", flush=True)
    return pd.DataFrame(rows)


def spin(end: float) -> None:
    """Keep one core busy until a time."""
    while perf_counter() < end:
        sum(range(10_000))


def repeatability() -> pd.DataFrame:
    """A row for each architecture and session."""
    spec = make_spec(SPEC, where="study")
    run = prepare_run(spec)
    planned, _ = plan_architectures(run, run.trials, evidence=NOTHING)
    dense, *factorized = [plan.architecture for plan in planned]
    labels = ["A/A control", *(plan.trial.label for plan in planned[1:])]
    rows = []
    for process, neighbour in enumerate(("none", "one busy core")):
        job = SessionJob(
            choice=spec.latency,
            setting=settings(spec.latency)[0],
            architectures=(dense, dense, *factorized),
            environment=run.environment.key,
            commit=run.commit,
            series="study",
            process=process,
            attempt=1,
        )
        busy = multiprocessing.Process(target=spin, args=(perf_counter() + 600,))
        if process:
            busy.start()
        try:
            session: Session = in_fresh_process(time_models, job)
        finally:
            if process:
                busy.terminate()
        fit = is_fit_timing([session])
        for i, label in enumerate(labels, start=1):
            ratio = estimate([layout_logs(session, i)]).ratio()
            columns = {"neighbour": neighbour, "architecture": label, "fit": fit, "rounds": len(session.rounds)}
            rows.append({**columns, **vars(ratio)})
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    sessions = aa_sessions()
    sessions.to_csv(folder / "aa_sessions.csv", index=False)
    for design, group in sessions.groupby("design"):
        held = ((group["low"] <= 1) & (group["high"] >= 1)).sum()
        print(f"{design}: 95 % interval holds 1 in {held} of {len(group)}; spread {np.log(group['ratio']).std():.2%}")
    repeated = repeatability()
    repeated.to_csv(folder / "repeatability.csv", index=False)
    calm, busy = (group.set_index("architecture") for _, group in repeated.groupby("neighbour", sort=False))
    overlap = (calm["low"] <= busy["high"]) & (busy["low"] <= calm["high"])
    print(
        f"intervals that overlap: {overlap.iloc[1:].sum()} of {len(overlap) - 1}; busy session fit: {busy['fit'].all()}"
    )


if __name__ == "__main__":
    main()
