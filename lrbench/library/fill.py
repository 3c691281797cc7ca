"""Run what is missing in a results folder: what `lrbench sweep` and `lrbench.sweep` share."""

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from rich.console import Console

from lrbench.config.axes import Setting
from lrbench.config.writing import to_toml
from lrbench.execute import executors
from lrbench.execute.workers import ALONE, Workers
from lrbench.limits import require_cpus
from lrbench.measure.environment import now, read_repository_commit
from lrbench.plan.disk_and_memory import check_disk
from lrbench.plan.run import Run
from lrbench.plan.schedulers import following
from lrbench.plan.spec import SweepSpec, differences, flat_keys
from lrbench.results.log import SPEC, Store
from lrbench.results.records import Record, SpecRecord, Trial
from lrbench.results.sessions import Session, TimingFailure
from lrbench.screen import Screen
from lrbench.timing.lock import busy
from lrbench.trials.run import missing_trials
from lrbench.trials.sweep import STAGES, missing_plans, run_sweep
from lrbench.whole import make_room, write_whole


@dataclass(frozen=True, kw_only=True)
class Filled:
    """What a folder lacks after all.

    Attributes:
        trials: those that were planned, and those that followed by their outcomes.
        failed: the failures of timings in it that no later session made good.
        absent: the trials that have no outcome, where trials were to be run.
    """

    trials: tuple[Trial, ...]
    failed: tuple[TimingFailure, ...]
    absent: tuple[Trial, ...]


def fill(
    run: Run,
    folder: Path,
    *,
    stages: Container[str] = STAGES,
    retry_failed: bool = False,
    workers: Workers = ALONE,
    console: Console,
) -> Filled:
    """Run and record what is missing, with its progress on a console.

    Args:
        run: the sweep.
        folder: of results; created when it does not exist.
        stages: those of `STAGES` to run; with latency alone what is planned is timed and nothing is trained.
        retry_failed: whether failed trials and timings are missing too.
        workers: how trials are run.
        console: for progress and notes.

    Returns: which timings have failed, and which trials have no outcome.

    Raises: InputError when model, data, disk, folder or workers cannot be used.
    """
    spec, at_once = run.spec, executors.executor_of(workers).at_once(workers)
    if at_once:  # else timings run on other machines
        require_cpus(max(spec.latency.threads), what="latency.threads")
    _say(console, (*run.notes, *spec.left_out()))
    if at_once and "latency" in stages and spec.latency.devices and (who := busy()):
        _say(console, [f"Warning: {who} times on this machine now; timings wait for it"])
    with Store(folder) as store:
        _say(console, (*store.notices, *_note_spec(spec, store)))
        todo: Sequence[Trial] = ()
        if "accuracy" in stages:
            todo = missing_trials(run.trials, store.records, retry_failed=retry_failed)
            planned = len(run.trials)
            _say(
                console,
                [f"{planned} trials planned, {planned - len(todo)} skipped, {len(todo)} to run, in {folder}"],
            )
            check_disk(run, todo, folder=folder, jobs=max(1, at_once))
        else:
            plans, waiting = missing_plans(run, store.records)
            store.extend(plans)
            _say(console, (f"not timed: {reason}" for reason in waiting))
        with _screen(spec, todo, stages, console=console) as screen:
            shown = _shown(run, screen, folder=folder, jobs=max(1, at_once), console=console)
            records = run_sweep(
                shown, todo, tuple(store.records), stages=stages, retry_failed=retry_failed, workers=workers
            )
            store.keep(records, screen.finish)
        trials = (*run.trials, *following(run, store.records))
        absent = missing_trials(trials, store.records, retry_failed=False) if "accuracy" in stages else ()
        return Filled(trials=trials, failed=_failed_timings(store.records), absent=absent)


def _screen(spec: SweepSpec, todo: Sequence[Trial], stages: Container[str], *, console: Console) -> Screen:
    epochs = {"baseline": spec.baseline.epochs, "finetune": spec.finetune.epochs}
    then = "timings" if "latency" in stages and spec.latency.devices else ""
    return Screen(console, todo, epochs=epochs, then=then)


def _shown(run: Run, screen: Screen, *, folder: Path, jobs: int, console: Console) -> Run:
    """The run with its progress on a screen; what follows is checked against the disk, told and counted there."""

    def announce(why: str, trials: Sequence[Trial]) -> None:
        check_disk(run, trials, folder=folder, jobs=jobs)
        _say(console, [why])
        screen.add(trials)

    return replace(run, progress=screen.progress, announce=announce, tell=lambda line: _say(console, [line]))


def _failed_timings(records: Iterable[Record]) -> tuple[TimingFailure, ...]:
    standing: dict[tuple[str, Setting, str], TimingFailure] = {}
    for record in records:
        if isinstance(record, TimingFailure):
            standing |= {(record.environment, record.setting, key): record for key in record.architectures}
        elif isinstance(record, Session):
            for architecture in record.architectures:
                standing.pop((record.environment, record.setting, architecture.key), None)
    return tuple(dict.fromkeys(standing.values()))


def _say(console: Console, lines: "Iterator[str] | Sequence[str]") -> None:
    for line in lines:
        console.print(line, markup=False, highlight=False)


def _note_spec(spec: SweepSpec, store: Store) -> Iterator[str]:
    """Keep the spec in the log when it is not the one kept last, or ran in other code, and say what differs in it.

    Beside the log it is kept as it was resolved.
    """
    commit = read_repository_commit(Path.cwd())
    noted = SpecRecord(
        started=now(), keys=flat_keys(spec), repository_commit=commit, lrbench_version=version("lrbench")
    )
    last = next((record for record in reversed(store.records) if isinstance(record, SpecRecord)), None)
    changes = differences(last.keys, noted.keys) if last is not None else ()
    if last is None or replace(noted, started=last.started) != last:
        store.append(noted)
    resolved, path = to_toml(spec).encode(), store.folder / SPEC
    if not path.is_file() or path.read_bytes() != resolved:
        if moved := make_room(path, is_ours=_is_ours(path)):
            yield f"{path} was not written by lrbench: moved to {moved}"
        write_whole(path, resolved)
    if changes:
        yield f"the spec differs from the one that {store.folder} was last swept with:"
        yield from (f"  {change}" for change in changes)
        yield "trials of both are kept under their own keys; --fresh moves the old ones, --out takes another folder"


def _is_ours(path: Path) -> bool:
    """Whether a spec was written by `to_toml`: all sections in its order, no comment."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    return lines[:1] == ["[model]"] and "[run]" in lines and not any(line.startswith("#") for line in lines)
