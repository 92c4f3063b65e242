"""The papers' rows for detection, beside which ours stand: those that are run here, and those that only stand there."""

from __future__ import annotations

from ...papers.tables import get_paper, get_table
from ..dense.papers import PaperRow, number

_NOT_RUN = "a PaddleDetection model that neither torchvision nor detectron2 has: a reference, not run here"
_DETECTOR = {"RetinaNet": "retinanet", "Faster-RCNN-FPN": "faster_rcnn"}


def paper_rows() -> list[PaperRow]:
    """Every row on COCO detection."""
    rows = []
    meal = get_table(get_paper("meal_v2"), "7")
    for base, ours in zip(meal.rows[::2], meal.rows[1::2], strict=True):
        freeze = "--freeze none" if "all layers" in base.label else "--freeze first (detectron2's default)"
        rows.append(
            PaperRow(
                source=meal.citation,
                label=f"RetinaNet R50, {base.label.partition(',')[0].lower()}",
                network="retinanet",
                baseline=number(base.numbers["AP"]),
                ours=number(ours.numbers["AP"]),
                note=f"detectron2's own settings; here {freeze}",
            )
        )
    ssld = get_table(get_paper("ssld"), "8")
    for row in ssld.rows:
        detector = _DETECTOR.get(row.label)
        rows.append(
            PaperRow(
                source=ssld.citation,
                label=f"{row.label} R50-D",
                network=detector,
                baseline=number(row.numbers["baseline"]),
                ours=number(row.numbers["ours"]),
                note=_NOT_RUN if detector is None else "trained in PaddleDetection: compare the differences",
            )
        )
    return rows
