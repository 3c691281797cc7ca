"""A user's own data set is what its items are: whatever its attributes say, and whatever was decoded before."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lrbench.config.sections import DataChoice
from lrbench.learn import datasets
from lrbench.learn.datasets import Dataset, decode, load_dataset
from lrbench.learn.sources import identify
from lrbench.learn.survey import survey

SETS = """
import random
import numpy as np
import torch
from torch.utils.data import ConcatDataset, Dataset, Subset
from torchvision.datasets import ImageFolder
from torchvision import transforms as T
{more}

def both(make):
    return make("set/train"), make("set/val")


def inverted(image):
    return Image.fromarray(255 - np.asarray(image))


class Delegating(Dataset):
    def __init__(self, inner, indices):
        self.inner, self.indices = inner, indices

    def __len__(self):
        return len(self.indices)

    def __getitem__(self, index):
        return self.inner[self.indices[index]]

    def __getattr__(self, name):
        return getattr(self.__dict__["inner"], name)


class Edited(ImageFolder):
    def __getitem__(self, index):
        image, label = super().__getitem__(index)
        return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), 1 - label


def edited_samples(root):
    folder = ImageFolder(root)
    folder.samples = folder.samples[::-1]
    return folder


def relabelled(root):
    folder = ImageFolder(root)
    folder.samples = [(path, 0 if label else 1) for path, label in folder.samples]
    return folder


def stale_targets(root):
    folder = ImageFolder(root)
    folder.targets = [0] * len(folder)
    return folder


class Noisy(ImageFolder):
    def __getitem__(self, index):
        image, label = super().__getitem__(index)
        noise = np.random.randint(9) + random.randint(0, 9) + int(torch.randint(9, ()))
        return Image.fromarray(np.asarray(image) // 2 + np.uint8(noise)), label


from PIL import Image
MAKE = {{
    "plain": ImageFolder,
    "transform": lambda root: ImageFolder(root, transform=inverted),
    "transforms": lambda root: ImageFolder(root, transform=T.Compose([T.Resize(5), T.Grayscale()])),
    "target_transform": lambda root: ImageFolder(root, target_transform=lambda label: label + 3),
    "merged": lambda root: ImageFolder(root, target_transform=lambda label: 0),
    "filtered": lambda root: Delegating(ImageFolder(root), [1, 3]),
    "shuffled": lambda root: Delegating(ImageFolder(root), list(range(len(ImageFolder(root))))[::-1]),
    "subset": lambda root: Subset(ImageFolder(root), [3, 0, 1]),
    "concatenated": lambda root: ConcatDataset([ImageFolder(root), ImageFolder(root, transform=inverted)]),
    "edited": Edited,
    "edited_samples": edited_samples,
    "relabelled": relabelled,
    "stale_targets": stale_targets,
    "noisy": Noisy,
}}
for name, make in MAKE.items():
    globals()[name] = lambda make=make: both(make)
"""

NAMES = (
    *("plain", "transform", "transforms", "target_transform", "merged", "filtered", "shuffled", "subset"),
    *("concatenated", "edited", "edited_samples", "relabelled", "stale_targets"),
)


@pytest.fixture
def sets(workplace: Path, pictures, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Writes the module `ownsets`, to be imported anew, over a folder of images."""
    pictures(workplace / "set")

    def write(more: str = "", edit: tuple[str, str] = ("", "")) -> None:
        monkeypatch.delitem(sys.modules, "ownsets", raising=False)
        monkeypatch.setattr(sys, "dont_write_bytecode", True)  # two edits in a second have the same time
        text = SETS.format(more=more)
        (workplace / "ownsets.py").write_text(text.replace(*edit) if edit[0] else text)
        sys.path_importer_cache.clear()

    write()
    return write


def choice_of(name: str, **keys: object) -> DataChoice:
    return DataChoice(name=f"ownsets:{name}", image_size=8, search_share=0, **keys)


def loaded(name: str) -> Dataset:
    return load_dataset(choice_of(name), cache=Path("cache"))


def held_to_its_items(data: Dataset, name: str) -> None:
    import ownsets  # type: ignore[import-not-found]

    for split, source in zip((data.train, data.test), ownsets.both(ownsets.MAKE[name]), strict=True):
        items = [source[index] for index in range(len(source))]
        assert split.labels.tolist() == [label for _, label in items]
        assert all(np.array_equal(decode(image, 8), seen) for (image, _), seen in zip(items, split.images, strict=True))


@pytest.mark.usefixtures("sets")
@pytest.mark.parametrize("name", NAMES)
def test_a_data_set_is_read_through_its_items(name: str) -> None:
    """Also from the cache, in which all of these lie beside each other."""
    for other in ("plain", name, name):
        data = loaded(other)
        held_to_its_items(data, other)
        assert data.classes == identify(choice_of(other))[1]


@pytest.mark.usefixtures("sets")
def test_classes_are_those_of_the_items() -> None:
    expected = {"plain": 2, "target_transform": 5, "merged": 1, "subset": 2, "edited": 2, "stale_targets": 2}
    assert {name: loaded(name).classes for name in expected} == expected
    assert loaded("plain").class_names == ("cat", "dog")
    assert loaded("edited").class_names == (), "its targets are not the labels of its items"
    assert (
        "names of the classes of the data set are not used" in survey(choice_of("edited"), cache=Path("cache")).notes[1]
    )


@pytest.mark.usefixtures("sets")
def test_callables_of_one_file_are_other_data() -> None:
    assert len({identify(choice_of(name))[0] for name in NAMES}) == len(NAMES)


def test_what_was_decoded_is_used_again_only_by_the_same_code_and_arguments(
    sets, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[int] = []
    monkeypatch.setattr(datasets, "SPOTS", 1)
    monkeypatch.setattr(datasets, "decode", lambda *words: decoded.append(1) or decode(*words))

    def count(name: str = "transform", **keys: object) -> int:
        decoded.clear()
        load_dataset(choice_of(name, **keys), cache=Path("cache"))
        return len(decoded)

    assert [count(), count(), count(root="elsewhere"), count(mean=(0.1, 0.1, 0.1))] == [16, 2, 16, 16]
    before = identify(choice_of("transform"))
    sets(edit=("255 - np", "np"))
    assert count() == 16
    assert identify(choice_of("transform")) != before


def test_what_the_users_file_imports_is_part_of_the_code(
    sets, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    for shift in (1, 2):
        monkeypatch.delitem(sys.modules, "helpers", raising=False)
        (workplace / "helpers.py").write_text(f"def shifted(x):\n    return x + {shift}\n")
        sets("from helpers import shifted\nimport json\n")
        seen.append(identify(choice_of("plain"))[0])
    assert seen[0] != seen[1]


def test_items_that_changed_for_any_other_reason_are_decoded_anew(sets, monkeypatch: pytest.MonkeyPatch) -> None:
    sets("import os\n", edit=("255 - np.asarray(image)", "np.asarray(image) // int(os.environ['SHADE'])"))
    told: list[str] = []
    for shade, times in (("1", 0), ("2", 2), ("2", 0)):
        monkeypatch.setenv("SHADE", shade)
        told.clear()
        data = load_dataset(choice_of("transform"), cache=Path("cache"), progress=lambda what, *_: told.append(what))
        held_to_its_items(data, "transform")
        assert sum("item 0 of the data set is another one now" in text for text in told) == times
    assert not list(Path("cache").rglob("*.bad*")), "they were right when they were kept"


@pytest.mark.usefixtures("sets")
def test_chance_in_a_data_set_is_the_same_each_time_and_leaves_the_generators_alone(tmp_path: Path) -> None:
    import random

    import torch

    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002
    one, other = (load_dataset(choice_of("noisy"), cache=tmp_path / name) for name in "ab")
    assert np.array_equal(one.train.images, other.train.images)
    after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002
    assert before == after
