"""Carrying a plan out: a run a side and seed, on the same images in the same order; then what they reached."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ...data import TaskIterator
from ...data.detection import BoxOrder, BoxSource, BoxTask, BoxViews
from ...engine.distributed import Processes, start_processes
from ...engine.files import clear_os_errors, write_json, write_whole
from ...engine.progress import Progress, say
from ...engine.signals import StopRequest
from ...engine.teachers import weights_sha256
from ...evaluation.results import (
    Interval,
    MeasuredModel,
    PerClass,
    Result,
    describe_model,
    results_folder,
    write_result,
)
from ..classification.statistics import Difference, mean_interval, paired_difference
from ..dense import DenseJob, IterationSchedule, parameter_groups, train_dense
from .detector import Detections, Detector
from .engines import make_engine
from .metrics import METRICS, measure_boxes, result_entries
from .plan import DetectionPlan, Side, load_side
from .settings import DetectionSettings

PREDICTIONS = "predictions.json"
"""In each run's folder: what was found, in COCO's results format with the annotation file's own ids."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What a plan's runs gave.

    Attributes:
        plan: What was run.
        out: Holds the runs, ``results/`` and ``report.html``.
        results: A document a side, the backbone's first.
        differences: Backbone less baseline, metric by metric; empty without a baseline.
        report: The page.
    """

    plan: DetectionPlan
    out: str
    results: tuple[Result, ...]
    differences: tuple[Difference, ...] = ()
    report: str | None = None

    def rows(self) -> list[dict[str, Any]]:
        """A row a metric: ``metric``, ``backbone`` and, with a baseline, ``baseline`` and ``difference``, percent."""
        by_name = {difference.metric: difference for difference in self.differences}
        rows = []
        for metric, value in self.results[0].metrics.items():
            row: dict[str, Any] = {"metric": metric, "backbone": value}
            if len(self.results) > 1:
                difference = by_name.get(metric)
                row["baseline"] = self.results[1].metrics.get(metric)
                row["difference"] = None if difference is None else difference.mean
                row["low"] = None if difference is None else difference.low
                row["high"] = None if difference is None else difference.high
            rows.append(row)
        return rows

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "out": self.out,
            "protocol": self.plan.line(),
            "engine": self.plan.engine.name,
            "models": [result.model.reference for result in self.results],
            "metrics": self.rows(),
            "differences": [difference.to_dict() for difference in self.differences],
            "results": [result.to_json() for result in self.results],
            "report": self.report,
        }


@dataclass
class _Measured:
    """One side's runs."""

    side: Side
    model: MeasuredModel
    unused: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    engine_version: str = ""
    runs: list[dict[str, Any]] = field(default_factory=list)


def run_plan(plan: DetectionPlan, *, out: str | Path, resume: bool = False) -> Comparison:
    """Train and measure every side with every seed.

    Args:
        plan: Settled.
        out: Gets a run folder a side and seed, the results and the report.
        resume: Whether runs there go on; finished ones are kept.

    Raises:
        KdzooError: Something the plan needs is missing; or as ``train_dense``.
    """
    if plan.problems:
        raise plan.problems[0]
    folder = Path(out).expanduser()
    processes = start_processes(plan.device)
    try:
        with StopRequest() as stop, _framework_log(folder, plan, processes):
            measured = [_run_side(plan, side, folder, resume, processes, stop) for side in plan.sides]
        results = tuple(_result(plan, one, folder) for one in measured)
        report = None
        if processes.is_main:
            report = _keep(plan, folder, results, measured)
    finally:
        processes.stop()
    differences = _differences(plan, measured) if len(measured) == 2 else ()
    return Comparison(plan=plan, out=str(folder), results=results, differences=differences, report=report)


@contextlib.contextmanager
def _framework_log(out: Path, plan: DetectionPlan, processes: Processes) -> Iterator[None]:
    """detectron2's own words go to a file of the run, not to the terminal."""
    if plan.engine.name != "detectron2" or not processes.is_main:
        yield
        return
    from .detectron2_import import LOGGERS

    with clear_os_errors(out):
        out.mkdir(parents=True, exist_ok=True)
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


def _run_side(
    plan: DetectionPlan, side: Side, out: Path, resume: bool, processes: Processes, stop: StopRequest
) -> _Measured:
    engine = make_engine(plan.engine)
    measured: _Measured | None = None
    for seed in plan.seeds:
        loaded = load_side(plan, side, seed=seed)
        digest = weights_sha256(loaded.model)
        if measured is None:
            measured = _Measured(side, describe_model(loaded), engine_version=engine.version)
        detector = engine.build(loaded, plan.settings, plan.num_classes, seed)
        if not measured.runs:
            measured.unused, measured.notes = detector.unused, detector.notes
            if processes.is_main:
                for line in (*detector.notes, _unused_line(side.reference, detector)):
                    say(f"{side.role}: {line}")
        place = out / f"{side.role}-seed{seed}"
        job = _job(plan, side, detector, seed, digest, engine.version, place, resume, processes, stop)
        measured.runs.append(train_dense(job, processes, stop))
        if processes.is_main:
            for name, text in detector.documents.items():
                _write_text(place / name, text)
    assert measured is not None
    return measured


def _write_text(path: Path, text: str) -> None:
    write_whole(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def _unused_line(reference: str, detector: Detector) -> str:
    if not detector.unused:
        return f"every weight of {reference} is in the detector"
    shown = ", ".join(detector.unused[:4]) + (
        f" and {len(detector.unused) - 4} more" if len(detector.unused) > 4 else ""
    )
    return f"weights of {reference} that the detector does not use: {shown}"


def _job(
    plan: DetectionPlan,
    side: Side,
    detector: Detector,
    seed: int,
    digest: str,
    version: str,
    place: Path,
    resume: bool,
    processes: Processes,
    stop: StopRequest,
) -> DenseJob:
    assert plan.train is not None
    assert plan.val is not None
    own, val = plan.settings, plan.val
    groups = parameter_groups(
        detector.model,
        stage_of=detector.stage_of,
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
    order = BoxOrder(plan.train.sizes, own.batch_size, seed, rank=processes.rank, world_size=processes.world_size)
    views = BoxViews(short_sides=own.short_sides, max_side=own.max_side, flip=own.flip)
    fixed = {
        "reference": side.reference,
        "weights_sha256": digest,
        "engine": f"{plan.engine.name} {version}",
        "seed": seed,
        "train": plan.train.fingerprint(),
        "val": val.fingerprint(),
        **dataclasses.asdict(own),
    }
    return DenseJob(
        title=f"{own.detector} over {side.reference}, seed {seed}",
        model=detector.model,
        optimizer=torch.optim.SGD(groups, lr=own.lr, momentum=own.momentum),
        lr=own.lr,
        schedule=schedule,
        load=BoxTask(plan.train, views, order=order, seed=seed),
        losses=detector.losses,
        evaluate=lambda model: _evaluate(model, detector, val, own, plan.workers, place, processes, stop),
        batch_size=own.batch_size,
        seed=seed,
        workers=plan.workers,
        out=place,
        resume=resume,
        config={
            "task": str(plan.spec),
            "role": side.role,
            "protocol": plan.line(),
            "settings": plan.resolved.to_dict(),
        },
        fixed=fixed,
        max_grad_norm=own.max_grad_norm or None,
        checkpoint_every=own.checkpoint_every,
        extra_state=detector.extra_state,
    )


def _evaluate(
    model: nn.Module,
    detector: Detector,
    val: BoxSource,
    own: DetectionSettings,
    workers: int,
    place: Path,
    processes: Processes,
    stop: StopRequest,
) -> dict[str, Any]:
    """Look at every evaluation image once, all processes together; rank 0 keeps what was found and measures it."""
    mine = list(range(processes.rank, len(val), processes.world_size))
    views = BoxViews(short_sides=(own.test_short_side,), max_side=own.test_max_side, flip=0.0)
    task = BoxTask(val, views, chunks=[[index] for index in mine])
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    batches: TaskIterator[Any] = TaskIterator(task, range(len(mine)), workers=workers)
    progress = Progress(len(mine), "evaluating", processes.world_size, quiet=not processes.is_main)
    with batches, progress, torch.no_grad():
        for batch in batches:
            if processes.world_size == 1:
                stop.raise_if_requested("evaluation")
            for one in detector.predict(model, batch, processes.device):
                found.append((one.boxes.numpy(), one.scores.numpy(), one.labels.numpy()))
            progress.step({})
    parts = processes.gather_objects(found)
    scores: dict[str, Any] | None = None
    if processes.is_main:
        every: list[Detections] = [Detections(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0).long())] * len(val)
        for rank, part in enumerate(parts):
            for number, (boxes, values, labels) in enumerate(part):
                every[rank + number * processes.world_size] = Detections(
                    torch.from_numpy(boxes), torch.from_numpy(values), torch.from_numpy(labels)
                )
        write_json(place / PREDICTIONS, result_entries(every, val.image_ids, val.category_ids))
        measured = measure_boxes(val, every)
        scores = {"metrics": dict(measured.metrics), "per_class": list(measured.per_class)}
    result = processes.gather_objects(scores)[0]
    assert isinstance(result, dict)
    return result


# -- what came of it -------------------------------------------------------------------------------------------------


def _values(measured: _Measured, metric: str) -> list[float]:
    return [float(run["metrics"][metric]) for run in measured.runs]


def _metrics_of(measured: _Measured) -> list[str]:
    return [name for name in METRICS if all(name in run["metrics"] for run in measured.runs)]


def _result(plan: DetectionPlan, measured: _Measured, out: Path) -> Result:
    assert plan.train is not None
    assert plan.val is not None
    metrics: dict[str, float] = {}
    intervals: dict[str, Interval] = {}
    for name in _metrics_of(measured):
        values = _values(measured, name)
        found = mean_interval(values)
        metrics[name] = float(np.mean(values))
        if found is not None:
            intervals[name] = Interval(seeds=plan.seeds, values=tuple(values), low=found[1], high=found[2])
    counts = plan.val.boxes_per_class().tolist()
    per_class = PerClass(
        metric="AP",
        names=plan.val.class_names,
        values=tuple(_mean([run["per_class"][label] for run in measured.runs]) for label in range(plan.num_classes)),
        counts=tuple(counts),
    )
    both = hashlib.sha256(f"{plan.train.fingerprint()} {plan.val.fingerprint()}".encode()).hexdigest()
    settings = {
        **dataclasses.asdict(plan.settings),
        "engine": plan.engine.name,
        "engine_version": measured.engine_version,
        "subset": plan.subset,
        "seeds": list(plan.seeds),
    }
    return Result(
        task="detection",
        dataset=plan.dataset,
        split="val",
        num_images=len(plan.val),
        model=dataclasses.replace(measured.model, reference=measured.side.reference)
        if measured.side.reference == "random"
        else measured.model,
        protocol=plan.line(),
        metrics=metrics,
        settings={key: list(value) if isinstance(value, tuple) else value for key, value in settings.items()},
        data_fingerprint=both,
        intervals=intervals,
        per_class=(per_class,),
        details={
            "runs": [f"{measured.side.role}-seed{seed}" for seed in plan.seeds],
            "training_images": len(plan.train),
            "unused_weights": list(measured.unused),
            "built": list(measured.notes),
            "images_per_s": [run["images_per_s"] for run in measured.runs],
        },
    )


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _differences(plan: DetectionPlan, measured: list[_Measured]) -> tuple[Difference, ...]:
    one, other = measured
    names = (one.side.reference, other.side.reference)
    shared = [name for name in _metrics_of(one) if name in _metrics_of(other)]
    return tuple(paired_difference(name, name, names, _values(one, name), _values(other, name)) for name in shared)


def _keep(plan: DetectionPlan, out: Path, results: tuple[Result, ...], measured: list[_Measured]) -> str | None:
    """Write the results, in the measurement's folder and in each model's own store, and the page."""
    from .report import write_detection_report

    for result, one in zip(results, measured, strict=True):
        write_result(out / "results", result)
        own = results_folder(one.side.reference)
        if own.resolve() != (out / "results").resolve():
            write_result(own, result)
    differences = _differences(plan, measured) if len(measured) == 2 else ()
    rows = Comparison(plan=plan, out=str(out), results=results, differences=differences).rows()
    return str(write_detection_report(plan, out, results, rows, differences))
