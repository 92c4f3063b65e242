"""Drawn shapes, a small backbone, and the options of a detection run that takes seconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from drawn_shapes import write_coco

from kdzoo.zoo import load_model, save_model


@pytest.fixture
def shapes(tmp_path: Path) -> str:
    """``coco:PATH`` of 64-pixel images."""
    root = write_coco(tmp_path / "shapes", train=12, val=5, size=(64, 56), most=2, sizes=(20, 40), empty=(3,))
    return f"coco:{root}"


@pytest.fixture
def make_student(tmp_path: Path) -> Callable[..., str]:
    """``make_student("a")``: a folder with a small network for large images, random weights; returns its reference."""

    def make(name: str, seed: int = 1, architecture: str = "test_resnet") -> str:
        loaded = load_model(architecture, pretrained=False, num_classes=7, seed=seed)
        return str(save_model(loaded, tmp_path / "students" / name, provenance={"data": "none", "seed": seed}))

    return make
