"""Decoding one file into an RGB image, or saying in one line why it cannot be decoded."""

from __future__ import annotations

import contextlib
import io
import os
import struct
import warnings
from collections.abc import Iterator
from typing import BinaryIO

from PIL import Image, ImageFile, UnidentifiedImageError, features

from ..base.errors import DataError
from .deep_pixels import bits_per_channel, to_eight_bits
from .reading import AS_STORED, Reading

_ALWAYS_READ = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".bmp", ".gif"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".tif", ".tiff", ".webp"),
)
_AVIF = (".avif",) if features.check("avif") else ()
_JPEG_2000 = (".jp2", ".j2k") if features.check("jpg_2000") else ()

IMAGE_EXTENSIONS = frozenset({*_ALWAYS_READ, *_AVIF, *_JPEG_2000})
"""What is taken for an image: all that this machine's Pillow decodes by itself, and people keep photographs in."""

# Only formats that are decoded inside Pillow: EPS, for one, would run Ghostscript.
_FORMATS = (
    *("JPEG", "PNG", "BMP", "GIF", "PPM", "TIFF", "WEBP"),
    *(("AVIF",) if _AVIF else ()),
    *(("JPEG2000",) if _JPEG_2000 else ()),
)
_BEGINNINGS = (
    (b"\xff\xd8\xff", ".jpg"),
    (b"\x89PNG\r\n\x1a\n", ".png"),
    (b"GIF8", ".gif"),
    (b"BM", ".bmp"),
    (b"II*\0", ".tif"),
    (b"MM\0*", ".tif"),
    (b"II+\0", ".tif"),
    (b"MM\0+", ".tif"),
    (b"P", ".ppm"),
)

_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class UnreadableImage(DataError):
    """A file that should hold an image and does not.

    Args:
        identity: The file, as its source names it.
        reason: Why, in one line.
    """

    def __init__(self, identity: str, reason: str) -> None:
        super().__init__(
            f"cannot decode the image {identity}: {reason}",
            hint="`kdzoo data check SPEC` lists every unreadable file; repair or remove it",
        )
        self.identity = identity
        self.reason = reason

    def __reduce__(self) -> tuple[type[UnreadableImage], tuple[str, str]]:
        return UnreadableImage, (self.identity, self.reason)


def read_rgb(path: str | os.PathLike[str], identity: str | None = None, reading: Reading = AS_STORED) -> Image.Image:
    """The image of a file, fully decoded, as RGB.

    Grey, palette and CMYK images are converted as Pillow converts them, 16 bits a channel keep their upper byte, an
    alpha channel is dropped, of an animation the first frame is taken.

    Args:
        path: The file; its content decides the format, not its extension.
        identity: The name to use in an error; by default the path.
        reading: Whether it is turned upright, and which value is white.

    Raises:
        UnreadableImage: With its reason: no such file, empty, no image, truncated, broken, larger than
            ``PIL.Image.MAX_IMAGE_PIXELS``, or of more than eight bits where nothing says which value is white.
    """
    name = identity if identity is not None else os.fspath(path)
    return decode_rgb(read_bytes(path, name), name, reading)


def read_bytes(path: str | os.PathLike[str], identity: str | None = None) -> bytes:
    """An image's file, not decoded.

    Raises:
        UnreadableImage: It cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise UnreadableImage(identity or os.fspath(path), (error.strerror or str(error)).lower()) from None


def decode_rgb(content: bytes, identity: str, reading: Reading = AS_STORED) -> Image.Image:
    """As `read_rgb`, from a file's bytes."""
    with _opened(content, identity) as image:
        bits = bits_per_channel(image, content)
        image.load()
        turn = _TURNS.get(exif_orientation(image)) if reading.upright else None
        whole = to_eight_bits(image, bits, reading.white)
        rgb = whole if whole.mode == "RGB" else whole.convert("RGB")
        return rgb if turn is None else rgb.transpose(turn)


def decode_stored(content: bytes, identity: str) -> Image.Image:
    """An image in its own mode, with the checks of `read_rgb` and those of a PNG's checksums.

    Raises:
        UnreadableImage: As `read_rgb`, whatever its range.
    """
    with _opened(content, identity) as image:
        if image.format == "PNG":
            image.verify()  # loading does not look at the checksums of pixels
    with _opened(content, identity) as image:
        image.load()
        return image


def read_orientation(path: str | os.PathLike[str] | BinaryIO) -> int:
    """The EXIF orientation that a file states, 1 to 8; 1 where it states none, or cannot be read."""
    with contextlib.suppress(Exception), warnings.catch_warnings():  # whatever a damaged file makes Pillow raise
        warnings.simplefilter("ignore")
        with Image.open(path, formats=_FORMATS) as image:
            return exif_orientation(image)
    return 1


def exif_orientation(image: Image.Image) -> int:
    """The EXIF orientation of an opened image, 1 to 8; 1 where it says none."""
    found = image.getexif().get(_ORIENTATION, 1)
    return found if found in _TURNS else 1


@contextlib.contextmanager
def _opened(content: bytes, identity: str) -> Iterator[Image.Image]:
    """An image that is not loaded yet; what Pillow raises inside is a reason.

    Raises:
        UnreadableImage: It cannot be opened, or what is done with it fails.
    """
    if not content:
        raise UnreadableImage(identity, "the file is empty")
    if ImageFile.LOAD_TRUNCATED_IMAGES:  # some libraries turn this on for the whole process
        ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
                yield image
                return
    except UnidentifiedImageError:
        reason = "not an image, or in no format that is read here"
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        reason = f"more than {Image.MAX_IMAGE_PIXELS:,} pixels, a possible decompression bomb"
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error) as error:
        # Pillow's decoders raise all of these on broken files.
        reason = " ".join(str(error).split()) or type(error).__name__
    except (MemoryError, OverflowError, ArithmeticError, AttributeError) as error:
        reason = f"broken file ({type(error).__name__})"
    raise UnreadableImage(identity, reason)


def image_extension(content: bytes) -> str:
    """The extension that a file with these bytes should have, by its format's first bytes; ``.jpg`` where none fits."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return ".webp"
    return next((extension for start, extension in _BEGINNINGS if content.startswith(start)), ".jpg")
