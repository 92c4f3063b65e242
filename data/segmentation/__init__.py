"""Images with masks: Cityscapes, PASCAL VOC 2012, ADE20K and own folder pairs, their checks and their views."""

from __future__ import annotations

from .check import check_segmentation
from .order import EndlessOrder
from .presence import require_classes
from .source import IGNORED, MaskSource, colour_map
from .specs import EXPECTED, NAMES, SegmentationSpec, is_segmentation_spec, open_segmentation, parse_segmentation_spec
from .views import (
    EvalImage,
    EvalTask,
    MaskBatch,
    MaskEvalView,
    MaskTask,
    MaskView,
    MaskViews,
    ShownImage,
    apply_mask_view,
    draw_mask_view,
)
