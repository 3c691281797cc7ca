"""Random changes of training images: exact beside torchvision, and drawn as it draws them."""

import math

import pytest
import torch
from torchvision.transforms import RandomResizedCrop
from torchvision.transforms.v2 import functional as v2

from lrbench.learn.augment import AREA, ASPECT, AUGMENTATIONS, Windows, augmented

CHANGES = {name: draw for name, draw in AUGMENTATIONS.items() if draw is not None}


def pictures(count: int, size: int) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def each(windows: Windows, number: int) -> dict[str, int]:
    return {name: int(getattr(windows, name)[number]) for name in ("top", "left", "height", "width")}


@pytest.mark.parametrize("size", [8, 33, 64])
def test_a_resized_crop_is_that_of_torchvision(size: int) -> None:
    torch.manual_seed(size)
    images, windows = pictures(24, size), CHANGES["resized-crop-flip"](24, size)
    changed = augmented(images, windows)
    for number, image in enumerate(images.float()):
        expected = v2.resized_crop(image, **each(windows, number), size=[size, size], antialias=True)
        expected = expected.flip(-1) if windows.mirrored[number] else expected
        torch.testing.assert_close(changed[number], expected, atol=2e-3, rtol=0)


@pytest.mark.parametrize("name", ["flip", "crop", "crop-flip"])
def test_a_shift_moves_whole_pixels_and_lets_black_in(name: str) -> None:
    torch.manual_seed(1)
    images, windows = pictures(24, 16), CHANGES[name](24, 16)
    changed = augmented(images, windows)
    for number, image in enumerate(images):
        expected = v2.crop(image, **each(windows, number))
        assert torch.equal(changed[number], (expected.flip(-1) if windows.mirrored[number] else expected).float())


@pytest.mark.parametrize("name", CHANGES)
def test_every_image_is_changed_on_its_own(name: str) -> None:
    torch.manual_seed(2)
    one = pictures(1, 16).expand(64, -1, -1, -1)
    assert len(augmented(one, CHANGES[name](64, 16)).flatten(1).unique(dim=0)) > 1


@pytest.mark.parametrize("name", CHANGES)
def test_windows_taken_in_parts_change_images_alike(name: str) -> None:
    torch.manual_seed(3)
    images, windows = pictures(9, 16), CHANGES[name](9, 16)
    parts = [augmented(images[a:b], windows.take(a, b)) for a, b in ((0, 4), (4, 9))]
    torch.testing.assert_close(torch.cat(parts), augmented(images, windows))


def test_windows_are_drawn_as_torchvision_draws_them() -> None:
    """First and second moments of 20,000 windows of each, within four standard errors of their difference."""
    count, size = 20_000, 64
    torch.manual_seed(4)
    windows = CHANGES["resized-crop-flip"](count, size)
    image = torch.empty(3, size, size)
    theirs = torch.tensor([RandomResizedCrop.get_params(image, list(AREA), list(ASPECT)) for _ in range(count)]).float()
    for number, name in enumerate(("top", "left", "height", "width")):
        mine, their = getattr(windows, name), theirs[:, number]
        for power in (1, 2):
            a, b = mine**power, their**power
            error = math.sqrt((a.var() + b.var()) / count)
            assert abs(float(a.mean() - b.mean())) < 4 * error, (name, power)
    both = (windows.height * windows.width, theirs[:, 2] * theirs[:, 3])
    assert abs(float(both[0].mean() - both[1].mean())) < 4 * math.sqrt(sum(float(v.var()) for v in both) / count)


@pytest.mark.parametrize(("name", "reach", "share"), [("flip", 0, 0.5), ("crop", 8, 0.0), ("crop-flip", 8, 0.5)])
def test_shifts_and_mirrors_are_as_likely_as_they_should_be(name: str, reach: int, share: float) -> None:
    count = 20_000
    torch.manual_seed(5)
    windows = CHANGES[name](count, 64)
    assert abs(float(windows.mirrored.float().mean()) - share) < 4 * 0.5 / math.sqrt(count)
    for offsets in (windows.top, windows.left):
        assert offsets.unique().tolist() == list(range(-reach, reach + 1))
        assert abs(float(offsets.mean())) < 4 * max(reach, 1) / math.sqrt(count)
        assert float(offsets.var()) == pytest.approx(((2 * reach + 1) ** 2 - 1) / 12, rel=0.05, abs=1e-9)


def test_an_image_of_one_pixel_can_be_changed() -> None:
    torch.manual_seed(6)
    for draw in CHANGES.values():
        assert augmented(pictures(5, 1), draw(5, 1)).shape == (5, 3, 1, 1)
