"""Semantic segmentation over a backbone, beside its baseline: FCN, DeepLabV3+ and OCRNet, mean IoU."""

from __future__ import annotations

from ..dense import Comparison, DenseCost
from .cost import estimate
from .plan import SegmentationPlan, make_plan
from .run import run_plan
from .settings import HEADS, SCHEDULES, SegmentationSettings

__all__ = [
    "HEADS",
    "SCHEDULES",
    "Comparison",
    "DenseCost",
    "SegmentationPlan",
    "SegmentationSettings",
    "estimate",
    "make_plan",
    "run_plan",
]
