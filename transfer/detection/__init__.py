"""Object detection over a backbone, beside its baseline: RetinaNet and Faster R-CNN, COCO's average precision."""

from __future__ import annotations

from ..dense import Comparison, DenseCost
from .cost import estimate
from .plan import DetectionPlan, make_plan
from .run import run_plan
from .settings import DETECTORS, SCHEDULES, DetectionSettings

__all__ = [
    "DETECTORS",
    "SCHEDULES",
    "Comparison",
    "DenseCost",
    "DetectionPlan",
    "DetectionSettings",
    "estimate",
    "make_plan",
    "run_plan",
]
