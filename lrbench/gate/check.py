"""One results folder judged against another, and a baseline replaced by what it was judged against."""

import shutil
from pathlib import Path

from lrbench.gate.accuracy import judge_accuracy
from lrbench.gate.benchmarks import judge_benchmarks
from lrbench.gate.exact import judge_exact
from lrbench.gate.folders import BENCHMARKS, load_folder
from lrbench.gate.timed import judge_timings
from lrbench.gate.tolerances import Tolerances
from lrbench.gate.verdicts import Verdict
from lrbench.limits import writing
from lrbench.results import columns
from lrbench.results.files import packed
from lrbench.results.log import LOG, SPEC
from lrbench.whole import flush_files, flush_folder, new_folder, refuse_link, refuse_links, rename_whole, swap


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
    """Make a folder the baseline: its tables, log, spec and benchmarks replace those there; all else there stays.

    What is packed stays packed. The baseline changes at once and whole: until then it is the one before.

    Raises: InputError when the baseline cannot be written.
    """
    load_folder(current)
    plain = [Path(name) for name in (*(f"{table}.csv" for table in columns.TABLES), LOG, SPEC, BENCHMARKS)]
    replaced = [str(form) for path in plain for form in (path, packed(path))]
    place = baseline.resolve()
    if place == current.resolve():
        return
    with new_folder(place) as made, writing(baseline):
        new = made / "baseline"
        if place.exists():
            refuse_links(place)
            shutil.copytree(
                place, new, symlinks=True, ignore=lambda folder, _: replaced if Path(folder) == place else []
            )
        else:
            new.mkdir()
        for name in replaced:
            if (current / name).is_file():
                refuse_link(current / name)
                shutil.copyfile(current / name, new / name)
        if place.exists():
            flush_files(new)
            swap(new, place)
            flush_folder(place.parent)
        else:
            rename_whole(new, place)
