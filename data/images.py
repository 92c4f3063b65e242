"""Decoding one file into an RGB image, or saying in one line why it cannot be decoded."""

from __future__ import annotations

import io
import os
import struct
import warnings

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError, features

from ..errors import DataError

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


def read_rgb(path: str | os.PathLike[str], identity: str | None = None) -> Image.Image:
    """The image of a file, fully decoded, as RGB.

    Grey, palette and CMYK images are converted as Pillow converts them, 16-bit grey keeps its upper byte, an alpha
    channel is dropped, of an animation the first frame is taken. The EXIF orientation is not applied: the published
    ImageNet models were trained and measured without it.

    Args:
        path: The file; its content decides the format, not its extension.
        identity: The name to use in an error; by default the path.

    Raises:
        UnreadableImage: With its reason: no such file, empty, no image, truncated, broken, or larger than
            ``PIL.Image.MAX_IMAGE_PIXELS``.
    """
    name = identity if identity is not None else os.fspath(path)
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise UnreadableImage(name, (error.strerror or str(error)).lower()) from None
    return decode_rgb(content, name)


def decode_rgb(content: bytes, identity: str) -> Image.Image:
    """As `read_rgb`, from a file's bytes."""
    if not content:
        raise UnreadableImage(identity, "the file is empty")
    if ImageFile.LOAD_TRUNCATED_IMAGES:  # some libraries turn this on for the whole process
        ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
                image.load()
                return _to_rgb(image)
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


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":
        return image
    if image.mode.startswith("I"):  # 16-bit grey: Pillow would clip it at 255 instead of scaling it
        grey = np.clip(np.asarray(image, dtype=np.int64) >> 8, 0, 255).astype(np.uint8)
        return Image.fromarray(grey).convert("RGB")
    return image.convert("RGB")
