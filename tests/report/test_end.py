"""The end of a sweep: a few lines that say what `recommend` says, and a table that keeps what differs."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import samples

from lrbench.report.advice.end import end_lines
from lrbench.report.results import Results
from lrbench.report.rows import put_first
from lrbench.report.texts import TextTable
from lrbench.results.records import Accuracy, Measurement

DENSE = {"scheme": "dense", "layer_set": "none", "rank_rule": "none"}


def judged(key: str, right: int, macs: int, **changes: object) -> Measurement:
    """A trial that gets the first of 1,000 images right."""
    mask = np.packbits(np.arange(1000) < right).tobytes().hex()
    seen = Accuracy(correct=right, samples=1000, loss=0.5, right=mask)
    made = samples.measurement(samples.trial(key, **changes), macs=macs, arch=key)
    return replace(made, dense=seen, truncated=seen, finetuned=seen, search=seen)


def log() -> list[samples.Record]:
    trials = [
        judged("d0", 900, 100, **DENSE),
        judged("near", 899, 60, rank_rule="rank=6"),
        judged("twin", 899, 61, rank_rule="rank=7"),
        judged("far", 880, 30, rank_rule="rank=3"),
    ]
    ratios = {"near": 0.7, "twin": 0.75, "far": 0.4}
    return [*trials, *(samples.session(ratios, noise=0.02, series="s", process=process) for process in range(2))]


def test_a_sweep_ends_in_six_lines_that_recommend_agrees_with(tmp_path: Path, lrbench) -> None:
    folder = samples.folder_of(tmp_path / "run", log())
    lines = list(end_lines(Results(folder)))
    assert [line[:18].strip() for line in lines] == [
        *("lose <= 1 point", "lose <= 3 points", "dense", "ties", "next", "page")
    ]
    assert re.search(r"  channel, early, rank=6  7[01]% time \(\d+-\d+\)  -0\.1 points  near$", lines[0])
    assert lines[1].endswith("  -2.0 points  far")
    assert lines[2].endswith("90.0% of 1,000 test images")
    assert max(map(len, lines[:4])) <= 80
    assert lines[4].endswith(f"lrbench export {folder} near --to export/near")
    for drop, trial in ((1, "near"), (3, "far")):
        told = lrbench("recommend", folder, "--max-drop", drop, "--minimise", "latency").output
        assert f"trial {trial}," in told


def test_without_a_choice_only_the_page_is_named(tmp_path: Path) -> None:
    for name, made in (("none", []), ("timed", [samples.session({"a0": 0.5})]), ("alone", log()[1:2])):
        folder = samples.folder_of(tmp_path / name, made)
        assert [line.split()[0] for line in end_lines(Results(folder))] == ["page"]


def test_what_is_the_same_in_all_rows_comes_last() -> None:
    texts = TextTable(
        title="", heads=("trial", "data", "#seed", "#MACs"), rows=[("a", "x", "0", "5"), ("b", "x", "0", "6")]
    )
    assert put_first(texts, ("MACs", "trial")).heads == ["#MACs", "trial", "data", "#seed"]
    assert put_first(replace(texts, rows=texts.rows[:1]), ("trial",)).heads == ["trial", "data", "#seed", "#MACs"]
