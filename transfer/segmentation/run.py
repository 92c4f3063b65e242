"""Carrying a plan out: a run a side and seed, on the same images in the same order; then what they reached."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ...data import TaskIterator
from ...data.segmentation import EndlessOrder, EvalImage, EvalTask, MaskBatch, MaskSource, MaskTask, MaskViews
from ...engine.distributed import Processes, convert_sync_batchnorm, start_processes
from ...engine.files import clear_os_errors, write_whole
from ...engine.preflight import even_slice
from ...engine.progress import Progress, say
from ...engine.signals import StopRequest
from ...engine.teachers import weights_sha256
from ...errors import UsageError
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
from .engines import make_engine
from .inference import labels_of, normalised, padded, slide
from .metrics import METRICS, confusion, measure
from .plan import SegmentationPlan
from .segmentor import Segmentor
from .settings import SegmentationSettings
from .sides import RANDOM, Side

PREDICTIONS = "predictions"
"""Folder in each run: what was predicted for the images that the report shows, as PNGs of class indices."""

SHOWN_IMAGES = 8


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

    plan: SegmentationPlan
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
                difference = by_name[metric]
                row["baseline"] = self.results[1].metrics[metric]
                row["difference"], row["low"], row["high"] = difference.mean, difference.low, difference.high
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
    engine_version: str
    unused: tuple[str, ...]
    notes: tuple[str, ...]
    runs: list[dict[str, Any]] = field(default_factory=list)


def run_plan(plan: SegmentationPlan, *, out: str | Path, resume: bool = False) -> Comparison:
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
        with StopRequest() as stop:
            measured = [_run_side(plan, side, folder, resume, processes, stop) for side in plan.sides]
        results = tuple(_result(plan, one) for one in measured)
        differences = _differences(measured)
        comparison = Comparison(plan=plan, out=str(folder), results=results, differences=differences)
        if processes.is_main:
            comparison = _keep(comparison, folder, measured)
    finally:
        processes.stop()
    return comparison


def _run_side(
    plan: SegmentationPlan, side: Side, out: Path, resume: bool, processes: Processes, stop: StopRequest
) -> _Measured:
    engine = make_engine(plan.engine)
    measured: _Measured | None = None
    for seed in plan.seeds:
        loaded = side.load(seed=seed)
        digest, described = weights_sha256(loaded.model), None
        if measured is None:
            described = describe_model(loaded)
        segmentor = engine.build(loaded, plan.settings, plan.num_classes, seed)
        if measured is None:
            assert described is not None
            measured = _Measured(side, described, engine.version, segmentor.unused, segmentor.notes)
            if processes.is_main:
                for line in (*segmentor.notes, unused_line(side.reference, segmentor.unused)):
                    say(f"{side.role}: {line}")
        if processes.device.type == "cuda" and plan.settings.batchnorm == "train":
            segmentor = dataclasses.replace(segmentor, model=convert_sync_batchnorm(segmentor.model, processes))
        place = out / f"{side.role}-seed{seed}"
        job = _job(plan, side, segmentor, seed, digest, engine.version, place, resume, processes, stop)
        measured.runs.append(train_dense(job, processes, stop))
        if processes.is_main:
            for name, text in segmentor.documents.items():
                write_whole(place / name, partial(_write_text, text=text))
    assert measured is not None
    return measured


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def unused_line(reference: str, unused: tuple[str, ...]) -> str:
    """Which of a backbone's weights the segmentor does without, in one line."""
    if not unused:
        return f"every weight of {reference} is in the segmentor"
    shown = ", ".join(unused[:4]) + (f" and {len(unused) - 4} more" if len(unused) > 4 else "")
    return f"weights of {reference} that the segmentor does not use: {shown}"


def _job(
    plan: SegmentationPlan,
    side: Side,
    segmentor: Segmentor,
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
    own, train, val = plan.settings, plan.train, plan.val
    if any(length % segmentor.multiple for length in own.crop):
        raise UsageError(
            f"a crop of {own.crop[0]}x{own.crop[1]} does not fit {side.reference}",
            hint=f"--crop with multiples of {segmentor.multiple}",
        )
    groups = parameter_groups(
        segmentor.model,
        stage_of=segmentor.stage_of,
        multipliers=own.lr_multipliers,
        weight_decay=own.weight_decay,
        head_multiplier=own.head_lr_multiplier,
    )
    schedule = IterationSchedule(iterations=own.iterations, name="poly", power=own.power, final=own.lr_end / own.lr)
    order = EndlessOrder(len(train), own.batch_size, seed, rank=processes.rank, world_size=processes.world_size)
    fixed = {
        "reference": side.reference,
        "weights_sha256": digest,
        "engine": f"{plan.engine.name} {version}",
        "seed": seed,
        "train": train.fingerprint,
        "val": val.fingerprint,
        **dataclasses.asdict(own),
    }

    def losses(model: nn.Module, batch: MaskBatch, device: torch.device) -> dict[str, Tensor]:
        images = normalised(batch.images, segmentor.preprocessing, device)
        return segmentor.losses(model, images, batch.masks.to(device, non_blocking=True).long())

    return DenseJob(
        title=f"{own.head} over {side.reference}, seed {seed}",
        model=segmentor.model,
        optimizer=torch.optim.SGD(groups, lr=own.lr, momentum=own.momentum),
        lr=own.lr,
        schedule=schedule,
        load=MaskTask(train, training_views(own, segmentor), order),
        losses=losses,
        evaluate=lambda model: _evaluate(model, segmentor, val, own, plan.workers, place, processes, stop),
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
    )


def training_views(own: SegmentationSettings, segmentor: Segmentor) -> MaskViews:
    """As the settings have them; what lies beyond an image has the colour that becomes zero."""
    mean = [round(255 * value) for value in segmentor.preprocessing.mean]
    return MaskViews(
        scale=own.scale,
        factors=own.factors,
        crop=own.crop,
        most=own.most,
        flip=own.flip,
        colour=bool(own.colour),
        fill=(mean[0], mean[1], mean[2]),
    )


def _evaluate(
    model: nn.Module,
    segmentor: Segmentor,
    val: MaskSource,
    own: SegmentationSettings,
    workers: int,
    place: Path,
    processes: Processes,
    stop: StopRequest,
) -> dict[str, Any]:
    """Look at every evaluation image once, all processes together; the confusion matrices are added up."""
    mine = list(range(processes.rank, len(val), processes.world_size))
    shown = set(even_slice(len(val), SHOWN_IMAGES))
    scale = (own.test_scale[0], own.test_scale[1]) if own.test_scale else None
    matrix = torch.zeros(val.num_classes, val.num_classes, dtype=torch.int64, device=processes.device)
    kept: list[tuple[int, np.ndarray]] = []
    batches: TaskIterator[Any] = TaskIterator(EvalTask(val, scale, mine), range(len(mine)), workers=workers)
    progress = Progress(len(mine), "evaluating", processes.world_size, quiet=not processes.is_main)
    with batches, progress, torch.no_grad():
        for one in batches:
            if processes.world_size == 1:
                stop.raise_if_requested("evaluation")
            predicted = predict(model, segmentor, one, own, processes.device)
            matrix += confusion(one.mask.to(processes.device), predicted, val.num_classes)
            if one.index in shown:
                kept.append((one.index, predicted.cpu().numpy()))
            progress.step({})
    parts = processes.gather_objects((matrix.cpu().numpy(), kept))
    total = np.sum([part for part, _ in parts], axis=0)
    if processes.is_main:
        _save_predictions(place / PREDICTIONS, val, [pair for _, pairs in parts for pair in pairs])
    measured = measure(total)
    return {"metrics": measured.metrics, "per_class": list(measured.iou), "pixels": list(measured.pixels)}


def predict(
    model: nn.Module, segmentor: Segmentor, one: EvalImage, own: SegmentationSettings, device: torch.device
) -> Tensor:
    """The label of each pixel of the stored image: uint8, (H, W)."""
    images = normalised(one.image[None], segmentor.preprocessing, device)

    def logits(part: Tensor) -> Tensor:
        return padded(partial(segmentor.logits, model), part, segmentor.multiple)

    found = slide(logits, images, own.crop, own.window_stride()) if own.test_mode == "slide" else logits(images)
    return labels_of(found, (one.mask.shape[0], one.mask.shape[1]))


def _save_predictions(folder: Path, val: MaskSource, found: list[tuple[int, np.ndarray]]) -> None:
    with clear_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    colours = [value for colour in val.colours for value in colour]
    for index, labels in found:
        picture = Image.fromarray(labels)
        picture.putpalette(colours)
        write_whole(folder / f"{index:06d}.png", partial(picture.save, format="PNG"))


# -- what came of it -------------------------------------------------------------------------------------------------


def _values(measured: _Measured, metric: str) -> list[float]:
    return [float(run["metrics"][metric]) for run in measured.runs]


def _result(plan: SegmentationPlan, measured: _Measured) -> Result:
    assert plan.train is not None
    assert plan.val is not None
    metrics: dict[str, float] = {}
    intervals: dict[str, Interval] = {}
    for name in METRICS:
        values = _values(measured, name)
        found = mean_interval(values)
        metrics[name] = float(np.mean(values))
        if found is not None:
            intervals[name] = Interval(seeds=plan.seeds, values=tuple(values), low=found[1], high=found[2])
    per_class = PerClass(
        metric="IoU",
        names=plan.val.class_names,
        values=tuple(_mean([run["per_class"][label] for run in measured.runs]) for label in range(plan.num_classes)),
        counts=tuple(measured.runs[0]["pixels"]),
    )
    both = hashlib.sha256(f"{plan.train.fingerprint} {plan.val.fingerprint}".encode()).hexdigest()
    settings = {
        **dataclasses.asdict(plan.settings),
        "engine": plan.engine.name,
        "engine_version": measured.engine_version,
        "subset": plan.subset,
        "seeds": list(plan.seeds),
    }
    random = measured.side.reference == RANDOM
    return Result(
        task="segmentation",
        dataset=plan.dataset,
        split="val",
        num_images=len(plan.val),
        model=dataclasses.replace(measured.model, reference=RANDOM) if random else measured.model,
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


def _differences(measured: list[_Measured]) -> tuple[Difference, ...]:
    if len(measured) < 2:
        return ()
    one, other = measured
    names = (one.side.reference, other.side.reference)
    return tuple(paired_difference(name, name, names, _values(one, name), _values(other, name)) for name in METRICS)


def _keep(comparison: Comparison, out: Path, measured: list[_Measured]) -> Comparison:
    """Write the results, in the measurement's folder and in each model's own store, and the page."""
    from .report import write_segmentation_report

    for result, one in zip(comparison.results, measured, strict=True):
        write_result(out / "results", result)
        own = results_folder(one.side.reference)
        if own.resolve() != (out / "results").resolve():
            write_result(own, result)
    page = write_segmentation_report(
        comparison.plan, out, comparison.results, comparison.rows(), comparison.differences
    )
    return dataclasses.replace(comparison, report=str(page))
