"""Trials side by side, and fronts of what filters leave: the page's scripts say what Python says."""

import csv
import io
import json
import shutil
import subprocess
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import samples

from lrbench.report.frames.pooling import answers_of
from lrbench.report.page.answers import answer_data
from lrbench.report.page.decide import decide_data
from lrbench.report.page.overlay import Overlay, read_overlay
from lrbench.results.records import Accuracy, Measurement
from lrbench.statistics.posterior import Answers, drop_between

NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="needs node on the PATH")


def script(name: str, call: str, given: Any) -> Any:
    """What a script of the page makes of `given`."""
    source = (files("lrbench.report.page") / "assets" / name).read_text()
    read = 'const given = JSON.parse(require("fs").readFileSync(0, "utf8"));'
    run = f"{source}\n{read}\nconsole.log(JSON.stringify({call}));"
    done = subprocess.run([str(NODE), "-e", run], input=json.dumps(given), capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def log(count: int = 12, *, images: int = 77) -> list[samples.Record]:
    """A dense control and others that lose some images and win some; the last one's answers were not kept."""
    random = np.random.default_rng(2)
    base = random.random(images) < 0.8
    made = []
    for number in range(count):
        right = base ^ (random.random(images) < 0.02 * number)
        mask = "" if number == count - 1 else np.packbits(right).tobytes().hex()
        seen = Accuracy(correct=int(right.sum()), samples=images, loss=0.5, right=mask)
        names = {} if number else {"scheme": "dense", "layer_set": "none", "rank_rule": "none"}
        planned = samples.trial(f"t{number}", **{"rank_rule": f"rank={number}", **names})
        macs = 100 if number == 0 else int(random.integers(3, 9)) * 10
        measured = samples.measurement(planned, macs=macs, arch=f"a{number}")
        made.append(replace(measured, dense=seen, truncated=seen, finetuned=seen, search=seen))
    ratios = {f"a{number}": round(float(random.uniform(0.3, 1.1)), 1) for number in range(1, count)}
    return [*made, *(samples.session(ratios, noise=0.05, series="s", process=process) for process in range(2))]


@pytest.fixture(scope="module")
def overlay(tmp_path_factory: pytest.TempPathFactory) -> Overlay:
    return read_overlay([samples.folder_of(tmp_path_factory.mktemp("compare") / "run", log())])


def answers(overlay: Overlay, number: int) -> Answers:
    trial = overlay.done.iloc[number].to_dict()
    return answers_of([trial], overlay.results[trial["folder"]].right, stage="kept", split="test")


@needs_node
def test_a_difference_is_that_of_python(overlay: Overlay) -> None:
    """Of every two trials, paired where both kept their answers."""
    data, count = answer_data(overlay), len(overlay.done)
    call = (
        "given.samples.flatMap((_, a) => given.samples.map((n, b) =>"
        " gained(answersOf(given, a), answersOf(given, b), n, given.z)))"
    )
    said = iter(script("compare.js", call, data))
    for before in range(count):
        for after in range(count):
            told, drop = next(said), drop_between(answers(overlay, before), answers(overlay, after))
            low, high = drop.interval()
            assert (-told["high"], -told["low"]) == pytest.approx((low, high), abs=1e-12)
            assert told["value"] == pytest.approx((data["correct"][after] - data["correct"][before]) / 77)
            assert told["paired"] == (count - 1 not in (before, after))


def test_masks_of_too_many_trials_are_those_of_fronts(overlay: Overlay) -> None:
    some, whole = answer_data(overlay, most_bytes=50), answer_data(overlay)
    kept = {number for number, mask in enumerate(some["masks"]) if mask}
    front = overlay.standings.loc[overlay.standings["on_front"].astype(bool), "trial"]
    assert kept == {int(trial[1:]) for trial in front} - {11} | {0}
    assert all(some["masks"][number] == whole["masks"][number] for number in kept)
    assert some["correct"] == whole["correct"]


@needs_node
@pytest.mark.parametrize("made", [log, samples.sweep])
def test_the_front_of_all_is_that_of_python(made: Any, tmp_path: Path) -> None:
    """So that what filters leave has a front by the same rule."""
    (group,) = decide_data(read_overlay([samples.folder_of(tmp_path / "run", made())]))
    points = group["points"]
    cases = [(points[cost], group["orders"][cost], None, group["fronts"][cost]) for cost in ("macs", "params")]
    cases += [(one["ratio"], one["order"], one["fit"], one["front"]) for one in group["settings"]]
    for costs, order, fit, front in cases:
        given = {"points": points, "costs": costs, "order": order, "fit": fit if fit and any(fit) else None}
        call = "[...frontAmong(given.points, given.costs, given.order, (i) => !given.fit || given.fit[i])]"
        assert sorted(script("decide.js", call, given)) == [i for i, on in enumerate(front["on"]) if on]


@needs_node
def test_a_csv_of_the_page_is_read_back_and_runs_nothing(tmp_path: Path) -> None:
    rows = [["point", 'a "b", c'], ["=1+1", "line\nbreak"], ["-0.5", "1,000"], ["", 3.5]]
    text = script("download.js", "csvText(given)", rows)

    assert list(csv.reader(io.StringIO(text))) == [
        ["point", 'a "b", c'],
        ["'=1+1", "line\nbreak"],
        ["-0.5", "1,000"],
        ["", "3.5"],
    ]


def test_a_trial_is_compared_with_those_on_the_same_images(tmp_path: Path) -> None:
    """Trials of other data, or of another number of images, have no images in common."""
    other = [
        replace(record, trial=replace(record.trial, key=f"o{record.trial.key}", data="cifar10"))
        for record in log(3)
        if isinstance(record, Measurement)
    ]
    folder = samples.folder_of(tmp_path / "run", [*log(4), *other])
    assert answer_data(read_overlay([folder]))["bases"] == [0, 0, 0, 0, 4, 4, 4]


def test_a_first_trial_without_answers_does_not_hide_those_of_others(tmp_path: Path) -> None:
    first, *others = log(3)
    assert isinstance(first, Measurement)
    stages = ("dense", "truncated", "finetuned", "search")
    unknown = replace(first, **{stage: replace(getattr(first, stage), right="") for stage in stages})
    known = [replace(other, trial=replace(other.trial, key="t9")) for other in log(2) if isinstance(other, Measurement)]
    data = answer_data(read_overlay([samples.folder_of(tmp_path / "run", [unknown, others[0], known[0]])]))
    assert [mask is not None for mask in data["masks"]] == [False, True, True]
    assert data["bases"] == [1, 1, 1]
