"""Planted regressions, each through the real command: the right verdict and the right exit code."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import samples
from hypothesis import given
from hypothesis import strategies as st

from lrbench.gate.check import check_folders
from lrbench.gate.formats import FORMATS, headline
from lrbench.gate.tolerances import Tolerances
from lrbench.gate.verdicts import BLOCKING, EXIT_CODES, STRICT, Judgement, Verdict
from lrbench.lowrank.allocations import ALLOCATIONS
from lrbench.results.records import Accuracy, Measurement, Record
from lrbench.results.sessions import Session

LAYERS = (samples.layer("conv1"), samples.layer("conv2", weight_error=0.3))


def answers(samples_: int, wrong: int) -> Accuracy:
    """The last `wrong` images answered wrongly."""
    right = np.arange(samples_) < samples_ - wrong
    mask = np.packbits(right).tobytes().hex()
    return Accuracy(correct=samples_ - wrong, samples=samples_, loss=0.5, right=mask)


def measured(*, wrong: int = 10, images: int = 360, seed: int = 0, kept: bool = True, **changes: object) -> Measurement:
    """A trial that answers this many of so many images wrongly; `kept`: which ones is known."""
    made = samples.measurement(samples.trial(f"t{seed}", seed=seed), macs=10_000)
    found = answers(images, wrong)
    found = found if kept else replace(found, right="")
    dense = replace(made.dense, samples=images, correct=images)
    return replace(made, finetuned=found, truncated=found, dense=dense, layers=LAYERS, **changes)


def timed(ratio: float, *, processes: int = 3, noise: float = 0.003, **changes: object) -> list[Session]:
    """Sessions of architecture a0 in several processes, with a dense copy that holds."""
    random, made = np.random.default_rng(0), []
    for process in range(processes):
        wall = [(1.0, *(np.array([1.0, ratio]) * np.exp(random.normal(0, noise, 2)))) for _ in range(40)]
        one = samples.session({"a0": ratio}, series="s", process=process, **changes)
        made.append(replace(one, rounds=samples.rounds_of([tuple(map(float, row)) for row in wall])))
    return made


@pytest.fixture
def verdicts(tmp_path: Path, lrbench) -> Callable[..., tuple[int, dict[tuple[str, str], str]]]:
    """Writes both sides, runs the real command; gives its exit code, and by name and figure what is not ok."""

    def run(base: list[Record], current: list[Record], *words: str) -> tuple[int, dict[tuple[str, str], str]]:
        for side in ("base", "current"):
            shutil.rmtree(tmp_path / side, ignore_errors=True)
        samples.folder_of(tmp_path / "base", base)
        samples.folder_of(tmp_path / "current", current)
        result = lrbench("check", tmp_path / "base", tmp_path / "current", "--format", "json", *words)
        found = json.loads(result.stdout)["verdicts"]
        return result.exit_code, {(v["name"], v["figure"]): v["verdict"] for v in found if v["verdict"] != "ok"}

    return run


NAME = "resnet18 digits 32px 1+1 channel early rank=8"


def test_a_folder_against_itself_is_all_ok(tmp_path: Path) -> None:
    folder = samples.folder_of(tmp_path, [*samples.sweep(), measured(), *timed(0.5)])
    found = check_folders(folder, folder, Tolerances())
    assert {one.verdict for one in found} == {"ok"}
    assert {one.tier for one in found} == {"exact", "toleranced", "accuracy", "timed"}


def test_a_layer_left_dense_is_worse(verdicts) -> None:
    dense = samples.layer("conv2", rank=None, reason="rank 8 reaches break-even", weight_error=None)
    code, found = verdicts([measured()], [replace(measured(), layers=(LAYERS[0], dense))])
    assert (code, found) == (1, {(f"{NAME} seed 0: conv2", "rank"): "worse"})


@pytest.mark.parametrize("rank", [7, 9])
def test_a_rank_off_by_one_is_worse(rank: int, verdicts) -> None:
    code, found = verdicts([measured()], [replace(measured(), layers=(LAYERS[0], replace(LAYERS[1], rank=rank)))])
    assert (code, found) == (1, {(f"{NAME} seed 0: conv2", "rank"): "worse"})


@pytest.mark.parametrize(("macs", "word"), [(10_100, "worse"), (10_001, "worse"), (9_900, "better")])
def test_macs_are_exact(macs: int, word: str, verdicts) -> None:
    changed = replace(measured(), cost=replace(measured().cost, macs=macs))
    code, found = verdicts([measured()], [changed])
    assert (code, found) == (int(word == "worse"), {(f"{NAME} seed 0", "macs"): word})


@pytest.mark.long
@pytest.mark.parametrize("rule", ["energy=0.9", "evbmf", *(f"{name} macs=0.5" for name in ALLOCATIONS)])
def test_costs_of_ranks_that_training_chose_have_a_tolerance(rule: str, verdicts) -> None:
    one = measured()
    chosen = replace(one, trial=replace(one.trial, rank_rule=rule))
    for macs, code in ((10_150, 0), (10_250, 1)):
        assert verdicts([chosen], [replace(chosen, cost=replace(chosen.cost, macs=macs))])[0] == code


def test_a_weight_error_has_a_tolerance(verdicts) -> None:
    for error, word in ((0.3005, None), (0.35, "worse")):
        layers = (LAYERS[0], replace(LAYERS[1], weight_error=error))
        _, found = verdicts([measured()], [replace(measured(), layers=layers)])
        assert found.get((f"{NAME} seed 0", "weight_error")) == word


def test_full_rank_that_does_not_give_the_dense_loss_back_is_worse(verdicts) -> None:
    full = replace(measured(), layers=tuple(replace(layer, rank=64, max_rank=64) for layer in LAYERS))
    good = replace(full, truncated=replace(full.truncated, loss=full.dense.loss + 1e-5))
    bad = replace(full, truncated=replace(full.truncated, loss=full.dense.loss + 0.01))
    assert verdicts([good], [good])[0] == 0
    assert verdicts([good], [bad]) == (1, {(f"{NAME} seed 0", "full_rank_loss"): "worse"})


@pytest.mark.parametrize(
    ("images", "kept", "word"),
    [(3925, True, "worse"), (3925, False, "inconclusive"), (360, True, "inconclusive"), (360, False, "inconclusive")],
)
def test_three_points_lost_where_one_is_allowed(images: int, kept: bool, word: str, verdicts) -> None:
    """Of 3,925 images two points too much are found where the same images are compared one by one."""
    few, many = round(0.2 * images), round(0.23 * images) + 1
    code, found = verdicts(
        [measured(wrong=few, images=images, kept=kept)], [measured(wrong=many, images=images, kept=kept)]
    )
    assert set(found.values()) == {word}
    assert code == int(word == "worse")


def test_an_inconclusive_verdict_blocks_only_when_asked(verdicts) -> None:
    sides = ([measured(wrong=10, kept=False)], [measured(wrong=22, kept=False)])
    assert verdicts(*sides)[0] == 0
    assert verdicts(*sides, "--strict")[0] == 1


def test_a_drop_just_above_what_is_allowed_is_inconclusive_however_sure_the_drop_itself_is(verdicts) -> None:
    code, found = verdicts([measured(wrong=100, images=3925)], [measured(wrong=142, images=3925)])
    assert (code, set(found.values())) == (0, {"inconclusive"})


def test_a_small_drop_is_ok_however_sure(verdicts) -> None:
    assert verdicts([measured(wrong=100, images=3925)], [measured(wrong=130, images=3925)]) == (0, {})


def test_seeds_that_scatter_excuse_a_drop(verdicts) -> None:
    base = [measured(seed=seed, wrong=wrong) for seed, wrong in enumerate((5, 40, 20))]
    swapped = [measured(seed=seed, wrong=wrong) for seed, wrong in enumerate((40, 30, 20))]
    code, found = verdicts(base, swapped)
    assert (code, set(found.values())) == (0, {"inconclusive"})
    steady = [measured(seed=seed, wrong=wrong + 15) for seed, wrong in enumerate((5, 40, 20))]
    assert set(verdicts(base, steady)[1].values()) == {"worse"}


def test_a_gain_is_better(verdicts) -> None:
    assert set(verdicts([measured(wrong=60)], [measured(wrong=10)])[1].values()) == {"better"}


TIMED = "a0, cpu, batch 1, threads 1, contiguous"


@pytest.mark.parametrize(
    ("before", "now", "word"),
    [
        (timed(0.5), timed(0.5 * 1.15), "worse"),
        (timed(0.5), timed(0.5 * 1.15, processes=1), "inconclusive"),
        (timed(0.5), timed(0.5 * 1.02), "inconclusive"),  # two occasions may differ by more than the slack
        (timed(0.5), timed(0.5 * 0.8), "better"),
        (timed(0.5), timed(0.5 * 1.1, noise=0.5), "inconclusive"),
        (timed(0.5), timed(0.5 * 1.15, control_within=1e-9), "inconclusive"),
        (timed(0.5), timed(0.5, environment="e1"), "incomparable"),
        (timed(0.5), [], "missing"),
        ([], timed(0.5), "new"),
    ],
)
def test_latency(before: list[Session], now: list[Session], word: str | None, verdicts) -> None:
    code, found = verdicts([measured(), *before], [measured(), *now])
    timing = {name: given for (name, figure), given in found.items() if figure == "latency_ratio"}
    assert list(timing.values()) == ([word] if word else [])
    assert code == int(word in ("worse", "missing", "incomparable"))


def test_what_is_gone_is_missing_and_what_came_is_new(verdicts) -> None:
    code, found = verdicts([measured(), measured(seed=1)], [measured(), measured(seed=2)])
    assert code == 1
    assert found[f"{NAME} seed 1", "trial"] == "missing"
    assert found[f"{NAME} seed 2", "trial"] == "new"


def test_a_trial_that_fails_now_is_worse(verdicts) -> None:
    code, found = verdicts([measured()], [samples.failure(samples.trial("t0"))])
    assert (code, found) == (1, {(f"{NAME} seed 0", "state"): "worse"})


def test_two_trials_of_one_name_are_told_apart_by_their_order(verdicts) -> None:
    twin = replace(measured(), trial=replace(measured().trial, key="other"), cost=replace(measured().cost, macs=5))
    assert verdicts([measured(), twin], [measured(), twin]) == (0, {})


def record(*names: str) -> str:
    return json.dumps({"benchmarks": [{"fullname": name, "stats": {"median": 0.1}} for name in names]})


@pytest.mark.parametrize(
    ("now", "code", "word"),
    [
        (record("bench/a.py::bench_x", "bench/a.py::bench_y"), 0, None),
        (record("bench/a.py::bench_x"), 1, "missing"),
        (record("bench/a.py::bench_x", "bench/a.py::bench_renamed"), 1, "missing"),
        (record(), 1, "missing"),
        (record("bench/a.py::bench_x", "bench/a.py::bench_y", "bench/a.py::bench_z"), 0, "new"),
    ],
    ids=["same", "deleted", "renamed", "disabled", "added"],
)
def test_a_benchmark_that_vanished_is_missing(now: str, code: int, word: str | None, tmp_path: Path, lrbench) -> None:
    for side, text in (("base", record("bench/a.py::bench_x", "bench/a.py::bench_y")), ("current", now)):
        (tmp_path / side).mkdir()
        (tmp_path / side / "benchmarks.json").write_text(text)
    result = lrbench("check", tmp_path / "base", tmp_path / "current", "--format", "json")
    found = {v["verdict"] for v in json.loads(result.stdout)["verdicts"]}
    assert (result.exit_code, word is None or word in found) == (code, True)


def cut_mid_row(folder: Path) -> None:
    path = folder / "trials.csv"
    path.write_text(path.read_text()[:-20])


def cut_rows(folder: Path) -> None:
    path = folder / "layers.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:2]))


def newer_schema(folder: Path) -> None:
    path = folder / "trials.csv"
    head, row, *_ = path.read_text().splitlines()
    path.write_text(f"{head}\n2{row[1:]}\n")


def empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def no_json(folder: Path) -> None:
    (folder / "benchmarks.json").write_text("{")


@pytest.mark.parametrize(
    ("damage", "code", "message"),
    [
        (cut_mid_row, 2, "trials.csv is cut short"),
        (cut_rows, 1, "missing"),
        (newer_schema, 2, "schema must be 1, got 2: a newer lrbench wrote this"),
        (empty, 2, "it has no trials.csv"),
        (no_json, 2, "cannot be read as the JSON of pytest-benchmark"),
    ],
)
def test_damaged_folders(damage, code: int, message: str, tmp_path: Path, lrbench) -> None:
    base, current = (samples.folder_of(tmp_path / side, [measured()]) for side in ("base", "current"))
    damage(current)
    result = lrbench("check", base, current)
    assert result.exit_code == code
    assert message in result.output
    assert "Traceback" not in result.output


def test_a_wrong_tolerance_exits_2(tmp_path: Path, lrbench) -> None:
    base = samples.folder_of(tmp_path / "base", [measured()])
    (base / "tolerances.toml").write_text("[timed]\nslak = 0.1\n")
    result = lrbench("check", base, base)
    assert result.exit_code == 2
    assert "unknown key timed.slak: did you mean 'slack'?" in result.output


def test_tolerances_beside_the_baseline_count(verdicts, tmp_path: Path) -> None:
    sides = ([measured(wrong=10)], [measured(wrong=40)])
    assert verdicts(*sides)[0] == 1
    (tmp_path / "wide.toml").write_text("[accuracy]\ndrop = 0.1\n")
    assert verdicts(*sides, "--tolerances", str(tmp_path / "wide.toml"))[0] == 0


def test_accept_rewrites_the_baseline_and_says_what_changed(tmp_path: Path, lrbench) -> None:
    current = samples.folder_of(tmp_path / "current", [replace(measured(), cost=replace(measured().cost, macs=9))])
    fresh = lrbench("check", tmp_path / "base", current, "--accept")
    assert (fresh.exit_code, (tmp_path / "base/trials.csv").exists()) == (0, True)
    (tmp_path / "base/tolerances.toml").write_text("")
    worse = samples.folder_of(tmp_path / "worse", [measured()])
    assert lrbench("check", tmp_path / "base", worse).exit_code == 1
    result = lrbench("check", tmp_path / "base", worse, "--accept")
    assert (result.exit_code, "macs" in result.output) == (0, True)
    assert (tmp_path / "base/tolerances.toml").exists()
    assert lrbench("check", tmp_path / "base", worse).exit_code == 0


@pytest.mark.parametrize("chosen", ["markdown", "junit", "github", "table"])
def test_every_format_names_what_is_worse(chosen: str, tmp_path: Path, lrbench) -> None:
    base = samples.folder_of(tmp_path / "base", [measured()])
    evil = replace(measured(), trial=replace(measured().trial, key="evil", layer_set="<script>|\n[red]"))
    current = samples.folder_of(tmp_path / "current", [measured(wrong=60), evil])
    result = lrbench("check", base, current, "--format", chosen)
    assert result.exit_code == 1
    assert "accuracy_finetuned" in result.output
    if chosen == "junit":
        suite = ElementTree.fromstring(result.stdout)
        assert int(suite.attrib["failures"]) == len(suite.findall("testcase/failure")) == 2
    if chosen == "markdown":
        assert r"&lt;script&gt;\| \[red\]" in result.stdout
    if chosen == "github":
        starts = ("::error title=", "lrbench check: failed (", "accuracy_")
        assert all(line.startswith(starts) for line in result.stdout.splitlines())


WORDS = ("ok", "better", "worse", "inconclusive", "missing", "new", "incomparable")


def judgement(words: list[str], *, blocking: frozenset[str] = BLOCKING) -> Judgement:
    made = (Verdict(name="n", tier="exact", figure="f", verdict=word) for word in words)
    return Judgement(verdicts=tuple(made), blocking=blocking)


@given(st.lists(st.sampled_from(WORDS)), st.sampled_from([BLOCKING, STRICT]))
def test_a_check_fails_by_what_blocks_and_passes_by_what_is_fine(words: list[str], blocking: frozenset[str]) -> None:
    made = judgement(words, blocking=blocking)
    assert EXIT_CODES[made.outcome] == (1 if blocking & set(words) else 0 if {"ok", "better"} & set(words) else 3)
    assert blocking - {"inconclusive"} == {"worse", "missing", "incomparable"}


@pytest.mark.parametrize("words", [[], ["new"], ["inconclusive", "new"]])
def test_no_format_says_passed_where_nothing_was_judged(words: list[str]) -> None:
    made = judgement(words)
    assert headline(made).startswith("lrbench check: nothing judged (")
    told = {name: write(made) for name, write in FORMATS.items()}
    said = json.loads(told["json"])
    assert (said["passed"], said["outcome"]) == (False, "nothing judged")
    suite = ElementTree.fromstring(told["junit"])
    assert (suite.attrib["errors"], len(suite.findall("testcase/error"))) == ("1", 1)
    assert int(suite.attrib["tests"]) == len(suite.findall("testcase")) == len(words) + 1
    assert "nothing judged" in told["markdown"].splitlines()[0]
    assert "::error title=nothing judged::" in told["github"]


def test_formats_agree_with_the_exit_code_of_strict() -> None:
    made = judgement(["ok", "inconclusive"], blocking=STRICT)
    assert json.loads(FORMATS["json"](made))["passed"] is False
    assert ElementTree.fromstring(FORMATS["junit"](made)).attrib["failures"] == "1"
    assert FORMATS["github"](made).startswith("::error title=inconclusive")
    assert FORMATS["markdown"](made).startswith("**lrbench check: failed")


@pytest.mark.parametrize("chosen", ["table", "json", "markdown", "junit", "github"])
@pytest.mark.parametrize(("base", "now"), [((), ()), ((), ("bench/a.py::bench_x",))], ids=["none", "new"])
def test_without_a_benchmark_to_compare_nothing_is_judged(
    base: tuple[str, ...], now: tuple[str, ...], chosen: str, tmp_path: Path, lrbench
) -> None:
    for side, names in (("base", base), ("current", now)):
        (tmp_path / side).mkdir()
        (tmp_path / side / "benchmarks.json").write_text(record(*names))
    result = lrbench("check", tmp_path / "base", tmp_path / "current", "--format", chosen)
    assert (result.exit_code, "nothing judged" in result.output) == (3, True)


def test_timings_that_decide_nothing_are_not_passed(verdicts) -> None:
    sides = (timed(0.5), timed(0.5 * 1.15, processes=1))
    assert verdicts(*sides)[0] == 3
    assert verdicts(*sides, "--strict")[0] == 1
