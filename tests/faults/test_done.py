"""Done is what exists: what an earlier command left undone is neither called done nor left out by the next one."""

from pathlib import Path

import pytest
import samples

from lrbench.errors import InputError
from lrbench.report.figures.draw import DRAWN, are_drawn, draw_figures, draw_missing_figures
from lrbench.report.results import Results
from lrbench.results.log import Store
from lrbench.whole import replacing

NOT_TIMED = ("--set", "latency.devices=[]", "--set", "sweep.schemes=['channel']", "--set", "sweep.ranks=['rank=2']")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return samples.folder_of(tmp_path / "r", samples.sweep())


@pytest.mark.long
def test_figures_belong_to_the_tables_that_they_were_drawn_from(folder: Path) -> None:
    assert not are_drawn(folder)
    assert draw_missing_figures(Results(folder))
    assert are_drawn(folder)
    assert draw_missing_figures(Results(folder)) == []
    with Store(folder) as store:
        store.append(samples.measurement(samples.trial("new"), macs=30))
    assert not are_drawn(folder)
    assert draw_missing_figures(Results(folder))
    assert are_drawn(folder)


@pytest.mark.long
@pytest.mark.parametrize("step", range(0, 24, 4))
def test_a_disk_that_fills_up_while_figures_are_drawn_leaves_the_rest_to_the_next_command(
    step: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Path] = []

    def full(path: Path, **options: str):
        written.append(path)
        if len(written) > step:
            raise InputError("No space left on device")
        return replacing(path, **options)

    with monkeypatch.context() as patched:
        patched.setattr("lrbench.report.figures.draw.replacing", full)
        if step < 2 * len(list(drawable(folder))):
            with pytest.raises(InputError, match="No space left"):
                draw_missing_figures(Results(folder))
            assert not are_drawn(folder)
    draw_missing_figures(Results(folder))
    assert are_drawn(folder)
    assert len(list((folder / "figures").glob("*.png"))) == len(list(drawable(folder)))


def drawable(folder: Path):
    from lrbench.report.figures.draw import drawings

    return drawings(Results(folder))


@pytest.mark.long
@pytest.mark.parametrize("content", ["", "{", "[]", '{"tables": 1, "files": [1]}', '{"files": []}', "\x00"])
def test_a_mark_that_is_none_means_not_drawn(content: str, folder: Path) -> None:
    draw_figures(Results(folder))
    (folder / "figures" / DRAWN).write_text(content)
    assert not are_drawn(folder)


@pytest.mark.long
def test_a_figure_that_was_removed_is_drawn_again(folder: Path) -> None:
    paths = draw_figures(Results(folder))
    for path in paths:
        content = path.read_bytes()
        path.unlink()
        assert not are_drawn(folder), path
        path.write_bytes(content)
        assert are_drawn(folder), path
    paths[-1].unlink()
    draw_missing_figures(Results(folder))
    assert paths[-1].is_file()


def test_a_sweep_whose_figures_failed_draws_them_when_it_is_repeated(
    workplace: Path, lrbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, **options: str):
        raise InputError(f"{path} cannot be written: No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("lrbench.report.figures.draw.replacing", full)
        failed = lrbench("sweep", "tiny.toml", *NOT_TIMED)
    assert failed.exit_code == 2
    again = lrbench("sweep", "tiny.toml", *NOT_TIMED)
    assert again.exit_code == 0, again.output
    assert "0 to run" in again.output
    assert len(list((workplace / "results/tiny/figures").glob("*.png"))) >= 5
    third = lrbench("sweep", "tiny.toml", *NOT_TIMED)
    assert "figures in" not in third.output.replace("tables and figures", "")


BROKEN_NET = """
from pathlib import Path

from nets import build as whole
from torch import nn


class Broken(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        if self.training and not Path("calm").exists():
            raise ValueError("no luck")
        return self.model(x)


def build(num_classes=10):
    return Broken(whole(num_classes))
"""


def test_a_sensitivity_without_its_baseline_is_not_done_however_often(workplace: Path, lrbench, undrawn: None) -> None:
    (workplace / "broken.py").write_text(BROKEN_NET)
    words = (
        "sensitivity",
        "tiny.toml",
        *NOT_TIMED,
        "--set",
        "model.name=broken:build",
        "--set",
        "sensitivity.points=2",
    )
    for _ in range(2):
        result = lrbench(*words)
        assert result.exit_code == 1, result.output
        assert "no luck" in result.output
    (workplace / "calm").touch()
    result = lrbench(*words)
    assert result.exit_code == 0, result.output


def test_trials_without_an_outcome_are_not_done(workplace: Path, lrbench, undrawn: None, monkeypatch) -> None:
    monkeypatch.setattr("lrbench.library.fill.run_sweep", lambda *_, **__: iter(()))
    result = lrbench("sweep", "tiny.toml", *NOT_TIMED)
    assert result.exit_code == 1, result.output
    assert "2 planned trials have no outcome; the same command runs them" in result.output
