"""``kdzoo transfer`` as functions: a backbone on other tasks beside its baseline, and what that would take."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

from .base.setting_values import Passes, default_workers, value_types
from .base.settings import Given, given_arguments, read_settings

if TYPE_CHECKING:
    from .transfer.classification.cost import TransferCost
    from .transfer.classification.measure import TransferReport
    from .transfer.classification.plan import TransferPlan
    from .transfer.dense import Comparison, DenseCost
    from .transfer.dense.papers import PaperRow
    from .transfer.dense.plan import DensePlan

Kind = Literal["detection", "segmentation"]


class MeasurementArguments(TypedDict, total=False):
    """What all measurements of a backbone share.

    Attributes:
        baseline: Another model, on the same images in the same order; ``"random"`` for random weights.
        seeds: How many, or which ones; three by default for classes, else one.
        epochs: Passes over the training images, in place of the protocol's.
        batch_size: Images in a batch, all processes together, in place of the protocol's.
        lr: Base learning rate, in place of the protocol's.
        settings: Any other settings of the protocol, by name; `Given` says where a value is from.
        precision: ``fp32``, ``bf16`` or ``fp16``.
        workers: Processes that read images; one a core, at most eight, by default.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        out: Holds runs and results; under ``runs/`` by default.
        resume: Go on with what is in ``out``.
    """

    baseline: str | None
    seeds: int | Sequence[int] | None
    epochs: float | None
    batch_size: int | None
    lr: float | None
    settings: Mapping[str, Any] | None
    precision: str
    workers: int | None
    device: str
    out: str | Path | None
    resume: bool


class TransferArguments(MeasurementArguments, total=False):
    """What a measurement on classes takes.

    Attributes:
        mode: ``finetune`` (the whole network), ``linear`` (the last layer alone) or ``knn`` (nothing).
        protocol: ``meal_v2`` or ``ssld``.
        solver: Of linear mode: ``sgd`` or ``lbfgs`` on features, ``views`` on random views.
        image_size: Side of the crops, pixels, in place of the protocol's.
        quick: A fast look: few epochs, one seed.
        partition: 1 to 10, of dtd and sun397.
        search: ``full`` for SSLD's grid, or some values, such as ``"lr=0.1,0.01"``.
        features: Where features are kept; ``OUT/features`` by default.
    """

    mode: str
    protocol: str
    solver: str
    image_size: int | None
    quick: bool
    partition: int | None
    search: str | None
    features: str | Path | None


class DenseArguments(MeasurementArguments, total=False):
    """What a measurement of detection or segmentation takes.

    Attributes:
        detector: ``retinanet`` or ``faster_rcnn``.
        head: ``fcn``, ``deeplabv3plus`` or ``ocrnet``.
        engine: ``auto``, ``torchvision``, or the papers' framework: ``detectron2``, ``mmseg``.
        schedule: The framework's, by name.
        iterations: Another length of training; the schedule keeps its proportions.
        evaluate_every: Also evaluate each so many iterations.
        trackers: ``tensorboard``, ``wandb``, ``trackio``, ``mlflow``.
        subset: So many training and evaluation images: a quick look.
    """

    detector: str
    head: str
    engine: str
    schedule: str | None
    iterations: int | None
    evaluate_every: int | None
    trackers: Sequence[str]
    subset: int | None


def measure_transfer(task: str, *, backbone: str, **how: Unpack[TransferArguments]) -> TransferReport:
    """Measure whether a backbone carries over to another data set of classes, beside its baseline.

    Args:
        task: A data spec, such as ``"cifar100"``, ``"dtd:PATH"`` or a folder of class folders.
        backbone: A model reference.
        how: ``baseline``, ``mode``, ``seeds`` and the others of `TransferArguments`.

    Raises:
        UsageError: A value makes no sense, or two do not go together.
        DataError, ModelError: Data or a model is missing, or they do not fit.
        RunError, CheckpointError: A run cannot start or go on.
        Interrupted: SIGTERM or SIGINT came; what is finished is kept.
    """
    return plan_transfer(task, backbone=backbone, **how).start()


def measure_detection(task: str, *, backbone: str, **how: Unpack[DenseArguments]) -> Comparison:
    """Train a detector over a backbone, beside its baseline, and measure COCO's average precision.

    Args:
        task: ``coco`` or ``voc2007-detection``, ``coco:PATH`` for data of your own in COCO's format.
        backbone: A model reference.
        how: ``baseline``, ``detector``, ``epochs`` and the others of `DenseArguments`.

    Raises:
        KdzooError: As `measure_transfer`.
    """
    return plan_dense("detection", task, backbone=backbone, **how).start()


def measure_segmentation(task: str, *, backbone: str, **how: Unpack[DenseArguments]) -> Comparison:
    """Train a segmentor over a backbone, beside its baseline, and measure the mean intersection over union.

    Args:
        task: ``cityscapes``, ``voc2012`` or ``ade20k``, ``masks:PATH`` for data of your own.
        backbone: A model reference.
        how: ``baseline``, ``head``, ``epochs`` and the others of `DenseArguments`.

    Raises:
        KdzooError: As `measure_transfer`.
    """
    return plan_dense("segmentation", task, backbone=backbone, **how).start()


def plan_transfer(task: str, *, backbone: str, **how: Unpack[TransferArguments]) -> PlannedTransfer:
    """Settle what `measure_transfer` would do, and start nothing.

    Args:
        task, backbone, how: As those of `measure_transfer`.

    Raises:
        UsageError: As `measure_transfer`. (What is missing is no error here: see ``plan.problems``.)
    """
    from .transfer.classification.plan import TransferRequest, make_plan
    from .transfer.classification.protocols import Protocol

    asked: dict[str, Any] = dict(how)
    given = _given(asked, ("epochs", "batch_size", "lr", "image_size"))
    out, features, resume = asked.pop("out", None), asked.pop("features", None), asked.pop("resume", False)
    request = TransferRequest(
        task=task,
        backbone=backbone,
        given=read_settings(value_types(Protocol), given, name_options=True),
        seeds=_seeds(asked.pop("seeds", None)),
        workers=default_workers(asked.pop("workers", None)),
        **asked,
    )
    plan = make_plan(request)
    folder = Path(out or f"runs/transfer-{_plain(plan.dataset)}").expanduser()
    return PlannedTransfer(plan=plan, out=folder, features=features, resume=resume)


def plan_dense(kind: Kind, task: str, *, backbone: str, **how: Unpack[DenseArguments]) -> PlannedDense:
    """Settle what `measure_detection` or `measure_segmentation` would do, and start nothing.

    Args:
        kind: Which of them.
        task, backbone, how: As those of `measure_detection`.

    Raises:
        UsageError: As `measure_transfer`. (What is missing is no error here: see ``plan.problems``.)
    """
    from .transfer.dense.plan import DenseRequest

    room = dense_room(kind)
    asked: dict[str, Any] = dict(how)
    given = _given(asked, ("epochs", "batch_size", "lr", "iterations", "detector", "head"))
    out, resume = asked.pop("out", None), asked.pop("resume", False)
    request = DenseRequest(
        task=task,
        backbone=backbone,
        given=read_settings({**value_types(room.SETTINGS), "epochs": Passes}, given, name_options=True),
        seeds=_seeds(asked.pop("seeds", None)) or (0,),
        workers=default_workers(asked.pop("workers", None)),
        evaluate_every=asked.pop("evaluate_every", None) or 0,
        **asked,
    )
    plan = room.make_plan(request)
    last = [text.rstrip("/").rpartition("/")[2] for text in (task, backbone)]
    folder = Path(out or f"runs/{_plain(f'transfer-{last[0]}-{plan.network}-{last[1]}')}").expanduser()
    return PlannedDense(kind=kind, plan=plan, out=folder, resume=resume)


def dense_room(kind: str) -> Any:
    """The package of the kind; the other one is not imported."""
    if kind == "detection":
        from .transfer import detection

        return detection
    from .transfer import segmentation

    return segmentation


def _given(asked: dict[str, Any], named: Sequence[str]) -> dict[str, Given]:
    """The settings among what was asked, taken out of it."""
    return given_arguments({name: asked.pop(name, None) for name in named}, asked.pop("settings", None))


def _seeds(seeds: int | Sequence[int] | None) -> Sequence[int] | None:
    return tuple(range(seeds)) if isinstance(seeds, int) else seeds


def _plain(name: str) -> str:
    """A name as a folder may have it."""
    return re.sub(r"[^\w.-]+", "_", name)


@dataclass(frozen=True, kw_only=True)
class PlannedTransfer:
    """A measurement on classes that is settled and has not begun.

    Attributes:
        plan: Its data, models and settings, each with where it is from; `TransferPlan.to_dict` shows them.
        out: Holds the runs, the features and the results.
        features: Where features are kept; None for ``OUT/features``.
        resume: Whether what is in ``out`` is gone on with.
    """

    plan: TransferPlan
    out: Path
    features: str | Path | None
    resume: bool

    def cost(self) -> TransferCost:
        """What it costs on this machine; a few steps on noise are measured."""
        from .transfer.classification.cost import estimate_transfer

        return estimate_transfer(self.plan)

    def start(self) -> TransferReport:
        """Carry it out, in this process or (under torchrun) in all of them."""
        from .transfer.classification.measure import run_transfer

        return run_transfer(self.plan, out=self.out, features=self.features, resume=self.resume)


@dataclass(frozen=True, kw_only=True)
class PlannedDense:
    """A measurement of detection or segmentation that is settled and has not begun.

    Attributes:
        kind: ``detection`` or ``segmentation``.
        plan: Its data, models and settings, each with where it is from; `DensePlan.to_dict` shows them.
        out: Holds the runs, the results and the report.
        resume: Whether what is in ``out`` is gone on with.
    """

    kind: Kind
    plan: DensePlan[Any, Any, Any]
    out: Path
    resume: bool

    def cost(self) -> DenseCost | None:
        """What it costs on this machine; a training step of noise is measured. None where it cannot be built here."""
        found: DenseCost | None = dense_room(self.kind).estimate(self.plan)
        return found

    def paper_rows(self) -> Sequence[PaperRow]:
        """The papers' rows of such measurements."""
        rows: Sequence[PaperRow] = dense_room(self.kind).paper_rows()
        return rows

    def start(self) -> Comparison:
        """Carry it out, in this process or (under torchrun) in all of them."""
        found: Comparison = dense_room(self.kind).run_plan(self.plan, out=self.out, resume=self.resume)
        return found
