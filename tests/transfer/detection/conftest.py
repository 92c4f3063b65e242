"""Drawn shapes, a small backbone, and the options of a detection run that takes seconds."""

from __future__ import annotations

from pathlib import Path

import pytest
from drawn_shapes import write_coco


@pytest.fixture
def shapes(tmp_path: Path) -> str:
    """``coco:PATH`` of 64-pixel images."""
    root = write_coco(tmp_path / "shapes", train=12, val=5, size=(64, 56), most=2, sizes=(20, 40), empty=(3,))
    return f"coco:{root}"
