"""Columns are declared once: what is written, read, checked and said in results/README.md follows from the table."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd
import pytest
import samples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lrbench.config.axes import AXES
from lrbench.errors import InputError
from lrbench.results import columns
from lrbench.results.columns import TABLES
from lrbench.results.columns.column import SHARE, TEXT, WHEN_DONE, Column, Flag, Number, Text
from lrbench.results.columns.outcomes import measured
from lrbench.results.environment import Environment
from lrbench.results.readme import renewed, tables_markdown
from lrbench.results.records import Accuracy, Measurement, Prediction, Record
from lrbench.results.sessions import Gpu, Setting
from lrbench.results.tables import build_tables, guarded, load_table

ROOT = Path(__file__).parents[2]
COLUMNS = [(name, column) for name, table in TABLES.items() for column in table.columns]


def full_log() -> list[Record]:
    """A log in which every column of every table has a cell that is not empty."""
    judged = Accuracy(correct=3, samples=4, loss=0.5, right="e0")
    everything = replace(
        samples.measurement(samples.trial("full")),
        truncated=judged,
        recalibrated=judged,
        search=judged,
        search_truncated=judged,
        search_recalibrated=judged,
        deterministic=True,
        threads=1,
        predicted=Prediction(params=1, macs=2, damage=-0.1, latency_ratio=0.5),
        layers=(samples.layer(denormal_share=0.25), samples.layer("fc", rank=None, reason="small")),
    )
    probed = samples.sensitivity("conv1", {8: 0.5})
    probes = tuple(replace(probe, search=judged, divergence=1e-3) for probe in probed.probes)
    gpu = Gpu(sm_clock_hz=1e9, memory_clock_hz=2e9, temperature_c=40.0, throttling="none")
    timed = samples.session({"a0": 0.5}, rounds=2, warmup_s=(1.0,) * 3, peak_bytes=(7, 8, 9), ended="precision")
    rounds = tuple(replace(one, load=0.1, steal_s=0.0, gpu=gpu) for one in timed.rounds)
    layers = replace(samples.layer_session({("channel", 8): 0.5}), peak_bytes=(7, 8, 9), ended="limit")
    texts = {name: "x" for name, kind in Environment.__annotations__.items() if kind is str}
    machine = Environment(**texts, cpus=2, memory_bytes=10**10, mkldnn=True)
    return [
        *samples.sweep(),
        everything,
        replace(probed, probes=probes, search=judged),
        replace(timed, rounds=rounds),
        layers,
        machine,
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return samples.folder_of(tmp_path_factory.mktemp("columns") / "r", full_log())


@pytest.mark.parametrize("name", TABLES)
def test_a_table_has_its_columns_once_and_each_has_a_meaning(name: str) -> None:
    names = TABLES[name].names
    assert len(set(names)) == len(names)
    assert "schema" not in names
    assert all(column.meaning.strip() and "|" not in column.meaning for column in TABLES[name].columns)
    assert all(column.at_most in names for column in TABLES[name].columns if column.at_most)


@pytest.mark.parametrize("name", TABLES)
def test_a_table_read_back_is_the_table_built(name: str, folder: Path) -> None:
    built, read = build_tables(full_log())[name], load_table(folder, name)
    assert list(read.columns) == list(built.columns) == ["schema", *TABLES[name].names]
    assert len(read) == len(built) > 0
    for column in TABLES[name].columns:
        before, after = built[column.name], read[column.name]
        assert before.notna().any(), f"{column.name} is not tried: it is empty"
        assert (before.replace("", None).isna() == after.isna()).all(), column.name
        whole = after.notna()
        if isinstance(column.kind, Number):
            np.testing.assert_allclose(after[whole].astype(float), before[whole].astype(float), rtol=1e-14)
        else:
            assert after[whole].tolist() == before[whole].tolist(), column.name


def cells_of(column: Column) -> st.SearchStrategy:
    """Any cell that a column may hold."""
    match column.kind:
        case Text() as text:
            return (
                st.from_regex(text.pattern, fullmatch=True) if text.pattern else st.text("'=+-@\t10aé,\"\n", min_size=1)
            )
        case Flag():
            return st.booleans()
        case Number() as number if number.whole:
            return st.integers(int(number.above) + 1 if number.above > -math.inf else int(number.least), 2**53)
        case Number() as number:
            low = max(number.least, number.above)
            return st.floats(low, number.most, exclude_min=low == number.above, allow_subnormal=False)


def rows_of(name: str) -> st.SearchStrategy:
    """Any row of a table without an empty cell; what may be at most something else is equal to it."""
    table = TABLES[name]
    limits = {column.name: column.at_most for column in table.columns if column.at_most}
    cells = st.fixed_dictionaries({column.name: cells_of(column) for column in table.columns})
    return cells.map(lambda row: row | {at_most: row[limit] for at_most, limit in limits.items()})


@pytest.mark.parametrize("name", TABLES)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_the_declarations_allow_is_read_as_it_was_written(name: str, data: st.DataObject, tmp_path) -> None:
    rows = data.draw(st.lists(rows_of(name), min_size=1, max_size=3))
    table = TABLES[name]
    frame = pd.DataFrame([{"schema": 1} | row for row in rows], columns=["schema", *table.names])
    guarded(frame).to_csv(tmp_path / f"{name}.csv", index=False)
    read = load_table(tmp_path, name)
    for column in table.columns:
        written = [row[column.name] for row in rows]
        if isinstance(column.kind, Number):
            assert read[column.name].tolist() == pytest.approx(written, rel=1e-14), column.name
        else:
            empty_or = [cell if cell != "" else None for cell in written]
            assert read[column.name].replace({np.nan: None}).tolist() == empty_or, column.name


def wrong_cells(column: Column) -> list[tuple[str, str]]:
    """Cells that a column refuses, and what it says is allowed."""
    found = [("", column.filled.words)] if column.filled else []
    match column.kind:
        case Text() as text:
            found += [("\x01", text.allowed)] if text.pattern else []
        case Flag():
            found += [("maybe", "True or False"), ("2", "True or False")]
        case Number() as number:
            found += [("much", "a number"), ("True", "a number"), ("inf", "a finite number")]
            found += [("1e300", "in "), (str(-1e300 if number.least < 0 else number.least - 0.5), "in ")]
            found += [("0.5", "a whole number")] if number.whole else [(str(number.most * 1.5), "in ")]
            found += [(str(number.above), "above ")] if number.above > -math.inf else []
    return found + ([("1e18", f"at most {column.at_most}")] if column.at_most else [])


@pytest.mark.parametrize(("name", "column"), COLUMNS, ids=[f"{name}-{column.name}" for name, column in COLUMNS])
def test_a_column_refuses_what_it_may_not_hold(name: str, column: Column, folder: Path, tmp_path: Path) -> None:
    written = pd.read_csv(folder / f"{name}.csv", dtype=str, keep_default_na=False)
    line = written.index[written[column.name] != ""][-1]
    for cell, allowed in wrong_cells(column):
        edited = written.copy()
        edited.loc[line, column.name] = cell
        edited.to_csv(tmp_path / f"{name}.csv", index=False)
        with pytest.raises(InputError) as refused:
            load_table(tmp_path, name)
        place = f"{tmp_path / name}.csv, line {line + 2}: {column.name} must be {allowed}"
        assert str(refused.value).startswith(place), cell


@pytest.mark.parametrize(("name", "column"), [(name, column) for name, column in COLUMNS if column.formerly])
def test_a_column_is_read_by_its_former_name(name: str, column: Column, folder: Path, tmp_path: Path) -> None:
    header, rest = (folder / f"{name}.csv").read_text().split("\n", 1)
    older = f",{header},".replace(f",{column.name},", f",{column.formerly},").strip(",")
    assert older != header
    (tmp_path / f"{name}.csv").write_text(f"{older}\n{rest}")
    pd.testing.assert_frame_equal(load_table(tmp_path, name), load_table(folder, name))


@pytest.mark.parametrize("name", ["latency", "layer_latency"])
def test_the_axes_of_a_setting_are_columns(name: str) -> None:
    setting = Setting(device="cuda", batch_size=8, threads=2, memory_format="m", dtype="d", runtime="r", folded=True)
    assert tuple(vars(setting)) == tuple(AXES)
    log = [replace(record, setting=setting) if hasattr(record, "setting") else record for record in full_log()]
    assert {tuple(row) for row in build_tables(log)[name][list(AXES)].to_numpy()} == {tuple(vars(setting).values())}


@pytest.mark.parametrize("name", sorted({path.parent.name for path in ROOT.glob("results/*/records.jsonl*")}))
def test_published_tables_pass_their_checks(name: str) -> None:
    for table in TABLES:
        load_table(ROOT / "results" / name, table)


def test_the_readme_says_what_each_column_means() -> None:
    readme = (ROOT / "results/README.md").read_text(encoding="utf-8")
    assert renewed(readme) == readme, "the columns have changed: python bench/write_tables.py renews results/README.md"
    assert all(f"`{column.name}`" in tables_markdown() for _, column in COLUMNS)


def macs_a_param(row: Measurement) -> float:
    return row.cost.macs / row.cost.params


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Callable[[Column], None]:
    """Declares one more column of trials."""

    def declare(column: Column) -> None:
        trials = replace(TABLES["trials"], columns=(*TABLES["trials"].columns, column))
        monkeypatch.setattr(columns, "TABLES", MappingProxyType({**TABLES, "trials": trials}))

    return declare


def test_a_metric_is_one_entry_of_the_table(toy: Callable[[Column], None], tmp_path: Path) -> None:
    toy(Column("macs_a_param", SHARE, measured(macs_a_param), "how often a weight is used", filled=WHEN_DONE))
    folder = samples.folder_of(tmp_path, samples.sweep())
    assert load_table(folder, "trials")["macs_a_param"].tolist() == [0.5] * 9 + [pytest.approx(np.nan, nan_ok=True)]
    assert "| `macs_a_param` | how often a weight is used |" in tables_markdown()
    header, *lines = (folder / "trials.csv").read_text().splitlines()
    assert header.endswith(",macs_a_param")
    for cell, allowed in (("1.5", r"in 0\.\.1"), ("", "not empty, since the trial is done"), ("x", "a number")):
        edited = [header, lines[0], lines[1].removesuffix("0.5") + cell, *lines[2:]]
        (folder / "trials.csv").write_text("\n".join(edited) + "\n")
        with pytest.raises(InputError, match=rf"trials\.csv, line 3: macs_a_param must be {allowed}, got"):
            load_table(folder, "trials")


def test_a_column_that_an_older_table_lacks_is_named(toy: Callable[[Column], None], tmp_path: Path) -> None:
    folder = samples.folder_of(tmp_path, samples.sweep())
    toy(Column("mood", TEXT, lambda row: row.trial.key, "how it felt"))
    with pytest.raises(InputError, match="lacks the columns mood: an older lrbench wrote it"):
        load_table(folder, "trials")
