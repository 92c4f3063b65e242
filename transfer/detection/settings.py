"""The settings of a detection run: detectron2's own RetinaNet and Faster R-CNN configurations, each value cited.

detectron2: Y. Wu et al., https://github.com/facebookresearch/detectron2; files below are of its revision 02b5c4e2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from ...base.setting_values import (
    Count,
    CountFromZero,
    Decay,
    Fraction,
    GradientNorm,
    LearningRate,
    PositiveFraction,
    Range,
    WeightDecay,
    Width,
    Words,
    check_values,
    value_types,
)
from ...base.settings import ResolvedSettings, SettingsBuilder, Values, cited, cited_defaults
from ..checks import one_of
from ..dense.settings import NATIVE_KERNELS, FrozenStages, ImageSide, Multipliers, common_faults, refuse, resolve

SCHEDULES = ("1x", "3x")

_DEFAULTS = "detectron2 config/defaults.py"
_RETINANET = "detectron2 configs/Base-RetinaNet.yaml"
_RCNN = "detectron2 configs/Base-RCNN-FPN.yaml"

SSLD_MULTIPLIERS = (0.05, 0.05, 0.1, 0.1, 0.15)
"""PaddleClas docs on SSLD's transfer to detection: the table's row, stem first (its text has another third value)."""
_Multipliers = Annotated[Multipliers, Words((("ssld", SSLD_MULTIPLIERS),))]


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
        deterministic: Only deterministic kernels on an accelerator, too; on a CPU they always are.
    """

    detector: Literal["retinanet", "faster_rcnn"] = cited("retinanet", "MEAL V2 §4.3; SSLD Table 8")
    iterations: Count = cited(90_000, f"{_RETINANET} SOLVER.MAX_ITER")
    milestones: Annotated[tuple[int, ...], Range(0, 10**9)] = cited((60_000, 80_000), f"{_RETINANET} SOLVER.STEPS")
    gamma: PositiveFraction = cited(0.1, f"{_DEFAULTS} SOLVER.GAMMA")
    batch_size: Count = cited(16, f"{_RETINANET} SOLVER.IMS_PER_BATCH")
    lr: LearningRate = cited(0.01, f"{_RETINANET} SOLVER.BASE_LR")
    momentum: Decay = cited(0.9, f"{_DEFAULTS} SOLVER.MOMENTUM")
    weight_decay: WeightDecay = cited(1e-4, f"{_DEFAULTS} SOLVER.WEIGHT_DECAY")
    weight_decay_norm: WeightDecay = cited(0.0, f"{_DEFAULTS} SOLVER.WEIGHT_DECAY_NORM")
    warmup_iterations: CountFromZero = cited(1_000, f"{_DEFAULTS} SOLVER.WARMUP_ITERS")
    warmup_factor: Fraction = cited(0.001, f"{_DEFAULTS} SOLVER.WARMUP_FACTOR")
    max_grad_norm: GradientNorm = cited(0.0, f"{_DEFAULTS} SOLVER.CLIP_GRADIENTS.ENABLED False")
    short_sides: Annotated[tuple[int, ...], Range(32, 8192)] = cited(
        (640, 672, 704, 736, 768, 800), f"{_RETINANET} INPUT.MIN_SIZE_TRAIN"
    )
    max_side: ImageSide = cited(1333, f"{_DEFAULTS} INPUT.MAX_SIZE_TRAIN")
    flip: Fraction = cited(0.5, f"{_DEFAULTS} INPUT.RANDOM_FLIP horizontal")
    test_short_side: ImageSide = cited(800, f"{_DEFAULTS} INPUT.MIN_SIZE_TEST")
    test_max_side: ImageSide = cited(1333, f"{_DEFAULTS} INPUT.MAX_SIZE_TEST")
    batchnorm: Literal["frozen", "train"] = cited("frozen", f"{_DEFAULTS} MODEL.RESNETS.NORM FrozenBN")
    frozen_stages: FrozenStages = cited(2, f"{_DEFAULTS} MODEL.BACKBONE.FREEZE_AT")
    lr_multipliers: _Multipliers = cited((), "detectron2 has one rate; --lr-multipliers ssld for SSLD's docs")
    fpn_channels: Width = cited(256, f"{_DEFAULTS} MODEL.FPN.OUT_CHANNELS")
    head_convs: Annotated[int, Range(1, 64)] = cited(4, f"{_DEFAULTS} MODEL.RETINANET.NUM_CONVS")
    box_head_width: Width = cited(1024, f"{_DEFAULTS} MODEL.ROI_BOX_HEAD.FC_DIM")
    proposals: Annotated[int, Range(1, 100_000)] = cited(1000, f"{_RCNN} MODEL.RPN.POST_NMS_TOPK_TRAIN")
    rois_per_image: Annotated[int, Range(1, 100_000)] = cited(512, f"{_DEFAULTS} MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE")
    score_threshold: Fraction = cited(0.05, f"{_DEFAULTS} SCORE_THRESH_TEST")
    nms_threshold: Fraction = cited(0.5, f"{_DEFAULTS} NMS_THRESH_TEST")
    detections_per_image: Annotated[int, Range(1, 100_000)] = cited(
        100, f"{_DEFAULTS} TEST.DETECTIONS_PER_IMAGE; COCO's maxDets"
    )
    checkpoint_every: Count = cited(5_000, f"{_DEFAULTS} SOLVER.CHECKPOINT_PERIOD")
    deterministic: bool = cited(False, NATIVE_KERNELS)

    def __post_init__(self) -> None:
        _check(self)


def resolve_settings(schedule: str = "1x", given: Values | None = None) -> ResolvedSettings[DetectionSettings]:
    """detectron2's configuration, with what was given in its place.

    Args:
        schedule: One of SCHEDULES.
        given: Value and source of settings by name. At another length, ``iterations``, milestones keep their places in
            the run and the warm-up takes at most a tenth of it. The rate stays as it is.

    Raises:
        UsageError: An unknown setting, or a value that makes no sense.
    """
    given = given or {}
    one_of("schedule", schedule, SCHEDULES)
    builder = SettingsBuilder(value_types(DetectionSettings), cited_defaults(DetectionSettings))
    builder.put_all({name: given[name] for name in ("detector",) if name in given})
    detector = builder.values["detector"]
    if detector == "faster_rcnn":
        builder.put("lr", 0.02, f"{_RCNN} SOLVER.BASE_LR")
        for name in ("iterations", "milestones", "batch_size", "short_sides"):
            builder.sources[name] = builder.sources[name].replace(_RETINANET, _RCNN)
    if schedule == "3x":
        file = f"detectron2 configs/COCO-Detection/{detector}_R_50_FPN_3x.yaml"
        builder.put("iterations", 270_000, f"{file} SOLVER.MAX_ITER")
        builder.put("milestones", (210_000, 250_000), f"{file} SOLVER.STEPS")
    if "iterations" in given:
        length, published = given["iterations"][0], dict(builder.values)
        scaled = tuple(round(step * length / published["iterations"]) for step in published["milestones"])
        warmup = min(published["warmup_iterations"], length // 10)
        builder.put("milestones", scaled, f"{schedule}'s places in the run")
        builder.put("warmup_iterations", warmup, "ours: at most a tenth of the run")
    builder.put_all(given)
    return resolve(builder, DetectionSettings, DetectionSettings.batch_size, "detectron2")


def _check(settings: DetectionSettings) -> None:
    check_values(settings)
    wrong = common_faults(settings)
    if not settings.short_sides:
        wrong.append("short_sides are one or more numbers of pixels")
    refuse(wrong)
