"""A detection measurement, settled before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from ...base.errors import DataError, KdzooError, UsageError
from ...data.detection import BoxSource, DetectionSpec, open_detection, parse_detection_spec
from ...data.detection.specs import EXPECTED
from ..dense.plan import DensePlan, check_length, open_splits, passes_to_iterations, take_part
from ..dense.settings import Given, frozen_line
from ..sides import settle_sides
from .engines import choose_engine
from .metrics import require_metric
from .settings import DetectionSettings, resolve_settings

_COCO_WITH_BOXES = 117_266  # images of train2017 that have a box which is no crowd


@dataclass(frozen=True, kw_only=True)
class DetectionPlan(DensePlan[DetectionSpec, DetectionSettings, BoxSource]):
    """One measurement of detection; see `DensePlan`. Its training images are those that have boxes."""

    OWN_DATA: ClassVar[str] = "coco"

    @property
    def num_classes(self) -> int:
        return EXPECTED[self.spec.name]["train"][1] if self.train is None else self.train.num_classes

    @property
    def network(self) -> str:
        return self.settings.detector

    def line(self) -> str:
        own = self.settings
        name = "RetinaNet" if own.detector == "retinanet" else "Faster R-CNN"
        return (
            f"{name}-FPN by {self.engine.name}, {own.iterations:,} iterations of {own.batch_size}, SGD lr {own.lr:g}, "
            f"short side {own.test_short_side}, {own.batchnorm} BatchNorm, {frozen_line(own.frozen_stages)}"
            f"{self.precision_note}"
        )


def make_plan(
    task: str,
    *,
    backbone: str,
    baseline: str | None = None,
    detector: str = "retinanet",
    schedule: str = "1x",
    engine: str = "auto",
    iterations: int | None = None,
    epochs: float | None = None,
    subset: int | None = None,
    seeds: Sequence[int] = (0,),
    given: Given | None = None,
    workers: int = 2,
    device: str = "auto",
) -> DetectionPlan:
    """Settle a measurement. What is missing here is listed in the plan, and stops only a run.

    Args:
        task: ``coco[:PATH]`` or ``voc2007-detection[:PATH]``.
        backbone: A model reference; a bare name takes timm's default weights.
        baseline: Another one, `RANDOM`, or None.
        detector: ``retinanet`` or ``faster_rcnn``.
        schedule: ``1x`` or ``3x``.
        engine: ``auto``, ``torchvision`` or ``detectron2``.
        iterations: In place of the schedule's.
        epochs: Passes over the training images, in place of ``iterations``.
        subset: So many images only.
        seeds: One run each.
        given: Value and source of further settings.
        workers: Loader processes.
        device: Where to compute.

    Raises:
        UsageError: Something was written wrongly, or detectron2 was asked for and is not there.
    """
    check_length(iterations, epochs, seeds)
    spec = parse_detection_spec(task)
    problems: list[KdzooError] = []
    notes: list[str] = []
    train, val = _open(spec, subset, problems, notes)
    given = dict(given or {})
    batch = given.get("batch_size", (16, ""))[0]
    num_images = len(train) if train is not None else (_COCO_WITH_BOXES if spec.name == "coco" else 5_011)
    if subset is not None and train is None:
        num_images = min(subset, num_images)
    iterations = _length(iterations, epochs, schedule, subset, int(batch), num_images, notes)
    resolved = resolve_settings(detector=detector, schedule=schedule, iterations=iterations, given=given)
    settings = resolved.settings
    passes = settings.iterations * settings.batch_size / num_images
    if spec.path is not None and passes > 100 and iterations is None:
        notes.append(
            f"{settings.iterations:,} iterations are {passes:,.0f} passes over {num_images:,} images; --epochs sets a "
            "shorter run"
        )
    choice = choose_engine(engine)
    try:
        require_metric()
    except DataError as error:
        problems.append(error)
    sides = settle_sides(backbone, baseline, problems)
    if train is not None and len(train) < settings.batch_size:
        problems.append(
            UsageError(
                f"a batch of {settings.batch_size} images cannot be made of {len(train):,}",
                hint="a smaller --batch-size",
            )
        )
    return DetectionPlan(
        spec=spec,
        sides=sides,
        resolved=resolved,
        engine=choice,
        seeds=tuple(seeds),
        subset=subset,
        workers=workers,
        device=device,
        train=train,
        val=val,
        notes=(*notes, *resolved.notes),
        problems=tuple(problems),
    )


def _open(
    spec: DetectionSpec, subset: int | None, problems: list[KdzooError], notes: list[str]
) -> tuple[BoxSource | None, BoxSource | None]:
    sources = open_splits(partial(open_detection, spec), problems, notes)
    if sources is None:
        return None, None
    train, val = sources
    if train.class_names != val.class_names:
        problems.append(
            DataError(
                f"{spec}: train and val have other classes", hint="give both annotation files the same categories"
            )
        )
        return None, None
    train = train.with_boxes()
    if len(train) == 0:
        problems.append(DataError(f"no training image of {spec} has a box", hint="'kdzoo data check' shows its counts"))
        return None, None
    train, val = take_part(train, subset), take_part(val, subset)
    if val.objects.crowd.all():
        hint = "'kdzoo data check' shows its counts" if subset is None else "a larger --subset"
        problems.append(DataError(f"no evaluation image of {spec} has an object that is to be found", hint=hint))
    return train, val


def _length(
    iterations: int | None,
    epochs: float | None,
    schedule: str,
    subset: int | None,
    batch_size: int,
    num_images: int,
    notes: list[str],
) -> int | None:
    if epochs is not None:
        return passes_to_iterations(epochs, num_images, batch_size)
    if iterations is None and subset is not None:
        full = resolve_settings(schedule=schedule).settings
        passes = full.iterations * full.batch_size / _COCO_WITH_BOXES
        notes.append(
            f"a subset: {passes:.1f} passes, as many as {schedule} gives all of COCO; --iterations sets another"
        )
        return passes_to_iterations(passes, num_images, batch_size)
    return iterations
