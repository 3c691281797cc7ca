"""Records, the log and its tables, and what happens when they are damaged."""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import samples
from hypothesis import given
from hypothesis import strategies as st

from lrbench.errors import InputError
from lrbench.results.columns import TABLES
from lrbench.results.environment import Environment
from lrbench.results.log import LOG, Store, read_records
from lrbench.results.records import (
    Accuracy,
    Failure,
    Measurement,
    Planned,
    Record,
    SpecRecord,
    Spectra,
    from_line,
    to_line,
)
from lrbench.results.sessions import LayerSession, Session
from lrbench.results.tables import build_tables, load_table

st.register_type_strategy(float, st.floats(allow_nan=False))
st.register_type_strategy(
    Accuracy,
    st.integers(1, 2**62).flatmap(
        lambda samples: st.builds(Accuracy, samples=st.just(samples), correct=st.integers(0, samples))
    ),
)


@given(
    record=st.one_of(
        *map(st.builds, (Measurement, Failure, Planned, Spectra, SpecRecord, Session, LayerSession, Environment))
    )
)
def test_a_record_read_back_is_the_record_written(record: Record) -> None:
    line = to_line(record)
    assert "\n" not in line
    assert from_line(line) == record
    assert json.loads(line)["schema"] == 1


def written(folder: Path, records: list[Record]) -> Path:
    with Store(folder) as store:
        for record in records:
            store.append(record)
    return folder


def test_the_log_holds_every_record_in_order(tmp_path: Path) -> None:
    assert read_records(written(tmp_path / "r", samples.sweep())) == samples.sweep()


def test_tables_have_their_columns_and_nothing_is_rounded(tmp_path: Path) -> None:
    folder = written(tmp_path, samples.sweep())
    for name, table in TABLES.items():
        frame = pd.read_csv(folder / f"{name}.csv")
        assert list(frame.columns) == ["schema", *table.names]
    latency = pd.read_csv(folder / "latency.csv")
    assert set(latency["latency_s"]) >= {0.4 + 0.07 * 3, (0.4 + 0.07 * 3) * 1.02}
    assert len(latency) == 9 * 10


def test_a_failed_trial_is_a_row_and_a_retry_replaces_it() -> None:
    planned = samples.trial()
    table = build_tables([samples.failure(planned)])["trials"]
    assert table[["state", "reason"]].to_numpy().tolist() == [["failed", "finetune: DivergedError: loss became nan"]]
    table = build_tables([samples.failure(planned), samples.measurement(planned)])["trials"]
    assert table["state"].tolist() == ["done"]


def test_a_dense_layer_has_no_rank_but_a_reason() -> None:
    table = build_tables([samples.measurement(samples.trial())])["layers"]
    assert table["rank"].isna().tolist() == [False, True]
    assert table["reason"].tolist()[1] == "not in layer set early"


def test_a_torn_last_line_is_put_aside_and_the_rest_kept(tmp_path: Path) -> None:
    folder = written(tmp_path, samples.sweep())
    with (folder / LOG).open("a") as log:
        log.write('{"schema":1,"kind":"tri')
    with Store(folder) as store:
        assert store.records == samples.sweep()
        store.append(samples.spectra())
    assert read_records(folder)[:-1] == samples.sweep()
    assert (folder / f"{LOG}.torn").read_text() == '{"schema":1,"kind":"tri\n'


@pytest.mark.parametrize(
    "damage", ["{}", "nonsense", '{"schema":2,"kind":"trial"}', '{"schema":1,"kind":"trial"}', "[1]"]
)
def test_any_other_damage_names_file_and_line_and_changes_nothing(damage: str, tmp_path: Path) -> None:
    folder = written(tmp_path, [samples.spectra()])
    content = (folder / LOG).read_text() + damage + "\n" + to_line(samples.spectra()) + "\n"
    (folder / LOG).write_text(content)
    with pytest.raises(InputError, match=r"records\.jsonl, line 2, is no record"):
        Store(folder).__enter__()
    assert (folder / LOG).read_text() == content
    (folder / LOG).write_text("")
    with Store(folder):
        pass


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    with Store(tmp_path), pytest.raises(InputError, match="is being written by process"):
        Store(tmp_path).__enter__()
    with Store(tmp_path):
        pass


def test_a_folder_that_cannot_be_made_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        Store(tmp_path / "file" / "results").__enter__()


def test_tables_follow_the_log_in_a_tenth_of_the_time_and_wholly_at_the_end(tmp_path: Path) -> None:
    """Rewriting takes 1 s by this clock: the tables are written at once, then not before 10 s have passed."""
    now = [0.0]
    seen = []

    def clock() -> float:
        now[0] += 0.5
        return now[0]

    with Store(tmp_path, clock=clock) as store:
        for number in range(30):
            store.append(samples.measurement(samples.trial(f"t{number}")))
            seen.append(len(pd.read_csv(tmp_path / "trials.csv")))
            assert len(read_records(tmp_path)) == number + 1, "the log is never behind"
    assert seen[0] == 1
    assert 2 < len(set(seen)) < 10
    assert len(pd.read_csv(tmp_path / "trials.csv")) == 30


def test_what_was_once_called_mode_is_read_as_runtime(tmp_path: Path) -> None:
    session = replace(samples.session({"a0": 0.5}), setting=replace(samples.SETTING, runtime="compile"))
    spec = SpecRecord(started="2026", keys=(("latency.runtimes", '["eager"]'),))
    for record, name in ((session, "runtime"), (spec, "runtimes")):
        assert from_line(to_line(record).replace(f'{name}"', f'{name.replace("runtime", "mode")}"')) == record
    folder = written(tmp_path, [session])
    table = load_table(folder, "latency")
    assert set(table["runtime"]) == {"compile"}
    (folder / "latency.csv").write_text((folder / "latency.csv").read_text().replace(",runtime,", ",mode,"))
    pd.testing.assert_frame_equal(load_table(folder, "latency"), table)
