"""Views: what augmentation does to one image, first drawn as a small record, then applied without chance.

A view is a pure function of the augmentation's settings, the image's size and a generator for (seed, epoch, sample id).
Whoever knows these has the view; a stored teacher label needs no bytes for it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Literal

import numpy as np
from PIL import Image, ImageEnhance

from ..base.errors import UsageError
from ..base.setting_values import CountFromZero, CropPct, Fraction, Pixels, PositiveFraction, Range, check_values
from .masks import Erase, Grid, apply_erase, apply_grid, draw_cutout, draw_erasing, draw_grid
from .pixel_ops import RESAMPLING, apply_op
from .policies import IMAGENET_MEAN_COLOUR, draw_policy, parse_policy, policy_geometry

PAD = 4
_JITTER = (
    ("brightness", ImageEnhance.Brightness),
    ("contrast", ImageEnhance.Contrast),
    ("saturation", ImageEnhance.Color),
)

# Principal components of ImageNet's RGB values in [0, 1] (A. Krizhevsky et al., NIPS 2012, §4.1; numbers as in
# facebookarchive/fb.resnet.torch). One eigenvector a column.
_EIGENVALUES = np.array([0.2175, 0.0188, 0.0045])
_EIGENVECTORS = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How training images are varied. The steps are applied in the order of these attributes.

    Attributes:
        image_size: Height and width of the result, pixels.
        image_width: Width of the result where it differs from its height; then without policy, erasing, cutout and
            GridMask, which are made for squares.
        crop: ``random_resized`` (Inception's crop as in torchvision), ``pad4`` (CIFAR's: pad by 4 black pixels, crop
            back; images of another size are first cropped and resized as in evaluation at crop_pct 1) or ``center``
            (the evaluation transform: no chance in it).
        scale: Bounds of the cropped share of the area (``random_resized``).
        ratio: Bounds of width over height (``random_resized``).
        crop_pct: As in `EvalTransform` (``center``).
        interpolation: ``bilinear`` or ``bicubic``, antialiased as Pillow does it.
        hflip_prob: Probability of a horizontal flip.
        policy: ``imagenet_autoaugment``, ``cifar_autoaugment``, ``ssld_autoaugment``, RandAugment in timm's notation
            (``rand-m9-n2-mstd0.5-inc1``), or None.
        color_jitter: Brightness, contrast and saturation: each factor uniform in [1 - b, 1 + b], in random order.
        lighting_std: Standard deviation of AlexNet's lighting noise; goes to `Batch.pixel_shift`.
        erase_prob: Probability of random erasing.
        erase_mode: ``const`` (mask_fill) or ``pixel`` (noise).
        erase_area: Bounds of the erased share of the image.
        erase_min_aspect: Bound of height over width, and of its inverse.
        erase_count: Rectangles that share the erased area.
        cutout_size: Side of cutout's squares in pixels; 0 for none.
        cutout_count: Number of them.
        grid_prob: Probability of GridMask.
        grid_ramp_epochs: The probability rises linearly from 0 over these first epochs; 0 for no rise.
        grid_period: Bounds of GridMask's period in pixels, the upper one excluded.
        grid_ratio: The kept band's share of the period.
        grid_degrees: GridMask's rotation is drawn from 0 to this, excluded.
        mask_fill: Colour of erased pixels; by default ImageNet's mean, which is 0 after normalisation.
    """

    image_size: Pixels
    crop: Literal["random_resized", "pad4", "center"] = "random_resized"
    scale: Annotated[tuple[float, float], Range(0, 1, above_low=True)] = (0.08, 1.0)
    ratio: Annotated[tuple[float, float], Range(0.01, 100)] = (3 / 4, 4 / 3)
    crop_pct: CropPct = 1.0
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    hflip_prob: Fraction = 0.5
    policy: str | None = None
    color_jitter: Annotated[tuple[float, float, float], Range(0, 10)] | None = None
    lighting_std: Annotated[float, Range(0, 10)] = 0.0
    erase_prob: Fraction = 0.0
    erase_mode: Literal["const", "pixel"] = "const"
    erase_area: Annotated[tuple[float, float], Range(0, 1, above_low=True)] = (0.02, 1 / 3)
    erase_min_aspect: PositiveFraction = 0.3
    erase_count: Annotated[int, Range(1, 1000)] = 1
    cutout_size: Annotated[int, Range(0, 4096)] = 0
    cutout_count: Annotated[int, Range(1, 1000)] = 1
    grid_prob: Fraction = 0.0
    grid_ramp_epochs: CountFromZero = 0
    grid_period: Annotated[tuple[int, int], Range(2, 8192)] = (96, 224)
    grid_ratio: Fraction = 0.5
    grid_degrees: Annotated[int, Range(1, 360)] = 360
    mask_fill: Annotated[tuple[int, int, int], Range(0, 255)] = IMAGENET_MEAN_COLOUR
    image_width: Pixels | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the result, pixels."""
        return self.image_size, self.image_width or self.image_size

    def __post_init__(self) -> None:
        check_values(self)
        square_only = (self.policy is not None, self.erase_prob > 0, self.cutout_size > 0, self.grid_prob > 0)
        if self.size[0] != self.size[1] and any(square_only):
            raise UsageError(
                f"policy, erasing, cutout and GridMask are for square images, these are {self.size[0]}×{self.size[1]}",
                hint="leave them out, or leave image_width out",
            )
        for name in ("scale", "ratio", "erase_area", "grid_period"):
            low, high = getattr(self, name)
            if low > high or (name == "grid_period" and low == high):
                raise UsageError(f"{name} is two bounds, the lower one first, got {low:g}, {high:g}", hint="swap them")
        if self.policy is not None:
            parse_policy(self.policy)


@dataclass(frozen=True, kw_only=True)
class View:
    """What happens to one image; every chance is already taken.

    Attributes:
        crop: (top, left, height, width) in pixels of the image, or of the squared image plus its padding's offset
            (``pad4``: top and left from -4 to 4), or None for the evaluation transform.
        flip: Whether it is mirrored left to right.
        policy: Operations and their final arguments, in order.
        jitter: (``brightness``, ``contrast`` or ``saturation``; its factor), in order.
        lighting: Shift of R, G and B in units of the [0, 1] pixel range, or None.
        erase: Rectangles that are painted over.
        grid: GridMask's squares, or None.
    """

    crop: tuple[int, int, int, int] | None = None
    flip: bool = False
    policy: tuple[tuple[str, float], ...] = ()
    jitter: tuple[tuple[str, float], ...] = ()
    lighting: tuple[float, float, float] | None = None
    erase: tuple[Erase, ...] = ()
    grid: Grid | None = None


@dataclass(frozen=True, kw_only=True)
class EvalTransform:
    """Resize and centre crop, as timm evaluates.

    The short side is resized to ``floor(image_size / crop_pct)``, then the middle is cut out. Where the result is no
    square, the image is resized so that it just covers ``floor(side / crop_pct)`` on both sides.

    Attributes:
        image_size: Height and width of the result, pixels.
        image_width: Width of the result where it differs from its height.
        crop_pct: In (0, 1].
        interpolation: ``bilinear`` or ``bicubic``, antialiased as Pillow does it.
    """

    image_size: Pixels
    crop_pct: CropPct
    interpolation: Literal["bilinear", "bicubic"]
    image_width: Pixels | None = None

    def __post_init__(self) -> None:
        check_values(self)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the result, pixels."""
        return self.image_size, self.image_width or self.image_size

    def apply(self, image: Image.Image) -> np.ndarray:
        """uint8, (height, width, 3)."""
        return np.asarray(self.apply_image(image))

    def apply_image(self, image: Image.Image) -> Image.Image:
        """As `apply`, left as an image."""
        cut_height, cut_width = self.size
        width, height = image.size
        new_width, new_height = self._resized(width, height)
        if (new_width, new_height) != (width, height):
            image = image.resize((new_width, new_height), RESAMPLING[self.interpolation])
        left, top = self._cut(new_width, new_height)
        return image.crop((left, top, left + cut_width, top + cut_height))

    def region(self, width: int, height: int) -> tuple[float, float, float, float]:
        """(left, top, right, bottom) of what is shown of an image of this size, in its own pixels."""
        new_width, new_height = self._resized(width, height)
        left, top = self._cut(new_width, new_height)
        across, down = width / new_width, height / new_height
        right, bottom = min(width, (left + self.size[1]) * across), min(height, (top + self.size[0]) * down)
        return left * across, top * down, right, bottom

    def _cut(self, width: int, height: int) -> tuple[int, int]:
        """(left, top) of the middle of a resized image."""
        return round((width - self.size[1]) / 2), round((height - self.size[0]) / 2)

    def _resized(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) of an image before its middle is cut out."""
        least_height, least_width = (math.floor(side / self.crop_pct) for side in self.size)
        if least_width * height >= least_height * width:  # the width decides
            return least_width, int(least_width * height / width)
        return int(least_height * width / height), least_height


def draw_view(augmentation: Augmentation, width: int, height: int, rng: np.random.Generator, *, epoch: int = 0) -> View:
    """Draw a view of an image.

    Crop and flip are drawn first, so that two augmentations with the same crop show the same part of the image.

    Args:
        width, height: Size of the image in pixels.
        rng: ``generator(seed, "view", epoch, sample_id)``.
        epoch: Where the run is; only GridMask's rise looks at it.
    """
    aug, size = augmentation, augmentation.image_size
    if aug.crop == "random_resized":
        crop = _draw_random_resized(width, height, aug, rng)
    elif aug.crop == "pad4":
        crop = (int(rng.random() * (2 * PAD + 1)) - PAD, int(rng.random() * (2 * PAD + 1)) - PAD, *aug.size)
    else:
        crop = None
    flip = rng.random() < aug.hflip_prob
    policy = draw_policy(aug.policy, size, rng) if aug.policy is not None else ()
    jitter = _draw_jitter(aug.color_jitter, rng) if aug.color_jitter is not None else ()
    lighting = _draw_lighting(aug.lighting_std, rng) if aug.lighting_std > 0 else None
    erase: tuple[Erase, ...] = ()
    if aug.erase_prob > 0 and rng.random() < aug.erase_prob:
        noise = aug.erase_mode == "pixel"
        erase = draw_erasing(
            size, area=aug.erase_area, min_aspect=aug.erase_min_aspect, count=aug.erase_count, noise=noise, rng=rng
        )
    if aug.cutout_size > 0:
        erase += draw_cutout(size, length=aug.cutout_size, count=aug.cutout_count, rng=rng)
    grid = None
    if aug.grid_prob > 0:
        rise = min(1.0, epoch / aug.grid_ramp_epochs) if aug.grid_ramp_epochs else 1.0
        if rng.random() < aug.grid_prob * rise:
            grid = draw_grid(period=aug.grid_period, ratio=aug.grid_ratio, max_degrees=aug.grid_degrees, rng=rng)
    return View(crop=crop, flip=flip, policy=policy, jitter=jitter, lighting=lighting, erase=erase, grid=grid)


def apply_view(image: Image.Image, view: View, augmentation: Augmentation) -> np.ndarray:
    """The view of an RGB image: uint8, (height, width, 3). The lighting shift is left to `Batch.pixel_shift`.

    Of the augmentation only what no chance decides is used (sizes, interpolation, fill). At another size than the view
    was drawn for, `render_view` shows it.
    """
    size = (augmentation.size[1], augmentation.size[0])  # as Pillow has it: width, height
    if view.crop is None:
        image = fitting(view, augmentation).apply_image(image)
    else:
        if augmentation.crop == "pad4" and image.size != size:
            image = fitting(view, augmentation).apply_image(image)
        top, left, height, width = view.crop
        if (top, left, width, height) != (0, 0, *image.size):
            image = image.crop((left, top, left + width, top + height))
        if image.size != size:
            image = image.resize(size, RESAMPLING[augmentation.interpolation])
    image = vary_cropped(image, view, augmentation)
    if not view.erase and view.grid is None:
        return np.asarray(image)
    pixels = np.array(image)
    for erase in view.erase:
        apply_erase(pixels, erase, augmentation.mask_fill)
    if view.grid is not None:
        apply_grid(pixels, view.grid, augmentation.mask_fill)
    return pixels


_ENHANCERS = dict(_JITTER)


def vary_cropped(image: Image.Image, view: View, augmentation: Augmentation) -> Image.Image:
    """A view's flip, policy and colours, on what its crop gave."""
    if view.flip:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if view.policy:
        geometry = policy_geometry(str(augmentation.policy), augmentation.interpolation)
        for name, value in view.policy:
            image = apply_op(image, name, value, geometry)
    for name, factor in view.jitter:
        image = _ENHANCERS[name](image).enhance(factor)
    return image


def fitting(view: View, augmentation: Augmentation) -> EvalTransform:
    """How an image comes to the augmentation's size where that is not done by its crop: ``center``, or for ``pad4``."""
    return EvalTransform(
        image_size=augmentation.image_size,
        image_width=augmentation.image_width,
        crop_pct=augmentation.crop_pct if view.crop is None else 1.0,
        interpolation=augmentation.interpolation,
    )


def _draw_random_resized(
    width: int, height: int, aug: Augmentation, rng: np.random.Generator
) -> tuple[int, int, int, int]:
    """torchvision's RandomResizedCrop: ten tries, then the largest middle part within the ratio's bounds."""
    log_low, log_high = _log_bounds(aug.ratio)
    for _ in range(10):
        area = width * height * (aug.scale[0] + (aug.scale[1] - aug.scale[0]) * rng.random())
        ratio = math.exp(log_low + (log_high - log_low) * rng.random())
        crop_width, crop_height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < crop_width <= width and 0 < crop_height <= height:
            top, left = int(rng.random() * (height - crop_height + 1)), int(rng.random() * (width - crop_width + 1))
            return top, left, crop_height, crop_width
    crop_width, crop_height = width, height
    if width / height < aug.ratio[0]:
        crop_height = round(width / aug.ratio[0])
    elif width / height > aug.ratio[1]:
        crop_width = round(height * aug.ratio[1])
    return (height - crop_height) // 2, (width - crop_width) // 2, crop_height, crop_width


@lru_cache(maxsize=8)
def _log_bounds(ratio: tuple[float, float]) -> tuple[float, float]:
    return math.log(ratio[0]), math.log(ratio[1])


def _draw_jitter(strengths: tuple[float, float, float], rng: np.random.Generator) -> tuple[tuple[str, float], ...]:
    factors = []
    for (name, _), strength in zip(_JITTER, strengths, strict=True):
        low = max(0.0, 1.0 - strength)
        factors.append((rng.random(), name, low + (1.0 + strength - low) * rng.random(), strength))
    return tuple((name, factor) for _, name, factor, strength in sorted(factors) if strength > 0)


def _draw_lighting(std: float, rng: np.random.Generator) -> tuple[float, float, float]:
    red, green, blue = _EIGENVECTORS @ (std * rng.standard_normal(3) * _EIGENVALUES)
    return float(red), float(green), float(blue)
