"""How the page, the figures, the plan and the log grow with the number of trials.

    python -m bench.study_page results/page [TRIALS ...]

Logs of 100, 1,000 and 10,000 trials are made from results/imagenette (`bench/tiled.py`); of each the page is built and
filtered in headless Chromium, figures are drawn, a plan of as many trials is shown, and the log is read beside a bare
parse of its JSON. Then a log of ten times the largest number of small records is read. Every part runs in a process of
its own. Writes `page.csv`: a row for each number of trials and part, with `value`, its `unit`, and the `limit` of issue
and tests. Takes about half an hour.
"""

import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd

from bench.tiled import lean, tiled
from lrbench.measure.environment import read_commit
from lrbench.report.figures.draw import draw_figures
from lrbench.report.page.page import write_report
from lrbench.report.results import Results
from lrbench.results.log import LOG, read_records, write_table
from lrbench.results.records import to_line
from lrbench.results.tables import build_tables

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "results" / "imagenette"
TRIALS = (100, 1_000, 10_000)
FILTERS = ("macs=0.5", "channel", "spatial macs", "")
"""Words by which the page is filtered, one after another."""

FILTER = """
const begun = performance.now();
document.getElementById("words").value = arguments[0];
document.querySelector(".filters select").dispatchEvent(new Event("change"));
document.body.getBoundingClientRect();
return performance.now() - begun;
"""


def write_folder(trials: int, folder: Path) -> None:
    """A results folder of so many trials."""
    folder.mkdir(parents=True)
    records = list(tiled(read_records(SOURCE), trials))
    (folder / LOG).write_text("".join(f"{to_line(record)}\n" for record in records), encoding="utf-8")
    for name, table in build_tables(records).items():
        write_table(table, folder / f"{name}.csv")


def page(folder: Path) -> dict[str, float]:
    """The page's size, and how long it takes to build."""
    began = time.perf_counter()
    target = write_report([folder], folder / "report.html")
    return {"page built": time.perf_counter() - began, "page size": target.stat().st_size / 1e6}


def figures(folder: Path) -> dict[str, float]:
    """How long all figures take."""
    began = time.perf_counter()
    draw_figures(Results(folder))
    return {"figures drawn": time.perf_counter() - began}


def log(folder: Path) -> dict[str, float]:
    """How much longer reading a log takes than parsing its JSON."""
    content, began = (folder / LOG).read_text(encoding="utf-8"), time.perf_counter()
    for line in content.splitlines():
        json.loads(line)
    parsed, began = time.perf_counter() - began, time.perf_counter()
    read_records(folder)
    return {"log read over JSON parsed": (time.perf_counter() - began) / parsed}


def memory(folder: Path) -> dict[str, float]:
    """The most memory that reading a log takes."""
    read_records(folder)
    return {"memory of small records": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6}


def filtered(folder: Path) -> dict[str, float]:
    """The slowest answer of a filter in headless Chromium, drawing included; NaN without a browser."""
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not browser or not driver:
        return {"filter answers": float("nan")}
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1280,900"):
        options.add_argument(word)
    opened = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=driver))
    try:
        opened.get((folder / "report.html").resolve().as_uri())
        while not opened.execute_script("return document.documentElement.dataset.ready"):
            time.sleep(0.1)
        return {"filter answers": max(opened.execute_script(FILTER, words) for words in FILTERS)}
    finally:
        opened.quit()


PARTS: Mapping[str, Callable[[Path], dict[str, float]]] = MappingProxyType(
    {"page": page, "filtered": filtered, "figures": figures, "log": log, "memory": memory}
)
"""What is measured of a folder, each in a process of its own."""

LIMITS = MappingProxyType(
    {
        "page size": ("MB", 10.0),
        "page built": ("s", 15.0),
        "filter answers": ("ms", 200.0),
        "figures drawn": ("s", 10.0),
        "plan shown": ("s", 10.0),
        "log read over JSON parsed": ("ratio", 3.0),
        "memory of small records": ("GB", 1.5),
    }
)
"""By what was measured, its unit and what it may be at the largest number."""


def measured(part: str, folder: Path) -> dict[str, float]:
    """What a part says of a folder, in a process of its own."""
    words = [sys.executable, "-m", "bench.study_page", "--part", part, str(folder)]
    done = subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def planned(trials: int) -> float:
    """Seconds that `lrbench plan` takes for so many trials of the shipped spec."""
    seeds = ",".join(map(str, range(max(1, trials // 19))))  # a dense control and 18 cuts each
    began = time.perf_counter()
    words = [sys.executable, "-m", "lrbench", "plan", "digits", "--set", f"sweep.seeds=[{seeds}]"]
    subprocess.run(words, cwd=ROOT, check=True, capture_output=True)
    return time.perf_counter() - began


def rows(counts: tuple[int, ...]) -> Iterator[dict[str, Any]]:
    """What was measured of each number of trials."""
    for trials in counts:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "run"
            write_folder(trials, folder)
            for part in ("page", "filtered", "figures", "log"):
                yield from _told(trials, measured(part, folder))
        yield from _told(trials, {"plan shown": planned(trials)})
    records = 10 * max(counts)
    with tempfile.TemporaryDirectory() as place:
        with (Path(place) / LOG).open("w", encoding="utf-8") as file:
            file.writelines(f"{to_line(record)}\n" for record in lean(read_records(SOURCE), records))
        yield from _told(records, measured("memory", Path(place)))


def _told(trials: int, found: Mapping[str, float]) -> Iterator[dict[str, Any]]:
    for what, value in found.items():
        unit, limit = LIMITS[what]
        yield {"trials": trials, "what": what, "value": value, "unit": unit, "limit": limit}


def study(out: Path, counts: tuple[int, ...]) -> None:
    """Measure, and write `page.csv`."""
    out.mkdir(parents=True, exist_ok=True)
    found = []
    for row in rows(counts):
        found.append(row)
        print(f"{row['trials']:>7,} {row['what']:<28} {row['value']:8.2f} {row['unit']} (at most {row['limit']:g})")
    pd.DataFrame(found).assign(commit=read_commit()).to_csv(out / "page.csv", index=False)


if __name__ == "__main__":
    if sys.argv[1] == "--part":
        print(json.dumps(PARTS[sys.argv[2]](Path(sys.argv[3]))))
    else:
        study(Path(sys.argv[1]), tuple(map(int, sys.argv[2:])) or TRIALS)
