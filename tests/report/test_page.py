"""The page: valid, self-contained, true to the tables, and deaf to what names try."""

import base64
import hashlib
import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import samples

from bench.tiled import tiled
from lrbench.errors import InputError
from lrbench.report.choice.pick import usual_picks
from lrbench.report.page.answers import MOST_BYTES, answer_data
from lrbench.report.page.charts import CHARTS
from lrbench.report.page.overlay import label_folders
from lrbench.report.page.packing import compressed, decompressed
from lrbench.report.page.page import SCRIPTS, write_report
from lrbench.report.results import Results
from lrbench.results.log import read_records
from lrbench.results.records import Accuracy, Measurement
from lrbench.results.sessions import Session


class Page(HTMLParser):
    """Elements with their attributes and texts, in the order of the page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), []))

    def handle_endtag(self, tag: str) -> None:
        self.elements.append(("", {}, []))  # what follows is no text of the element that ended

    def handle_data(self, data: str) -> None:
        if self.elements:
            self.elements[-1][2].append(data)

    def texts(self, tag: str) -> list[str]:
        return ["".join(words) for name, _, words in self.elements if name == tag]

    def data(self) -> Any:
        (found,) = ["".join(words) for _, attributes, words in self.elements if attributes.get("id") == "data"]
        return decompressed(found)


def page_of(target: Path, *logs: list[samples.Record]) -> Page:
    folders = [samples.folder_of(target / f"run{i}", log) for i, log in enumerate(logs)]
    return Page(write_report(folders, target / "page.html"))


def unpacked(columns: dict[str, Any], rows: slice = slice(None)) -> pd.DataFrame:
    """Columns as the page's script reads them."""

    def cells(column: dict[str, Any]) -> list[Any]:
        if "values" in column:
            return column["values"][rows]
        return [None if code < 0 else column["words"][code] for code in column["codes"][rows]]

    return pd.DataFrame({name: cells(column) for name, column in columns.items()})


def test_the_data_are_those_of_the_tables(tmp_path: Path) -> None:
    data = page_of(tmp_path, samples.sweep()).data()
    trials, layers, epochs = (pd.read_csv(tmp_path / f"run0/{name}.csv") for name in ("trials", "layers", "epochs"))
    done = trials[trials["state"] == "done"].reset_index(drop=True)
    held = unpacked(data["trials"])
    assert len(done) == len(held) == len(data["titles"]) == 9
    shared = [name for name in held.columns if name != "folder"]
    assert set(trials.columns) - set(shared) == {"schema", "state", "reason"}
    same = {"check_dtype": False, "rtol": 1e-5}
    pd.testing.assert_frame_equal(
        held[["trial", "params", "loss_finetuned"]], done[["trial", "params", "loss_finetuned"]], **same
    )
    for number, trial in enumerate(done["trial"]):
        for name, table in (("layers", layers), ("epochs", epochs)):
            starts = data[name]["starts"]
            rows = unpacked(data[name]["columns"], slice(starts[number], starts[number + 1])).dropna(axis=1, how="all")
            mine = table.loc[table["trial"] == trial, rows.columns].reset_index(drop=True)
            pd.testing.assert_frame_equal(rows.astype(mine.dtypes), mine, **same)


def test_every_trial_is_a_row_and_every_failure_has_its_reason(tmp_path: Path) -> None:
    page = page_of(tmp_path, samples.sweep())
    table = page.data()["table"]
    assert table["numbers"] == list(range(9))
    assert {len(column["codes"]) for column in table["columns"]} == {9}
    (keys,) = [column["words"] for column in table["columns"] if column["head"] == "trial"]
    assert keys == ["d", *(f"t{i}" for i in range(8))]
    assert "finetune: DivergedError: loss became nan" in page.texts("td")
    assert "not in layer set early" in page.texts("td")


def judged(key: str, *, search: int, test: int, macs: int = 50, **changes: object) -> Measurement:
    """A trial with so many right answers of 100 on the two splits, the first images."""
    made = samples.measurement(samples.trial(key, **changes), correct=test, macs=macs, arch=key)
    right = {count: np.packbits(np.arange(100) < count).tobytes().hex() for count in (search, test)}
    seen = {count: Accuracy(correct=count, samples=100, loss=0.5, right=mask) for count, mask in right.items()}
    return replace(made, finetuned=seen[test], search=seen[search])


def twice(ratios: dict[str, float]) -> list[Session]:
    """A timing by two processes."""
    return [samples.session(ratios, noise=0.02, series="s", process=process) for process in range(2)]


def test_every_pick_that_is_shown_is_that_of_recommend(tmp_path: Path, lrbench) -> None:
    """The second is best on the test split, which the page chose by, once; the first is best on the search split."""
    dense = {"scheme": "dense", "layer_set": "none", "rank_rule": "none"}
    log = [
        judged("dense", search=85, test=80, macs=100, **dense),
        judged("a1", search=92, test=78, macs=80, rank_rule="rank=80"),
        judged("a2", search=70, test=90, macs=50, rank_rule="rank=50"),
        judged("a3", search=91, test=79, macs=90, rank_rule="rank=90"),
        *twice({"a1": 0.7, "a2": 0.5, "a3": 0.6}),
    ]
    results = Results(samples.folder_of(tmp_path / "run", log))
    words = Page(write_report([results.folder], tmp_path / "page.html")).texts("li")
    macs, latency = usual_picks(results)
    for pick, cost, shown in ((macs, "macs", words[2]), (latency, "latency", words[3])):
        asked = ("--max-drop", 1, "--minimise", cost, "--format", "json")
        told = json.loads(lrbench("recommend", results.folder, *asked).output)
        assert pick.found.point is not None
        assert told["recommended"]["trial"] == pick.found.point["trial"]
        assert f"trial {told['recommended']['trial']} ({told['constraints'][0]['probability']:.0%} sure" in shown
        assert f"On the test split it has {told['recommended']['test_accuracy']:.1%}" in " ".join(words)
    assert "Fewest MACs: channel, layers early, rank=80, trial a1" in words[2]
    assert "least latency: channel, layers early, rank=90, trial a3" in words[3]
    assert "a speed-up of 1.6" in words[3]
    assert [pick.marked for pick in usual_picks(results)] == ["a1", None], "tables mark that of the fewest MACs"
    assert "a2" not in " ".join(words)


def test_the_page_says_when_nothing_is_sure_enough_or_faster(tmp_path: Path) -> None:
    dense = {"scheme": "dense", "layer_set": "none", "rank_rule": "none"}
    log = [
        judged("dense", search=90, test=80, macs=100, **dense),
        judged("a1", search=60, test=60, macs=50, rank_rule="rank=50"),
        *twice({"a1": 1.2}),
    ]
    words = page_of(tmp_path, log).texts("li")
    assert "Fewest MACs: no point is sure enough" in words[2]
    assert "Nothing here is faster than dense. 1 of 1 points timed are significantly slower" in words[3]
    words = page_of(tmp_path / "one", log[:-1]).texts("li")
    assert words[3].endswith("Nothing here is faster than dense."), "one process has no interval: nothing is sure"


def test_names_run_no_script_and_load_nothing(tmp_path: Path) -> None:
    page = page_of(tmp_path, samples.hostile(), samples.sweep())
    scripts = [words for tag, _, words in page.elements if tag == "script"]
    assert len(scripts) == 1 + len(SCRIPTS), "the data, d3, the page's own"
    tags = {tag for tag, _, _ in page.elements}
    assert not tags & {"img", "iframe", "object", "embed", "link", "svg", "base"}
    for tag, attributes, _ in page.elements:
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
        assert "src" not in attributes
        assert attributes.get("href", "#").startswith("#")
    assert samples.EVIL in page.texts("td"), "shown as it is"
    assert samples.EVIL in page.data()["trials"]["layer_set"]["words"]


def test_the_browser_is_told_to_run_the_pages_scripts_only(tmp_path: Path) -> None:
    page = page_of(tmp_path, samples.sweep())
    (policy,) = [a["content"] for _, a, _ in page.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "connect-src 'none'" in policy
    assert "http" not in policy
    (allowed,) = [part for part in policy.split("; ") if part.startswith("script-src")]
    scripts = ["".join(words) for tag, a, words in page.elements if tag == "script" and a.get("type") is None]
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts]
    assert allowed == "script-src " + " ".join(f"'sha256-{digest}'" for digest in digests)


def test_embedded_data_read_back_and_cannot_end_their_element() -> None:
    held = {"a": [samples.EVIL, "<!--", "\u2028", 1.5, None, True]}
    text = compressed(held)
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")
    assert decompressed(text) == held


def test_the_same_tables_give_the_same_page(tmp_path: Path) -> None:
    folder = samples.folder_of(tmp_path / "run", samples.sweep())
    a, b = (write_report([folder], tmp_path / name).read_bytes() for name in ("a.html", "b.html"))
    assert a == b


def test_folders_overlay_by_name_and_environments_are_named(tmp_path: Path) -> None:
    names = {f"a{i}": 0.3 + 0.05 * i for i in range(8)}
    other = [one for one in samples.sweep() if not isinstance(one, samples.Session)]
    page = page_of(tmp_path, samples.sweep(), [*other, samples.session(names, environment="e1")])
    data = page.data()
    assert [group["recipe"].split(":")[0] for group in data["decide"]] == ["run0", "run1"]
    assert [group["settings"][0]["environment"] for group in data["decide"]] == ["e0", "e1"]
    assert {chart["title"].split(":")[0] for chart in data["charts"]} == {"run0", "run1"}
    panels = [panel["name"] for chart in data["charts"] for panel in chart["panels"]]
    assert {name.split("(")[-1] for name in panels if "cpu" in name} == {"e0)", "e1)"}
    assert unpacked(data["trials"])["folder"].tolist() == ["run0"] * 9 + ["run1"] * 9


def test_every_figure_that_the_tables_feed_is_a_chart(tmp_path: Path) -> None:
    """Each chart of the table is drawn of the published study, which holds all that a sweep measures."""
    study = Path(__file__).parents[2] / "results" / "imagenette"
    titles = [chart["title"] for chart in Page(write_report([study], tmp_path / "page.html")).data()["charts"]]
    assert titles == [chart.title for chart in CHARTS]


def test_the_page_is_small(tmp_path: Path) -> None:
    """A hundred trials and their data take far less than 2 MB, of which 0.3 MB are d3."""
    size = write_report([samples.folder_of(tmp_path / "run", samples.many(100))], tmp_path / "page.html").stat().st_size
    assert size < 500_000


@pytest.mark.long
@pytest.mark.parametrize(
    "log",
    [
        [],
        [samples.failure(samples.trial())],
        [samples.measurement(samples.trial())],
        [samples.measurement(samples.trial()), samples.session({"a0": 0.5}, rounds=1)],
        [samples.measurement(samples.trial("d", scheme="dense")), samples.session({})],
        [samples.session({"a0": 0.5})],
    ],
    ids=["nothing", "a failure", "no control", "one round", "dense only", "timings only"],
)
def test_little_is_a_page_too(log: list[samples.Record], tmp_path: Path) -> None:
    page = page_of(tmp_path, log)
    assert page.texts("h2")[:6] == ["Decide", "Summary", "Why", "Compare", "All trials", "Charts"]
    assert set(page.data()) >= {"decide", "charts", "table", "layers"}


def test_labels_are_the_shortest_ends_that_differ() -> None:
    assert label_folders([Path("results/a"), Path("results/b")]) == ("a", "b")
    assert label_folders([Path("old/digits"), Path("new/digits")]) == ("old/digits", "new/digits")
    with pytest.raises(InputError, match="results/a is named twice"):
        label_folders([Path("results/a"), Path("x/../results/a")])


def test_the_command_writes_beside_the_tables_and_says_where(tmp_path: Path, lrbench) -> None:
    first, second = (samples.folder_of(tmp_path / name, samples.sweep()) for name in ("one", "two"))
    result = lrbench("report", first)
    assert result.exit_code == 0, result.output
    assert "report.html" in result.output
    assert lrbench("report", first, second).exit_code == 0
    assert sorted(path.name for path in first.glob("*.html")) == ["comparison.html", "report.html"]
    wrong = lrbench("report", tmp_path)
    assert (wrong.exit_code, "is no results folder" in wrong.output) == (2, True)
    blocked = lrbench("report", first, "--out", first / "trials.csv" / "x.html")
    assert (blocked.exit_code, "cannot be written" in blocked.output) == (2, True)


@pytest.mark.long
def test_ten_thousand_trials_would_make_a_page_of_ten_megabytes_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By what a trial more adds, with all that a real trial holds, and the most that masks of answers may take."""
    monkeypatch.setattr(answer_data, "__kwdefaults__", {"most_bytes": 0})
    records, sizes = read_records(Path(__file__).parents[2] / "results" / "imagenette"), {}
    for count in (100, 300):
        folder = samples.folder_of(tmp_path / str(count), list(tiled(records, count)))
        sizes[count] = write_report([folder], tmp_path / f"{count}.html").stat().st_size
    assert sizes[100] < 2_000_000
    assert sizes[100] + (sizes[300] - sizes[100]) / 200 * 9_900 + MOST_BYTES * 4 / 3 < 10_000_000
