"""Data sets: what is read, cached, held out and refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lrbench.config.sections import DataChoice
from lrbench.errors import InputError
from lrbench.learn import datasets
from lrbench.learn.datasets import decode, hold_out, load_dataset
from lrbench.learn.sources import identify

Pictures = Callable[[Path], Path]


def test_digits_are_embedded(tmp_path: Path) -> None:
    data = load_dataset(DataChoice(image_size=16), cache=tmp_path)
    assert (len(data.train), len(data.search), len(data.test), data.classes) == (1293, 144, 360, 10)
    assert data.train.images.shape[1:] == (3, 16, 16)
    assert data.train.images.dtype == np.uint8
    assert not set(data.train.indices) & set(data.search.indices)


def test_a_folder_is_decoded_once_and_then_mapped(
    tmp_path: Path, pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    choice = DataChoice(name="folder", root=str(pictures(tmp_path / "set")), image_size=8, search_share=0.25)
    seen: list[tuple[str, int, int]] = []
    first = load_dataset(choice, cache=tmp_path / "cache", progress=lambda *done: seen.append(done[1:]))
    assert seen == [("train", 12, 12), ("test", 4, 4)]
    monkeypatch.setattr(datasets, "decode", lambda *_: pytest.fail("decoded twice"))
    again = load_dataset(choice, cache=tmp_path / "cache")
    assert isinstance(again.test.images, np.memmap)
    assert np.array_equal(first.train.images, again.train.images)
    assert (len(again.train), len(again.search), len(again.test), again.classes) == (9, 3, 4, 2)


def test_a_moved_folder_is_the_same_data_and_a_changed_one_is_not(tmp_path: Path, pictures: Pictures) -> None:
    here, there = (DataChoice(name="folder", root=str(pictures(tmp_path / name))) for name in ("a", "b"))
    assert identify(here) == identify(there)
    (tmp_path / "b/train/cat/0.png").unlink()
    assert identify(here) != identify(there)


def test_grey_and_transparent_images_become_rgb() -> None:
    for mode in ("L", "RGBA", "P", "1"):
        assert decode(Image.new(mode, (9, 7)), 5).shape == (3, 5, 5)


def test_the_centre_of_a_wide_image_is_kept() -> None:
    wide = np.zeros((4, 12, 3), dtype=np.uint8)
    wide[:, 4:8] = 255
    assert decode(wide, 4).min() > 200


@given(classes=st.integers(2, 5), each=st.integers(8, 20), share=st.floats(0.2, 0.5))
def test_a_held_out_split_is_disjoint_complete_and_the_same_each_time(classes: int, each: int, share: float) -> None:
    labels = np.repeat(np.arange(classes), each)
    kept, searched = hold_out(labels, share=share)
    assert sorted([*kept, *searched]) == list(range(len(labels)))
    assert set(labels[searched]) == set(range(classes))
    assert all(np.array_equal(a, b) for a, b in zip(hold_out(labels, share=share), (kept, searched), strict=True))


def test_a_share_of_zero_keeps_everything() -> None:
    kept, searched = hold_out(np.zeros(5, dtype=np.int64), share=0)
    assert (len(kept), len(searched)) == (5, 0)


def spoil(root: Path) -> None:
    (root / "train/dog/3.png").write_bytes(b"no image")


def truncate(root: Path) -> None:
    path = root / "train/dog/3.png"
    path.write_bytes(path.read_bytes()[:60])


def empty_class(root: Path) -> None:
    (root / "train/bird").mkdir()


def odd_class(root: Path) -> None:
    (root / "val/dog").rename(root / "val/wolf")


def no_validation(root: Path) -> None:
    (root / "val").rename(root / "test")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (spoil, r"train/dog/3\.png cannot be read as an image"),
        (truncate, r"train/dog/3\.png cannot be read as an image"),
        (empty_class, "Found no valid file for the classes bird"),
        (odd_class, "classes in only one of train/ and val/: dog, wolf"),
        (no_validation, "has no val/: put one directory of images for each class"),
    ],
)
def test_a_damaged_folder_is_named(
    damage: Callable[[Path], None], message: str, tmp_path: Path, pictures: Pictures
) -> None:
    damage(pictures(tmp_path / "set"))
    choice = DataChoice(name="folder", root=str(tmp_path / "set"), image_size=8)
    with pytest.raises(InputError, match=message):
        load_dataset(choice, cache=tmp_path / "cache")
    assert not list(tmp_path.glob("cache/*/train.npy"))


def test_the_users_own_set_is_a_callable(workplace: Path) -> None:
    (workplace / "sets.py").write_text(
        "import numpy as np\n"
        "def load(choice):\n"
        "    images = [(np.full((9, 9), 60 * (i % 3), dtype=np.uint8), i % 3) for i in range(30)]\n"
        "    return images, images[:6]\n"
    )
    data = load_dataset(DataChoice(name="sets:load", image_size=8), cache=workplace)
    assert (data.classes, len(data.test)) == (3, 6)
    assert identify(DataChoice(name="sets:load"))[0].startswith("sets:load:30+6:data:")


@pytest.mark.parametrize("name", ["imagenette", "cifar10"])
def test_official_sets_are_downloaded_and_a_failure_says_what_to_do(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def refuse(url: str, *_: object, **__: object) -> None:
        asked.append(url)
        raise OSError("no network in tests")

    for module in ("torchvision.datasets.imagenette", "torchvision.datasets.cifar"):
        monkeypatch.setattr(f"{module}.download_and_extract_archive", refuse)
    with pytest.raises(
        InputError, match=r"could not be downloaded .* no network in tests.* Put the files there yourself"
    ):
        load_dataset(DataChoice(name=name, root=str(tmp_path), image_size=160), cache=tmp_path)
    assert asked[0].endswith({"imagenette": "imagenette2-160.tgz", "cifar10": "cifar-10-python.tar.gz"}[name])


def test_an_imagenette_directory_is_read_where_torchvision_puts_it(tmp_path: Path) -> None:
    for split in ("train", "val"):
        for wnid in ("n01440764", "n02102040"):
            folder = tmp_path / "imagenette2-160" / split / wnid
            folder.mkdir(parents=True)
            for number in range(10):
                Image.new("RGB", (20, 16), (number, 0, 0)).save(folder / f"{number}.JPEG")
    data = load_dataset(DataChoice(name="imagenette", root=str(tmp_path), image_size=8), cache=tmp_path)
    assert (data.classes, len(data.test)) == (2, 20)
