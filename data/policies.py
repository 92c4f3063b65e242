"""Augmentation policies: AutoAugment's found tables and RandAugment, drawn as lists of (operation, final argument).

AutoAugment: E. Cubuk et al., "AutoAugment: Learning Augmentation Policies from Data", arXiv 1805.09501, tables 7 and 9.
RandAugment: E. Cubuk et al., arXiv 1909.13719, in the form and the notation of timm.
"""

from __future__ import annotations

import math
import re
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..base.errors import UsageError
from ..base.suggestions import unknown
from .pixel_ops import Geometry

Operations = tuple[tuple[str, float], ...]
_SubPolicy = tuple[tuple[str, float, int], tuple[str, float, int]]

GREY = (128, 128, 128)
IMAGENET_MEAN_COLOUR = (124, 116, 104)


def _table(text: str) -> tuple[_SubPolicy, ...]:
    rows = []
    for line in text.strip().splitlines():
        first, second = ((name, float(prob), int(level)) for name, prob, level in map(str.split, line.split(",")))
        rows.append((first, second))
    return tuple(rows)


_TABLES = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
_IMAGENET, _CIFAR = _table(_TABLES["imagenet"]), _table(_TABLES["cifar"])
_AUTO_POLICIES = {"imagenet_autoaugment": _IMAGENET, "cifar_autoaugment": _CIFAR, "ssld_autoaugment": _IMAGENET}
_ENHANCEMENTS = frozenset({"Color", "Contrast", "Brightness", "Sharpness"})
_RAND_OPERATIONS = (
    *("AutoContrast", "Equalize", "Invert", "Rotate", "Posterize", "Solarize", "SolarizeAdd", "Color", "Contrast"),
    *("Brightness", "Sharpness", "ShearX", "ShearY", "TranslateX", "TranslateY"),
)


@dataclass(frozen=True, kw_only=True)
class RandAugment:
    """RandAugment's numbers, as timm's configuration string has them.

    Attributes:
        magnitude: ``m``: mean magnitude, on a scale to 10.
        num_ops: ``n``: operations an image, drawn with replacement.
        prob: ``p``: probability that a drawn operation is applied.
        magnitude_std: ``mstd``: standard deviation of the magnitude; infinite (above 100) for uniform in 0..m.
        magnitude_max: ``mmax``: bound of the magnitude.
        increasing: ``inc1``: every operation becomes stronger with the magnitude.
    """

    magnitude: float = 10
    num_ops: int = 2
    prob: float = 0.5
    magnitude_std: float = 0.0
    magnitude_max: float = 10
    increasing: bool = False


@lru_cache(maxsize=32)
def parse_policy(name: str) -> str | RandAugment:
    """Read a policy's name: an AutoAugment table's, or timm's notation such as ``rand-m9-n2-mstd0.5-inc1``.

    Raises:
        UsageError: Unknown; the nearest name is given.
    """
    if name in _AUTO_POLICIES:
        return name
    head, *sections = name.split("-")
    if head != "rand":
        where = f"there are {', '.join(_AUTO_POLICIES)}, and RandAugment as rand-m9-n2-mstd0.5-inc1"
        raise unknown(name, _AUTO_POLICIES, what="augmentation policy", where=where)
    values: dict[str, float] = {}
    for section in sections:
        match = re.fullmatch(r"(mstd|mmax|inc|m|n|p)(\d+(?:\.\d+)?|inf)", section)
        if match is None:
            raise UsageError(
                f"unknown section {section!r} in {name!r}", hint="sections are m, n, p, mstd, mmax and inc"
            )
        values[match[1]] = float(match[2])
    return RandAugment(
        magnitude=values.get("m", 10),
        num_ops=int(values.get("n", 2)),
        prob=values.get("p", 0.5),
        magnitude_std=math.inf if values.get("mstd", 0) > 100 else values.get("mstd", 0.0),
        magnitude_max=values.get("mmax", 10),
        increasing=bool(values.get("inc", 0)),
    )


def policy_geometry(name: str, interpolation: str) -> Geometry:
    """How a policy samples and fills.

    The two published AutoAugment tables fill with black and interpolate as the crop does (torchvision's reference
    training). ``ssld_autoaugment`` fills with grey, shears bicubically and translates and rotates to the nearest
    pixel (PaddleClas). RandAugment fills with ImageNet's mean colour and interpolates as the crop does (timm).
    """
    if name == "ssld_autoaugment":
        return Geometry(fill=GREY, shear="bicubic", translate="nearest", rotate="nearest")
    fill = IMAGENET_MEAN_COLOUR if name.startswith("rand") else (0, 0, 0)
    return Geometry(fill=fill, shear=interpolation, translate=interpolation, rotate=interpolation)


def draw_policy(name: str, size: int, rng: np.random.Generator) -> Operations:
    """The operations for one image of ``size`` x ``size`` pixels, in order, with their final arguments."""
    policy = parse_policy(name)
    if isinstance(policy, RandAugment):
        return _draw_rand_augment(policy, size, rng)
    table = _AUTO_POLICIES[policy]
    operations = []
    for op, prob, level in table[int(rng.random() * len(table))]:
        applied, sign = rng.random() < prob, 1.0 if rng.random() < 0.5 else -1.0
        if applied:
            operations.append((op, _auto_argument(op, level, sign, size, ssld=policy == "ssld_autoaugment")))
    return tuple(operations)


def _auto_argument(op: str, level: int, sign: float, size: int, *, ssld: bool) -> float:
    """The magnitude ranges of the paper's Table 6, as torchvision reads them, or as PaddleClas does."""
    if op in _ENHANCEMENTS:
        return 1.0 + sign * 0.9 * level / 9
    if op in {"ShearX", "ShearY"}:
        return sign * 0.3 * level / 9
    if op in {"TranslateX", "TranslateY"}:
        pixels = 150 / 331 * size * level / 9
        return sign * (pixels if ssld else int(pixels))
    if op == "Rotate":
        return (1.0 if ssld else sign) * 30 * level / 9  # PaddleClas rotates counter-clockwise only
    if op == "Posterize":
        return 8.0 - round(4 * level / 9)
    if op == "Solarize":
        return (256 if ssld else 255) * (9 - level) / 9
    return 0.0


def _draw_rand_augment(policy: RandAugment, size: int, rng: np.random.Generator) -> Operations:
    operations = []
    for _ in range(policy.num_ops):
        op = _RAND_OPERATIONS[int(rng.random() * len(_RAND_OPERATIONS))]
        applied, sign = rng.random() < policy.prob, 1.0 if rng.random() < 0.5 else -1.0
        magnitude = policy.magnitude
        if policy.magnitude_std == math.inf:
            magnitude *= rng.random()
        elif policy.magnitude_std > 0:
            magnitude += policy.magnitude_std * float(rng.standard_normal())
        if applied:
            level = max(0.0, min(magnitude, policy.magnitude_max)) / 10
            operations.append((op, _rand_argument(op, level, sign, size, increasing=policy.increasing)))
    return tuple(operations)


def _rand_argument(op: str, level: float, sign: float, size: int, *, increasing: bool) -> float:
    """timm's magnitude ranges; ``level`` is the magnitude over 10."""
    if op in _ENHANCEMENTS:
        return max(0.1, 1.0 + sign * 0.9 * level) if increasing else 0.1 + 1.8 * level
    if op in {"ShearX", "ShearY"}:
        return sign * 0.3 * level
    if op in {"TranslateX", "TranslateY"}:
        return sign * 0.45 * level * size
    if op == "Rotate":
        return sign * 30 * level
    if op == "Posterize":
        return float(4 - int(4 * level) if increasing else int(4 * level))
    if op == "Solarize":
        threshold = min(256, int(256 * level))
        return float(256 - threshold if increasing else threshold)
    if op == "SolarizeAdd":
        return float(min(128, int(110 * level)))
    return 0.0
