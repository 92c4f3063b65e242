"""Drawn masks, a small backbone, and whether mmsegmentation is here."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from drawn_masks import write_pairs


@pytest.fixture
def shapes(tmp_path: Path) -> str:
    """``masks:PATH`` of six training and three evaluation images."""
    return f"masks:{write_pairs(tmp_path / 'shapes')}"


@pytest.fixture(params=["torchvision", "mmseg"])
def engine(request: pytest.FixtureRequest) -> str:
    """Each engine; mmsegmentation's tests are skipped where it is not installed."""
    name: str = request.param
    if name == "mmseg":
        needs_mmseg()
    return name


@pytest.fixture
def mmseg() -> None:
    """Skips a test where mmsegmentation is not installed."""
    needs_mmseg()


def needs_mmseg() -> None:
    """Skip, with the reason."""
    if importlib.util.find_spec("mmseg") is None:
        pytest.skip("mmsegmentation is not installed; docs/segmentation.md has the lines")
