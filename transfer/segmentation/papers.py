"""The paper's rows for segmentation, beside which ours stand."""

from __future__ import annotations

from ...papers.tables import get_paper, get_table
from ..dense.papers import PaperRow, number

_HEAD = {"FCN": "fcn", "Deeplabv3+": "deeplabv3plus", "OCRNet": "ocrnet"}


def paper_rows() -> list[PaperRow]:
    """Every row on Cityscapes."""
    table = get_table(get_paper("ssld"), "9")
    return [
        PaperRow(
            source=table.citation,
            label=row.label,
            network=_HEAD[row.label.partition(",")[0]],
            baseline=number(row.numbers["baseline"]),
            ours=number(row.numbers["ours"]),
            note="trained in PaddleSeg: compare the differences",
        )
        for row in table.rows
    ]
