"""Carrying a segmentation plan out: what a run trains on, and how what it predicts is measured."""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from ...base.errors import UsageError
from ...data.segmentation import EndlessOrder, EvalTask, MaskBatch, MaskTask, MaskViews
from ...engine.distributed import Processes, convert_sync_batchnorm
from ...evaluation.results import PerClass
from ..dense import (
    Comparison,
    DenseEvaluation,
    DenseJob,
    DenseRun,
    DenseTask,
    IterationSchedule,
    SideRuns,
    dense_job,
    parameter_groups,
)
from ..dense import run_plan as run_dense_plan
from .engines import make_engine
from .inference import normalised
from .metrics import METRICS, confusion, measure
from .plan import SegmentationPlan
from .predictions import save_confusion, save_predictions, shown_images
from .predictor import MaskPredictor
from .report import write_segmentation_report
from .segmentor import SegmentationEngine, Segmentor
from .settings import SegmentationSettings


def run_plan(plan: SegmentationPlan, *, out: str | Path, resume: bool = False) -> Comparison:
    """Train and measure every side with every seed; see `kdzoo.transfer.dense.run_plan`."""
    return run_dense_plan(SegmentationTask(), plan, out=out, resume=resume)


class SegmentationTask(DenseTask[SegmentationPlan, Segmentor]):
    """FCN, DeepLabV3+ or OCRNet over a backbone, measured by the mean intersection over union."""

    NAME: ClassVar[str] = "segmentation"
    NETWORK: ClassVar[str] = "segmentor"
    METRICS: ClassVar[tuple[str, ...]] = METRICS

    def engine(self, plan: SegmentationPlan) -> SegmentationEngine:
        return make_engine(plan.engine)

    def prepare(self, plan: SegmentationPlan, network: Segmentor, processes: Processes) -> Segmentor:
        """With synchronised BatchNorm on several accelerators, which the heads have over a frozen backbone, too."""
        if processes.device.type != "cuda":
            return network
        return dataclasses.replace(network, model=convert_sync_batchnorm(network.model, processes))

    def job(self, plan: SegmentationPlan, network: Segmentor, run: DenseRun) -> DenseJob:
        own, (train, _) = plan.settings, plan.data
        if any(length % network.multiple for length in own.crop):
            raise UsageError(
                f"a crop of {own.crop[0]}x{own.crop[1]} does not fit {run.side.reference}",
                hint=f"--crop with multiples of {network.multiple}",
            )
        _require_several(own, run.processes)
        groups = parameter_groups(
            network.model,
            stage_of=network.stage_of,
            multipliers=own.lr_multipliers,
            weight_decay=own.weight_decay,
            head_multiplier=own.head_lr_multiplier,
        )
        rank, world_size = run.processes.rank, run.processes.world_size
        order = EndlessOrder(len(train), own.batch_size, run.seed, rank=rank, world_size=world_size)

        def losses(model: nn.Module, batch: MaskBatch, device: torch.device) -> dict[str, Tensor]:
            images = normalised(batch.images, network.preprocessing, device)
            return network.losses(model, images, batch.masks.to(device, non_blocking=True).long())

        return dense_job(
            plan,
            network,
            run,
            groups=groups,
            schedule=IterationSchedule(
                iterations=own.iterations, name="poly", power=own.power, final=own.lr_end / own.lr
            ),
            load=MaskTask(train, training_views(own, network), order),
            losses=losses,
            evaluate=partial(_evaluate, plan, network, run),
        )

    def per_class(self, plan: SegmentationPlan, measured: SideRuns) -> PerClass:
        return PerClass(
            metric="IoU",
            names=plan.data[1].class_names,
            values=measured.class_means(plan.num_classes),
            counts=tuple(measured.runs[0]["pixels"]),
        )

    def classes(self, plan: SegmentationPlan) -> dict[str, Any]:
        return {**super().classes(plan), "colours": [list(colour) for colour in plan.data[1].colours]}

    def write_report(self, comparison: Comparison) -> Path:
        return write_segmentation_report(comparison)


def _require_several(own: SegmentationSettings, processes: Processes) -> None:
    """Check that BatchNorm over a pooled map has more than one value a step.

    Raises:
        UsageError: A process has one image and BatchNorm is not synchronised.
    """
    together = processes.world_size if processes.device.type == "cuda" else 1
    if own.head == "deeplabv3plus" and own.batch_size // processes.world_size * together < 2:
        raise UsageError(
            "DeepLabV3+ normalises over the images of a step, and each process has one",
            hint="a --batch-size of two or more a process, or --head fcn",
        )


def training_views(own: SegmentationSettings, segmentor: Segmentor) -> MaskViews:
    """As the settings have them; what lies beyond an image has the colour that becomes zero."""
    mean = [round(255 * value) for value in segmentor.preprocessing.mean]
    return MaskViews(
        scale=own.scale,
        factors=own.factors,
        crop=own.crop,
        cat_max_ratio=own.cat_max_ratio,
        flip=own.flip,
        colour=bool(own.colour),
        fill=(mean[0], mean[1], mean[2]),
    )


def _evaluate(plan: SegmentationPlan, segmentor: Segmentor, run: DenseRun, model: nn.Module) -> DenseEvaluation:
    """Look at every evaluation image once, all processes together; the confusion matrices are added up."""
    (_, val), processes = plan.data, run.processes
    mine = list(range(processes.rank, len(val), processes.world_size))
    shown = set(shown_images(val))
    predictor = MaskPredictor(segmentor, plan.settings, val.class_names, val.colours)
    matrix = torch.zeros(val.num_classes, val.num_classes, dtype=torch.int64, device=processes.device)
    kept: list[tuple[int, np.ndarray]] = []
    with run.evaluation(EvalTask(val, predictor.view, mine), len(mine), plan.workers) as images:
        for one in images:
            predicted = predictor.find(model, one.shown, processes.device)
            matrix += confusion(one.mask.to(processes.device), predicted, val.num_classes)
            if one.index in shown:
                kept.append((one.index, predicted.cpu().numpy()))
    parts = processes.gather_objects((matrix.cpu().numpy(), kept))
    whole = np.sum([part for part, _ in parts], axis=0)
    if processes.is_main:
        save_predictions(run.out, val, [pair for _, pairs in parts for pair in pairs])
        save_confusion(run.out, val, whole)
    measured = measure(whole)
    details = {"per_class": list(measured.iou), "pixels": list(measured.pixels)}
    return DenseEvaluation("mIoU", measured.metrics, len(val), details)
