"""Files of a results folder, as they are and packed: what a kill, a torn copy or a second copy may do to them."""

import gzip
import os
import tempfile
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pandas as pd
import pytest
import samples
from hypothesis import given
from hypothesis import strategies as st

from lrbench.errors import InputError
from lrbench.results.files import is_there, pack, packed, read_file, unpack
from lrbench.results.log import LOG, Store, read_records
from lrbench.results.publish import pack_folder
from lrbench.results.records import Record
from lrbench.results.tables import load_table


def packed_folder(path: Path, records: list[Record] | None = None) -> Path:
    folder = samples.folder_of(path, records or samples.sweep())
    pack_folder(folder, least_bytes=0)
    return folder


@given(st.binary())
def test_what_is_packed_reads_and_unpacks_as_it_was(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "a.csv"
        path.write_bytes(content)
        pack(path)
        assert (path.exists(), is_there(path), read_file(path)) == (False, True, content)
        assert unpack(path)
        assert (path.read_bytes(), packed(path).exists(), unpack(path)) == (content, False, False)


def test_packing_gives_the_same_bytes_whenever_and_wherever(tmp_path: Path) -> None:
    made = []
    for name, seconds in (("here/a.csv", 1), ("there/b.csv", 2_000_000_000)):
        path = tmp_path / name
        path.parent.mkdir()
        path.write_bytes(b"schema,trial\n1,a\n" * 1000)
        os.utime(path, (seconds, seconds))
        pack(path)
        made.append(packed(path).read_bytes())
    assert made[0] == made[1]
    flags, moment = made[0][3], made[0][4:8]
    assert (flags, moment) == (0, b"\0\0\0\0"), "neither a file name nor a time is in it"


@pytest.mark.parametrize("change", [pack, unpack])
@pytest.mark.parametrize("step", range(4))
def test_a_kill_between_any_two_steps_loses_nothing(
    change: Callable[[Path], object], step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = samples.folder_of(tmp_path, samples.sweep())
    if change is unpack:
        pack(folder / LOG)
    taken = count()

    def killed(effect: Callable[..., object]) -> Callable[..., object]:
        def do(*words: object, **options: object) -> object:
            if next(taken) == step:
                raise KeyboardInterrupt
            return effect(*words, **options)

        return do

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", killed(os.fsync))
        patched.setattr(Path, "replace", killed(Path.replace))
        patched.setattr(Path, "unlink", killed(Path.unlink))
        with pytest.raises(KeyboardInterrupt):
            change(folder / LOG)
    assert read_records(folder) == samples.sweep()
    change(folder / LOG)
    assert read_records(folder) == samples.sweep()
    assert (folder / LOG).exists() is not packed(folder / LOG).exists()
    with Store(folder) as store:
        assert store.records == samples.sweep()


def test_a_writer_unpacks_the_log_says_so_and_leaves_plain_tables(tmp_path: Path) -> None:
    folder = packed_folder(tmp_path)
    assert {path.suffix for path in folder.iterdir() if not path.name.startswith(".")} == {".gz"}
    with Store(folder, create=False) as store:
        assert store.notices == (f"{folder / LOG}.gz was unpacked, to be appended to",)
        store.append(samples.failure(samples.trial("new")))
    assert read_records(folder) == [*samples.sweep(), samples.failure(samples.trial("new"))]
    assert not list(folder.glob("*.gz"))
    assert "new" in pd.read_csv(folder / "trials.csv")["trial"].tolist()


def test_a_folder_that_is_being_written_is_not_packed(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.append(samples.spectra())
        with pytest.raises(InputError, match="is being written by process"):
            pack_folder(tmp_path, least_bytes=0)


def test_only_large_files_are_packed(tmp_path: Path) -> None:
    folder = samples.folder_of(tmp_path, samples.sweep())
    sizes = {path: path.stat().st_size for path in folder.iterdir() if path.suffix in (".csv", ".jsonl")}
    limit = sorted(sizes.values())[-3]
    large = {path for path, size in sizes.items() if size >= limit}
    assert set(pack_folder(folder, least_bytes=limit)) == large
    assert {path for path in sizes if not path.exists()} == large


READERS = {LOG: read_records, "trials.csv": lambda folder: load_table(folder, "trials")}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:-1],
        lambda content: content[: len(content) // 2],
        lambda content: b"no gzip",
        lambda content: content[:-6] + bytes([content[-6] ^ 1]) + content[-5:],
    ],
    ids=["empty", "without its end", "half", "of another kind", "of a wrong checksum"],
)
def test_a_packed_file_that_is_damaged_is_refused_and_stays(
    damage: Callable[[bytes], bytes], name: str, tmp_path: Path
) -> None:
    folder = packed_folder(tmp_path)
    path = packed(folder / name)
    torn = damage(path.read_bytes())
    path.write_bytes(torn)
    with pytest.raises(InputError, match=rf"{name}\.gz is damaged: .*Put back a whole copy of it"):
        READERS[name](folder)
    if name == LOG:
        with pytest.raises(InputError, match="is damaged"):
            Store(folder).__enter__()
        assert not (folder / ".writer").exists(), "the folder was given back"
    assert (path.read_bytes(), (folder / name).exists()) == (torn, False)


@pytest.mark.parametrize("name", READERS)
def test_a_plain_and_a_packed_file_must_agree(name: str, tmp_path: Path) -> None:
    folder = samples.folder_of(tmp_path, samples.sweep())
    content = (folder / name).read_bytes()
    packed(folder / name).write_bytes(gzip.compress(content))
    READERS[name](folder)
    (folder / name).write_bytes(content * 2)
    with pytest.raises(InputError, match=rf"{name} \(.* bytes\) and {name}\.gz beside it .*remove the one that is out"):
        READERS[name](folder)
    assert (folder / name).read_bytes() == content * 2


def test_a_wrong_cell_of_a_packed_table_is_found_where_it_is(tmp_path: Path) -> None:
    folder = samples.folder_of(tmp_path, samples.sweep())
    trials = pd.read_csv(folder / "trials.csv").assign(accuracy_finetuned=1.5)
    (folder / "trials.csv").unlink()
    trials.to_csv(folder / "trials.csv.gz", index=False)
    with pytest.raises(InputError, match=r"trials\.csv\.gz, line 2: accuracy_finetuned must be in 0\.\.1"):
        load_table(folder, "trials")


@pytest.mark.long
def test_commands_say_the_same_of_a_folder_once_it_is_packed(tmp_path: Path, lrbench) -> None:
    folder = samples.folder_of(tmp_path / "r", samples.sweep())
    commands = (
        ("table", folder),
        ("recommend", folder, "--max-drop", 50, "--format", "json"),
        ("check", folder, folder, "--format", "json"),
        ("history", folder, folder, "--figure", "macs", "--out", tmp_path / "history.svg"),
        ("report", folder, "--out", tmp_path / "page.html"),
        ("plots", folder),
    )

    def said() -> list[object]:
        results = [lrbench(*words) for words in commands]
        tables = {path.name: path.read_bytes() for path in sorted((folder / "figures").glob("*.csv"))}
        return [[(one.exit_code, one.output) for one in results], (tmp_path / "page.html").read_bytes(), tables]

    before = said()
    assert {code for code, _ in before[0]} == {0}
    pack_folder(folder, least_bytes=0)
    assert said() == before
    assert not list(folder.glob("*.csv")), "none of them unpacked anything"


def test_a_baseline_takes_over_what_is_packed_and_what_is_not(tmp_path: Path, lrbench) -> None:
    plain, light = samples.folder_of(tmp_path / "plain", samples.sweep()), packed_folder(tmp_path / "packed")
    (plain / "spec.toml").write_text("")
    for current, other in ((plain, light), (light, plain), (plain, light)):
        assert lrbench("check", tmp_path / "base", current, "--accept").exit_code == 0
        kept = {path.name for path in (tmp_path / "base").iterdir()}
        assert kept == {path.name for path in current.iterdir() if not path.name.startswith(".")}
        assert lrbench("check", tmp_path / "base", other).exit_code == 0
