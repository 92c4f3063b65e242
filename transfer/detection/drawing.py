"""Boxes drawn on an image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from PIL import Image, ImageDraw

SHOWN_SCORE = 0.3
"""Boxes below this score are not drawn."""

_TRUTH, _FOUND = (0, 114, 178), (213, 94, 0)  # Okabe and Ito's blue and vermilion


def draw_truth(image: Image.Image, boxes: Iterable[Sequence[float]], scale: float) -> None:
    """Draw annotated boxes: left, top, right, bottom, times the scale."""
    canvas = ImageDraw.Draw(image)
    for box in boxes:
        canvas.rectangle(_corners(box, scale), outline=_TRUTH, width=2)


def draw_found(image: Image.Image, found: Iterable[tuple[Sequence[float], str, float]], scale: float) -> None:
    """Draw boxes with class and score, the surest on top."""
    canvas = ImageDraw.Draw(image)
    for box, name, score in sorted(found, key=lambda one: one[2]):
        if score < SHOWN_SCORE:
            continue
        corners = _corners(box, scale)
        canvas.rectangle(corners, outline=_FOUND, width=2)
        text = f"{name} {100 * score:.0f}"
        place = (corners[0] + 2, max(0.0, corners[1] - 11))
        canvas.rectangle(canvas.textbbox(place, text), fill=(255, 255, 255))
        canvas.text(place, text, fill=_FOUND)


def _corners(box: Sequence[float], scale: float) -> list[float]:
    left, top, right, bottom = (value * scale for value in box)
    return [left, top, max(left, right), max(top, bottom)]
