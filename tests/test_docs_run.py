"""The commands of the documents, run on small parts; what needs a cluster, a GPU or hours is parsed and planned."""

import shutil
from itertools import pairwise
from pathlib import Path

import pytest
import typer
from conftest import TINY_NET, TINY_SPEC
from test_docs import LINES, ROOT
from typer.testing import CliRunner

from lrbench.cli import app

PARSED = {"doctor", "regress", "plots"}
"""Half a minute of timing, a git history, and all figures: each has tests of its own."""
FLOW = {"init", "export"}
"""What `tests/test_quickstart.py` runs from one end to the other."""
MEASURE = {"layers", "sensitivity", "time"}
SMALL = {
    "layers": ("--set", "layer_table.points=2"),
    "sensitivity": ("--set", "sensitivity.points=2"),
    "time": ("--model", "nets:build"),
}
REFUSED = 2


def spec_of(words: list[str]) -> tuple[str, list[str]]:
    """The spec that a command names, and what it overrides."""
    pairs = [word for flag, value in pairwise(words) if flag == "--set" for word in (flag, value)]
    return words[2], pairs


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which each command finds what it names: specs, images, weights, and results of a tiny sweep."""
    place = tmp_path_factory.mktemp("documented")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.syspath_prepend(str(place))
        patch.setattr("lrbench.timing.isolation.needs_child", lambda model, *others: False)
        patch.setattr("lrbench.timing.lock.LOCK", place / "timing.lock")
        patch.setattr("lrbench.cli.sweep.draw", lambda folder: None)
        patch.setattr("gc.collect", lambda generation=2: 0)
        (place / "nets.py").write_text(TINY_NET)
        (place / "my.toml").write_text(TINY_SPEC)
        grid = ("--set", "sweep.schemes=['channel']", "--set", "sweep.ranks=['rank=2', 'uniform macs=0.9']")
        result = CliRunner().invoke(app, ["sweep", "my.toml", *grid])
        assert result.exit_code == 0, result.output
        for copy in ("before", "after"):
            shutil.copytree("results/my", f"results/{copy}")
        for number in range(2):
            shutil.copytree("results/my", f"runs/{number}")
    for folder in ("bench/sweeps", "bench/baseline"):
        shutil.copytree(ROOT / folder, place / folder)
    (place / "mypkg").mkdir()
    for name in ("mypkg/nets.py", "resnet20.py"):
        (place / name).write_text(TINY_NET)
    return place


@pytest.fixture(autouse=True)
def there(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    monkeypatch.syspath_prepend(str(place))


def matched(word: str) -> list[str]:
    """What a shell makes of a word."""
    return sorted(str(path) for path in Path().glob(word)) if "*" in word else [word]


def named(value: object) -> str:
    return "" if isinstance(value, Path) else " ".join(value[1:3])  # type: ignore[index]


@pytest.mark.parametrize(("path", "words"), LINES, ids=named)
def test_a_documented_command_is_parsed(path: Path, words: list[str]) -> None:
    """Every value is of its kind, every argument there."""
    command = typer.main.get_command(app).commands[words[1]]
    command.make_context(words[1], words[2:])


SWEEPS = [(path, words) for path, words in LINES if words[1] in ("sweep", "plan")]


@pytest.mark.parametrize(("path", "words"), SWEEPS, ids=named)
def test_a_documented_sweep_is_planned(path: Path, words: list[str], pictures, lrbench) -> None:
    if not Path("photos").exists():
        pictures(Path("photos"))
    spec, pairs = spec_of(words)
    needs_images = Path(spec).parent.name == "sweeps"
    result = lrbench("plan", spec, *pairs, *(("--set", "data.name=digits") if needs_images else ()))
    assert result.exit_code == 0, result.output
    assert "trials" in result.output


LOOKS = [
    (path, words)
    for path, words in LINES
    if words[1] not in {"sweep", "plan", *PARSED, *FLOW, *MEASURE} and "results/imagenette" not in words
]


@pytest.mark.parametrize(("path", "words"), LOOKS, ids=named)
def test_a_documented_look_at_results_is_given(path: Path, words: list[str], place: Path, lrbench) -> None:
    """It may say that nothing is good enough, or that something is worse; it is not refused."""
    result = lrbench(*(word for given in words[1:] for word in matched(given)))
    assert result.exit_code != REFUSED, result.output
    assert result.output


MEASURES = [(path, words) for path, words in LINES if words[1] in MEASURE and "results/repeat" not in words]


@pytest.mark.parametrize(("path", "words"), MEASURES, ids=named)
def test_a_documented_measurement_is_made(path: Path, words: list[str], lrbench, undrawn: None) -> None:
    if "sweeps" in words[2]:
        pytest.skip("an hour of timing")
    result = lrbench(*words[1:], *SMALL.get(words[1], ()))
    assert result.exit_code == 0, result.output
