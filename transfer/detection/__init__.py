"""Object detection over a backbone, beside its baseline: RetinaNet and Faster R-CNN, COCO's average precision."""

from __future__ import annotations

from .cost import DetectionCost, estimate
from .plan import DetectionPlan, Side, make_plan
from .run import Comparison, run_plan
from .settings import DETECTORS, SCHEDULES, DetectionSettings

__all__ = [
    "DETECTORS",
    "SCHEDULES",
    "Comparison",
    "DetectionCost",
    "DetectionPlan",
    "DetectionSettings",
    "Side",
    "estimate",
    "make_plan",
    "run_plan",
]
