"""Every figure, drawn with many rows, one row, no rows and a failed row, without torch."""

import subprocess
import sys
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest
import samples
from matplotlib.collections import PathCollection
from PIL import Image

from lrbench.report.figures.draw import draw_figures, figure_tables
from lrbench.report.figures.learning_curves import curves_figure, error_figure, hypervolume_figure, scores_figure
from lrbench.report.figures.pareto import pareto_figure
from lrbench.report.frames.scores import hypervolumes, learning_curves, score_correlations, truncation_errors
from lrbench.report.frames.trials import done_trials
from lrbench.results.tables import build_tables, guarded

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
    "many": 10,
    "one": 6,
    "dense only": 6,
    "none": 0,
    "failed": 4,
    "two machines": 10,
    "layers": 11,
    "unfit": 8,
}


@pytest.mark.parametrize("case", LOGS)
def test_every_figure_is_drawn(case: str, tmp_path: Path) -> None:
    drawn = draw_figures(samples.folder_of(tmp_path, LOGS[case]))
    assert len(drawn) == FIGURES[case]
    for path in drawn:
        with Image.open(path) as picture:
            assert picture.width == 800
        assert path.with_suffix(".svg").read_text().startswith("<?xml")
    assert sorted(p.name for p in (tmp_path / "figures").glob("*")) == sorted(
        [path.with_suffix(suffix).name for path in drawn for suffix in (".png", ".svg")]
        + [f"{name}.csv" for name, table in figure_tables(tmp_path).items() if len(table)]
    ), "no half-written file is left"


def test_every_finished_trial_and_the_front_are_on_the_chart() -> None:
    points = done_trials(build_tables(samples.sweep())["trials"].infer_objects())
    figure = pareto_figure(points, cost="macs", label="MACs", unit="", title="t")
    dots = [found for found in figure.axes[0].collections if isinstance(found, PathCollection)]
    drawn = sum(len(found.get_offsets()) for found in dots)
    assert drawn == len(points) == 9
    labels = {text.get_text() for text in figure.axes[0].get_legend().get_texts()}
    assert labels == {
        *("channel", "spatial", "layers: early", "layers: late", "dense control", "Pareto front"),
        *("cost of dense", "front", "tied", "dominated"),
    }


@pytest.mark.parametrize(("command", "says"), [("plots", "8 figures in"), ("report", "report.html")])
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


def test_figures_of_a_study_say_when_there_is_nothing_to_draw() -> None:
    made = {name: table.infer_objects() for name, table in build_tables([]).items()}
    done = done_trials(made["trials"])
    for figure in (
        error_figure(truncation_errors(made["spectra"])),
        curves_figure(learning_curves(made["epochs"], done)),
        scores_figure(score_correlations(done, made["layers"], made["sensitivity"])),
        hypervolume_figure(hypervolumes(done)),
    ):
        assert len(figure.axes[0].texts) == 1


@pytest.mark.parametrize("name", ["seed", "truncation", "imagenette", "recipes"])
def test_published_figures_rest_on_the_published_tables(name: str) -> None:
    """The tables behind the committed figures come from the committed CSVs alone."""
    folder = Path(__file__).parents[2] / "results" / name
    made = {key: table for key, table in figure_tables(folder).items() if len(table)}
    assert sorted(path.stem for path in (folder / "figures").glob("*.csv")) == sorted(made)
    for key, table in made.items():
        kept = pd.read_csv(folder / "figures" / f"{key}.csv")
        again = pd.read_csv(StringIO(guarded(table).to_csv(index=False)))
        pd.testing.assert_frame_equal(again, kept, rtol=1e-6)
