"""The settings of a detection run: detectron2's own RetinaNet and Faster R-CNN configurations, each value cited.

detectron2: Y. Wu et al., https://github.com/facebookresearch/detectron2; files below are of its revision 02b5c4e2.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..checks import one_of
from ..dense.settings import Draft, Given, Resolved, cited, common_faults, refuse

DETECTORS = ("retinanet", "faster_rcnn")
SCHEDULES = ("1x", "3x")

_DEFAULTS = "detectron2 config/defaults.py"
_RETINANET = "detectron2 configs/Base-RetinaNet.yaml"
_RCNN = "detectron2 configs/Base-RCNN-FPN.yaml"

_POSITIVE = (
    *("iterations", "batch_size", "lr", "max_side", "test_short_side", "test_max_side", "fpn_channels", "head_convs"),
    *("box_head_width", "proposals", "rois_per_image", "detections_per_image", "checkpoint_every"),
)

SSLD_MULTIPLIERS = (0.05, 0.05, 0.1, 0.1, 0.15)
"""PaddleClas docs on SSLD's transfer to detection: the table's row, stem first (its text has another third value)."""


@dataclass(frozen=True, kw_only=True)
class DetectionSettings:
    """What a detector is, how it is trained and how it is measured.

    Attributes:
        detector: ``"retinanet"`` or ``"faster_rcnn"``, both with a feature pyramid.
        iterations: Batches of the whole run.
        milestones: Iterations at which the rate drops by ``gamma``.
        lr: Base rate, at ``batch_size``; never scaled by itself.
        warmup_iterations: Linear warm-up from ``warmup_factor``.
        weight_decay_norm: Of normalisation layers that learn.
        max_grad_norm: 0 for no clipping.
        short_sides: Of training images; one is drawn for each.
        batchnorm: ``"frozen"`` or ``"train"``.
        frozen_stages: The first so many backbone stages do not learn (detectron2's FREEZE_AT).
        lr_multipliers: Rate of each backbone stage, stem first; empty for 1.
        fpn_channels: Of the pyramid and RetinaNet's heads.
        head_convs: Convolutions of each of RetinaNet's two towers.
        box_head_width: Of Faster R-CNN's two fully connected layers.
        proposals: Region proposals an image in training.
        rois_per_image: Of which so many are trained on.
    """

    detector: str = cited("retinanet", "MEAL V2 §4.3; SSLD Table 8")
    iterations: int = cited(90_000, f"{_RETINANET} SOLVER.MAX_ITER")
    milestones: tuple[int, ...] = cited((60_000, 80_000), f"{_RETINANET} SOLVER.STEPS")
    gamma: float = cited(0.1, f"{_DEFAULTS} SOLVER.GAMMA")
    batch_size: int = cited(16, f"{_RETINANET} SOLVER.IMS_PER_BATCH")
    lr: float = cited(0.01, f"{_RETINANET} SOLVER.BASE_LR")
    momentum: float = cited(0.9, f"{_DEFAULTS} SOLVER.MOMENTUM")
    weight_decay: float = cited(1e-4, f"{_DEFAULTS} SOLVER.WEIGHT_DECAY")
    weight_decay_norm: float = cited(0.0, f"{_DEFAULTS} SOLVER.WEIGHT_DECAY_NORM")
    warmup_iterations: int = cited(1_000, f"{_DEFAULTS} SOLVER.WARMUP_ITERS")
    warmup_factor: float = cited(0.001, f"{_DEFAULTS} SOLVER.WARMUP_FACTOR")
    max_grad_norm: float = cited(0.0, f"{_DEFAULTS} SOLVER.CLIP_GRADIENTS.ENABLED False")
    short_sides: tuple[int, ...] = cited((640, 672, 704, 736, 768, 800), f"{_RETINANET} INPUT.MIN_SIZE_TRAIN")
    max_side: int = cited(1333, f"{_DEFAULTS} INPUT.MAX_SIZE_TRAIN")
    flip: float = cited(0.5, f"{_DEFAULTS} INPUT.RANDOM_FLIP horizontal")
    test_short_side: int = cited(800, f"{_DEFAULTS} INPUT.MIN_SIZE_TEST")
    test_max_side: int = cited(1333, f"{_DEFAULTS} INPUT.MAX_SIZE_TEST")
    batchnorm: str = cited("frozen", f"{_DEFAULTS} MODEL.RESNETS.NORM FrozenBN")
    frozen_stages: int = cited(2, f"{_DEFAULTS} MODEL.BACKBONE.FREEZE_AT")
    lr_multipliers: tuple[float, ...] = cited((), "detectron2 has one rate; --lr-multipliers ssld for SSLD's docs")
    fpn_channels: int = cited(256, f"{_DEFAULTS} MODEL.FPN.OUT_CHANNELS")
    head_convs: int = cited(4, f"{_DEFAULTS} MODEL.RETINANET.NUM_CONVS")
    box_head_width: int = cited(1024, f"{_DEFAULTS} MODEL.ROI_BOX_HEAD.FC_DIM")
    proposals: int = cited(1000, f"{_RCNN} MODEL.RPN.POST_NMS_TOPK_TRAIN")
    rois_per_image: int = cited(512, f"{_DEFAULTS} MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE")
    score_threshold: float = cited(0.05, f"{_DEFAULTS} SCORE_THRESH_TEST")
    nms_threshold: float = cited(0.5, f"{_DEFAULTS} NMS_THRESH_TEST")
    detections_per_image: int = cited(100, f"{_DEFAULTS} TEST.DETECTIONS_PER_IMAGE; COCO's maxDets")
    checkpoint_every: int = cited(5_000, f"{_DEFAULTS} SOLVER.CHECKPOINT_PERIOD")

    def __post_init__(self) -> None:
        _check(self)


def resolve_settings(
    *,
    detector: str = "retinanet",
    schedule: str = "1x",
    iterations: int | None = None,
    given: Given | None = None,
) -> Resolved[DetectionSettings]:
    """detectron2's configuration, with what was given in its place.

    Args:
        detector: One of DETECTORS.
        schedule: One of SCHEDULES.
        iterations: Another length: milestones keep their places in the run, the warm-up takes at most a tenth of it.
            The rate stays as it is.
        given: Value and source of settings by name.

    Raises:
        UsageError: An unknown setting, or a value that makes no sense.
    """
    one_of("detector", detector, DETECTORS)
    one_of("schedule", schedule, SCHEDULES)
    draft = Draft(DetectionSettings, "detection")
    draft.put("detector", detector, "--detector")
    if detector == "faster_rcnn":
        draft.put("lr", 0.02, f"{_RCNN} SOLVER.BASE_LR")
        for name in ("iterations", "milestones", "batch_size", "short_sides"):
            draft.sources[name] = draft.sources[name].replace(_RETINANET, _RCNN)
    if schedule == "3x":
        file = f"detectron2 configs/COCO-Detection/{detector}_R_50_FPN_3x.yaml"
        draft.put("iterations", 270_000, f"{file} SOLVER.MAX_ITER")
        draft.put("milestones", (210_000, 250_000), f"{file} SOLVER.STEPS")
    if iterations is not None:
        base = draft.settings()
        scaled = tuple(round(step * iterations / base.iterations) for step in base.milestones)
        draft.put("iterations", iterations, "--iterations or --epochs")
        draft.put("milestones", scaled, f"{schedule}'s places in the run")
        draft.put(
            "warmup_iterations", min(base.warmup_iterations, iterations // 10), "ours: at most a tenth of the run"
        )
    draft.put_all(given or {})
    return draft.resolve(DetectionSettings.batch_size, "detectron2")


def _check(settings: DetectionSettings) -> None:
    wrong = common_faults(settings, positive=_POSITIVE, not_negative=("warmup_iterations", "weight_decay"))
    if not settings.short_sides or min(settings.short_sides) < 32:
        wrong.append("short_sides must be 32 pixels or more")
    if settings.detector not in DETECTORS:
        wrong.append(f"detector is one of {', '.join(DETECTORS)}")
    refuse(wrong)
