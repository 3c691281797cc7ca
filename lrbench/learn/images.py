"""One image: read from a file of any usual kind, and fitted to a size. Shapes: S height and width."""

import struct
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torchvision.transforms import functional

from lrbench.errors import InputError, reading

VERSION = 2
"""In the key of decoded images on disk. Version 1 refused 16 bits, and did not turn photographs as their EXIF says."""

EIGHT_BITS = frozenset(("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV"))
"""Modes of PIL whose channels are grey levels in 0..255; others would be cut off at 255."""

SIXTEEN_BITS = frozenset(("I;16", "I;16L", "I;16B", "I;16N"))
"""Modes of PIL whose grey levels lie in 0..65535."""

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What puts an image upright, by its EXIF orientation."""

ORIENTATION = 0x0112
"""The EXIF tag of the orientation."""

PNG = b"\x89PNG\r\n\x1a\n"
"""How a PNG begins."""

BESIDE = frozenset((b"tEXt", b"zTXt", b"iTXt", b"iCCP"))
"""Chunks of a PNG that are not its image, and of which Pillow refuses long ones."""

MUST_BE = "must be a PIL image or a uint8 array (H, W) or (H, W, 3), or of 1, 2 or 4 channels, of 8 bits and no side 0"


def read_image(path: str) -> Image.Image:
    """The image in a file: of several frames the first, upright, with 8 bits a channel.

    Raises: InputError naming the file, whatever its decoder raises.
    """
    return _read(path, upright=True)


def read_as_stored(path: str) -> Image.Image:
    """The same, but not turned as its EXIF orientation says: as published results of official data sets have it."""
    return _read(path, upright=False)


def _read(path: str, *, upright: bool) -> Image.Image:
    with reading(path, "cannot be read as an image", hint="Replace or remove it."):
        try:
            return _decoded(path, upright=upright)
        except ValueError:  # such as Pillow's about long texts
            content = Path(path).read_bytes()
            if not content.startswith(PNG):
                raise
            return _decoded(BytesIO(_without_texts(content)), upright=upright)


def _decoded(file: str | IO[bytes], *, upright: bool) -> Image.Image:
    with Image.open(file) as image:
        image.load()
        levels = in_eight_bits(image)
        turn = TURNS.get(_orientation(image)) if upright else None
        return levels.copy() if turn is None else levels.transpose(turn)


def _orientation(image: Image.Image) -> Any:
    try:
        return image.getexif().get(ORIENTATION)
    except Exception:  # of EXIF data that cannot be read: the image can
        return None


def in_eight_bits(image: Image.Image) -> Image.Image:
    """An image file's pixels as grey levels of 8 bits a channel.

    Of 16 bits the upper 8 are taken, as Pillow does in colour; fractions lie in 0..1, or in 0..255 where one is beyond.

    Raises: ValueError for numbers whose range is not known.
    """
    if image.mode in SIXTEEN_BITS or (image.mode == "I" and image.format in ("PNG", "PPM")):
        return Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8))
    if image.mode == "F":
        values = np.asarray(image)
        low, high = float(values.min()), float(values.max())
        if not 0 <= low <= high <= 255:
            raise ValueError(f"fractions must lie in 0..1 or 0..255, got {low:g}..{high:g}")
        return Image.fromarray(np.round(values * (255 if high <= 1 else 1)).astype(np.uint8))
    if image.mode not in EIGHT_BITS:
        raise ValueError(f"8 or 16 bits a channel are read, or fractions in 0..1; got mode {image.mode}")
    return image


def _without_texts(content: bytes) -> bytes:
    """A PNG without the chunks that are `BESIDE` its image."""
    kept, at = [PNG], len(PNG)
    while at + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, at)
        if content[at + 4 : at + 8] not in BESIDE:
            kept.append(content[at : at + 12 + length])
        at += 12 + length
    return b"".join(kept)


@dataclass(frozen=True, kw_only=True)
class Fit:
    """How an image comes to its size: its shorter side `resize` pixels first, where that is not 0."""

    resize: int = 0
    interpolation: str = "bilinear"


PLAIN = Fit()


def decode(image: Any, size: int, fit: Fit = PLAIN) -> NDArray[np.uint8]:
    """An image as (3, S, S) uint8 RGB: the shorter side resized, the centre kept.

    Raises: InputError, whose text goes on from a name, for anything else than an image of 8 bits a channel.
    """
    picture = in_colour(as_picture(image))
    if fit.resize:
        resized = functional.resize(picture, fit.resize, functional.InterpolationMode(fit.interpolation))
        fitted = functional.center_crop(resized, size)
    else:
        fitted = ImageOps.fit(picture, (size, size), method=Image.Resampling[fit.interpolation.upper()])
    return np.asarray(fitted, dtype=np.uint8).transpose(2, 0, 1)


def as_picture(image: Any) -> Image.Image:
    """What a data set gives as an image of PIL.

    Raises: InputError as `decode` does.
    """
    if isinstance(image, Image.Image):
        picture, got = image, f"mode {image.mode}"
    else:
        pixels = np.asarray(image)
        channels = pixels.shape[2] if pixels.ndim == 3 else 1
        if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or channels not in range(1, 5):
            hint = "; leave ToTensor and Normalize to lrbench" if pixels.dtype.kind == "f" else ""
            raise InputError(f"{MUST_BE}, got {type(image).__name__}, {pixels.dtype} of shape {pixels.shape}{hint}")
        picture, got = Image.fromarray(pixels[:, :, 0] if pixels.shape[2:] == (1,) else pixels), f"shape {pixels.shape}"
    if picture.mode not in EIGHT_BITS or 0 in picture.size:
        raise InputError(f"{MUST_BE}, got {type(image).__name__} of {got} and size {picture.size}")
    return picture


def in_colour(picture: Image.Image) -> Image.Image:
    """An image of 8 bits in RGB; what shows through its transparent parts is what lies in them."""
    if picture.mode == "P" and "transparency" in picture.info:
        picture = picture.convert("RGBA")  # straight to RGB, Pillow warns of the transparency
    return picture.convert("RGB")
