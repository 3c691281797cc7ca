"""Where a run came from: its resolved spec, and the commits of lrbench and of the repository that it ran in."""

import subprocess
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import pytest
import samples

from lrbench.measure import environment
from lrbench.measure.environment import read_commit, read_repository_commit
from lrbench.plan.spec import load_spec
from lrbench.results.files import unpack
from lrbench.results.log import LOG, last_spec, read_records
from lrbench.results.publish import pack_folder
from lrbench.results.records import SpecRecord

QUICK = ("--set", "latency.devices=[]", "--set", "sweep.ranks=['rank=2']")


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    return subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def commit(folder: Path, *names: str) -> str:
    git(folder, "add", *names)
    git(folder, "commit", "--quiet", "--message", "a step")
    return git(folder, "rev-parse", "--short=12", "HEAD")


def test_the_resolved_spec_lies_beside_the_log_and_continues_the_sweep(workplace: Path, lrbench, undrawn: None) -> None:
    folder = workplace / "results/tiny"
    assert lrbench("sweep", "tiny.toml", *QUICK).exit_code == 0
    resolved, log = (folder / "spec.toml").read_bytes(), (folder / "records.jsonl").read_bytes()
    assert load_spec(folder / "spec.toml") == load_spec(workplace / "tiny.toml", QUICK[1::2])
    again = lrbench("sweep", "results/tiny/spec.toml", "--out", folder)
    assert "3 trials planned, 3 skipped, 0 to run" in again.output
    assert ((folder / "spec.toml").read_bytes(), (folder / "records.jsonl").read_bytes()) == (resolved, log)
    assert lrbench("sweep", "tiny.toml", *QUICK, "--set", "run.retries=0").exit_code == 0
    assert load_spec(folder / "spec.toml").run.retries == 0
    assert (folder / "records.jsonl").read_bytes() == log, "how a sweep goes about its work decides no result"


@pytest.mark.long
def test_the_commit_of_the_users_repository_is_kept_with_the_spec(workplace: Path, lrbench, undrawn: None) -> None:
    git(workplace, "init", "--quiet")
    first = commit(workplace, "tiny.toml", "nets.py")
    assert lrbench("sweep", "tiny.toml", *QUICK).exit_code == 0
    with (workplace / "tiny.toml").open("a") as file:
        file.write("\n# a thought\n")
    for _ in range(2):
        assert lrbench("sweep", "tiny.toml", *QUICK).exit_code == 0
    second = commit(workplace, "tiny.toml")
    again = lrbench("sweep", "tiny.toml", *QUICK)
    assert "is not the one that" not in again.output, "the spec is the same"
    noted = [one for one in read_records(workplace / "results/tiny") if isinstance(one, SpecRecord)]
    assert [one.repository_commit for one in noted] == [first, f"{first}-dirty", second]
    assert {one.lrbench_version for one in noted} == {version("lrbench")}
    assert len(pd.read_csv("results/tiny/trials.csv")) == 3, "no trial was run again"


def test_where_there_is_no_repository_commit_or_git_nothing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read_repository_commit(tmp_path) == ""
    git(tmp_path, "init", "--quiet")
    assert read_repository_commit(tmp_path) == "", "it has no commit yet"
    (tmp_path / "a").write_text("")
    (tmp_path / "below").mkdir()
    first = commit(tmp_path, "a")
    assert read_repository_commit(tmp_path / "below") == first
    monkeypatch.setenv("PATH", str(tmp_path))
    assert read_repository_commit(tmp_path) == ""
    assert read_commit() == f"v{version('lrbench')}"


def test_the_repository_of_lrbench_is_not_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is one of the user's that of lrbench, when its environment, with lrbench in it, lies there."""
    git(tmp_path, "init", "--quiet")
    installed = tmp_path / ".venv/lrbench/environment.py"
    installed.parent.mkdir(parents=True)
    installed.write_text("")
    (tmp_path / "a").write_text("")
    users = commit(tmp_path, "a")
    monkeypatch.setattr(environment, "__file__", str(installed))
    assert (read_commit(), read_repository_commit(tmp_path)) == (f"v{version('lrbench')}", users)
    own = commit(tmp_path, str(installed))
    assert (read_commit(), read_repository_commit(tmp_path)) == (own, "")


def test_the_last_spec_is_found_and_nothing_else_is_read(tmp_path: Path) -> None:
    assert last_spec(tmp_path) is None
    specs = [SpecRecord(started=f"{year}", keys=(), repository_commit=f"c{year}") for year in (2025, 2026)]
    folder = samples.folder_of(tmp_path, [specs[0], *samples.sweep(), specs[1], samples.spectra()])
    pack_folder(folder, least_bytes=0)
    assert last_spec(folder) == specs[1]
    unpack(folder / LOG)
    (folder / LOG).write_bytes(b"no record\n" + (folder / LOG).read_bytes() + b'{"schema":1,"kind":"spec"')
    assert last_spec(folder) == specs[1]
