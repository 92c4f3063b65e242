"""The settings of a detection run: detectron2's own RetinaNet and Faster R-CNN configurations, each value cited.

detectron2: Y. Wu et al., https://github.com/facebookresearch/detectron2; files below are of its revision 02b5c4e2.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_type_hints

from ...errors import UsageError

DETECTORS = ("retinanet", "faster_rcnn")
SCHEDULES = ("1x", "3x")

_DEFAULTS = "detectron2 config/defaults.py"
_RETINANET = "detectron2 configs/Base-RetinaNet.yaml"
_RCNN = "detectron2 configs/Base-RCNN-FPN.yaml"

SSLD_MULTIPLIERS = (0.05, 0.05, 0.1, 0.1, 0.15)
"""PaddleClas docs on SSLD's transfer to detection: the table's row, stem first (its text has another third value)."""


def _cited(default: Any, source: str) -> Any:
    return field(default=default, metadata={"source": source})


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

    detector: str = _cited("retinanet", "MEAL V2 §4.3; SSLD Table 8")
    iterations: int = _cited(90_000, f"{_RETINANET} SOLVER.MAX_ITER")
    milestones: tuple[int, ...] = _cited((60_000, 80_000), f"{_RETINANET} SOLVER.STEPS")
    gamma: float = _cited(0.1, f"{_DEFAULTS} SOLVER.GAMMA")
    batch_size: int = _cited(16, f"{_RETINANET} SOLVER.IMS_PER_BATCH")
    lr: float = _cited(0.01, f"{_RETINANET} SOLVER.BASE_LR")
    momentum: float = _cited(0.9, f"{_DEFAULTS} SOLVER.MOMENTUM")
    weight_decay: float = _cited(1e-4, f"{_DEFAULTS} SOLVER.WEIGHT_DECAY")
    weight_decay_norm: float = _cited(0.0, f"{_DEFAULTS} SOLVER.WEIGHT_DECAY_NORM")
    warmup_iterations: int = _cited(1_000, f"{_DEFAULTS} SOLVER.WARMUP_ITERS")
    warmup_factor: float = _cited(0.001, f"{_DEFAULTS} SOLVER.WARMUP_FACTOR")
    max_grad_norm: float = _cited(0.0, f"{_DEFAULTS} SOLVER.CLIP_GRADIENTS.ENABLED False")
    short_sides: tuple[int, ...] = _cited((640, 672, 704, 736, 768, 800), f"{_RETINANET} INPUT.MIN_SIZE_TRAIN")
    max_side: int = _cited(1333, f"{_DEFAULTS} INPUT.MAX_SIZE_TRAIN")
    flip: float = _cited(0.5, f"{_DEFAULTS} INPUT.RANDOM_FLIP horizontal")
    test_short_side: int = _cited(800, f"{_DEFAULTS} INPUT.MIN_SIZE_TEST")
    test_max_side: int = _cited(1333, f"{_DEFAULTS} INPUT.MAX_SIZE_TEST")
    batchnorm: str = _cited("frozen", f"{_DEFAULTS} MODEL.RESNETS.NORM FrozenBN")
    frozen_stages: int = _cited(2, f"{_DEFAULTS} MODEL.BACKBONE.FREEZE_AT")
    lr_multipliers: tuple[float, ...] = _cited((), "detectron2 has one rate; --lr-multipliers ssld for SSLD's docs")
    fpn_channels: int = _cited(256, f"{_DEFAULTS} MODEL.FPN.OUT_CHANNELS")
    head_convs: int = _cited(4, f"{_DEFAULTS} MODEL.RETINANET.NUM_CONVS")
    box_head_width: int = _cited(1024, f"{_DEFAULTS} MODEL.ROI_BOX_HEAD.FC_DIM")
    proposals: int = _cited(1000, f"{_RCNN} MODEL.RPN.POST_NMS_TOPK_TRAIN")
    rois_per_image: int = _cited(512, f"{_DEFAULTS} MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE")
    score_threshold: float = _cited(0.05, f"{_DEFAULTS} SCORE_THRESH_TEST")
    nms_threshold: float = _cited(0.5, f"{_DEFAULTS} NMS_THRESH_TEST")
    detections_per_image: int = _cited(100, f"{_DEFAULTS} TEST.DETECTIONS_PER_IMAGE; COCO's maxDets")
    checkpoint_every: int = _cited(5_000, f"{_DEFAULTS} SOLVER.CHECKPOINT_PERIOD")

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True)
class Resolved:
    """Settings, and where each is from.

    Attributes:
        settings: The values.
        sources: The citation, or the option, behind each.
        notes: What the reader should know about how they came about.
    """

    settings: DetectionSettings
    sources: Mapping[str, str]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """``{name: {"value", "source"}}``."""
        values = dataclasses.asdict(self.settings)
        return {name: {"value": value, "source": self.sources[name]} for name, value in values.items()}


def resolve_settings(
    *,
    detector: str = "retinanet",
    schedule: str = "1x",
    iterations: int | None = None,
    given: Mapping[str, tuple[Any, str]] | None = None,
) -> Resolved:
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
    values: dict[str, Any] = {}
    sources = {entry.name: str(entry.metadata["source"]) for entry in dataclasses.fields(DetectionSettings)}
    notes: list[str] = []

    def put(name: str, value: Any, source: str) -> None:
        values[name], sources[name] = value, source

    if detector not in DETECTORS:
        raise UsageError(f"unknown detector {detector!r}", hint=f"one of {', '.join(DETECTORS)}")
    put("detector", detector, "--detector")
    if detector == "faster_rcnn":
        put("lr", 0.02, f"{_RCNN} SOLVER.BASE_LR")
        for name in ("iterations", "milestones", "batch_size", "short_sides"):
            sources[name] = sources[name].replace(_RETINANET, _RCNN)
    if schedule == "3x":
        file = f"{'retinanet' if detector == 'retinanet' else 'faster_rcnn'}_R_50_FPN_3x.yaml"
        put("iterations", 270_000, f"detectron2 configs/COCO-Detection/{file} SOLVER.MAX_ITER")
        put("milestones", (210_000, 250_000), f"detectron2 configs/COCO-Detection/{file} SOLVER.STEPS")
    elif schedule != "1x":
        raise UsageError(f"unknown schedule {schedule!r}", hint=f"one of {', '.join(SCHEDULES)}")
    if iterations is not None:
        base = DetectionSettings(**values)
        scaled = tuple(round(step * iterations / base.iterations) for step in base.milestones)
        put("iterations", iterations, "--iterations or --epochs")
        put("milestones", scaled, f"{schedule}'s places in the run")
        put("warmup_iterations", min(base.warmup_iterations, iterations // 10), "ours: at most a tenth of the run")
    for name, (value, source) in (given or {}).items():
        if name not in sources:
            nearest = difflib.get_close_matches(name, sources, n=1)
            meant = f"did you mean {nearest[0]}?" if nearest else f"there are {', '.join(sources)}"
            raise UsageError(f"there is no setting {name!r} of a detection run", hint=meant)
        put(name, value, source)
    settings = DetectionSettings(**values)
    reference = DetectionSettings(detector=detector)
    if settings.batch_size != reference.batch_size and sources["lr"].startswith("detectron2"):
        linear = settings.lr * settings.batch_size / reference.batch_size
        notes.append(
            f"lr {settings.lr:g} is for batches of {reference.batch_size}, not {settings.batch_size}: it is left as it "
            f"is; the linear rule would give --lr {linear:g}"
        )
    return Resolved(settings, sources, tuple(notes))


def parse_settings(assignments: Sequence[str]) -> dict[str, tuple[Any, str]]:
    """``KEY=VALUE`` texts as typed values; lists are written with commas.

    Raises:
        UsageError: No ``=``, an unknown key, or a value of the wrong type.
    """
    hints = get_type_hints(DetectionSettings)
    given: dict[str, tuple[Any, str]] = {}
    for text in assignments:
        name, equals, value = text.partition("=")
        name = name.strip().replace("-", "_")
        if not equals:
            raise UsageError(f"--set {text!r} has no value", hint="write KEY=VALUE, such as lr=0.005")
        if name not in hints:
            nearest = difflib.get_close_matches(name, hints, n=1)
            meant = f"did you mean {nearest[0]}?" if nearest else f"there are {', '.join(hints)}"
            raise UsageError(f"there is no setting {name!r} of a detection run", hint=meant)
        given[name] = (_typed(name, value.strip(), hints[name]), "--set")
    return given


def _typed(name: str, text: str, kind: Any) -> Any:
    try:
        if kind in (int, float, str):
            return kind(text)
        item = float if kind == tuple[float, ...] else int
        return tuple(item(part) for part in text.split(",") if part.strip() and text not in ("none", "[]"))
    except ValueError:
        wanted = {int: "a whole number", float: "a number"}.get(kind, "numbers with commas between them")
        raise UsageError(f"{name} takes {wanted}, not {text!r}", hint=f"write --set {name}=VALUE") from None


def _check(settings: DetectionSettings) -> None:
    wrong: list[str] = []
    positive = [
        *("iterations", "batch_size", "max_side", "test_short_side", "test_max_side", "fpn_channels", "head_convs"),
        *("box_head_width", "proposals", "rois_per_image", "detections_per_image", "checkpoint_every"),
    ]
    wrong += [f"{name} must be positive" for name in positive if getattr(settings, name) < 1]
    wrong += [
        f"{name} must not be negative" for name in ("warmup_iterations", "weight_decay") if getattr(settings, name) < 0
    ]
    if not settings.lr > 0:
        wrong.append("lr must be positive")
    if not settings.short_sides or min(settings.short_sides) < 32:
        wrong.append("short_sides must be 32 pixels or more")
    if settings.batchnorm not in ("frozen", "train"):
        wrong.append("batchnorm is frozen or train")
    if not 0 <= settings.frozen_stages <= 5:
        wrong.append("frozen_stages is 0 (none) to 5 (the whole backbone)")
    if len(settings.lr_multipliers) not in (0, 5):
        wrong.append("lr_multipliers are five numbers: the stem's and the four stages'")
    if settings.detector not in DETECTORS:
        wrong.append(f"detector is one of {', '.join(DETECTORS)}")
    if wrong:
        raise UsageError(f"the settings make no sense: {'; '.join(wrong)}", hint="--dry-run shows them all")
