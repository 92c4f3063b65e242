"""What is to be measured, settled before anything is computed: data, backbones, engine, settings with their sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...data.detection import BoxSource, DetectionSpec, open_detection, parse_detection_spec
from ...data.detection.specs import EXPECTED
from ...data.randomness import epoch_order
from ...errors import DataError, KdzooError, ModelError, UsageError
from ...zoo import LoadedModel, load_model, parse_reference
from ...zoo.cached import cached_weights
from .detector import EngineChoice
from .engines import choose_engine
from .metrics import require_metric
from .settings import DetectionSettings, Resolved, resolve_settings

RANDOM = "random"
"""As a baseline: the backbone's own architecture from random weights."""

_COCO_WITH_BOXES = 117_266  # images of train2017 that have a box which is no crowd


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of the two backbones.

    Attributes:
        role: ``backbone`` or ``baseline``.
        reference: As it was given.
        architecture: timm's name; empty where it could not be told.
    """

    role: str
    reference: str
    architecture: str = ""


@dataclass(frozen=True, kw_only=True)
class DetectionPlan:
    """One measurement.

    Attributes:
        spec: The data.
        sides: The backbone, and the baseline where there is one.
        resolved: The settings and where each is from.
        engine: Which framework runs, for both sides.
        seeds: One run each a side.
        subset: So many training and at most so many evaluation images; None for all.
        workers: Loader processes.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        train: The training images that have boxes; None where the data is missing.
        val: The evaluation images; None where the data is missing.
        notes: What the reader should know.
        problems: What must be got or put right before it can start.
    """

    spec: DetectionSpec
    sides: tuple[Side, ...]
    resolved: Resolved
    engine: EngineChoice
    seeds: tuple[int, ...]
    subset: int | None
    workers: int
    device: str
    train: BoxSource | None = field(compare=False, default=None)
    val: BoxSource | None = field(compare=False, default=None)
    notes: tuple[str, ...] = ()
    problems: tuple[KdzooError, ...] = ()

    @property
    def settings(self) -> DetectionSettings:
        """The settings' values."""
        return self.resolved.settings

    @property
    def num_classes(self) -> int:
        """Of the data; of the published set where the data is missing."""
        return EXPECTED[self.spec.name]["train"][1] if self.train is None else self.train.num_classes

    @property
    def dataset(self) -> str:
        """As results name it: no folder of this machine but its last part."""
        if self.spec.path is None or self.spec.name != "coco":
            return self.spec.name
        return f"coco:{self.spec.path.resolve().name}"

    def line(self) -> str:
        """The protocol in one line, for a reader."""
        own = self.settings
        name = "RetinaNet" if own.detector == "retinanet" else "Faster R-CNN"
        frozen = {0: "nothing frozen", 5: "backbone frozen"}.get(
            own.frozen_stages, f"{own.frozen_stages} stages frozen"
        )
        return (
            f"{name}-FPN by {self.engine.name}, {own.iterations:,} iterations of {own.batch_size}, SGD lr {own.lr:g}, "
            f"short side {own.test_short_side}, {own.batchnorm} BatchNorm, {frozen}"
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "task": str(self.spec),
            "sides": [{"role": side.role, "reference": side.reference} for side in self.sides],
            "engine": {"name": self.engine.name, "note": self.engine.note, "install": list(self.engine.install)},
            "settings": self.resolved.to_dict(),
            "seeds": list(self.seeds),
            "subset": self.subset,
            "protocol": self.line(),
            "data": None
            if self.train is None or self.val is None
            else {"train": len(self.train), "val": len(self.val), "classes": list(self.train.class_names)},
            "notes": list(self.notes),
            "missing": [{"what": problem.message, "hint": problem.hint} for problem in self.problems],
        }


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
    given: Mapping[str, tuple[Any, str]] | None = None,
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
    if iterations is not None and epochs is not None:
        raise UsageError("--iterations and --epochs both set the length", hint="give one of them")
    if not seeds:
        raise UsageError("there is no seed", hint="give one or more to --seeds")
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
    sides = tuple(
        _side(role, reference, backbone, problems)
        for role, reference in (("backbone", backbone), ("baseline", baseline))
        if reference is not None
    )
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


def load_side(plan: DetectionPlan, side: Side, *, pretrained: bool = True, seed: int = 0) -> LoadedModel:
    """The side's network, with its weights unless it is `RANDOM` (then drawn from the seed) or they are not wanted.

    Raises:
        ModelError: It cannot be built, or its weights are missing.
    """
    if side.reference == RANDOM:
        return load_model(plan.sides[0].reference, pretrained=False, seed=seed)
    return load_model(side.reference, pretrained=pretrained)


def _open(
    spec: DetectionSpec, subset: int | None, problems: list[KdzooError], notes: list[str]
) -> tuple[BoxSource | None, BoxSource | None]:
    sources = []
    for split in ("train", "val"):
        try:
            source = open_detection(spec, split)
        except DataError as error:
            if not any(problem.message == error.message for problem in problems):
                problems.append(error)
            continue
        notes += [f"{split}: {note}" for note in source.notes]
        sources.append(source)
    if len(sources) < 2:
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
    return _part(train, subset), _part(val, subset)


def _part(source: BoxSource, subset: int | None) -> BoxSource:
    """So many of the images, the same ones whatever the seed."""
    if subset is None or subset >= len(source):
        return source
    return source.take(sorted(epoch_order(len(source), 0, 0, "subset")[:subset].tolist()))


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
        return max(1, round(epochs * num_images / batch_size))
    if iterations is None and subset is not None:
        full = resolve_settings(schedule=schedule).settings
        passes = full.iterations * full.batch_size / _COCO_WITH_BOXES
        notes.append(
            f"a subset: {passes:.1f} passes, as many as {schedule} gives all of COCO; --iterations sets another"
        )
        return max(1, round(passes * num_images / batch_size))
    return iterations


def _side(role: str, reference: str, backbone: str, problems: list[KdzooError]) -> Side:
    """The side as far as it can be told without its weights; what is missing goes to the problems."""
    name = backbone if reference == RANDOM else reference
    try:
        parsed = parse_reference(name)
        loaded = load_model(name, pretrained=False)
    except KdzooError as error:
        if reference != RANDOM:
            problems.append(error)
        return Side(role=role, reference=reference)
    if reference != RANDOM and cached_weights(parsed) is None:
        if parsed.kind == "zoo":
            problems.append(ModelError(f"{reference} is not pulled yet", hint=f"kdzoo pull {reference}"))
        elif parsed.kind == "timm" and not parsed.tag:
            problems.append(
                ModelError(f"{reference} has no published weights", hint="train it first, or name a run or a folder")
            )
    return Side(role=role, reference=reference, architecture=loaded.architecture)
