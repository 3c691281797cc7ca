"""Directories of images as people have them: what systems leave there is no class and no image, and is told."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lrbench.config.sections import DataChoice
from lrbench.errors import InputError
from lrbench.learn.datasets import load_dataset
from lrbench.learn.image_files import list_images
from lrbench.learn.sources import identify
from lrbench.learn.survey import survey
from lrbench.plan.run import prepare
from lrbench.plan.spec import load_spec

CLUTTER = (
    *(".DS_Store", "Thumbs.db", "train/Thumbs.db", "train/cat/Thumbs.db", "train/cat/.DS_Store", "train/cat/._0.png"),
    *("train/.ipynb_checkpoints/0-checkpoint.png", "val/.ipynb_checkpoints/x", "__MACOSX/train/cat/._0.png"),
    *("train/__MACOSX/cat/._0.png", "train/cat/.ipynb_checkpoints/0-checkpoint.png", "train/@eaDir/0.png"),
    *("train/cat/@eaDir/0.png/SYNOPHOTO_THUMB_M.jpg", "train/labels.csv", "train/dog/notes.txt", "train/loose.png"),
)


def cluttered(root: Path) -> Path:
    """Leave there what systems and tools do; nothing of it is a readable image."""
    for name in CLUTTER:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\0\x05\x16\x07")
    return root


def test_what_systems_leave_in_a_folder_is_no_image_and_no_class(tmp_path: Path, pictures) -> None:
    clean, messy = pictures(tmp_path / "clean"), cluttered(pictures(tmp_path / "messy"))
    choices = [DataChoice(name="folder", root=str(root), image_size=8) for root in (clean, messy)]
    assert identify(choices[0]) == identify(choices[1])
    one, other = (load_dataset(choice, cache=tmp_path / f"cache {choice.root[-5:]}") for choice in choices)
    assert one.class_names == other.class_names == ("cat", "dog")
    assert np.array_equal(one.train.images, other.train.images)


def test_what_is_left_out_is_told_with_the_counts(tmp_path: Path, pictures) -> None:
    choice = DataChoice(name="folder", root=str(cluttered(pictures(tmp_path / "set"))), search_share=0.25)
    counts, train, test = survey(choice, cache=tmp_path).notes
    assert counts == (
        "data: 12 training images of 2 classes (6 each); 3 search images (set aside of these); 4 test images"
    )
    assert train.startswith("left out of the train images: ")
    for words in ("hidden (", ".ipynb_checkpoints", "__MACOSX", "not images by their names", "notes.txt", "loose.png"):
        assert words in train
    assert test == "left out of the test images: 1 hidden (.ipynb_checkpoints)"
    shutil.rmtree(tmp_path / "set/val/.ipynb_checkpoints")
    assert len(survey(choice, cache=tmp_path).notes) == 2


def test_a_folder_is_listed_in_the_order_of_torchvision(tmp_path: Path, pictures) -> None:
    """The oracle: keys of trials and decoded images go by that order."""
    from torchvision.datasets import ImageFolder

    root = pictures(tmp_path / "set") / "train"
    for name in ("cat/b/1.JPG", "cat/a/2.webp", "dog/Z.jpeg", "dog/a.tif", "Bird/1.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (2, 2)).save(root / name)
    ours, theirs = list_images(root), ImageFolder(root)
    assert list(ours.classes) == theirs.classes
    assert list(ours.files) == theirs.samples


def test_gifs_are_images(tmp_path: Path, pictures) -> None:
    root = pictures(tmp_path / "set")
    Image.new("P", (4, 4)).save(root / "train/cat/moving.gif", save_all=True, append_images=[Image.new("P", (4, 4), 1)])
    assert len(list_images(root / "train")) == 13


@pytest.mark.parametrize("size", [(1, 64), (64, 1), (31, 7)])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_images_of_any_shape_and_mode_are_decoded(mode: str, size: tuple[int, int], tmp_path: Path, pictures) -> None:
    root = pictures(tmp_path / "set")
    Image.new(mode, size).save(root / f"train/cat/odd.{'tif' if mode == 'CMYK' else 'png'}")
    data = load_dataset(DataChoice(name="folder", root=str(root), image_size=8), cache=tmp_path / "cache")
    assert (len(data.train.images), data.train.images.shape[1:]) == (13, (3, 8, 8))


@pytest.mark.parametrize("each", [1, 2, 3])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5])
def test_few_images_of_a_class_are_split_or_refused_in_a_line(each: int, share: float, tmp_path: Path) -> None:
    for split in ("train", "val"):
        for label, name in enumerate("abc"):
            (tmp_path / split / name).mkdir(parents=True)
            for number in range(each):
                Image.new("L", (8, 8), 80 * label).save(tmp_path / split / name / f"{number}.png")
    choice = DataChoice(name="folder", root=str(tmp_path), image_size=8, search_share=share)
    if share and (each == 1 or share * 3 * each <= 2):
        with pytest.raises(InputError, match=r"data\.search_share=0\..* take a larger share, 0 for no search split"):
            load_dataset(choice, cache=tmp_path / "cache")
        return
    data = load_dataset(choice, cache=tmp_path / "cache")
    assert len(data.train) + len(data.search) == 3 * each
    assert set(data.train.labels[data.train.indices]) == {0, 1, 2}
    assert set(data.search.labels[data.search.indices]) == ({0, 1, 2} if share else set())


def test_images_to_choose_by_may_have_a_directory_of_their_own(tmp_path: Path, pictures) -> None:
    root, own = pictures(tmp_path / "set"), pictures(tmp_path / "other") / "val"
    plain = DataChoice(name="folder", root=str(root), image_size=8, search_share=0.25)
    choice = plain.model_copy(update={"search": str(own)})
    data = load_dataset(choice, cache=tmp_path / "cache")
    assert (len(data.train), len(data.search), len(data.test)) == (12, 4, 4)
    assert np.array_equal(data.search.images[data.search.indices], load_dataset(plain, cache=tmp_path).test.images)
    assert "; 4 search images (data.search); " in survey(choice, cache=tmp_path).notes[0]
    assert identify(choice)[0].startswith(identify(plain)[0] + "+")
    moved = choice.model_copy(update={"search": str(own.rename(tmp_path / "moved"))})
    assert identify(moved) == identify(choice.model_copy(update={"search": moved.search}))


def test_images_to_choose_by_must_be_there_and_of_the_same_classes(tmp_path: Path, pictures) -> None:
    root, own = pictures(tmp_path / "set"), pictures(tmp_path / "other") / "val"
    choice = DataChoice(name="folder", root=str(root), image_size=8, search=str(own))
    (own / "dog").rename(own / "wolf")
    for look in (lambda: load_dataset(choice, cache=tmp_path), lambda: identify(choice)):
        with pytest.raises(
            InputError, match=r"data\.search must have the 2 classes .* only one of the two has dog, wolf"
        ):
            look()
    shutil.rmtree(own)
    with pytest.raises(InputError, match=r"data\.search='.*' is not a directory"):
        load_dataset(choice, cache=tmp_path)


@pytest.mark.parametrize(("before", "newline"), [(b"\xef\xbb\xbf", b"\n"), (b"", b"\r\n"), (b"\xef\xbb\xbf", b"\r\n")])
def test_specs_of_other_systems_editors_are_read(before: bytes, newline: bytes, workplace: Path) -> None:
    text = (workplace / "tiny.toml").read_bytes()
    (workplace / "windows.toml").write_bytes(before + text.replace(b"\n", newline))
    assert load_spec(workplace / "windows.toml") == load_spec(workplace / "tiny.toml")


def test_a_tilde_is_the_home_directory(workplace: Path, pictures, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(workplace))
    pictures(workplace / "set")
    words = {"data.name": "folder", "data.root": "~/set", "data.search": "~/set/val"}
    run = prepare(load_spec(workplace / "tiny.toml", words), cache=workplace / "cache")
    assert "data: 12 training images of 2 classes" in run.notes[0]
    assert load_spec(workplace / "tiny.toml", {"model.weights": "~/a.pt"}).model.weights == str(workplace / "a.pt")
