"""OpenCV's bilinear resize of 8-bit images, in its own fixed-point arithmetic and without OpenCV.

It takes the two nearest pixels on each axis whatever the factor (no antialiasing), with weights in 1/2048. For a
smaller result it equals ``cv2.resize(…, interpolation=cv2.INTER_LINEAR)`` to the byte; for a larger one single pixels
may differ by 1, where OpenCV's vector code rounds otherwise.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

_ONE = 2048


def resize_and_cut(pixels: np.ndarray, size: tuple[int, int], top: int, left: int, cut: tuple[int, int]) -> np.ndarray:
    """Resize an image and cut a part out of the result; what is not cut out is not computed.

    Args:
        pixels: uint8, (H, W, 3).
        size: (height, width) of the whole result.
        top: First row that is kept.
        left: First column that is kept.
        cut: (height, width) of the part, which lies within the result.

    Returns:
        uint8, (height, width, 3).
    """
    height, width = cut
    rows = _neighbours(size[0], pixels.shape[0])[:, top : top + height]
    columns = _neighbours(size[1], pixels.shape[1])[:, left : left + width]
    first = int(rows[0, 0])
    flat = pixels[first : int(rows[1, -1]) + 1].reshape(-1, pixels.shape[1] * 3)
    channels = np.arange(3)
    near, far = ((3 * columns[index][:, None] + channels).ravel() for index in (0, 1))
    across = np.take(flat, near, axis=1) * np.repeat(columns[2], 3)
    across += np.take(flat, far, axis=1) * np.repeat(columns[3], 3)
    across >>= 4  # OpenCV drops these bits before the second axis
    above, below = across[rows[0] - first], across[rows[1] - first]
    above *= rows[2][:, None]
    below *= rows[3][:, None]
    above >>= 16
    below >>= 16
    above += below
    above += 2
    above >>= 2
    return above.astype(np.uint8).reshape(height, width, 3)


@lru_cache(maxsize=256)
def _neighbours(new: int, old: int) -> np.ndarray:
    """For each position of the new axis the two old positions and their weights: int32, (4, new)."""
    exact = ((np.arange(new) + 0.5) * (1.0 / (new / old)) - 0.5).astype(np.float32)
    near = np.floor(exact).astype(np.int32)
    share = exact - near.astype(np.float32)
    outside = (near < 0) | (near >= old - 1)
    share[outside] = 0
    near = np.clip(near, 0, old - 1)
    weights = [np.rint(part * np.float32(_ONE)).astype(np.int32) for part in (np.float32(1) - share, share)]
    table = np.stack([near, np.minimum(near + 1, old - 1), *weights])
    table.flags.writeable = False
    return table
