"""Images of more than eight bits a channel: which value is white, or that nothing says so.

A file of 16 bits a channel may hold 10, 12 or 14 bits of a sensor, and one of floating-point numbers any range: shown
as if they used the whole range, such images are black.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

_BITS_PER_SAMPLE, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0
_SAY = "say which value is white: SPEC@white="


def bits_per_channel(image: Image.Image, content: bytes) -> int:
    """Of an opened image, as its file declares them; 8 where its format has no more."""
    if image.format == "PNG":
        return content[24]  # IHDR is the first chunk
    if image.format == "TIFF":
        return max(image.tag_v2.get(_BITS_PER_SAMPLE, (1,)))  # type: ignore[attr-defined]
    return 16 if image.mode[0] == "I" else 32 if image.mode == "F" else 8


def to_eight_bits(image: Image.Image, bits: int, white: float | None) -> Image.Image:
    """A loaded image in 8 bits a channel; unchanged where it has no more.

    Args:
        image: Of any mode.
        bits: From `bits_per_channel`.
        white: The value that becomes 255; None to take it from the file.

    Raises:
        ValueError: Nothing says which value is white; with the reason and the way out.
    """
    if image.mode[0] == "I" or image.mode == "F":
        return _grey(image, bits, white)
    if bits <= 8:
        return image
    # Pillow has kept the upper bytes of colours alone.
    if white not in (None, 65535):
        raise ValueError(f"colours of {bits} bits a channel are read with white=65535 alone; convert them to 8 bits")
    if white is None and not _is_bright(max(high for _, high in _extrema(image.convert("RGB"))), 255):
        raise ValueError(
            f"colours of {bits} bits a channel, all of them in the lower half of the range: convert them to 8 bits, or "
            f"{_SAY}65535"
        )
    return image


def _extrema(image: Image.Image) -> tuple[tuple[int, int], ...]:
    return image.getextrema()  # type: ignore[return-value]


def _grey(image: Image.Image, bits: int, white: float | None) -> Image.Image:
    values = np.asarray(image)
    if image.format == "TIFF" and image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:  # type: ignore[attr-defined]
        raise ValueError(f"white is 0 in its {bits}-bit pixels: convert it to 8 bits")
    if image.mode == "F":
        return _from_floats(values, white)
    values = values.astype(np.int64)
    least, top = int(values.min()), int(values.max())
    if image.format == "PPM":  # Pillow has scaled it by the maximum that the file states
        white = 65535
    elif white is None and image.format == "TIFF" and 8 < bits < 16:
        white = 2**bits - 1
    if white is None and (bits != 16 or least < 0 or not _is_bright(top, 65535)):
        raise ValueError(
            f"{bits}-bit pixels from {least:,} to {top:,}: nothing says how bright that is; "
            f"{_SAY}4095 for 12 bits, @white=65535 for all of 16"
        )
    scaled = values * 256 // (round(65535 if white is None else white) + 1)
    return Image.fromarray(np.clip(scaled, 0, 255).astype(np.uint8))


def _from_floats(values: np.ndarray, white: float | None) -> Image.Image:
    if not np.isfinite(values).all():
        raise ValueError("some of its pixels are no finite numbers")
    if white is None:
        raise ValueError(
            f"floating-point pixels from {values.min():g} to {values.max():g}: nothing says how bright that is; "
            f"{_SAY}1, or another value"
        )
    return Image.fromarray(np.rint(np.clip(values * (255 / white), 0, 255)).astype(np.uint8))


def _is_bright(top: int, full: int) -> bool:
    """Whether the upper half of the range is used, or nothing but black: the range is then not in question."""
    return top == 0 or top > full // 2
