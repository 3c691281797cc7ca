"""Files from strangers: weights, archives and results folders run nothing, and name nothing outside their place."""

import io
import os
import pickle
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest
import samples
import torch
from torchvision.datasets.utils import extract_archive

from lrbench.config.recipes import Recipe
from lrbench.config.sections import DataChoice
from lrbench.errors import InputError
from lrbench.learn.checkpoints import resume_
from lrbench.learn.optimizers import make_optimizer
from lrbench.learn.sources import _downloaded, safe_archives
from lrbench.results.tables import load_table


class Bomb:
    """Unpickling it makes a file."""

    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        return (os.mkdir, ("pwned",))


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors"])
def test_weights_that_are_a_pickle_run_nothing(suffix: str, workplace: Path, lrbench) -> None:
    torch.save({"weight": Bomb()}, workplace / f"evil{suffix}")
    result = lrbench("sweep", "tiny.toml", "--set", f"model.weights=evil{suffix}")
    assert result.exit_code == 2
    assert "cannot be read as plain tensors" in result.output
    assert not (workplace / "pwned").exists()


def test_a_checkpoint_that_is_a_pickle_runs_nothing(workplace: Path) -> None:
    for content in (pickle.dumps(Bomb()), None):
        path = workplace / "key.checkpoint"
        path.write_bytes(content) if content else torch.save({"parts": Bomb()}, path)
        with pytest.raises(ValueError, match="not a checkpoint of this training"):
            resume_(path, {"optimizer": make_optimizer(torch.nn.Linear(1, 1), Recipe())})
    assert not (workplace / "pwned").exists()


@pytest.mark.parametrize("name", ["../outside", "/tmp/lrbench-outside", "link/outside"])
def test_an_archive_cannot_write_outside(name: str, tmp_path: Path) -> None:
    place = tmp_path / "in" / "data"
    with tarfile.open(tmp_path / "evil.tar", "w") as tar:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path)
        if name.startswith("link"):
            tar.addfile(link)
        member = tarfile.TarInfo(name)
        member.size = 4
        tar.addfile(member, io.BytesIO(b"evil"))
    choice = DataChoice(root=str(place))
    if name.startswith("/"):  # taken relative to the place, as tar does
        _downloaded(lambda: extract_archive(str(tmp_path / "evil.tar"), str(place)), choice)
        assert (place / name.lstrip("/")).exists()
    else:
        with pytest.raises(InputError, match=r"could not be downloaded to data\.root"):
            _downloaded(lambda: extract_archive(str(tmp_path / "evil.tar"), str(place)), choice)
    assert not Path("/tmp/lrbench-outside").exists()
    assert not list(tmp_path.rglob("outside")) or name.startswith("/")


def test_a_zip_cannot_write_outside(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr("../outside", "evil")
    with safe_archives():
        extract_archive(str(tmp_path / "evil.zip"), str(tmp_path / "in"))
    assert not (tmp_path / "outside").exists()


NASTY = {
    "layer_set": "<script>alert(1)</script>",
    "rank_rule": "=cmd()|' /C calc'!A0",
    "model": "evil:abort",
    "data": "$x^{ --> ]]> | [a](javascript:b) `c`",
}


@pytest.fixture
def strange(workplace: Path) -> Path:
    """A results folder whose names are of no good intent."""
    (workplace / "evil.py").write_text("open('pwned', 'w')\ndef abort(): pass\n")
    control = {"scheme": "dense", "layer_set": "none", "rank_rule": "none"}
    records = [
        samples.measurement(samples.trial("d", **{**NASTY, **control}), macs=100, arch="dense"),
        samples.measurement(samples.trial("t", **NASTY), arch="a"),
    ]
    evil = [replace(one, architecture=replace(one.architecture, model=NASTY["model"])) for one in records]
    folder = samples.folder_of(workplace / "in" / "strange", [*evil, samples.spectra(), samples.session({"a": 0.5})])
    path = folder / "latency.csv"
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    frame.assign(memory_format="../../../escaped", model=NASTY["model"]).to_csv(path, index=False)
    return folder


def test_a_strangers_folder_is_drawn_and_listed_and_nothing_in_it_runs(strange: Path, lrbench) -> None:
    before = {path for path in strange.parents[1].rglob("*") if "figures" not in path.parts}
    assert "evil:abort" in load_table(strange, "trials")["model"].tolist()
    result = lrbench("plots", strange)
    assert result.exit_code == 0, result.output
    assert {path for path in strange.parents[1].rglob("*") if "figures" not in path.parts} == before
    figures = list((strange / "figures").glob("*.svg"))
    assert len(figures) >= 5
    for path in figures:
        assert not [one for one in ElementTree.parse(path).iter() if one.tag.endswith("script")], path
    for path in strange.rglob("*.csv"):
        raw = pd.read_csv(path, dtype=str, keep_default_na=False)
        assert not raw.map(lambda cell: cell[:1] in "=+@\t\r" and cell != "").to_numpy().any(), path
    table = lrbench("table", strange).output
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in table
    assert "<script" not in table
    assert r"\[a\](javascript:b) \`c\`" in table
    assert len({len(line.replace(r"\|", "").split("|")) for line in table.splitlines()}) == 1
    assert not Path("pwned").exists()


def test_code_that_only_a_results_folder_names_is_never_imported(strange: Path, lrbench) -> None:
    result = lrbench("time", strange)
    assert result.exit_code == 2
    assert "to allow its import, add --model evil:abort" in result.output
    assert not Path("pwned").exists()
