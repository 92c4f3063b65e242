"""report.html of a dense measurement: what detection's and segmentation's pages share."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup
from PIL import Image

from ...evaluation.page import write_page
from .comparison import Comparison
from .papers import PaperRow


def write_dense_report(
    template: str,
    comparison: Comparison,
    *,
    sentences_on: Sequence[str],
    classes: Sequence[dict[str, Any]],
    papers: Sequence[PaperRow],
    pictures: Sequence[dict[str, Any]],
    **more: Any,
) -> Path:
    """Write ``report.html`` into the measurement's folder.

    Args:
        template: Extends ``dense.html.j2``.
        comparison: What is shown.
        sentences_on: Metrics whose difference is written out.
        classes: A row a class.
        papers: Rows of the papers on the same data.
        pictures: ``identity`` and ``sides``, a list of ``role`` and ``uri``.
        more: For the template.

    Raises:
        RunError: It cannot be written.
    """
    plan, results = comparison.plan, comparison.results
    return write_page(
        Path(comparison.out) / "report.html",
        template,
        title=f"{plan.dataset}: {plan.sides[0].reference}",
        protocol=plan.line(),
        engine=plan.engine.note,
        sides=[{"role": side.role, "reference": side.reference} for side in plan.sides],
        num_images=results[0].num_images,
        seeds=list(plan.seeds),
        rows=comparison.rows(),
        sentences=[one.sentence for one in comparison.differences if one.metric in sentences_on],
        classes=classes,
        papers=papers,
        settings=[{"name": name, **entry} for name, entry in plan.resolved.to_dict().items()],
        notes=[*plan.notes, *dict.fromkeys(line for result in results for line in result.details["built"])],
        unused=[
            {"role": side.role, "names": result.details["unused_weights"]}
            for side, result in zip(plan.sides, results, strict=True)
        ],
        pictures=pictures,
        **more,
    )


def class_rows(comparison: Comparison) -> list[dict[str, Any]]:
    """A row a class: ``name``, ``count`` and ``values``, one a side."""
    first = comparison.results[0].per_class[0]
    return [
        {"name": name, "count": count, "values": [result.per_class[0].values[label] for result in comparison.results]}
        for label, (name, count) in enumerate(zip(first.names, first.counts, strict=True))
    ]


def jpeg_uri(image: Image.Image) -> Markup:
    """The image as the ``src`` of an ``<img>``."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return Markup("data:image/jpeg;base64,") + Markup(base64.b64encode(buffer.getvalue()).decode())
