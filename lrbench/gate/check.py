"""One results folder judged against another, and a baseline replaced by what it was judged against."""

import shutil
from pathlib import Path

from lrbench.errors import InputError
from lrbench.gate.accuracy import judge_accuracy
from lrbench.gate.benchmarks import judge_benchmarks
from lrbench.gate.exact import judge_exact
from lrbench.gate.folders import BENCHMARKS, load_folder
from lrbench.gate.timed import judge_timings
from lrbench.gate.tolerances import Tolerances
from lrbench.gate.verdicts import Verdict
from lrbench.results import columns
from lrbench.results.files import packed
from lrbench.results.log import LOG, SPEC


def check_folders(baseline: Path, current: Path, tolerances: Tolerances) -> tuple[Verdict, ...]:
    """A verdict for every name on either side, in every tier.

    Raises: InputError when a side cannot be read.
    """
    base, now = load_folder(baseline), load_folder(current)
    return (
        *judge_exact(base, now, tolerances.toleranced),
        *judge_accuracy(base, now, tolerances.accuracy),
        *judge_timings(base, now, tolerances.timed),
        *judge_benchmarks(base, now),
    )


def replace_baseline(baseline: Path, current: Path) -> None:
    """Make a folder the baseline: its tables, log, spec and benchmarks replace those there; tolerances stay.

    What is packed stays packed.

    Raises: InputError when the baseline cannot be written.
    """
    load_folder(current)
    kept = [Path(name) for name in (*(f"{table}.csv" for table in columns.TABLES), LOG, SPEC, BENCHMARKS)]
    try:
        baseline.mkdir(parents=True, exist_ok=True)
        for name in (form for path in kept for form in (path, packed(path))):
            if (current / name).is_file():
                part = baseline / f"{name}.part"
                shutil.copyfile(current / name, part)
                part.replace(baseline / name)
            else:
                (baseline / name).unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{baseline} cannot be written: {error}") from error
