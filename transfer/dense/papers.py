"""Rows of the papers' dense tables, beside which ours stand."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PaperRow:
    """A published pair of numbers.

    Attributes:
        source: Paper and table.
        label: The row.
        network: Ours, the detector or the head; None where it is not run here.
        baseline: The metric before distillation, percent.
        ours: After it.
        note: What differs from the run here, or why there is none.
    """

    source: str
    label: str
    network: str | None
    baseline: float
    ours: float
    note: str


def number(value: object) -> float:
    """A table's entry that has to be a number."""
    assert isinstance(value, int | float)
    return float(value)
