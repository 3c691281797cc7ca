"""A results folder of no good intent, read by every command that reads one: nothing outside it changes or runs."""

import os
from pathlib import Path

import pytest
import samples

from lrbench.results.log import LOG

BOMB = b"P5 60000 60000 255\n"
PLAN = b'{"schema": 1, "digest": "x", "architecture": {"image_size": 1000000, "classes": 1000000000}}'
MISCHIEF = {
    "link of the figures": lambda folder, out: (folder / "figures").symlink_to(out),
    "link in the figures": lambda folder, out: link_in_figures(folder, out),
    "link of a table": lambda folder, out: relink(folder / "trials.csv", out / "mine.csv"),
    "link of the log": lambda folder, out: relink(folder / LOG, out / "mine.csv"),
    "link of the lock": lambda folder, out: relink(folder / ".lock", out / "mine.csv"),
    "link of a page": lambda folder, out: (folder / "report.html").symlink_to(out / "mine.csv"),
    "pipe": lambda folder, out: (os.mkfifo(folder / "latency.csv.gz"), None)[1],
    "forged plan": lambda folder, out: (folder / "plan.json").write_bytes(PLAN),
    "bomb": lambda folder, out: (folder / "benchmarks.json").write_bytes(BOMB),
    "escapes in the writer's name": lambda folder, out: (folder / ".writer").write_text(
        '{"pid": 1, "host": "\\u001b[2J"}'
    ),
    "deep log": lambda folder, out: (folder / LOG).write_bytes(b"[" * 100_000 + b"\n"),
    "torn log": lambda folder, out: (folder / LOG).write_bytes(b'{"schema"'),
}


def relink(path: Path, to: Path) -> None:
    path.unlink()
    path.symlink_to(to)


def link_in_figures(folder: Path, out: Path) -> None:
    (folder / "figures").mkdir()
    for name in ("accuracy_macs.svg", "accuracy_macs.png", ".accuracy_macs.svg", "standings.csv.part", ".drawn.json"):
        (folder / "figures" / name).symlink_to(out / "mine.csv")


@pytest.mark.long
@pytest.mark.parametrize("mischief", MISCHIEF)
def test_no_command_that_reads_changes_anything_outside(mischief: str, tmp_path: Path, lrbench) -> None:
    outside, folder = tmp_path / "outside", samples.folder_of(tmp_path / "r", samples.sweep())
    outside.mkdir()
    (outside / "mine.csv").write_text("mine\n")
    MISCHIEF[mischief](folder, outside)
    page, picture = tmp_path / "page.html", tmp_path / "h.svg"
    for words in (
        ("table", folder),
        ("recommend", folder, "--macs", "0.9"),
        ("audit", folder),
        ("plots", folder),
        ("report", folder),
        ("report", folder, "--out", page),
        ("check", folder, folder),
        ("history", folder, folder, "--figure", "macs", "--out", picture),
        ("time", folder),
        ("export", folder, "x", "--to", tmp_path / "exported"),
    ):
        result = lrbench(*words)
        assert result.exit_code in (0, 1, 2, 3), (words, result.output)
        assert "Traceback" not in result.output, words
        assert "has a fault" not in result.output, (words, result.output)
        assert "\x1b" not in result.output, words
    assert [path.name for path in outside.iterdir()] == ["mine.csv"]
    assert (outside / "mine.csv").read_text() == "mine\n"
    assert {path.name for path in tmp_path.iterdir()} <= {"outside", "r", "page.html", "h.svg"}
