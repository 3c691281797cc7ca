"""The library: what `import lrbench` offers, beside the commands that do the same."""

import json
import runpy
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import Result
from outcomes import assert_same_tables
from torch import nn
from typer.testing import CliRunner

import lrbench
from lrbench.cli import app
from lrbench.errors import InputError
from lrbench.execute.executors import EXECUTORS, executor_of
from lrbench.measure.cost import measure_cost
from lrbench.plan.spec import make_spec

ROOT = Path(__file__).parents[1]
STUDY = ROOT / "results" / "seed"


@pytest.fixture
def command_line() -> Callable[..., Result]:
    """The command line, in process (a fixture called lrbench would hide the package)."""
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


def net() -> nn.Module:
    torch.manual_seed(0)
    body = (nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 32, 3, stride=2, groups=2), nn.ReLU())
    return nn.Sequential(*body, nn.Conv2d(32, 64, 3), nn.Flatten(), nn.Linear(64 * 9, 10)).eval()


@pytest.mark.parametrize("rule", ["macs=0.5", "rank=4", "energy=0.5"])
def test_chosen_cuts_cost_what_their_table_says(rule: str) -> None:
    model = net()
    cuts = lrbench.choose(model, (3, 12, 12), rule=rule, schemes=["spatial", "linear"])
    small = lrbench.compress(model, cuts)
    assert [cut.scheme for cut in cuts] == ["spatial", "dense", "spatial", "linear"]
    assert cuts[1].reason == "grouped convolution (groups=2); neither a linear layer nor a 1x1 convolution"
    before, after = (measure_cost(one, (3, 12, 12)) for one in (model, small))
    assert after.macs - before.macs == (cuts.table["macs"] - cuts.table["dense_macs"]).sum()
    assert after.params - before.params == (cuts.table["params"] - cuts.table["dense_params"]).sum()
    assert all(cut.layer in repr(cuts) and cut.layer in cuts._repr_html_() for cut in cuts)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schemes": ["svd"]}, "scheme must be one of channel, spatial"),
        ({"rule": "knapsack macs=0.5"}, r"for lrbench\.sweep; choose takes a rule for each layer"),
        ({"rule": "rank=0"}, "rank must be at least 1, got 0"),
        ({"include": ["layer9*"]}, r"no layer matches include=\['layer9\*'\]; layers: 0, 2, 4, 6"),
    ],
)
def test_what_cannot_be_chosen_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        lrbench.choose(net(), (3, 12, 12), **{"rule": "rank=2", **changes})


def test_a_sweep_is_what_the_command_does(workplace: Path, command_line, undrawn: None) -> None:
    quick = {"sweep.schemes": ["channel"], "sweep.ranks": ["rank=2"], "latency.rounds": 10}
    results = lrbench.sweep("tiny.toml", quick, out="library", cache="one")
    words = [f"{key}={json.dumps(value)}" for key, value in quick.items()]
    command = command_line(
        "sweep", "tiny.toml", *(part for word in words for part in ("--set", word)), "--cache", "two"
    )
    assert command.exit_code == 0, command.output
    assert_same_tables(workplace / "library", workplace / "results/tiny")
    assert results.trials["scheme"].tolist() == ["dense", "channel"]
    assert repr(results) == "Results('library'): 2 finished trials, 0 failed"
    assert "channel" in results._repr_html_()
    assert results.figure("accuracy_macs").axes
    with pytest.raises(InputError, match=r"no figure 'accuracy_mac2' in library: did you mean 'accuracy_macs'"):
        results.figure("accuracy_mac2")


@pytest.mark.parametrize(
    ("spec", "overrides", "workers", "message"),
    [
        ({"finetune": {"epochs": -1}}, {}, {}, r"^spec: finetune\.epochs: "),
        ({}, {"finetune.epochs": np.float32(0.5)}, {}, r"^spec with overrides: finetune\.epochs: .*, got 0\.5"),
        ({"run": 1}, {"run.retries.most": 2}, {}, r"^overrides run\.retries\.most=2: run is not a section"),
        ({}, {}, {"executor": "pol"}, r"^unknown executor 'pol': did you mean 'pool'\? allowed: here, pool, ray"),
        ({}, {}, {"executor": "here", "jobs": 2}, r"^jobs goes with executor pool, not here"),
        ({}, {}, {"executor": "pool", "cluster": lrbench.Cluster(cpus=2)}, r"^cpus-per-trial goes with executor ray"),
    ],
)
def test_what_a_sweep_cannot_use_is_refused_in_words_of_python(
    spec: dict[str, object],
    overrides: dict[str, object],
    workers: dict[str, Any],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        lrbench.sweep(spec, overrides, workers=lrbench.Workers(**workers))
    assert not list(tmp_path.rglob("trials.csv"))


def test_numbers_of_numpy_are_numbers() -> None:
    assert make_spec({}, {"finetune.epochs": np.int64(3)}, where="spec").finetune.epochs == 3


def test_time_limits_and_jobs_choose_the_executor_that_takes_them() -> None:
    assert executor_of(lrbench.Workers(jobs=2)) is executor_of(lrbench.Workers(timeout_s=5)) is EXECUTORS["pool"]
    assert executor_of(lrbench.Workers()) is EXECUTORS["here"]


def test_a_recommendation_is_that_of_the_command(command_line) -> None:
    found = lrbench.read(STUDY).recommend(max_drop_points=20.0, macs=0.95, confidence=0.5)
    words = ("--max-drop", "20", "--macs", "0.95", "--confidence", "0.5", "--format", "json")
    told = json.loads(command_line("recommend", STUDY, *words).output)
    assert found.trial is not None
    assert found.trial in json.dumps(told)
    assert found.point is not None
    assert found.point["mac_ratio"] <= 0.95
    assert repr(found).startswith("recommended: ")
    assert lrbench.read(STUDY).recommend(macs=0.01).trial is None


def test_reading_needs_no_torch() -> None:
    program = f"import lrbench, sys; lrbench.read({str(STUDY)!r}).front(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_the_version_is_that_of_the_package() -> None:
    assert lrbench.__version__ == version("lrbench")
    assert all(hasattr(lrbench, name) for name in lrbench.__all__)
    with pytest.raises(AttributeError, match="module 'lrbench' has no attribute 'prune'"):
        lrbench.prune  # noqa: B018 - asked for, to see the error


@pytest.mark.long
def test_the_example_of_the_documents_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    left = runpy.run_path(str(ROOT / "docs" / "example.py"), run_name="__main__")
    assert len(left["results"].trials) == 3
    assert (tmp_path / "example.png").stat().st_size > 10_000
