"""Semantic segmentation over a backbone, beside its baseline: FCN, DeepLabV3+ and OCRNet, mean IoU."""

from __future__ import annotations

from .cost import estimate
from .export import export
from .papers import paper_rows
from .plan import SegmentationPlan, make_plan
from .predictor import open_predictor
from .run import run_plan
from .settings import SegmentationSettings

SETTINGS = SegmentationSettings
"""The kind's settings, under the name that every dense task has."""

__all__ = [
    "SETTINGS",
    "SegmentationPlan",
    "SegmentationSettings",
    "estimate",
    "export",
    "make_plan",
    "open_predictor",
    "paper_rows",
    "run_plan",
]
