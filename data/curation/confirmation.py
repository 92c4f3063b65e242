"""Whether one image is an altered copy of another: SIFT keypoints under one homography, or a search by correlation.

First the best position and scale of one image within the other is searched for at 64 pixels, which is cheap and rules
most pairs out. What is left goes to SIFT, small images enlarged four times for it (in 32 pixels it finds next to
nothing): the homography that RANSAC fits to the matched keypoints must keep the picture upright and roughly in shape,
and the images, laid over one another by it, must correlate. Where an image has too few keypoints (tiny or smooth ones),
the searched alignment decides, and its correlation must be higher, in the picture and in its fine detail.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from PIL import Image

from ...base.setting_values import Fraction, Keypoints, PositiveFraction, Range

_SIFT_SIDE = 256  # pixels, the short side for SIFT
_ENLARGE = 4  # at most, for SIFT
_SEARCH_SIDE = 64  # pixels, for the search by correlation
_SCALES = tuple(np.linspace(0.76, 1.0, 13).tolist())


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """When two images count as copies. SSLD's own thresholds are not published; all of these are ours.

    Attributes:
        ratio: A keypoint is matched when its nearest neighbour is this much nearer than the second (Lowe 2004, §7.1).
        reprojection: RANSAC's tolerance, as a fraction of the short side.
        min_correlation_for_sift: Least correlation of the search for SIFT to be tried.
        inliers: Matches that must lie under the homography.
        sift_correlation: Least correlation of the images laid over one another by the homography.
        search_correlation: Least correlation where the alignment was searched for.
        search_detail: Least correlation of the fine detail there.
    """

    ratio: Annotated[float, Range(0, 1, above_low=True, below_high=True)] = 0.8
    reprojection: PositiveFraction = 0.02
    min_correlation_for_sift: Fraction = 0.6
    inliers: Keypoints = 8
    sift_correlation: Fraction = 0.8
    search_correlation: Fraction = 0.93
    search_detail: Fraction = 0.85


@dataclass(frozen=True)
class Confirmation:
    """What a comparison gave.

    Attributes:
        method: ``"sift"``, ``"correlation"``, or None where the images are no copies.
        inliers: Keypoints that agree with the homography.
        correlation: Of the aligned images, -1 to 1; of the method that decided, or the search's.
        detail: The same of their fine detail.
    """

    method: str | None
    inliers: int
    correlation: float
    detail: float


def confirm(image: Image.Image, other: Image.Image, *, mirrored: bool, thresholds: Thresholds) -> Confirmation:
    """Compare an image with an evaluation image.

    Args:
        image: The image that may be a copy, whole or a crop.
        other: The evaluation image.
        mirrored: Whether ``image`` is to be looked at in the mirror.
        thresholds: What counts as a copy.
    """
    grey, whole = _grey(image, mirrored), _grey(other, False)
    correlation, detail = _search(grey, whole)
    if correlation < thresholds.min_correlation_for_sift:
        return Confirmation(None, 0, correlation, detail)
    larger, larger_whole = _resize(grey, _sift_side(grey)), _resize(whole, _sift_side(whole))
    inliers, homography = _fit(larger, larger_whole, thresholds)
    if homography is not None and inliers >= thresholds.inliers:
        overlaid, overlaid_detail = _overlay(larger, larger_whole, homography)
        if overlaid >= thresholds.sift_correlation:
            return Confirmation("sift", inliers, overlaid, overlaid_detail)
    found = correlation >= thresholds.search_correlation and detail >= thresholds.search_detail
    return Confirmation("correlation" if found else None, inliers, correlation, detail)


def _grey(image: Image.Image, mirrored: bool) -> np.ndarray:
    pixels = np.asarray(image.convert("L"))
    return np.ascontiguousarray(pixels[:, ::-1]) if mirrored else pixels


def _sift_side(pixels: np.ndarray) -> int:
    return min(_SIFT_SIDE, _ENLARGE * min(pixels.shape))


def _resize(pixels: np.ndarray, short_side: int) -> np.ndarray:
    import cv2

    height, width = pixels.shape
    scale = short_side / min(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(pixels, size, interpolation=way))


def _fit(image: np.ndarray, other: np.ndarray, thresholds: Thresholds) -> tuple[int, np.ndarray | None]:
    """The inliers and the homography from ``image`` to ``other``; None where there is no plausible one."""
    import cv2

    sift = cv2.SIFT.create(nfeatures=500, contrastThreshold=0.02)
    points, descriptors = sift.detectAndCompute(image, None)
    others, other_descriptors = sift.detectAndCompute(other, None)
    if len(points) < thresholds.inliers or len(others) < max(2, thresholds.inliers):
        return 0, None
    pairs = cv2.BFMatcher(cv2.NORM_L2).knnMatch(descriptors, other_descriptors, k=2)
    good = [first for first, second in pairs if first.distance < thresholds.ratio * second.distance]
    if len(good) < max(4, thresholds.inliers):
        return len(good), None
    start = np.array([points[match.queryIdx].pt for match in good], dtype=np.float32)
    end = np.array([others[match.trainIdx].pt for match in good], dtype=np.float32)
    cv2.setRNGSeed(0)
    homography, mask = cv2.findHomography(start, end, cv2.RANSAC, thresholds.reprojection * min(other.shape))
    if homography is None or not _plausible(homography, image.shape):
        return 0, None
    return int(mask.sum()), homography


def _plausible(homography: np.ndarray, shape: tuple[int, ...]) -> bool:
    """Whether it keeps the picture upright and in shape: sides scaled by 0.4 to 2.5 and by much the same, no turn."""
    height, width = shape
    corners = np.array([[0, 0, 1], [width, 0, 1], [width, height, 1], [0, height, 1]], dtype=np.float64)
    mapped = corners @ homography.T
    if np.any(mapped[:, 2] <= 0.1):
        return False
    corner = mapped[:, :2] / mapped[:, 2:]
    top, right, bottom, left = (
        corner[1] - corner[0],
        corner[2] - corner[1],
        corner[2] - corner[3],
        corner[3] - corner[0],
    )
    scales = np.array([top[0] / width, bottom[0] / width, right[1] / height, left[1] / height])
    slants = np.array([top[1] / width, bottom[1] / width, right[0] / height, left[0] / height])
    return bool(
        scales.min() > 0.4 and scales.max() < 2.5 and scales.max() < 1.5 * scales.min() and abs(slants).max() < 0.3
    )


def _overlay(image: np.ndarray, other: np.ndarray, homography: np.ndarray) -> tuple[float, float]:
    """Correlations of ``image`` with ``other`` brought over it, where both are; 0 where they hardly overlap."""
    import cv2

    height, width = image.shape
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpPerspective(other, homography, (width, height), flags=flags)
    seen = cv2.warpPerspective(np.ones_like(other), homography, (width, height), flags=flags) > 0
    if seen.mean() < 0.4:
        return 0.0, 0.0
    return _correlations(image, warped, seen)


def _search(image: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Correlations at the best of many positions and scales of ``image`` within ``other``."""
    import cv2

    field = _resize(other, _SEARCH_SIDE)
    height, width = field.shape
    padded = cv2.copyMakeBorder(field, 2, 2, 2, 2, cv2.BORDER_REPLICATE)
    best: tuple[float, int, int, np.ndarray] | None = None
    for scale in _SCALES:
        size = (round(width * scale), round(height * scale))
        part = cv2.resize(image, size, interpolation=cv2.INTER_AREA if image.shape[0] > size[1] else cv2.INTER_CUBIC)
        _, value, _, place = cv2.minMaxLoc(cv2.matchTemplate(padded, part, cv2.TM_CCOEFF_NORMED))
        if best is None or value > best[0]:
            best = value, place[0], place[1], part
    assert best is not None
    _, left, top, part = best
    window = padded[top : top + part.shape[0], left : left + part.shape[1]]
    return _correlations(part, window, np.ones(part.shape, dtype=bool))


def _correlations(one: np.ndarray, two: np.ndarray, seen: np.ndarray) -> tuple[float, float]:
    """Of the pictures, and of what is left of them without their coarse light and shade."""
    import cv2

    first, second = one.astype(np.float32), two.astype(np.float32)
    sigma = min(one.shape) / 12
    fine = [plane - cv2.GaussianBlur(plane, (0, 0), sigma) for plane in (first, second)]
    return _correlate(first[seen], second[seen]), _correlate(fine[0][seen], fine[1][seen])


def _correlate(one: np.ndarray, two: np.ndarray) -> float:
    first, second = one - one.mean(), two - two.mean()
    scale: Any = np.sqrt(float((first * first).sum()) * float((second * second).sum()))
    return float((first * second).sum() / scale) if scale > 1e-6 else 0.0
