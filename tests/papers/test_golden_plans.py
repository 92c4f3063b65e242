"""What every row of every table takes stands in a file: a row whose meaning changes shows in a diff."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from kdzoo.papers.tables import PAPERS

FOLDER = Path(__file__).parent


def _maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("golden_plans", FOLDER / "golden_plans.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("key", PAPERS)
def test_every_row_takes_what_its_file_says(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KDZOO_DATA", raising=False)
    wanted: dict[str, Any] = json.loads((FOLDER / "golden" / f"{key}.json").read_text(encoding="utf-8"))
    found = json.loads(json.dumps(_maker().plans(PAPERS[key])))
    assert list(found) == list(wanted)
    for table, rows in wanted.items():
        for label, row in rows.items():
            assert found[table].get(label) == row, f"{key} {table}: run python tests/papers/golden_plans.py"
        assert list(found[table]) == list(rows)


def test_every_row_is_there() -> None:
    for key, paper in PAPERS.items():
        stored = json.loads((FOLDER / "golden" / f"{key}.json").read_text(encoding="utf-8"))
        for table in paper.tables:
            assert set(stored[table.number]) - {"trained first"} == {row.label for row in table.rows}
