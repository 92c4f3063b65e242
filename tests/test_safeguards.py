"""The list of safeguards is about this code: what would be taken out is there, and so are the tests that notice."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "benchmarks"))

from safeguards import Safeguard, read_safeguards, table  # noqa: E402

SAFEGUARDS = read_safeguards()


@pytest.mark.parametrize("safeguard", SAFEGUARDS, ids=[one.name for one in SAFEGUARDS])
def test_it_can_be_taken_out_and_its_tests_are_there(safeguard: Safeguard) -> None:
    text = (ROOT / safeguard.file).read_text(encoding="utf-8")
    compile(safeguard.removed_from(text), safeguard.file, "exec")
    for test in safeguard.tests:
        path, _, name = test.partition("::")
        assert f"def {name}" in (ROOT / path).read_text(encoding="utf-8")


def test_names_are_unique() -> None:
    assert len({one.name for one in SAFEGUARDS}) == len(SAFEGUARDS)


def test_the_page_lists_them_all() -> None:
    """``python benchmarks/safeguards.py --table`` prints the table."""
    assert table() in (ROOT / "docs/reliability.md").read_text(encoding="utf-8")
