"""The results folder when disks, other processes and strangers do what they do; no torch."""

import json
import os
import socket
import subprocess
from pathlib import Path

import pandas as pd
import pytest
import samples
from hypothesis import given
from hypothesis import strategies as st

from lrbench.errors import InputError
from lrbench.limits import in_words, require_disk, require_memory, require_writable
from lrbench.results.files import read_file
from lrbench.results.log import LOG, Store, read_records, set_aside
from lrbench.results.tables import build_tables, guarded, unguarded


def test_a_full_disk_loses_nothing_and_the_next_writer_goes_on(small_disk: Path) -> None:
    folder = small_disk / "results"
    with Store(folder) as store:
        store.append(samples.measurement(samples.trial("t0")))
        (small_disk / "filler").write_bytes(b"x" * (os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_bsize))
        big = samples.failure(samples.trial("t1"), reason="x" * 50_000)
        with pytest.raises(InputError, match=r"records\.jsonl cannot be written: No space left on device"):
            store.append(big)
    assert [record.trial.key for record in read_records(folder)] == ["t0"]
    assert (folder / LOG).read_bytes().endswith(b"\n"), "nothing of the record that found no room"
    (small_disk / "filler").unlink()
    with Store(folder) as store:
        store.append(samples.failure(samples.trial("t1")))
    assert pd.read_csv(folder / "trials.csv")["trial"].tolist() == ["t0", "t1"]


def test_a_disk_that_is_read_only_is_an_input_error(small_disk: Path) -> None:
    samples.folder_of(small_disk / "results", [samples.measurement(samples.trial())])
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(InputError, match=r"results cannot be written: Read-only file system"):
        Store(small_disk / "results").__enter__()
    with pytest.raises(InputError, match="Read-only file system"):
        require_writable(small_disk / "results")
    assert len(read_records(small_disk / "results")) == 1, "readers need no lock"


def test_a_folder_that_vanishes_is_an_input_error_that_names_it(tmp_path: Path) -> None:
    with Store(tmp_path / "r") as store:
        store.append(samples.spectra())
        (tmp_path / "r").rename(tmp_path / "gone")
        with pytest.raises(InputError, match=r"r/records\.jsonl cannot be written: No such file or directory"):
            store.append(samples.spectra("t0"))
    assert read_records(tmp_path / "gone") == [samples.spectra()]


def test_a_log_that_something_else_changed_is_not_written_to(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.append(samples.spectra())
        before = (tmp_path / LOG).read_bytes()
        (tmp_path / LOG).write_bytes(before * 2)
        with pytest.raises(InputError, match="was changed by something else while this command wrote it"):
            store.append(samples.spectra("t0"))
    assert (tmp_path / LOG).read_bytes() == before * 2


def test_a_second_writer_is_told_who_the_first_is(tmp_path: Path) -> None:
    with Store(tmp_path), pytest.raises(InputError, match=f"process {os.getpid()} on {socket.gethostname()} since 20"):
        Store(tmp_path).__enter__()
    with Store(tmp_path) as store:
        assert store.notices == ()


def test_a_writer_that_died_blocks_nobody_and_is_mentioned(tmp_path: Path) -> None:
    folder = samples.folder_of(tmp_path / "r", [samples.spectra()])
    (folder / ".lock").touch()
    (folder / ".writer").write_text(json.dumps({"pid": 999999, "host": "elsewhere", "started": "2026-01-01"}))
    with (folder / LOG).open("a") as log:
        log.write('{"schema"')
    with Store(folder) as store:
        died, torn = store.notices
        assert "process 999999 on elsewhere since 2026-01-01 ended without closing" in died
        assert "was torn (9 bytes): moved to" in torn
        assert store.records == [samples.spectra()]
    assert not (folder / ".writer").exists()


def test_a_reader_sees_whole_records_while_one_is_being_written(tmp_path: Path) -> None:
    folder = samples.folder_of(tmp_path, [samples.spectra()])
    with (folder / LOG).open("a") as log:
        log.write('{"schema":1,"kind":"spec')
        log.flush()
        assert read_records(folder) == [samples.spectra()]


@pytest.mark.parametrize("separator", ["\u2028", "\x85", "\r", "\x0b", "\x1c"])
def test_a_reason_may_hold_any_line_separator(separator: str, tmp_path: Path) -> None:
    failed = samples.failure(samples.trial(), reason=f"a{separator}b")
    assert read_records(samples.folder_of(tmp_path, [failed])) == [failed]


@pytest.mark.parametrize(
    ("version", "message"),
    [
        ("2", "a newer lrbench wrote this; update lrbench"),
        ("0", "an older lrbench wrote this; repeat the sweep"),
    ],
)
def test_other_schema_versions_are_told_apart(version: str, message: str, tmp_path: Path) -> None:
    folder = samples.folder_of(tmp_path, samples.sweep())
    for path, old, new in (
        (folder / LOG, '{"schema":1', '{"schema":' + version),
        (folder / "trials.csv", "\n1,", f"\n{version},"),
    ):
        path.write_text(path.read_text().replace(old, new))
    with pytest.raises(InputError, match=rf"records\.jsonl, line 1, .*{message}"):
        Store(folder).__enter__()
    from lrbench.results.tables import load_table

    with pytest.raises(InputError, match=rf"trials\.csv cannot be read.*{message}"):
        load_table(folder, "trials")


def test_a_folder_is_moved_aside_whole_and_never_over_another(tmp_path: Path) -> None:
    assert set_aside(tmp_path / "r") is None
    for number in (1, 2):
        samples.folder_of(tmp_path / "r", [samples.spectra(f"t{number}")])
        assert set_aside(tmp_path / "r") == tmp_path / f"r.old-{number}"
        assert read_records(tmp_path / f"r.old-{number}") == [samples.spectra(f"t{number}")]
        assert not (tmp_path / "r").exists()
    with Store(tmp_path / "r"), pytest.raises(InputError, match="is being written by process"):
        set_aside(tmp_path / "r")


def test_what_a_spreadsheet_would_run_is_text_in_a_table(tmp_path: Path) -> None:
    from lrbench.results.tables import load_table

    names = ["=cmd()", "+1", "-1", "@sum", "\tx", "\rx", "'=quoted", "plain", "'plain"]
    records = [samples.measurement(samples.trial(f"t{i}", layer_set=name)) for i, name in enumerate(names)]
    folder = samples.folder_of(tmp_path, records)
    raw = pd.read_csv(folder / "trials.csv", keep_default_na=False)
    assert not raw["layer_set"].str.match(r"[=+\-@\t\r]").any()
    assert (raw["params"] == 100).all(), "numbers stay numbers"
    assert load_table(folder, "trials")["layer_set"].tolist() == [name.replace("\r", "\n") for name in names]


@given(st.lists(st.text(st.sampled_from("'=+-@\tab\n")), min_size=1))
def test_guarding_is_undone_exactly_and_leaves_no_formula(texts: list[str]) -> None:
    safe = guarded(pd.DataFrame({"text": texts, "number": range(len(texts))}))
    assert not safe["text"].str.match(r"[=+\-@\t\r]").any()
    assert unguarded(safe, ["text"])["text"].tolist() == texts


def test_attempt_and_fault_of_a_trial_are_columns() -> None:
    planned = samples.trial()
    table = build_tables([samples.failure(planned)])["trials"]
    assert table[["state", "failure", "attempt"]].to_numpy().tolist() == [["failed", "failed", 1]]


def test_disk_and_memory_that_will_not_do_are_refused_in_numbers(tmp_path: Path) -> None:
    require_disk(tmp_path, 5, what="models", free=lambda _: 5)
    with pytest.raises(InputError, match=r"has 2\.0 GB of free disk space, but 40 models need about 3\.5 GB"):
        require_disk(tmp_path, 3_500_000_000, what="40 models", free=lambda _: 2_000_000_000)
    require_memory(1, what="a bit")
    with pytest.raises(InputError, match=r"of memory is free, but too much need at least 1,000,000\.0 GB"):
        require_memory(10**15, what="too much")
    assert [in_words(size) for size in (0, 999, 1500, 2.5e6)] == ["0 bytes", "999 bytes", "1.5 kB", "2.5 MB"]


@pytest.mark.parametrize("name", ["seed", "truncation", "imagenette", "recipes"])
def test_published_tables_are_views_of_their_logs(name: str, tmp_path: Path) -> None:
    folder = Path(__file__).parents[2] / "results" / name
    for table, frame in build_tables(read_records(folder)).items():
        guarded(frame).to_csv(tmp_path / "again.csv", index=False)
        assert (tmp_path / "again.csv").read_bytes() == read_file(folder / f"{table}.csv"), table
