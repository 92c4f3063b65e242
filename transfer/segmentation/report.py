"""report.html of a segmentation measurement: numbers, classes, and what was predicted drawn over the images."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from PIL import Image

from ...data.segmentation import IGNORED, MaskSource
from ...engine.preflight import even_slice
from ...evaluation.page import write_page
from ...evaluation.results import Result
from ..classification.statistics import Difference
from .papers import paper_rows
from .plan import SegmentationPlan
from .run import PREDICTIONS, SHOWN_IMAGES

_SIDE = 420  # pixels of the longer side
_SHARE = 0.6  # of the class's colour in what is shown; the rest is the image


def write_segmentation_report(
    plan: SegmentationPlan,
    out: Path,
    results: Sequence[Result],
    rows: Sequence[dict[str, Any]],
    differences: Sequence[Difference],
) -> Path:
    """Write ``report.html`` into the measurement's folder.

    Raises:
        RunError: It cannot be written.
    """
    assert plan.val is not None
    val = plan.val
    pictures = []
    for index in even_slice(len(val), SHOWN_IMAGES):
        image = val.load(index)
        drawn = [{"role": "annotated", "uri": _drawn(val, image, val.load_mask(index))}]
        for side in plan.sides:
            folder = out / f"{side.role}-seed{plan.seeds[0]}" / PREDICTIONS
            labels = _read(folder / f"{index:06d}.png")
            if labels is not None and labels.shape == image.size[::-1]:
                drawn.append({"role": side.role, "uri": _drawn(val, image, labels)})
        pictures.append({"identity": val.identity(index), "sides": drawn})
    return write_page(
        out / "report.html",
        "segmentation.html.j2",
        title=f"{plan.dataset}: {plan.sides[0].reference}",
        protocol=plan.line(),
        engine=plan.engine.note,
        sides=[{"role": side.role, "reference": side.reference} for side in plan.sides],
        num_images=len(val),
        seeds=list(plan.seeds),
        rows=list(rows),
        sentences=[difference.sentence for difference in differences if difference.metric == "mIoU"],
        classes=_class_rows(val, results),
        papers=paper_rows() if plan.spec.name == "cityscapes" else [],
        settings=[{"name": name, **entry} for name, entry in plan.resolved.to_dict().items()],
        notes=[*plan.notes, *(line for result in results for line in result.details["built"])],
        unused=[
            {"role": side.role, "names": result.details["unused_weights"]}
            for side, result in zip(plan.sides, results, strict=True)
        ],
        pictures=pictures,
    )


def _class_rows(val: MaskSource, results: Sequence[Result]) -> list[dict[str, Any]]:
    first = results[0].per_class[0]
    rows = []
    for label, (name, count) in enumerate(zip(first.names, first.counts, strict=True)):
        values = [result.per_class[0].values[label] for result in results]
        if count or any(value is not None for value in values):
            colour = "#{:02x}{:02x}{:02x}".format(*val.colours[label])
            rows.append({"name": name, "count": count, "values": values, "colour": colour})
    return rows


def _read(path: Path) -> np.ndarray | None:
    """What was predicted; None where the file cannot be read."""
    try:
        with Image.open(path) as picture:
            return np.array(picture)
    except (OSError, ValueError):
        return None


def _drawn(val: MaskSource, image: Image.Image, labels: np.ndarray) -> Markup:
    """The image as a JPEG, tinted with its classes' colours; what is ignored stays as it is."""
    colours = np.zeros((256, 3), dtype=np.float32)
    colours[: val.num_classes] = val.colours
    pixels = np.asarray(image, dtype=np.float32)
    tinted = (1 - _SHARE) * pixels + _SHARE * colours[labels]
    picture = Image.fromarray(np.where((labels == IGNORED)[..., None], pixels, tinted).astype(np.uint8))
    scale = min(1.0, _SIDE / max(image.size)) if max(image.size) > _SIDE else max(1, _SIDE // 2 // max(image.size))
    picture = picture.resize((round(image.size[0] * scale), round(image.size[1] * scale)), Image.Resampling.BILINEAR)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=85)
    return Markup("data:image/jpeg;base64,") + Markup(base64.b64encode(buffer.getvalue()).decode())
