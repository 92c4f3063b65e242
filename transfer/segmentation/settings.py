"""The settings of a segmentation run: mmsegmentation's own configurations, each value cited.

MMSegmentation contributors, https://github.com/open-mmlab/mmsegmentation; files below are in ``configs/_base_`` of
onedl-mmsegmentation 1.4.2. SSLD's Table 9 follows PSPNet's protocol (its reference 46) in PaddleSeg: the same poly rate
of 0.01 and power 0.9.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from ...base.setting_values import (
    Count,
    Decay,
    Fraction,
    GradientNorm,
    LearningRate,
    PositiveFraction,
    Range,
    Scale,
    Weight,
    WeightDecay,
    Width,
    Words,
    check_values,
    value_types,
)
from ...base.settings import ResolvedSettings, SettingsBuilder, Values, cited, cited_defaults
from ..checks import one_of
from ..dense.settings import NATIVE_KERNELS, FrozenStages, Multipliers, common_faults, refuse, resolve

SCHEDULES = {"20k": 20_000, "40k": 40_000, "80k": 80_000, "160k": 160_000, "320k": 320_000}

CITYSCAPES_WEIGHTS = (
    *(0.8373, 0.918, 0.866, 1.0345, 1.0166, 0.9969, 0.9754, 1.0489, 0.8786, 1.0023),
    *(0.9539, 0.9843, 1.1116, 0.9037, 1.0865, 1.0955, 1.0865, 1.1529, 1.0507),
)
"""Weights of Cityscapes' classes that several of its published configurations use, such as mmsegmentation's ddrnet/."""
_ClassWeights = Annotated[tuple[float, ...], Range(0, 1e6), Words((("cityscapes", CITYSCAPES_WEIGHTS),))]

_SCHEDULE = "schedules/schedule_40k.py"
_MODEL = "models/fcn_r50-d8.py"
_CITY = "datasets/cityscapes.py"

_OF_TASK: dict[str, tuple[str, dict[str, tuple[Any, str]]]] = {
    "cityscapes": (
        "80k",
        {
            "crop": ((512, 1024), f"{_CITY} crop_size"),
            "scale": ((2048, 1024), f"{_CITY} RandomResize"),
            "test_scale": ((2048, 1024), f"{_CITY} Resize"),
            "batch_size": (8, "fcn/fcn_r50-d8_4xb2-80k_cityscapes-512x1024.py: 4 x 2"),
        },
    ),
    "voc2012": (
        "40k",
        {
            "crop": ((512, 512), "datasets/pascal_voc12.py crop_size"),
            "scale": ((2048, 512), "datasets/pascal_voc12.py RandomResize"),
            "test_scale": ((2048, 512), "datasets/pascal_voc12.py Resize"),
            "batch_size": (16, "fcn/fcn_r50-d8_4xb4-40k_voc12aug-512x512.py: 4 x 4"),
        },
    ),
    "ade20k": (
        "160k",
        {
            "crop": ((512, 512), "datasets/ade20k.py crop_size"),
            "scale": ((2048, 512), "datasets/ade20k.py RandomResize"),
            "test_scale": ((2048, 512), "datasets/ade20k.py Resize"),
            "batch_size": (16, "fcn/fcn_r50-d8_4xb4-160k_ade20k-512x512.py: 4 x 4"),
        },
    ),
    "masks": (
        "40k",
        {
            "crop": ((512, 512), "ours: as VOC's"),
            "scale": ((2048, 512), "ours: as VOC's"),
            "test_scale": ((2048, 512), "ours: as VOC's"),
            "batch_size": (16, "ours: as VOC's"),
        },
    ),
}


@dataclass(frozen=True, kw_only=True)
class SegmentationSettings:
    """What a segmentor is, how it is trained and how it is measured.

    Attributes:
        head: ``"fcn"``, ``"deeplabv3plus"`` or ``"ocrnet"``.
        iterations: Batches of the whole run.
        lr: Base rate, at ``batch_size``; never scaled by itself.
        lr_end: The rate that the poly schedule ends at.
        max_grad_norm: 0 for no clipping.
        crop: Height and width of training views.
        scale: Longer and shorter side that a training image is fitted into, before a random factor.
        factors: Bounds of that factor.
        cat_max_ratio: A crop in which one class has a larger share is drawn again.
        colour: 1 to vary brightness, contrast, saturation and hue.
        test_scale: Longer and shorter side that an evaluated image is fitted into; empty for its own size.
        test_mode: ``"whole"``, or ``"slide"``: overlapping windows of the crop's size, their logits averaged.
        test_stride: Height and width between two windows.
        class_weights: One a class; empty for 1.
        batchnorm: Of the backbone: ``"train"`` or ``"frozen"``.
        frozen_stages: The first so many backbone stages do not learn: 0 none, 5 the whole backbone.
        lr_multipliers: Rate of each backbone stage, stem first; empty for 1.
        head_lr_multiplier: Rate of the heads.
        output_stride: Of the last backbone map, by dilation; a network of parallel branches keeps its own.
        channels: Width of the head.
        aux_channels: Width of the auxiliary head, and of OCRNet's first head.
        aux_weight: Of that head's loss.
        low_channels: DeepLabV3+'s from the finest map.
        ocr_channels: OCRNet's object regions.
        deterministic: Only deterministic kernels on an accelerator, too; on a CPU they always are.
    """

    head: Literal["fcn", "deeplabv3plus", "ocrnet"] = cited("fcn", "SSLD Table 9")
    iterations: Count = cited(40_000, f"{_SCHEDULE} max_iters")
    batch_size: Count = cited(16, "4 x 4")
    lr: LearningRate = cited(0.01, f"{_SCHEDULE} lr")
    lr_end: Annotated[float, Range(0, 1000)] = cited(1e-4, f"{_SCHEDULE} PolyLR eta_min")
    power: Annotated[float, Range(0, 100)] = cited(0.9, f"{_SCHEDULE} PolyLR power")
    momentum: Decay = cited(0.9, f"{_SCHEDULE} momentum")
    weight_decay: WeightDecay = cited(5e-4, f"{_SCHEDULE} weight_decay")
    max_grad_norm: GradientNorm = cited(0.0, f"{_SCHEDULE} clip_grad None")
    crop: Annotated[tuple[int, int], Range(8, 8192)] = cited((512, 512), "datasets/ade20k.py crop_size")
    scale: Annotated[tuple[int, int], Range(8, 16_384)] = cited((2048, 512), "datasets/ade20k.py RandomResize")
    factors: Annotated[tuple[float, float], Range(0.01, 100)] = cited((0.5, 2.0), f"{_CITY} RandomResize ratio_range")
    cat_max_ratio: PositiveFraction = cited(0.75, f"{_CITY} RandomCrop cat_max_ratio")
    flip: Fraction = cited(0.5, f"{_CITY} RandomFlip")
    colour: Annotated[int, Range(0, 1)] = cited(1, f"{_CITY} PhotoMetricDistortion")
    test_scale: Annotated[tuple[int, ...], Range(1, 16_384)] = cited((2048, 512), "datasets/ade20k.py Resize")
    test_mode: Literal["whole", "slide"] = cited("whole", f"{_MODEL} test_cfg")
    test_stride: Annotated[tuple[int, ...], Range(1, 16_384)] = cited(
        (), "ours: two thirds of the crop, as 769x769 configurations' 513"
    )
    class_weights: _ClassWeights = cited((), f"{_MODEL} loss_decode has none")
    batchnorm: Literal["frozen", "train"] = cited("train", f"{_MODEL} norm_eval False")
    frozen_stages: FrozenStages = cited(0, f"{_MODEL} frozen_stages -1")
    lr_multipliers: Multipliers = cited((), f"{_SCHEDULE} has one rate")
    head_lr_multiplier: Scale = cited(1.0, f"{_SCHEDULE} has one rate")
    output_stride: Literal[8, 16, 32] = cited(8, f"{_MODEL} dilations (1, 1, 2, 4)")
    channels: Width = cited(512, f"{_MODEL} decode_head channels")
    aux_channels: Width = cited(256, f"{_MODEL} auxiliary_head channels")
    aux_weight: Weight = cited(0.4, f"{_MODEL} auxiliary_head loss_weight")
    low_channels: Width = cited(48, "models/deeplabv3plus_r50-d8.py c1_channels")
    ocr_channels: Width = cited(256, "models/ocrnet_r50-d8.py ocr_channels")
    checkpoint_every: Count = cited(4_000, f"{_SCHEDULE} CheckpointHook interval")
    deterministic: bool = cited(False, NATIVE_KERNELS)

    def __post_init__(self) -> None:
        _check(self)

    def window_stride(self) -> tuple[int, int]:
        """Between two windows of a sliding test."""
        if self.test_stride:
            return self.test_stride[0], self.test_stride[1]
        return max(1, self.crop[0] * 2 // 3), max(1, self.crop[1] * 2 // 3)


def resolve_settings(
    task: str = "cityscapes", schedule: str | None = None, given: Values | None = None
) -> ResolvedSettings[SegmentationSettings]:
    """mmsegmentation's configuration for a data set, with what was given in its place.

    Args:
        task: Name of the data.
        schedule: One of SCHEDULES; the data set's own by default.
        given: Value and source of settings by name. At another length, ``iterations``, the rate falls to its end within
            it.

    Raises:
        UsageError: An unknown setting, or a value that makes no sense.
    """
    default, published = _OF_TASK[task]
    name = schedule or default
    one_of("schedule", name, SCHEDULES)
    builder = SettingsBuilder(value_types(SegmentationSettings), cited_defaults(SegmentationSettings))
    builder.put_all(published)
    builder.put("iterations", SCHEDULES[name], f"schedules/schedule_{name}.py max_iters")
    builder.put_all(given or {})
    return resolve(builder, SegmentationSettings, published["batch_size"][0], "schedules/")


def _check(own: SegmentationSettings) -> None:
    check_values(own)
    wrong = common_faults(own)
    for name in ("test_scale", "test_stride"):
        if len(getattr(own, name)) not in (0, 2):
            wrong.append(f"{name} is two numbers of pixels, or none")
    if own.factors[0] > own.factors[1]:
        wrong.append("factors are two numbers, the smaller first")
    if own.lr_end > own.lr:
        wrong.append(f"lr_end is {own.lr_end:g}, above lr: the rate would rise (--set lr_end={own.lr / 100:g}, say)")
    refuse(wrong)
