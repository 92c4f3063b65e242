"""A segmentation measurement, settled before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from ...base.errors import DataError, KdzooError, UsageError
from ...data.segmentation import (
    EXPECTED,
    MaskSource,
    SegmentationSpec,
    open_segmentation,
    parse_segmentation_spec,
    require_classes,
)
from ..dense.plan import DensePlan, check_length, open_splits, passes_to_iterations, take_part
from ..dense.settings import Given, frozen_line
from ..sides import settle_sides
from .engines import choose_engine
from .settings import CITYSCAPES_WEIGHTS, SegmentationSettings, resolve_settings

_NAMES = {"fcn": "FCN", "deeplabv3plus": "DeepLabV3+", "ocrnet": "OCRNet"}


@dataclass(frozen=True, kw_only=True)
class SegmentationPlan(DensePlan[SegmentationSpec, SegmentationSettings, MaskSource]):
    """One measurement of segmentation; see `DensePlan`."""

    OWN_DATA: ClassVar[str] = "masks"

    @property
    def num_classes(self) -> int:
        if self.train is not None:
            return self.train.num_classes
        return EXPECTED[self.spec.name]["train"][1] if self.spec.name in EXPECTED else 2  # of own data nothing is known

    @property
    def network(self) -> str:
        return self.settings.head

    def line(self) -> str:
        own = self.settings
        test = "whole images" if own.test_mode == "whole" else f"windows of {own.crop[0]}x{own.crop[1]}"
        weights = ", class weights" if own.class_weights else ""
        return (
            f"{_NAMES[own.head]} by {self.engine.name}, {own.iterations:,} iterations of {own.batch_size}, SGD lr "
            f"{own.lr:g} poly, crop {own.crop[0]}x{own.crop[1]}, output stride {own.output_stride}, {own.batchnorm} "
            f"BatchNorm, {frozen_line(own.frozen_stages)}{weights}, single-scale test on {test}"
            f"{self.precision_note}"
        )


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
    given: Given | None = None,
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
    check_length(iterations, epochs, seeds)
    spec = parse_segmentation_spec(task)
    problems: list[KdzooError] = []
    notes: list[str] = []
    sources = open_splits(partial(open_segmentation, spec), problems, notes)
    for source in sources or ():
        try:
            require_classes(source)
        except DataError as error:
            problems.append(error)
    train, val = (None, None) if sources is None else (take_part(source, subset) for source in sources)
    settled = resolve_settings(spec.name, head=head, schedule=schedule, iterations=iterations, given=given)
    num_images = _count(train, spec, subset)
    if epochs is not None and num_images is not None:
        length = passes_to_iterations(epochs, num_images, settled.settings.batch_size)
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
    sides = settle_sides(backbone, baseline, problems)
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
