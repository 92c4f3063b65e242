"""Images with boxes: COCO-format data and VOC detection, their checks, and the views that detectors see."""

from __future__ import annotations

from .check import check_detection
from .order import BoxOrder
from .source import BoxSource, Objects
from .specs import NAMES, DetectionSpec, is_detection_spec, open_detection, parse_detection_spec
from .views import BoxBatch, BoxEvalView, BoxTask, BoxViews, draw_box_view, resized_size
