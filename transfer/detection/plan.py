"""A detection measurement, settled before anything is computed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

from ...base.errors import DataError, KdzooError, UsageError
from ...base.settings import Given
from ...data.detection import BoxSource, DetectionSpec, open_detection, parse_detection_spec
from ...data.detection.specs import EXPECTED
from ..dense.plan import DensePlan, DenseRequest, open_splits, settle_plan, take_part
from ..dense.settings import frozen_line, resolve_length
from .engines import choose_engine
from .metrics import require_metric
from .settings import DetectionSettings, resolve_settings

_COCO_WITH_BOXES = 117_266  # images of train2017 that have a box which is no crowd
_VOC_WITH_BOXES = 5_011


@dataclass(frozen=True, kw_only=True)
class DetectionPlan(DensePlan[DetectionSpec, DetectionSettings, BoxSource]):
    """One measurement of detection; see `DensePlan`. Its training images are those that have boxes."""

    OWN_DATA: ClassVar[str] = "coco"
    CUDNN_BENCHMARK: ClassVar[bool] = False  # detectron2 config/defaults.py CUDNN_BENCHMARK: sizes vary

    @property
    def num_classes(self) -> int:
        return EXPECTED[self.spec.name]["train"][1] if self.train is None else self.train.num_classes

    @property
    def network(self) -> str:
        return self.settings.detector

    def annotated(self) -> str:
        assert self.train is not None
        return f" with {int(self.train.boxes_per_class().sum()):,} boxes"

    def line(self) -> str:
        own = self.settings
        name = "RetinaNet" if own.detector == "retinanet" else "Faster R-CNN"
        return (
            f"{name}-FPN by {self.engine.name}, {own.iterations:,} iterations of {own.batch_size}, SGD lr {own.lr:g}, "
            f"short side {own.test_short_side}, {own.batchnorm} BatchNorm, {frozen_line(own.frozen_stages)}"
            f"{self.precision_note}"
        )


def make_plan(request: DenseRequest) -> DetectionPlan:
    """Settle a measurement. What is missing here is listed in the plan, and stops only a run.

    Raises:
        UsageError: Something was written wrongly, or detectron2 was asked for and is not there.
    """
    spec = parse_detection_spec(request.task)
    problems: list[KdzooError] = []
    notes: list[str] = []
    train, val = _open(spec, request.subset, problems, notes)
    num_images = len(train) if train is not None else (_COCO_WITH_BOXES if spec.name == "coco" else _VOC_WITH_BOXES)
    if request.subset is not None and train is None:
        num_images = min(request.subset, num_images)
    schedule = request.schedule or "1x"
    given = dict(request.given)
    of_its_own = {"iterations", "epochs"} & set(given)
    if request.subset is not None and not of_its_own:
        given["epochs"] = _published_passes(schedule, notes)
    resolved = resolve_length(partial(resolve_settings, schedule), given, num_images)
    settings = resolved.settings
    passes = settings.iterations * settings.batch_size / num_images
    if spec.path is not None and passes > 100 and request.subset is None and not of_its_own:
        notes.append(
            f"{settings.iterations:,} iterations are {passes:,.0f} passes over {num_images:,} images; --epochs sets a "
            "shorter run"
        )
    choice = choose_engine(request.engine)
    try:
        require_metric()
    except DataError as error:
        problems.append(error)
    plan = settle_plan(
        DetectionPlan,
        request,
        resolved,
        spec=spec,
        engine=choice,
        data=(train, val),
        notes=notes,
        problems=problems,
    )
    if train is not None and len(train) < settings.batch_size:
        what = f"a batch of {settings.batch_size} images cannot be made of {len(train):,}"
        return replace(plan, problems=(*plan.problems, UsageError(what, hint="a smaller --batch-size")))
    return plan


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


def _published_passes(schedule: str, notes: list[str]) -> Given:
    """As many passes over a subset as a schedule gives all of COCO, which goes to the notes."""
    full = resolve_settings(schedule).settings
    passes = full.iterations * full.batch_size / _COCO_WITH_BOXES
    notes.append(f"a subset: {passes:.1f} passes, as many as {schedule} gives all of COCO; --iterations sets another")
    return Given(passes, f"as {schedule} gives all of COCO")
