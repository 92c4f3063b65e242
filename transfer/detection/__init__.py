"""Object detection over a backbone, beside its baseline: RetinaNet and Faster R-CNN, COCO's average precision."""

from __future__ import annotations

from .cost import estimate
from .export import export
from .papers import paper_rows
from .plan import DetectionPlan, make_plan
from .predictor import open_predictor
from .run import run_plan
from .settings import DetectionSettings

SETTINGS = DetectionSettings
"""The kind's settings, under the name that every dense task has."""

__all__ = [
    "SETTINGS",
    "DetectionPlan",
    "DetectionSettings",
    "estimate",
    "export",
    "make_plan",
    "open_predictor",
    "paper_rows",
    "run_plan",
]
