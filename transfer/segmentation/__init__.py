"""Semantic segmentation over a backbone, beside its baseline: FCN, DeepLabV3+ and OCRNet, mean IoU."""

from __future__ import annotations

from .cost import SegmentationCost, estimate
from .plan import SegmentationPlan, make_plan
from .run import Comparison, run_plan
from .settings import HEADS, SCHEDULES, SegmentationSettings
from .sides import RANDOM, Side

__all__ = [
    "HEADS",
    "RANDOM",
    "SCHEDULES",
    "Comparison",
    "SegmentationCost",
    "SegmentationPlan",
    "SegmentationSettings",
    "Side",
    "estimate",
    "make_plan",
    "run_plan",
]
