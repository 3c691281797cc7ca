"""Caches are verified: what is not what was put there is set aside, named and made anew, and never trained on."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from lrbench.config.sections import DataChoice
from lrbench.learn import datasets
from lrbench.learn.datasets import load_dataset
from lrbench.learn.sources import identify
from lrbench.results.tables import load_table

CHOICE = DataChoice(name="folder", root="set", image_size=8, search_share=0.25)


@pytest.fixture
def held(workplace: Path, pictures) -> tuple[Path, np.ndarray]:
    """The decoded training images of a folder of images, and what they are."""
    pictures(workplace / "set")
    images = np.array(load_dataset(CHOICE, cache=workplace / "cache").train.images)
    (path,) = (workplace / "cache").glob("*/train.npy")
    return path, images


def again(workplace: Path) -> tuple[np.ndarray, list[str]]:
    told: list[str] = []
    data = load_dataset(CHOICE, cache=workplace / "cache", progress=lambda what, *_: told.append(what))
    return np.array(data.train.images), [text for text in told if "is not used" in text]


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


DAMAGES = {
    "torn": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "empty": lambda path: path.write_bytes(b""),
    "no array": lambda path: path.write_bytes(b"not an array"),
    "a bit": flip,
    "another shape": lambda path: np.save(path, np.zeros((3, 3, 8, 8), np.uint8)),
    "another type": lambda path: np.save(path, np.zeros((12, 3, 8, 8), np.float32)),
    "a pickle": lambda path: np.save(path, np.array([{}], dtype=object), allow_pickle=True),
    "another set": lambda path: np.save(path, np.zeros((12, 3, 8, 8), np.uint8)),
    "no note": lambda path: path.with_suffix(".json").unlink(),
    "a torn note": lambda path: path.with_suffix(".json").write_text("{"),
    "a note of nothing": lambda path: path.with_suffix(".json").write_text("[]"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_decoded_array_that_is_not_what_was_put_there_is_made_anew(damage, held, workplace: Path) -> None:
    path, images = held
    damage(path)
    found, told = again(workplace)
    assert np.array_equal(found, images)
    assert len(told) == 1
    assert str(path.with_name("train.npy.bad-1")) in told[0]
    assert path.with_name("train.npy.bad-1").exists()
    assert again(workplace)[1] == [], "once is enough"


def test_images_that_changed_and_kept_their_size_are_decoded_anew(held, workplace: Path) -> None:
    images = held[1]
    before = identify(CHOICE)
    picture = workplace / "set/train/cat/0.png"
    content, other = picture.read_bytes(), (workplace / "set/train/dog/0.png").read_bytes()
    picture.write_bytes((other + bytes(len(content)))[: len(content)])
    assert identify(CHOICE) == before, "keys go by names and sizes"
    found, told = again(workplace)
    assert not np.array_equal(found, images)
    assert "its images have other contents now" in told[0]


def test_images_that_were_only_touched_are_not_decoded_again(
    held, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, images = held
    for touched in (path, workplace / "set/train/cat/0.png"):
        os.utime(touched, (1, 1))
    monkeypatch.setattr(datasets, "decode", lambda *_: pytest.fail("decoded twice"))
    found, told = again(workplace)
    assert np.array_equal(found, images)
    assert told == []


def swap(path: Path) -> None:
    """Other numbers of the same names and shapes, its notes as they were."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        notes = file.metadata()
    other = {name: torch.zeros_like(value) for name, value in load_file(path).items()}
    path.unlink()
    save_file(other, path, metadata=notes)


WEIGHTS = {
    "torn": lambda path: path.write_bytes(path.read_bytes()[:-10]),
    "empty": lambda path: path.write_bytes(b""),
    "a bit": flip,
    "other numbers": swap,
    "no notes": lambda path: save_file({name: v.clone() for name, v in load_file(path).items()}, path),
}


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    "damage", [pytest.param(d, id=n, marks=[] if d is flip else pytest.mark.long) for n, d in WEIGHTS.items()]
)
def test_weights_that_are_not_those_that_were_kept_are_trained_anew(damage, workplace: Path, lrbench) -> None:
    words = ("--set", "latency.devices=[]", "--set", "sweep.ranks=['rank=2']", "--set", "sweep.schemes=['channel']")
    assert lrbench("sweep", "tiny.toml", *words, "--out", "one").exit_code == 0
    kept = sorted((workplace / "cache/weights").glob("*.safetensors"))
    before = {path: {name: value.clone() for name, value in load_file(path).items()} for path in kept}
    for path in kept:
        damage(path)
    result = lrbench("sweep", "tiny.toml", *words, "--out", "two")
    assert result.exit_code == 0, result.output
    assert "bad-1" in result.output
    assert "trained anew" in result.output
    for path, tensors in before.items():
        assert path.with_name(f"{path.name}.bad-1").exists()
        for name, value in load_file(path).items():
            assert torch.equal(value, tensors[name])
    ones, twos = (load_table(workplace / name, "trials") for name in ("one", "two"))
    assert ones["loss_finetuned"].tolist() == twos["loss_finetuned"].tolist()
