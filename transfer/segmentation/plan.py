"""What is to be measured, settled before anything is computed: data, backbones, engine, settings with their sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...data.randomness import epoch_order
from ...data.segmentation import EXPECTED, MaskSource, SegmentationSpec, open_segmentation, parse_segmentation_spec
from ...errors import DataError, KdzooError, UsageError
from .engines import choose_engine
from .segmentor import EngineChoice
from .settings import CITYSCAPES_WEIGHTS, Resolved, SegmentationSettings, resolve_settings
from .sides import Side, settle_side

_NAMES = {"fcn": "FCN", "deeplabv3plus": "DeepLabV3+", "ocrnet": "OCRNet"}


@dataclass(frozen=True, kw_only=True)
class SegmentationPlan:
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
        train: The training images; None where the data is missing.
        val: The evaluation images; None where the data is missing.
        notes: What the reader should know.
        problems: What must be got or put right before it can start.
    """

    spec: SegmentationSpec
    sides: tuple[Side, ...]
    resolved: Resolved
    engine: EngineChoice
    seeds: tuple[int, ...]
    subset: int | None
    workers: int
    device: str
    train: MaskSource | None = field(compare=False, default=None)
    val: MaskSource | None = field(compare=False, default=None)
    notes: tuple[str, ...] = ()
    problems: tuple[KdzooError, ...] = ()

    @property
    def settings(self) -> SegmentationSettings:
        """The settings' values."""
        return self.resolved.settings

    @property
    def num_classes(self) -> int:
        """Of the data; of the published set where the data is missing, 2 where nothing is known."""
        if self.train is not None:
            return self.train.num_classes
        return EXPECTED[self.spec.name]["train"][1] if self.spec.name in EXPECTED else 2

    @property
    def dataset(self) -> str:
        """As results name it: no folder of this machine but, for own data, its last part."""
        if self.spec.path is None or self.spec.name != "masks":
            return self.spec.name
        return f"masks:{self.spec.path.resolve().name}"

    def line(self) -> str:
        """The protocol in one line, for a reader."""
        own = self.settings
        frozen = {0: "nothing frozen", 5: "backbone frozen"}.get(
            own.frozen_stages, f"{own.frozen_stages} stages frozen"
        )
        test = "whole images" if own.test_mode == "whole" else f"windows of {own.crop[0]}x{own.crop[1]}"
        weights = ", class weights" if own.class_weights else ""
        return (
            f"{_NAMES[own.head]} by {self.engine.name}, {own.iterations:,} iterations of {own.batch_size}, SGD lr "
            f"{own.lr:g} poly, crop {own.crop[0]}x{own.crop[1]}, output stride {own.output_stride}, {own.batchnorm} "
            f"BatchNorm, {frozen}{weights}, single-scale test on {test}"
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
    head: str = "fcn",
    schedule: str | None = None,
    engine: str = "auto",
    iterations: int | None = None,
    epochs: float | None = None,
    subset: int | None = None,
    seeds: Sequence[int] = (0,),
    given: Mapping[str, tuple[Any, str]] | None = None,
    workers: int = 2,
    device: str = "auto",
) -> SegmentationPlan:
    """Settle a measurement. What is missing here is listed in the plan, and stops only a run.

    Args:
        task: ``cityscapes[:PATH]``, ``voc2012[:PATH]``, ``ade20k[:PATH]`` or ``masks:PATH``.
        backbone: A model reference; a bare name takes timm's default weights.
        baseline: Another one, `RANDOM`, or None.
        head: ``fcn``, ``deeplabv3plus`` or ``ocrnet``.
        schedule: ``20k`` to ``320k``; the data set's own by default.
        engine: ``auto``, ``torchvision`` or ``mmseg``.
        iterations: In place of the schedule's.
        epochs: Passes over the training images, in place of ``iterations``.
        subset: So many images only.
        seeds: One run each.
        given: Value and source of further settings; ``class_weights`` may be ``"cityscapes"``.
        workers: Loader processes.
        device: Where to compute.

    Raises:
        UsageError: Something was written wrongly, or an engine was asked for that is not there.
    """
    if iterations is not None and epochs is not None:
        raise UsageError("--iterations and --epochs both set the length", hint="give one of them")
    if not seeds:
        raise UsageError("there is no seed", hint="give one or more to --seeds")
    spec = parse_segmentation_spec(task)
    problems: list[KdzooError] = []
    notes: list[str] = []
    train, val = _open(spec, subset, problems, notes)
    settled = resolve_settings(spec.name, head=head, schedule=schedule, iterations=iterations, given=given)
    num_images = _count(train, spec, subset)
    if epochs is not None and num_images is not None:
        length = max(1, round(epochs * num_images / settled.settings.batch_size))
        settled = resolve_settings(spec.name, head=head, schedule=schedule, iterations=length, given=given)
    own = settled.settings
    if num_images is not None and iterations is None and epochs is None:
        passes = own.iterations * own.batch_size / num_images
        if spec.name == "masks" or subset is not None:
            notes.append(
                f"{own.iterations:,} iterations are {passes:,.0f} passes over {num_images:,} images; --epochs or "
                "--iterations sets a shorter run"
            )
    if train is not None and own.class_weights and len(own.class_weights) != train.num_classes:
        raise UsageError(
            f"{len(own.class_weights)} class weights for {train.num_classes} classes", hint="give one for each class"
        )
    if spec.name == "voc2012":
        notes.append("the 1,464 images of VOC 2012 itself; published runs often add SBD's (10,582 in all)")
    choice = choose_engine(engine, head)
    sides = tuple(
        settle_side(role, reference, backbone, problems)
        for role, reference in (("backbone", backbone), ("baseline", baseline))
        if reference is not None
    )
    return SegmentationPlan(
        spec=spec,
        sides=sides,
        resolved=settled,
        engine=choice,
        seeds=tuple(seeds),
        subset=subset,
        workers=workers,
        device=device,
        train=train,
        val=val,
        notes=(*notes, *settled.notes),
        problems=tuple(problems),
    )


def class_weights(text: str) -> tuple[float, ...]:
    """``none``, ``cityscapes`` for its published ones, or a list with commas.

    Raises:
        UsageError: It is none of these.
    """
    if text == "none":
        return ()
    if text == "cityscapes":
        return CITYSCAPES_WEIGHTS
    try:
        weights = tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError:
        weights = ()
    if not weights or min(weights) < 0:
        raise UsageError(f"--class-weights {text!r} is no list", hint="none, cityscapes, or a number a class: 1,2.5,1")
    return weights


def _count(train: MaskSource | None, spec: SegmentationSpec, subset: int | None) -> int | None:
    if train is not None:
        return len(train)
    if spec.name not in EXPECTED:
        return None
    official = EXPECTED[spec.name]["train"][0]
    return official if subset is None else min(subset, official)


def _open(
    spec: SegmentationSpec, subset: int | None, problems: list[KdzooError], notes: list[str]
) -> tuple[MaskSource | None, MaskSource | None]:
    sources = []
    for split in ("train", "val"):
        try:
            source = open_segmentation(spec, split)
        except DataError as error:
            if not any(problem.message == error.message for problem in problems):
                problems.append(error)
            continue
        notes += [f"{split}: {note}" for note in source.notes]
        sources.append(_part(source, subset))
    return (sources[0], sources[1]) if len(sources) == 2 else (None, None)


def _part(source: MaskSource, subset: int | None) -> MaskSource:
    """So many of the images, the same ones whatever the seed."""
    if subset is None or subset >= len(source):
        return source
    return source.take(sorted(epoch_order(len(source), 0, 0, "subset")[:subset].tolist()))
