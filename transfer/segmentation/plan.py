"""A segmentation measurement, settled before anything is computed."""

from __future__ import annotations

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
from ..dense.plan import DensePlan, DenseRequest, open_splits, settle_plan, take_part
from ..dense.settings import frozen_line, resolve_length
from .engines import choose_engine
from .settings import SegmentationSettings, resolve_settings

_NAMES = {"fcn": "FCN", "deeplabv3plus": "DeepLabV3+", "ocrnet": "OCRNet"}


@dataclass(frozen=True, kw_only=True)
class SegmentationPlan(DensePlan[SegmentationSpec, SegmentationSettings, MaskSource]):
    """One measurement of segmentation; see `DensePlan`."""

    OWN_DATA: ClassVar[str] = "masks"
    CUDNN_BENCHMARK: ClassVar[bool] = True  # mmsegmentation default_runtime.py env_cfg cudnn_benchmark

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
            f"{own.lr:g} poly, crop {own.crop[0]}x{own.crop[1]}, {self._strides()}, {own.batchnorm} "
            f"BatchNorm, {frozen_line(own.frozen_stages)}{weights}, single-scale test on {test}"
            f"{self.precision_note}"
        )

    def _strides(self) -> str:
        """Of the backbone's maps: an HRNet's branches keep their own, whatever the output stride."""
        branched = {side.architecture.startswith("hrnet") for side in self.sides}
        if branched == {True}:
            return "strides 4 to 32"
        own = f"output stride {self.settings.output_stride}"
        return f"{own} (the HRNet's 4 to 32)" if True in branched else own


def make_plan(request: DenseRequest) -> SegmentationPlan:
    """Settle a measurement. What is missing here is listed in the plan, and stops only a run.

    Raises:
        UsageError: Something was written wrongly, or an engine was asked for that is not there.
    """
    spec = parse_segmentation_spec(request.task)
    problems: list[KdzooError] = []
    notes: list[str] = []
    sources = open_splits(partial(open_segmentation, spec), problems, notes)
    for source in sources or ():
        try:
            require_classes(source)
        except DataError as error:
            problems.append(error)
    train, val = (None, None) if sources is None else (take_part(source, request.subset) for source in sources)
    num_images = _count(train, spec, request.subset)
    resolved = resolve_length(partial(resolve_settings, spec.name, request.schedule), request.given, num_images)
    own = resolved.settings
    if num_images is not None and not {"iterations", "epochs"} & set(request.given):
        passes = own.iterations * own.batch_size / num_images
        if spec.name == "masks" or request.subset is not None:
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
    return settle_plan(
        SegmentationPlan,
        request,
        resolved,
        spec=spec,
        engine=choose_engine(request.engine, own.head),
        data=(train, val),
        notes=notes,
        problems=problems,
    )


def _count(train: MaskSource | None, spec: SegmentationSpec, subset: int | None) -> int | None:
    if train is not None:
        return len(train)
    if spec.name not in EXPECTED:
        return None
    official = EXPECTED[spec.name]["train"][0]
    return official if subset is None else min(subset, official)
