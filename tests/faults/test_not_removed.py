"""Nothing of the user's is removed: what lrbench did not write is moved away by name, or lrbench refuses."""

import json
import os
from pathlib import Path

import pytest
import samples

from lrbench.errors import InputError
from lrbench.gate.check import replace_baseline
from lrbench.gate.job import MARK, make_ready
from lrbench.report.page.page import write_report
from lrbench.results.log import Store
from lrbench.whole import free_name, replacing, swap

NOT_TIMED = ("--set", "latency.devices=[]", "--set", "sweep.schemes=['channel']", "--set", "sweep.ranks=['rank=2']")


def test_a_regress_moves_a_users_files_away_and_replaces_only_its_own(tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "sweep").mkdir(parents=True)
    (out / "sweep" / "thesis.txt").write_text("mine")
    (out / "rounds.csv").write_text("mine too")
    (out / "other").write_text("mine as well")
    assert len(make_ready(out)) == 2
    assert (out / "sweep.old-1" / "thesis.txt").read_text() == "mine"
    assert (out / "rounds.csv.old-1").read_text() == "mine too"
    (out / "sweep").mkdir()
    (out / "rounds.csv").write_text("of regress")
    assert make_ready(out) == ()
    assert {path.name for path in out.iterdir()} == {"other", "sweep.old-1", "rounds.csv.old-1", MARK}


@pytest.mark.parametrize("name", ["sweep", "rounds.csv"])
def test_a_regress_follows_no_link_out_of_its_folder(name: str, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    out = tmp_path / "out"
    make_ready(out)
    (out / name).symlink_to(tmp_path / "mine")
    make_ready(out)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "mine"
    assert not os.path.lexists(out / name)
    (out / MARK).unlink()
    (out / MARK).symlink_to(tmp_path / "mine" / "thesis.txt")
    with pytest.raises(InputError, match="is a link"):
        make_ready(out)


@pytest.mark.long
@pytest.mark.parametrize("name", ["trials.csv", "layers.csv", "spec.toml", "figures"])
def test_a_folder_that_is_no_results_folder_keeps_what_a_sweep_would_replace(
    name: str, workplace: Path, lrbench, undrawn: None
) -> None:
    place = workplace / "mine"
    place.mkdir()
    (place / name).mkdir() if name == "figures" else (place / name).write_text("mine")
    for command in ("sweep", "layers", "sensitivity"):
        result = lrbench(command, "tiny.toml", "--out", place, *NOT_TIMED)
        assert result.exit_code == 2
        assert f"mine is no results folder, for it has no records.jsonl, but it holds {name}" in result.output
    assert [path.name for path in place.iterdir()] == [name]
    fresh = lrbench("sweep", "tiny.toml", "--out", place, "--fresh", *NOT_TIMED)
    assert fresh.exit_code == 0, fresh.output
    assert (workplace / "mine.old-1" / name).exists()


def test_a_sweep_beside_its_own_spec_keeps_the_spec(workplace: Path, lrbench, undrawn: None) -> None:
    place = workplace / "study"
    place.mkdir()
    spec = (workplace / "tiny.toml").read_text() + "# why I chose this\n"
    (place / "spec.toml").write_text(spec)
    assert lrbench("sweep", place / "spec.toml", "--out", place, *NOT_TIMED).exit_code == 2
    assert lrbench("sweep", "tiny.toml", "--out", "r", *NOT_TIMED).exit_code == 0
    written = (workplace / "r" / "spec.toml").read_text()
    (workplace / "r" / "spec.toml").write_text(spec)
    result = lrbench("sweep", workplace / "r" / "spec.toml", "--out", "r", *NOT_TIMED)
    assert result.exit_code == 0, result.output
    assert "spec.toml was not written by lrbench: moved to" in result.output
    assert (workplace / "r" / "spec.toml.old-1").read_text() == spec
    assert (workplace / "r" / "spec.toml").read_text() == written
    changed = lrbench("sweep", "tiny.toml", "--out", "r", *NOT_TIMED, "--set", "finetune.epochs=0")
    assert changed.exit_code == 0, changed.output
    assert not (workplace / "r" / "spec.toml.old-2").exists(), "its own is replaced"


def test_a_report_and_a_history_move_another_file_away_and_replace_their_own(tmp_path: Path, lrbench) -> None:
    folder = samples.folder_of(tmp_path / "r", samples.sweep())
    commands = {
        "page.html": ("report", folder, "--out", tmp_path / "page.html"),
        "h.png": ("history", folder, folder, "--figure", "macs", "--out", tmp_path / "h.png"),
        "h.svg": ("history", folder, folder, "--figure", "macs", "--out", tmp_path / "h.svg"),
    }
    for name, words in commands.items():
        (tmp_path / name).write_text("mine")
        for _ in range(2):
            assert lrbench(*words).exit_code == 0
        assert (tmp_path / f"{name}.old-1").read_text() == "mine"
        assert not (tmp_path / f"{name}.old-2").exists()


def test_neither_a_device_nor_a_folder_is_replaced(tmp_path: Path) -> None:
    folder = samples.folder_of(tmp_path / "r", samples.sweep())
    (tmp_path / "mine").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="pipe is no plain file, so nothing is written to it"):
        write_report([folder], tmp_path / "pipe")
    with pytest.raises(InputError, match="mine cannot be written"):
        write_report([folder], tmp_path / "mine")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "pipe", "r"]
    with pytest.raises(InputError, match="/dev/null is no plain file"), replacing(Path("/dev/null")):
        raise AssertionError


def test_a_baseline_is_swapped_whole_and_keeps_what_is_not_of_a_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = samples.folder_of(tmp_path / "base", samples.sweep()[:2])
    new = samples.folder_of(tmp_path / "new", samples.sweep())
    (base / "tolerances.toml").write_text("")
    (base / "notes").mkdir()
    (base / "notes" / "why.md").write_text("mine")
    before = {path: path.read_bytes() for path in base.rglob("*") if path.is_file()}

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    for place in ("shutil.copyfile", "shutil.copytree", "lrbench.gate.check.swap", "lrbench.gate.check.flush_files"):
        with monkeypatch.context() as patched:
            patched.setattr(place, full)
            with pytest.raises(InputError, match=r"base cannot be written: .*No space left on device"):
                replace_baseline(base, new)
        assert {path: path.read_bytes() for path in base.rglob("*") if path.is_file()} == before
    replace_baseline(base, new)
    assert (base / "trials.csv").read_bytes() == (new / "trials.csv").read_bytes()
    assert (base / "notes" / "why.md").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base", "new"]
    replace_baseline(base, base)
    assert (base / "trials.csv").read_bytes() == (new / "trials.csv").read_bytes()


@pytest.mark.parametrize("exchanges", [True, False])
def test_two_folders_change_names(exchanges: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not exchanges:
        monkeypatch.setattr("ctypes.CDLL", lambda *_, **__: object())
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    swap(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "a" / "b").exists()
    assert (tmp_path / "b" / "a").exists()
    assert len(list(tmp_path.iterdir())) == 2


def test_a_free_name_is_free_of_dangling_links_too(tmp_path: Path) -> None:
    (tmp_path / "x.old-1").symlink_to(tmp_path / "nowhere")
    assert free_name(tmp_path / "x") == tmp_path / "x.old-2"


def test_a_writer_keeps_unknown_files_of_a_results_folder(tmp_path: Path) -> None:
    folder = samples.folder_of(tmp_path / "r", samples.sweep())
    for name in ("notes.md", ".hidden", "trials.csv.part", "x.part"):
        (folder / name).write_text("mine")
    with Store(folder) as store:
        store.append(samples.failure(samples.trial("new")))
    for name in ("notes.md", ".hidden", "trials.csv.part", "x.part"):
        assert (folder / name).read_text() == "mine"
    assert json.loads((folder / "records.jsonl").read_text().splitlines()[-1])["kind"] == "failure"
