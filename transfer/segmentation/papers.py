"""The paper's rows for segmentation, beside which ours stand."""

from __future__ import annotations

from dataclasses import dataclass

from ...evaluation.papers import get_paper, get_table

_HEAD = {"FCN": "fcn", "Deeplabv3+": "deeplabv3plus", "OCRNet": "ocrnet"}


@dataclass(frozen=True)
class PaperRow:
    """A published pair of numbers.

    Attributes:
        source: Paper and table.
        label: The row.
        head: Ours.
        baseline: mIoU before distillation, percent.
        ours: mIoU after it.
        note: What differs from the run here.
    """

    source: str
    label: str
    head: str
    baseline: float
    ours: float
    note: str


def paper_rows() -> list[PaperRow]:
    """Every row on Cityscapes."""
    table = get_table(get_paper("ssld"), "9")
    rows = []
    for row in table.rows:
        baseline, ours = row.numbers["baseline"], row.numbers["ours"]
        assert isinstance(baseline, int | float)
        assert isinstance(ours, int | float)
        rows.append(
            PaperRow(
                source=table.citation,
                label=row.label,
                head=_HEAD[row.label.partition(",")[0]],
                baseline=float(baseline),
                ours=float(ours),
                note="trained in PaddleSeg: compare the differences",
            )
        )
    return rows
