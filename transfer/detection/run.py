"""Carrying a detection plan out: what a run trains on, and how what it finds is measured."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from ...base.writing import clear_errors, make_folder
from ...data.detection import BoxOrder, BoxTask, BoxViews
from ...engine.distributed import Processes
from ...evaluation.results import PerClass
from ..dense import (
    Comparison,
    DenseEvaluation,
    DenseJob,
    DenseRun,
    DenseTask,
    IterationSchedule,
    ShownTask,
    SideRuns,
    dense_job,
    parameter_groups,
)
from ..dense import run_plan as run_dense_plan
from .detector import DetectionEngine, Detections, Detector
from .engines import make_engine
from .metrics import METRICS, BoxScores, measure_boxes
from .plan import DetectionPlan
from .predictions import save_predictions
from .predictor import BoxPredictor
from .report import write_detection_report


def run_plan(plan: DetectionPlan, *, out: str | Path, resume: bool = False) -> Comparison:
    """Train and measure every side with every seed; see `kdzoo.transfer.dense.run_plan`."""
    return run_dense_plan(DetectionTask(), plan, out=out, resume=resume)


class DetectionTask(DenseTask[DetectionPlan, Detector]):
    """RetinaNet or Faster R-CNN over a backbone, measured by COCO's average precision."""

    NAME: ClassVar[str] = "detection"
    NETWORK: ClassVar[str] = "detector"
    METRICS: ClassVar[tuple[str, ...]] = METRICS

    def engine(self, plan: DetectionPlan) -> DetectionEngine:
        return make_engine(plan.engine)

    @contextlib.contextmanager
    def log(self, plan: DetectionPlan, out: Path, processes: Processes) -> Iterator[None]:
        """detectron2's own words go to a file of the run, not to the terminal."""
        if plan.engine.name != "detectron2" or not processes.is_main:
            yield
            return
        from .detectron2_import import LOGGERS

        with clear_errors(make_folder(out)):
            handler = logging.FileHandler(out / "detectron2.log", encoding="utf-8")
        handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
        for name in LOGGERS:
            logging.getLogger(name).addHandler(handler)
        try:
            yield
        finally:
            for name in LOGGERS:
                logging.getLogger(name).removeHandler(handler)
            handler.close()

    def job(self, plan: DetectionPlan, network: Detector, run: DenseRun) -> DenseJob:
        own, (train, _) = plan.settings, plan.data
        groups = parameter_groups(
            network.model,
            stage_of=network.stage_of,
            multipliers=own.lr_multipliers,
            weight_decay=own.weight_decay,
            weight_decay_norm=own.weight_decay_norm,
        )
        schedule = IterationSchedule(
            iterations=own.iterations,
            milestones=own.milestones,
            gamma=own.gamma,
            warmup_iterations=own.warmup_iterations,
            warmup_factor=own.warmup_factor,
        )
        rank, world_size = run.processes.rank, run.processes.world_size
        order = BoxOrder(train.sizes, own.batch_size, run.seed, rank=rank, world_size=world_size)
        views = BoxViews(short_sides=own.short_sides, max_side=own.max_side, flip=own.flip)
        return dense_job(
            plan,
            network,
            run,
            groups=groups,
            schedule=schedule,
            load=BoxTask(train, views, order=order, seed=run.seed),
            losses=network.losses,
            evaluate=partial(_evaluate, plan, network, run),
        )

    def per_class(self, plan: DetectionPlan, measured: SideRuns) -> PerClass:
        _, val = plan.data
        return PerClass(
            metric="AP",
            names=val.class_names,
            values=measured.class_means(plan.num_classes),
            counts=tuple(val.boxes_per_class().tolist()),
        )

    def write_report(self, comparison: Comparison) -> Path:
        return write_detection_report(comparison)


def _evaluate(plan: DetectionPlan, detector: Detector, run: DenseRun, model: nn.Module) -> DenseEvaluation:
    """Look at every evaluation image once, all processes together; rank 0 keeps what was found and measures it."""
    (_, val), processes = plan.data, run.processes
    mine = range(processes.rank, len(val), processes.world_size)
    predictor = BoxPredictor(detector, plan.settings, val.class_names)
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    with run.evaluation(ShownTask(val, predictor.view, mine), len(mine), plan.workers) as images:
        for shown in images:
            one = predictor.find(model, shown, processes.device)
            found.append((one.boxes.numpy(), one.scores.numpy(), one.labels.numpy()))
    parts = processes.gather_objects(found)
    scores: BoxScores | None = None
    if processes.is_main:
        every: list[Detections] = [Detections(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0).long())] * len(val)
        for rank, part in enumerate(parts):
            for number, arrays in enumerate(part):
                every[rank + number * processes.world_size] = Detections(*map(torch.from_numpy, arrays))
        save_predictions(run.out, val, every)
        scores = measure_boxes(val, every)
    scores = processes.gather_objects(scores)[0]
    assert scores is not None
    return DenseEvaluation("AP", dict(scores.metrics), len(val), {"per_class": list(scores.per_class)})
