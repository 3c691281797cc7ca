"""The Decide panel: its bounds are `recommend` turned round, and its script chooses what `recommend` chooses."""

import json
import shlex
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import samples

from lrbench.report.choice.bounds import BOUNDS, bounds_of
from lrbench.report.choice.constraints import CONSTRAINTS
from lrbench.report.choice.pick import Choices, usual_picks
from lrbench.report.choice.recommend import recommend
from lrbench.report.page.decide import CONFIDENCES, decide_data
from lrbench.report.page.overlay import read_overlay
from lrbench.report.results import Results
from lrbench.results.records import Accuracy, Measurement
from lrbench.statistics.components import Component
from lrbench.statistics.limits import least_limits
from lrbench.statistics.posterior import Drop
from lrbench.statistics.shrinkage import NONE, Measured, shrink

NODE = shutil.which("node")
DECIDE = (files("lrbench.report.page") / "assets" / "decide.js").read_text()
CASES = 200


def log(count: int = 24) -> list[samples.Record]:
    """A dense control and points of all costs and accuracies, some of equal ones, some timed unfit."""
    random = np.random.default_rng(5)
    dense = {"scheme": "dense", "layer_set": "none", "rank_rule": "none"}
    made: list[samples.Record] = [judged("d", random, right=0.9, macs=100, arch="dense", **dense)]
    ratios = {}
    for number in range(count):
        macs = int(random.integers(20, 100))
        made.append(
            judged(
                f"t{number}",
                random,
                right=0.9 - 0.2 * random.random(),
                macs=macs,
                arch=f"a{number}",
                rank_rule=f"rank={number}",
            )
        )
        ratios[f"a{number}"] = round(float(random.uniform(0.3, 1.1)), 1)
    sessions = [samples.session(ratios, noise=0.05, series="s", process=process) for process in range(2)]
    return [*made, *sessions]


def judged(
    key: str, random: np.random.Generator, *, right: float, macs: int, arch: str, **changes: object
) -> Measurement:
    made = samples.measurement(samples.trial(key, **changes), macs=macs, arch=arch)
    mask = random.random(100) < right
    seen = Accuracy(correct=int(mask.sum()), samples=100, loss=0.5, right=np.packbits(mask).tobytes().hex())
    return replace(made, finetuned=seen, search=seen)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return samples.folder_of(tmp_path_factory.mktemp("decide") / "run", log())


def test_a_bound_is_the_least_limit_that_is_kept(folder: Path) -> None:
    for pick in usual_picks(Results(folder)):
        points = pick.choices.points
        for name in BOUNDS if pick.setting else [one for one in BOUNDS if one != "latency"]:
            bounds = bounds_of(points, name, CONFIDENCES)
            for confidence, column in zip(CONFIDENCES, bounds.T, strict=True):
                for point, limit in list(enumerate(column))[::4]:
                    alone = points.iloc[[point]]
                    above, below = (
                        CONSTRAINTS[name].probabilities(alone, limit + step).iloc[0] >= confidence
                        for step in (1e-6, -1e-6)
                    )
                    assert (above, below) == (True, False), (name, confidence, limit)


@pytest.mark.parametrize("confidence", CONFIDENCES)
def test_least_limits_turn_at_most_round(confidence: float) -> None:
    random = np.random.default_rng(0)
    measured = [
        Measured(
            drop=float(drop), images=float(images), mac_ratio=float(ratio), seeds=int(seeds), beyond=0.001, apart=1e-5
        )
        for drop, images, ratio, seeds in zip(
            random.normal(0.01, 0.03, 40),
            random.uniform(1e-6, 1e-3, 40),
            random.uniform(0.05, 1, 40),
            random.integers(1, 4, 40),
            strict=True,
        )
    ]
    posteriors = [
        *shrink(measured, Component(variance=1e-5, freedom=6.0)),
        Drop(mean=0.01, error=0.02, freedom=5.0),
        NONE,
    ]
    for posterior, limit in zip(posteriors, least_limits(posteriors, [confidence])[:, 0], strict=True):
        assert posterior.at_most(limit + 1e-7) >= confidence > posterior.at_most(limit - 1e-7)


def test_nothing_known_has_no_limit() -> None:
    assert np.isnan(least_limits([Drop(mean=float("nan"), error=float("nan"))], CONFIDENCES)).all()


def script(cases: list[tuple[dict[str, Any], dict[str, Any]]]) -> list[dict[str, Any]]:
    """What the page's own script says to each case (a group, what is asked)."""
    run = f"""{DECIDE}
    const cases = JSON.parse(require("fs").readFileSync(0, "utf8"));
    const said = ([group, asked]) => ({{...decide(group, asked), binding: binding(group, asked)}});
    console.log(JSON.stringify(cases.map(said)));
    """
    done = subprocess.run([str(NODE), "-e", run], input=json.dumps(cases), capture_output=True, text=True, check=True)
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers


def said_of(group: dict[str, Any], call: str) -> str:
    """What the panel's script says of a group, nothing asked but 1 point."""
    panel = (files("lrbench.report.page") / "assets" / "panel.js").read_text()
    run = f"""{DECIDE}{panel}
    const group = JSON.parse(require("fs").readFileSync(0, "utf8"));
    const asked = {{ drop: 1, latency: null, macs: null, params: null, level: 1, cost: "macs", setting: 0 }};
    console.log({call});
    """
    done = subprocess.run([str(NODE), "-e", run], input=json.dumps(group), capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.skipif(NODE is None, reason="needs node on the PATH")
def test_dense_is_the_reference_only_where_it_is_its_own(folder: Path) -> None:
    """A control that was finetuned and is held against the model as given has a difference of its own."""
    (group,) = decide_data(read_overlay([folder]))
    (dense,) = [i for i, is_dense in enumerate(group["points"]["dense"]) if is_dense]
    assert group["points"]["itself"] == group["points"]["dense"]
    assert said_of(group, f"dropText(group, asked, {dense}, 80)") == "it is what drops are measured against"
    group["points"] |= {"itself": [0] * len(group["points"]["dense"])}
    assert said_of(group, f"dropText(group, asked, {dense}, 80)").endswith("images of the search split)")
    assert "from the dense control" in said_of(group, f"testText(group, {dense})")


@pytest.mark.skipif(NODE is None, reason="needs node on the PATH")
@pytest.mark.parametrize("name", ["run", "a run", "it's $(date) `TRIAL`;", '"'])
def test_the_commands_to_copy_are_those_of_the_folder(name: str, tmp_path: Path) -> None:
    target = samples.folder_of(tmp_path / name, log(3))
    (group,) = decide_data(read_overlay([target]))
    words = shlex.split(said_of(group, "command(group, asked, 80)"))
    assert words[:5] == ["lrbench", "recommend", str(target), "--among", group["name"]]
    assert words[5:] == ["--max-drop", "1", "--confidence", "0.8", "--minimise", "macs"]
    exported = shlex.split(said_of(group, 'group.export.join("t1")'))
    assert exported == ["lrbench", "export", str(target), "t1", "--to", "export/t1"]


def random_asks(random: np.random.Generator, settings: int) -> dict[str, Any]:
    """Limits as a person might set them; the costs often none."""
    share = lambda: None if random.random() < 0.6 else round(float(random.uniform(0.3, 1.1)), 3)  # noqa: E731
    return {
        "drop": None if random.random() < 0.1 else round(float(random.uniform(-2, 15)), 2),
        **{name: share() for name in ("latency", "macs", "params")},
        "level": int(random.integers(len(CONFIDENCES))),
        "cost": str(random.choice(["latency", "macs", "params"])),
        "setting": int(random.integers(settings)),
    }


def told(choices: Choices, asked: dict[str, Any]) -> dict[str, Any] | None:
    """What `recommend` says to the same, by trial; None where it takes no such question."""
    drop = None if asked["drop"] is None else asked["drop"] / 100
    given = {"max-drop": drop, **{name: asked[name] for name in ("latency", "macs", "params")}}
    limits = {name: value for name, value in given.items() if value is not None}
    if not limits:
        return None
    found = recommend(choices.points, limits, confidence=CONFIDENCES[asked["level"]], minimise=asked["cost"])
    trial = lambda point: None if point is None else point["trial"]  # noqa: E731
    binding = {held.name.replace("max-drop", "drop") for held in found.held if held.binding}
    return {
        "chosen": trial(found.point),
        "cheaper": trial(found.cheaper),
        "dearer": trial(found.dearer),
        "binding": binding,
    }


@pytest.mark.skipif(NODE is None, reason="needs node on the PATH")
@pytest.mark.parametrize("made", [log, samples.sweep])
def test_the_panel_chooses_what_recommend_chooses(made: Callable[[], list[samples.Record]], tmp_path: Path) -> None:
    """Of 200 random limits, with the same neighbours and what binds."""
    overlay = read_overlay([samples.folder_of(tmp_path / "run", made())])
    (group,) = decide_data(overlay)
    timed = [pick.choices for _, pick in overlay.picks if pick.setting]
    random = np.random.default_rng(1)
    asks = [random_asks(random, len(timed)) for _ in range(CASES)]
    answers, checked, chosen = script([(group, asked) for asked in asks]), 0, set()
    trials = group["points"]["trial"]
    for asked, answer in zip(asks, answers, strict=True):
        if (expected := told(timed[asked["setting"]], asked)) is None:
            continue
        places = {
            name: None if answer[name] is None else trials[answer[name]] for name in ("chosen", "cheaper", "dearer")
        }
        binding = set(answer["binding"]) if answer["chosen"] is not None else set()
        assert {**places, "binding": binding} == expected, asked
        checked += 1
        chosen.add(expected["chosen"])
    assert checked > 0.8 * CASES
    assert len(chosen) > 2


def test_the_usual_group_and_setting_come_first(folder: Path) -> None:
    (group,) = decide_data(read_overlay([folder]))
    assert group["usual"]
    assert group["settings"][0]["options"].startswith("--device cpu --batch 1")
    assert "t1".join(group["export"]) == f"lrbench export {folder} t1 --to export/t1"
    assert group["points"]["dense"].count(1) == 1


def test_what_is_not_timed_is_decided_by_macs(tmp_path: Path) -> None:
    untimed = [record for record in log(6) if not isinstance(record, samples.Session)]
    (group,) = decide_data(read_overlay([samples.folder_of(tmp_path / "run", untimed)]))
    assert group["settings"] == []
    assert len(group["orders"]["macs"]) == 7
    costs = [group["points"]["macs"][i] for i in group["orders"]["macs"]]
    assert costs == sorted(costs)


def test_points_without_a_control_are_no_choice(tmp_path: Path) -> None:
    assert (
        decide_data(read_overlay([samples.folder_of(tmp_path / "run", [samples.measurement(samples.trial())])])) == []
    )
    assert decide_data(read_overlay([samples.folder_of(tmp_path / "timed", [samples.session({"a0": 0.5})])])) == []


def test_frames_of_the_choice_are_not_changed(folder: Path) -> None:
    results = Results(folder)
    before = results.done.copy()
    decide_data(read_overlay([folder]))
    pd.testing.assert_frame_equal(results.done, before)
