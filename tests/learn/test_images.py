"""Image files of every usual kind show what was put into them, or are refused in one line."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from lrbench.errors import InputError
from lrbench.learn.images import ORIENTATION, decode, read_image

LEVELS = np.linspace(0, 255, 48).round().astype(np.uint8).reshape(6, 8)
"""A grey picture of 6 x 8 pixels, no two rows or columns alike."""

COLOURS = np.stack([LEVELS, LEVELS[::-1], LEVELS[:, ::-1]], axis=2)


def shown(path: Path) -> np.ndarray:
    """What a file shows, (H, W, 3), as the decoder sees it."""
    return np.asarray(read_image(str(path)).convert("RGB"))


def grey(levels: np.ndarray) -> np.ndarray:
    return np.repeat(levels[:, :, None], 3, axis=2)


def deep(levels: np.ndarray) -> Image.Image:
    return Image.fromarray(levels.astype(np.uint16) * 257)


GREY: dict[str, Callable[[Path], None]] = {
    "8.png": lambda path: Image.fromarray(LEVELS).save(path),
    "16.png": lambda path: deep(LEVELS).save(path),
    "16.tif": lambda path: deep(LEVELS).save(path),
    "16.pgm": lambda path: path.write_bytes(b"P5 8 6 65535\n" + (LEVELS.astype(">u2") * 257).tobytes()),
    "unit.tif": lambda path: Image.fromarray(LEVELS.astype(np.float32) / 255).save(path),
    "levels.tiff": lambda path: Image.fromarray(LEVELS.astype(np.float32)).save(path),
    "alpha.png": lambda path: Image.fromarray(np.stack([LEVELS, LEVELS[::-1]], axis=2)).save(path),
    "lossless.webp": lambda path: Image.fromarray(grey(LEVELS)).save(path, lossless=True),
}
COLOUR: dict[str, Callable[[Path], None]] = {
    "rgb.png": lambda path: Image.fromarray(COLOURS).save(path),
    "rgb.bmp": lambda path: Image.fromarray(COLOURS).save(path),
    "rgba.png": lambda path: Image.fromarray(np.dstack([COLOURS, LEVELS])).save(path),
    "palette.png": lambda path: Image.fromarray(COLOURS).quantize(256).save(path),
    "see-through.png": lambda path: Image.fromarray(COLOURS).quantize(256).save(path, transparency=bytes(48)),
    "first.gif": lambda path: (
        Image.fromarray(COLOURS).quantize(256).save(path, save_all=True, append_images=[Image.new("P", (8, 6))])
    ),
    "inverted.tif": lambda path: Image.fromarray(np.dstack([255 - COLOURS, np.zeros_like(LEVELS)]), "CMYK").save(path),
}


@pytest.mark.parametrize("name", GREY)
def test_grey_of_any_kind_keeps_its_levels(name: str, tmp_path: Path) -> None:
    GREY[name](tmp_path / name)
    assert np.array_equal(shown(tmp_path / name), grey(LEVELS))


@pytest.mark.filterwarnings("ignore:'mode' parameter is deprecated")
@pytest.mark.parametrize("name", COLOUR)
def test_colour_of_any_kind_keeps_its_levels(name: str, tmp_path: Path) -> None:
    COLOUR[name](tmp_path / name)
    assert np.array_equal(decode(read_image(str(tmp_path / name)), 6), decode(COLOURS, 6))


def test_one_bit_is_black_or_white(tmp_path: Path) -> None:
    Image.fromarray(LEVELS > 99).save(tmp_path / "a.png")
    assert np.array_equal(shown(tmp_path / "a.png"), grey(np.where(LEVELS > 99, 255, 0)))


def test_a_jpeg_in_print_colours_is_no_negative(tmp_path: Path) -> None:
    Image.new("RGB", (16, 16), (200, 40, 40)).convert("CMYK").save(tmp_path / "a.jpg")
    assert np.abs(shown(tmp_path / "a.jpg").astype(int) - (200, 40, 40)).max() < 12


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photograph_is_upright_as_its_camera_was(orientation: int, suffix: str, tmp_path: Path) -> None:
    """The oracle is the definition: orientation 1 to 8 say where row 0 and column 0 of what is stored belong."""
    upright = np.kron(np.array([[0, 255, 255], [0, 128, 255]], np.uint8), np.ones((16, 16), np.uint8))
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: upright.T[::-1],
        7: upright.T[::-1, ::-1],
        8: upright.T[:, ::-1],
    }[orientation]
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    extra = {"tiffinfo": {ORIENTATION: orientation}} if suffix == "tif" else {"exif": exif}
    Image.fromarray(grey(stored)).save(tmp_path / f"a.{suffix}", **extra)
    seen = shown(tmp_path / f"a.{suffix}")
    assert seen.shape[:2] == upright.shape
    assert np.abs(seen.astype(int) - grey(upright)).mean() < 6


@pytest.mark.parametrize("exif", [b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0nonsense", b"Exif\0\0"])
def test_an_image_with_broken_exif_is_read(exif: bytes, tmp_path: Path) -> None:
    Image.fromarray(LEVELS).save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(shown(tmp_path / "a.png"), grey(LEVELS))


@pytest.mark.parametrize("kind", ["tEXt", "zTXt", "iTXt", "iCCP", "many"])
def test_a_png_with_long_texts_is_read(kind: str, tmp_path: Path) -> None:
    text, info = "x" * 2**21, PngImagePlugin.PngInfo()
    if kind == "many":
        for number in range(70):
            info.add_text(f"{number}", text, zip=True)
    elif kind == "iCCP":
        info.add(b"iCCP", b"name\0\0" + zlib.compress(text.encode()))
    elif kind == "iTXt":
        info.add_itxt("workflow", text, zip=True)
    else:
        info.add_text("workflow", text, zip=kind == "zTXt")
    Image.fromarray(COLOURS).save(tmp_path / "a.png", pnginfo=info)
    assert np.array_equal(shown(tmp_path / "a.png"), COLOURS)


@pytest.mark.parametrize(
    ("name", "pixels", "told"),
    [
        ("beyond.tif", np.float32([[0, 300]]), r"fractions must lie in 0\.\.1 or 0\.\.255, got 0\.\.300"),
        ("negative.tif", np.float32([[-1, 1]]), r"got -1\.\.1"),
        ("nan.tif", np.float32([[np.nan, 1]]), "got nan"),
        ("whole.tif", np.int32([[0, 70000]]), "8 or 16 bits a channel are read, or fractions in 0..1; got mode I"),
    ],
)
def test_numbers_without_a_known_range_are_refused(name: str, pixels: np.ndarray, told: str, tmp_path: Path) -> None:
    Image.fromarray(pixels).save(tmp_path / name)
    with pytest.raises(InputError, match=told) as error:
        read_image(str(tmp_path / name))
    assert str(error.value).startswith(str(tmp_path / name))
    assert "\n" not in str(error.value)


def test_a_torn_png_with_long_texts_is_refused_by_name(tmp_path: Path) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("workflow", "x" * 2**21, zip=True)
    Image.fromarray(COLOURS).save(tmp_path / "a.png", pnginfo=info)
    content = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(content[:-40])
    with pytest.raises(InputError, match=r"a\.png cannot be read as an image"):
        read_image(str(tmp_path / "a.png"))
    (tmp_path / "a.png").write_bytes(content[:8] + struct.pack(">I", 2**31) + content[12:])
    with pytest.raises(InputError, match=r"a\.png cannot be read as an image"):
        read_image(str(tmp_path / "a.png"))


@pytest.mark.parametrize("channels", [0, 1, 2, 3, 4])
def test_arrays_of_one_to_four_channels_are_images(channels: int) -> None:
    pixels = {0: LEVELS, 1: LEVELS[:, :, None], 2: np.dstack([LEVELS, LEVELS[::-1]]), 3: COLOURS}.get(channels)
    if pixels is None:
        pixels = np.dstack([COLOURS, LEVELS])
    assert np.array_equal(decode(pixels, 6), decode(COLOURS if channels > 2 else grey(LEVELS), 6))


@pytest.mark.parametrize("kind", [np.float32, np.float16, np.int64, np.uint16, bool])
def test_arrays_of_other_kinds_are_refused_and_told_why(kind: type) -> None:
    with pytest.raises(InputError, match=r"must be a PIL image or a uint8 array .* got ndarray, ") as error:
        decode(COLOURS.astype(kind), 6)
    assert ("leave ToTensor and Normalize to lrbench" in str(error.value)) == np.issubdtype(kind, np.floating)
