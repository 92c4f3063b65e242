"""Parts of an image that are painted over: random erasing, cutout and GridMask, as explicit records."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from .randomness import generator

# Of ImageNet, in units of [0, 255]: noise that is N(0, 1) after normalisation, as random erasing is published.
_MEAN = 255 * np.array([0.485, 0.456, 0.406])
_STD = 255 * np.array([0.229, 0.224, 0.225])


@dataclass(frozen=True, kw_only=True)
class Erase:
    """A rectangle that is painted over.

    Attributes:
        noise_seed: The seed of its noise, one normal value a pixel and channel; None for the plain fill colour.
    """

    top: int
    left: int
    height: int
    width: int
    noise_seed: int | None = None


@dataclass(frozen=True, kw_only=True)
class Grid:
    """GridMask's squares.

    Attributes:
        period: Pixels from one square to the next.
        kept: Width of the bands between them, which stay.
        top, left: Where the first band begins, on a canvas 1.5 times as large as the image.
        degrees: Rotation of that canvas.
    """

    period: int
    kept: int
    top: int
    left: int
    degrees: int


def draw_erasing(
    size: int, *, area: tuple[float, float], min_aspect: float, count: int, noise: bool, rng: np.random.Generator
) -> tuple[Erase, ...]:
    """Rectangles of random erasing (Z. Zhong et al., arXiv 1708.04896; several of them as in timm).

    Args:
        area: Bounds of the erased share of the image, for all rectangles together.
        min_aspect: Bound of height over width; its inverse is the other bound, uniform in its logarithm.
        count: Rectangles; one that finds no place in ten tries is left out.
    """
    rectangles = []
    log_aspect = math.log(min_aspect)
    for _ in range(count):
        for _ in range(10):
            target = (area[0] + (area[1] - area[0]) * rng.random()) * size * size / count
            aspect = math.exp(log_aspect * (1 - 2 * rng.random()))
            height, width = round(math.sqrt(target * aspect)), round(math.sqrt(target / aspect))
            if 0 < height < size and 0 < width < size:
                top, left = int(rng.random() * (size - height + 1)), int(rng.random() * (size - width + 1))
                seed = int(rng.bit_generator.random_raw() >> 1) if noise else None
                rectangles.append(Erase(top=top, left=left, height=height, width=width, noise_seed=seed))
                break
    return tuple(rectangles)


def draw_cutout(size: int, *, length: int, count: int, rng: np.random.Generator) -> tuple[Erase, ...]:
    """Squares around uniformly drawn centres, cut at the border (T. DeVries and G. Taylor, arXiv 1708.04552)."""
    squares = []
    for _ in range(count):
        y, x = int(rng.random() * size), int(rng.random() * size)
        top, left = max(0, y - length // 2), max(0, x - length // 2)
        bottom, right = min(size, y + length // 2), min(size, x + length // 2)
        squares.append(Erase(top=top, left=left, height=bottom - top, width=right - left))
    return tuple(squares)


def draw_grid(*, period: tuple[int, int], ratio: float, max_degrees: int, rng: np.random.Generator) -> Grid:
    """One GridMask (P. Chen et al., arXiv 2001.04086).

    Args:
        period: Bounds of the period in pixels, the upper one excluded.
        ratio: The paper's r: the kept band's share of the period.
        max_degrees: The rotation is drawn from 0 to this, excluded.
    """
    unit = period[0] + int(rng.random() * (period[1] - period[0]))
    top, left = int(rng.random() * unit), int(rng.random() * unit)
    degrees = int(rng.random() * max_degrees)
    return Grid(period=unit, kept=int(unit * ratio + 0.5), top=top, left=left, degrees=degrees)


def apply_erase(pixels: np.ndarray, erase: Erase, fill: tuple[int, int, int]) -> None:
    """Paint a rectangle over, in place; ``pixels`` is uint8 (H, W, 3)."""
    region = pixels[erase.top : erase.top + erase.height, erase.left : erase.left + erase.width]
    if erase.noise_seed is None:
        region[...] = fill
    else:
        noise = generator(erase.noise_seed, "erase").standard_normal(region.shape)
        region[...] = np.clip(np.rint(_MEAN + _STD * noise), 0, 255).astype(np.uint8)


def apply_grid(pixels: np.ndarray, grid: Grid, fill: tuple[int, int, int]) -> None:
    """Paint GridMask's squares over, in place; ``pixels`` is uint8 (H, W, 3)."""
    pixels[grid_squares(grid, *pixels.shape[:2])] = fill


def grid_squares(grid: Grid, height: int, width: int) -> np.ndarray:
    """Which pixels lie in GridMask's squares: bool, (height, width)."""
    canvas_height, canvas_width = int(1.5 * height), int(1.5 * width)
    dropped_rows = (np.arange(canvas_height) - grid.top) % grid.period >= grid.kept
    dropped_columns = (np.arange(canvas_width) - grid.left) % grid.period >= grid.kept
    squares = (dropped_rows[:, None] & dropped_columns[None, :]).astype(np.uint8)
    if grid.degrees:
        squares = np.asarray(Image.fromarray(squares).rotate(grid.degrees))
    top, left = (canvas_height - height) // 2, (canvas_width - width) // 2
    return squares[top : top + height, left : left + width].astype(bool)
