"""Every file is written in one way: whole or not at all, by nobody's link, with the rights that the umask leaves."""

import errno
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import samples
import torch
from torch import nn

from lrbench.errors import InputError
from lrbench.learn.checkpoints import keep_checkpoint
from lrbench.learn.weights import keep_weights
from lrbench.results.log import LOG, Store, set_aside, write_table
from lrbench.results.publish import pack_folder
from lrbench.whole import new_folder, rename_whole, replacing, write_whole

WRITERS: dict[str, Callable[[Path], object]] = {
    "bytes": lambda path: write_whole(path, b"new"),
    "table": lambda path: write_table(samples_table(), path.with_suffix(".csv")),
    "weights": lambda path: keep_weights(nn.Linear(2, 2), path, epochs=()),
    "checkpoint": lambda path: keep_checkpoint(path, {"model": nn.Linear(2, 2)}, epochs=()),
}


def samples_table():
    import pandas as pd

    return pd.DataFrame({"a": [1]})


def target_of(name: str, folder: Path) -> Path:
    return folder / ("file.csv" if name == "table" else "file")


@pytest.fixture
def umask():
    """Sets the umask, and puts it back."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_a_file_has_the_rights_that_the_umask_leaves(name: str, mask: int, mode: int, tmp_path: Path, umask) -> None:
    umask(mask)
    WRITERS[name](tmp_path / "file")
    assert stat.S_IMODE(target_of(name, tmp_path).stat().st_mode) == mode
    assert [path.name for path in tmp_path.iterdir()] == [target_of(name, tmp_path).name]


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("call", ["fsync", "open", "replace"])
@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EACCES])
def test_a_refusal_of_the_disk_leaves_what_was_there_and_no_part(
    name: str, call: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = target_of(name, tmp_path)
    target.write_bytes(b"old")
    usual = {"fsync": os.fsync, "open": os.open, "replace": Path.replace}[call]

    def refuse(*words: object, **options: object) -> object:
        if call == "open" and not str(words[0]).endswith(".part"):
            return usual(*words, **options)
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patched:
        patched.setattr(Path if call == "replace" else os, call, refuse)
        with pytest.raises(InputError, match=f"{target.name} cannot be written: {os.strerror(code)}"):
            WRITERS[name](tmp_path / "file")
    assert [path.name for path in tmp_path.iterdir()] == [target.name]
    assert target.read_bytes() == b"old"
    WRITERS[name](tmp_path / "file")
    assert target.read_bytes() != b"old"


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, MemoryError])
def test_whatever_ends_a_writer_leaves_no_part(error: type[BaseException], tmp_path: Path) -> None:
    def write() -> None:
        with replacing(tmp_path / "file") as part:
            part.write_text("half")
            raise error

    with pytest.raises(error):
        write()
    assert not list(tmp_path.iterdir())


def test_a_link_in_the_place_of_a_file_is_replaced_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("mine")
    place = tmp_path / "r"
    place.mkdir()
    (place / "file").symlink_to(tmp_path / "elsewhere")
    write_whole(place / "file", b"new")
    assert (tmp_path / "elsewhere").read_text() == "mine"
    assert (place / "file").read_bytes() == b"new"
    assert not (place / "file").is_symlink()


DYING = """
import os, signal, sys
from pathlib import Path
from lrbench.whole import replacing
with replacing(Path(sys.argv[1]) / "file") as part:
    part.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_writer_left_is_swept_by_the_next_but_no_living_ones_part(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", DYING, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    (tmp_path / "mine.part").write_text("of a user")
    (tmp_path / ".hidden.part").write_text("of a user")
    with replacing(tmp_path / "one") as living:
        assert not left.exists()
        write_whole(tmp_path / "two", b"2")
        assert living.exists()
    assert {path.name for path in tmp_path.iterdir()} == {"one", "two", "mine.part", ".hidden.part"}


def test_a_folder_is_made_whole_or_vanishes(tmp_path: Path) -> None:
    def begin() -> None:
        with new_folder(tmp_path / "out") as made:
            (made / "a").write_text("a")
            raise ValueError("no luck")

    with pytest.raises(ValueError, match="no luck"):
        begin()
    assert not list(tmp_path.iterdir())
    with new_folder(tmp_path / "out") as made:
        (made / "in").mkdir()
        (made / "in" / "a").write_text("a")
        rename_whole(made, tmp_path / "out")
    assert (tmp_path / "out" / "in" / "a").read_text() == "a"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


ODD: dict[str, Callable[[Path, Path], object]] = {
    "link": lambda path, outside: path.symlink_to(outside),
    "dangling link": lambda path, outside: path.symlink_to(outside.with_name("nowhere")),
    "link to a folder": lambda path, outside: path.symlink_to(outside.parent),
    "pipe": lambda path, _: os.mkfifo(path),
}
NAMES = (".lock", ".writer", LOG, f"{LOG}.torn", "trials.csv", "spec.toml", "figures", "figures/accuracy_macs.svg")


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("name", NAMES)
def test_a_folder_with_a_link_or_pipe_is_not_written_to(kind: str, name: str, tmp_path: Path, lrbench) -> None:
    folder = samples.folder_of(tmp_path / "r", samples.sweep())
    outside = tmp_path / "outside" / "mine"
    outside.parent.mkdir()
    outside.write_text("mine")
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    ODD[kind](path, outside)
    before = {entry: entry.lstat().st_mtime_ns for entry in [*folder.rglob("*"), outside, outside.parent]}
    for write in (
        lambda: Store(folder).__enter__(),
        lambda: set_aside(folder),
        lambda: pack_folder(folder, least_bytes=0),
    ):
        with pytest.raises(InputError, match=r"is (a link|no plain file), and a results folder may hold"):
            write()
    result = lrbench("plots", folder)
    assert result.exit_code == 2, result.output
    assert "may hold plain files and folders only. Nothing was changed" in result.output
    assert {entry: entry.lstat().st_mtime_ns for entry in before} == before
    assert outside.read_text() == "mine"


def test_a_link_to_a_results_folder_is_a_users_own(tmp_path: Path) -> None:
    samples.folder_of(tmp_path / "disk", [samples.spectra()])
    (tmp_path / "r").symlink_to(tmp_path / "disk")
    with Store(tmp_path / "r") as store:
        store.append(samples.spectra("t0"))
    assert (tmp_path / "r").is_symlink()


def test_kept_weights_are_what_was_given(tmp_path: Path) -> None:
    from lrbench.learn.weights import recall_weights

    model, other = nn.Linear(2, 2), nn.Linear(2, 2)
    keep_weights(model, tmp_path / "w.safetensors", epochs=())
    recall_weights(other, tmp_path / "w.safetensors")
    assert torch.equal(model.weight, other.weight)
