"""Losses of a run's first steps, kept in ``golden``; KDZOO_UPDATE_GOLDEN=1 writes them anew, a refactor leaves them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

GOLDEN = Path(__file__).with_name("golden")
_TOLERANCES = ((3e-4, 1e-5), (2e-3, 5e-4), (1e-2, 1e-3))
"""A step each: of the value, and of the step's largest term, which is what a term that has almost vanished may be off.

Rounding differs between processors and grows with every update: under the settings of ``tests/arithmetic.py`` the first
step is 7e-5 off at most, the third, where the student is a copy of its teacher, 8e-3. The first step holds the terms,
the others what the updates do.
"""


def terms(run: Path) -> list[dict[str, float]]:
    """The terms of every step that a run has logged."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [
        {k: v for k, v in line.items() if k not in ("kind", "epoch", "step")}
        for line in lines
        if line["kind"] == "train"
    ]


def check_golden(case: str, run: Path) -> None:
    """Compare a run's first steps with ``golden/CASE.json``."""
    found, path = terms(run)[: len(_TOLERANCES)], GOLDEN / f"{case}.json"
    if os.environ.get("KDZOO_UPDATE_GOLDEN"):
        path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    expected = json.loads(path.read_text(encoding="utf-8"))
    assert [set(line) for line in found] == [set(line) for line in expected]
    for line, golden, (relative, of_the_loss) in zip(found, expected, _TOLERANCES, strict=True):
        largest = max(abs(value) for name, value in golden.items() if name != "lr")
        assert line == pytest.approx(golden, rel=relative, abs=of_the_loss * largest), case
