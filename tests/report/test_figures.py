"""Every figure, drawn with many rows, one row, no rows and a failed row, without torch."""

import subprocess
import sys
from io import StringIO
from pathlib import Path
from types import MappingProxyType

import pandas as pd
import pytest
import samples
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from PIL import Image

from lrbench.report.figures import table
from lrbench.report.figures.accuracy_cost import accuracy_cost_figure
from lrbench.report.figures.canvas import canvas
from lrbench.report.figures.draw import DRAWN, draw_figures, figure_tables
from lrbench.report.figures.figure import alone
from lrbench.report.results import Results
from lrbench.results.tables import guarded, load_table

DENSE = samples.trial("d", scheme="dense", layer_set="none", rank_rule="none")
TIMED = [samples.measurement(samples.trial()), samples.session({"a0": 0.5})]
LOGS = {
    "many": samples.sweep(),
    "one": [samples.measurement(samples.trial())],
    "dense only": [samples.measurement(DENSE, macs=100, arch="dense"), samples.session({})],
    "none": [],
    "failed": [samples.failure(samples.trial())],
    "two machines": [*TIMED, samples.session({"a0": 0.5}, environment="e1")],
    "layers": [*TIMED, samples.layer_session({("channel", 8): 0.5, ("spatial", 16): 1.1})],
    "unfit": [samples.measurement(samples.trial()), samples.session({"a0": 0.5}, control_within=1e-9)],
}
FIGURES = {
    "many": 9,
    "one": 5,
    "dense only": 6,
    "none": 0,
    "failed": 4,
    "two machines": 9,
    "layers": 10,
    "unfit": 7,
}


QUICK = ("none", "many")


@pytest.mark.parametrize("case", [pytest.param(case, marks=[] if case in QUICK else pytest.mark.long) for case in LOGS])
def test_every_figure_is_drawn(case: str, tmp_path: Path) -> None:
    drawn = draw_figures(Results(samples.folder_of(tmp_path, LOGS[case])))
    assert len(drawn) == FIGURES[case]
    for path in drawn:
        with Image.open(path) as picture:
            assert picture.width == 800
        assert path.with_suffix(".svg").read_text().startswith("<?xml")
    assert sorted(p.name for p in (tmp_path / "figures").glob("*")) == sorted(
        [DRAWN, *(path.with_suffix(suffix).name for path in drawn for suffix in (".png", ".svg"))]
        + [f"{name}.csv" for name, frame in figure_tables(Results(tmp_path)).items() if len(frame)]
    ), "no half-written file is left"


def test_every_finished_trial_and_the_front_are_on_the_chart(tmp_path: Path) -> None:
    points = Results(samples.folder_of(tmp_path, samples.sweep())).stood("macs")
    figure = accuracy_cost_figure(points, cost="macs", label="MACs", unit="", title="t")
    dots = [found for found in figure.axes[0].collections if isinstance(found, PathCollection)]
    drawn = sum(len(found.get_offsets()) for found in dots)
    assert drawn == len(points) == 9
    labels = {text.get_text() for text in figure.axes[0].get_legend().get_texts()}
    assert labels == {
        *("channel", "spatial", "layers: early", "layers: late", "dense control", "the front"),
        *("cost of dense", "front", "on the front, not proven\nbetter than a cheaper\npoint", "beaten"),
    }


@pytest.mark.long
@pytest.mark.parametrize(("command", "says"), [("plots", "7 figures in"), ("report", "report.html")])
def test_plots_and_reports_need_no_torch(command: str, says: str, tmp_path: Path) -> None:
    samples.folder_of(tmp_path, TIMED)
    (tmp_path / "records.jsonl").unlink()  # the tables alone must do
    code = (
        "import sys; from typer.testing import CliRunner; from lrbench.cli import app; "
        f"result = CliRunner().invoke(app, [{command!r}, {str(tmp_path)!r}]); print(result.output); "
        "heavy = {'torch', 'torchvision', 'fvcore'} & set(sys.modules); "
        "sys.exit(result.exit_code or len(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert says in done.stdout.replace("\n", "")


@pytest.mark.parametrize("name", table.FIGURES)
def test_a_figure_has_a_file_of_its_name_and_says_when_there_is_nothing_to_draw(name: str, tmp_path: Path) -> None:
    figure = table.FIGURES[name]
    assert figure.info.__module__ == figure.draw.__module__ == f"lrbench.report.figures.{name}"
    nothing = figure.info(Results(samples.folder_of(tmp_path, [])))
    assert nothing.empty
    titled = {} if figure.pictures is alone else {"title": "t"}
    assert len(figure.draw(nothing, **titled).axes[0].texts) == 1


def count_layers(results: Results) -> pd.DataFrame:
    return results.layers.groupby("trial", as_index=False).agg(layers=("layer", "nunique"))


def draw_counts(counts: pd.DataFrame) -> Figure:
    figure, (axis,) = canvas()
    axis.bar(counts["trial"], counts["layers"])
    return figure


def test_a_figure_is_an_entry_of_the_table_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lrbench) -> None:
    toy = table.Figure(info=count_layers, draw=draw_counts, pictures=alone, tables={"toy_counts": count_layers})
    monkeypatch.setattr(table, "FIGURES", MappingProxyType({**table.FIGURES, "toy": toy}))
    result = lrbench("plots", samples.folder_of(tmp_path, LOGS["one"]))
    assert result.exit_code == 0, result.output
    assert "6 figures in" in result.output
    drawn = {path.name for path in (tmp_path / "figures").glob("toy*")}
    assert drawn == {"toy.png", "toy.svg", "toy_counts.csv"}
    assert pd.read_csv(tmp_path / "figures" / "toy_counts.csv")["trial"].tolist() == ["t0"]


def test_a_table_is_read_once_however_many_frames_need_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    read: list[str] = []

    def load(folder: Path, name: str) -> pd.DataFrame:
        read.append(name)
        return load_table(folder, name)

    monkeypatch.setattr("lrbench.report.results.load_table", load)
    results = Results(samples.folder_of(tmp_path, LOGS["layers"]))
    draw_figures(results)
    assert len(results.front) == len(results.done) == 1
    assert results.audit.empty
    assert len(read) == len(set(read))
    assert {"trials", "latency", "layer_latency", "layers", "epochs", "spectra"} <= set(read)


@pytest.mark.parametrize("name", ["seed", "truncation", "imagenette", "recipes"])
def test_published_figures_rest_on_the_published_tables(name: str) -> None:
    """The tables behind the committed figures come from the committed CSVs alone."""
    folder = Path(__file__).parents[2] / "results" / name
    made = {key: frame for key, frame in figure_tables(Results(folder)).items() if len(frame)}
    assert sorted(path.stem for path in (folder / "figures").glob("*.csv")) == sorted(made)
    for key, frame in made.items():
        kept = pd.read_csv(folder / "figures" / f"{key}.csv")
        again = pd.read_csv(StringIO(guarded(frame).to_csv(index=False)))
        pd.testing.assert_frame_equal(again, kept, rtol=1e-6)
