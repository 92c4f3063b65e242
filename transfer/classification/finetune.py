"""Fine-tuning as a run of the engine: the same order, views, checkpoints, logs and resuming as any other run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any, cast

import numpy as np
from torch import Tensor, nn

from ...base.errors import DivergedError
from ...data import Augmentation, EvalTransform, ImageSource, Mixing, torch_seed
from ...data.contents import file_stats, sizes_digest
from ...data.subset import SubsetSource
from ...engine.checkpoint import digest_path
from ...engine.distributed import Processes
from ...engine.job import TrainJob
from ...engine.loop import train
from ...engine.objective import Objective, ParameterGroup, Phase, StepView, student_group
from ...engine.progress import say
from ...engine.settings import OptimizerSettings, ScheduleSettings, TrainingSettings
from ...engine.signals import StopRequest
from ...engine.teachers import weights_sha256
from ...zoo import LoadedModel, load_model, save_model, seeded
from ..sides import RANDOM
from .features import Pass, collect
from .linear import classification_loss
from .plan import TransferPlan
from .protocols import Protocol
from .stages import classifier_parameters, stage_groups, stage_multipliers


class TransferObjective(Objective):
    """Learning the classes of a task. Term: ``classes``.

    Args:
        architecture: timm's name.
        protocol: Smoothing and the stages' rates.
        head_only: Whether the backbone stays as it is, its BatchNorm statistics too.
    """

    def __init__(self, architecture: str, protocol: Protocol, *, head_only: bool = False) -> None:
        super().__init__()
        self.architecture, self.protocol, self.head_only = architecture, protocol, head_only

    def phases(self, student: nn.Module) -> tuple[Phase, ...]:
        multipliers = stage_multipliers(self.protocol.stage_lr, self.architecture)
        if self.head_only:
            head = classifier_parameters(student)
            for parameter in student.parameters():
                parameter.requires_grad_(parameter in head)
            found = [(name, parameter) for name, parameter in student.named_parameters() if parameter in head]
            groups: tuple[ParameterGroup, ...] = (ParameterGroup("classifier", found),)
        elif multipliers is not None:
            groups = stage_groups(student, multipliers, self.architecture)
        else:
            groups = (student_group(student),)
        return (Phase("student", groups),)

    def set_modes(self, student: nn.Module) -> None:
        if self.head_only:
            student.eval()

    def terms(self, phase: str, step: StepView) -> dict[str, Tensor]:
        logits, smoothing = step.student().logits, self.protocol.label_smoothing
        loss = classification_loss(logits, step.labels, step.targets, smoothing)
        if step.mixed_labels is not None:
            other = classification_loss(logits, step.mixed_labels, step.mixed_targets, smoothing)
            loss = step.mix_weight * loss + (1 - step.mix_weight) * other
        return {"classes": loss}


def load_backbone(plan: TransferPlan, reference: str, seed: int) -> LoadedModel:
    """A backbone as its publisher left it, with the task's view.

    Args:
        plan: Names the view.
        reference: A model reference, or `RANDOM` for the plan's own backbone from random weights.
        seed: Of random weights.

    Raises:
        ModelError: It cannot be built, or its weights are missing.
    """
    look = plan.protocol
    random = reference == RANDOM
    loaded = load_model(
        plan.backbone if random else reference,
        pretrained=not random,
        seed=torch_seed(seed, "transfer/random") if random else 0,
        image_size=look.image_size,
        new_head=True,
    )
    view = replace(
        loaded.preprocessing, image_size=look.image_size, crop_pct=look.crop_pct, interpolation=look.interpolation
    )
    name = f"{loaded.reference} (random weights)" if random else loaded.reference
    return replace(loaded, reference=name, preprocessing=view)


def with_new_classifier(loaded: LoadedModel, class_names: tuple[str, ...], seed: int) -> LoadedModel:
    """The backbone with a classifier for a task's classes, drawn from the seed, even where their number is the same."""
    network: Any = loaded.model
    with seeded(torch_seed(seed, "transfer/classifier")):
        network.reset_classifier(len(class_names))
    return replace(loaded, num_classes=len(class_names), class_names=class_names, promised_top1=None, promised_on=None)


def augmentation_of(protocol: Protocol) -> Augmentation:
    """How training views are drawn."""
    return Augmentation(
        image_size=protocol.image_size,
        crop=protocol.crop,
        scale=protocol.scale,
        ratio=protocol.ratio,
        crop_pct=protocol.crop_pct,
        interpolation=protocol.interpolation,
        hflip_prob=protocol.hflip_prob,
    )


def test_view(protocol: Protocol) -> EvalTransform:
    """How test images become inputs."""
    return EvalTransform(
        image_size=protocol.image_size, crop_pct=protocol.crop_pct, interpolation=protocol.interpolation
    )


def first_classes(source: ImageSource) -> ImageSource:
    """Images with the first of their classes as the label, for the one number that the run's own log has."""
    if source.targets is None:
        return source
    return SubsetSource.of_labels(source, source.class_names, (source.targets == 1).argmax(axis=1))


@dataclass(frozen=True, kw_only=True)
class TransferRun:
    """A measurement that this process carries out.

    Attributes:
        plan: What is measured.
        out: Holds the runs, the features and the results.
        resume: Whether what is in ``out`` goes on.
        processes: This process among the measurement's.
        stop: Asked between steps.
    """

    plan: TransferPlan
    out: Path
    resume: bool
    processes: Processes
    stop: StopRequest

    def view(self, protocol: Protocol) -> Pass:
        """How test images go through a network."""
        return Pass(
            transform=test_view(protocol),
            precision=self.plan.precision,
            workers=self.plan.workers,
            processes=self.processes,
            stop=self.stop,
        )

    def say(self, text: str) -> None:
        """One line, by the first process."""
        if self.processes.is_main:
            say(text)


def fine_tuned_scores(
    run: TransferRun, reference: str, seed: int, sources: tuple[ImageSource, ImageSource], protocol: Protocol
) -> np.ndarray:
    """Train one backbone with one seed, and its answers to the test images: float32 (N, C).

    Args:
        run: The measurement; its ``out`` gets the run.
        reference: Which backbone.
        seed: Of the new classifier, the order and the views.
        sources: The images to train on, and those that are answered.
        protocol: The values; the plan's, or one of a search.

    Raises:
        RunError, CheckpointError: The run cannot start or go on.
        DivergedError: The training diverged, or its answers are not finite though every loss on the way was.
        Interrupted: A signal came; everything finished so far is saved.
    """
    trained = fine_tune(run, reference, seed, sources, protocol)
    scores = collect(trained, sources[1], run.view(protocol), features=False, title=f"answers of {reference}")
    if not np.isfinite(scores).all():
        raise DivergedError(
            f"the answers of {reference} after its training are not finite", hint="lower --lr or --weight-decay"
        )
    return scores


def fine_tune(
    run: TransferRun, reference: str, seed: int, sources: tuple[ImageSource, ImageSource], protocol: Protocol
) -> LoadedModel:
    """Train one backbone with one seed, as a run in a folder; a finished run there is taken as it is.

    The test images are evaluated on once, at the end; no choice is made by it. Arguments and errors are those of
    `fine_tuned_scores`.
    """
    plan, processes = run.plan, run.processes
    train_source, test_source = sources
    folder = run_folder(run.out, plan, protocol, reference, seed)
    loaded = load_backbone(plan, reference, seed)
    digest = weights_sha256(loaded.model)
    student = with_new_classifier(loaded, train_source.class_names, seed)
    objective = TransferObjective(student.architecture, protocol, head_only=plan.mode == "linear")
    settings = {**plan.settings(), **_flat(protocol)}
    fixed = {
        **settings,
        "seed": seed,
        "backbone_sha256": digest,
        "train_fingerprint": train_source.fingerprint(),
        "test_fingerprint": test_source.fingerprint(),
    }
    for key, source in (("train_sizes", train_source), ("test_sizes", test_source)):
        if (sizes := sizes_digest(file_stats(source))) is not None:
            fixed[key] = sizes
    job = TrainJob(
        student=student,
        objective=objective,
        teachers=None,
        train_source=train_source,
        val_source=first_classes(test_source),
        augmentation=augmentation_of(protocol),
        mixing=Mixing(mixup_alpha=protocol.mixup_alpha or 1.0, mixup_prob=1.0 if protocol.mixup_alpha else 0.0),
        eval_transform=test_view(protocol),
        training=TrainingSettings(
            epochs=protocol.epochs,
            batch_size=protocol.batch_size,
            precision=cast("Any", plan.precision),
            evaluate_every_epochs=0,  # the test images choose nothing
        ),
        optimizer=OptimizerSettings(
            name="sgd",
            lr=protocol.lr,
            momentum=protocol.momentum,
            nesterov=protocol.nesterov,
            weight_decay=protocol.weight_decay,
        ),
        schedule=ScheduleSettings(name=protocol.schedule),
        seed=seed,
        workers=plan.workers,
        out=folder,
        resume=run.resume,
        config=_config(plan, loaded.reference, student, sources, seed),
        fixed=fixed,
        provenance=_provenance(plan, loaded, train_source, protocol),
    )
    train(job, processes, run.stop)
    model = folder / "model"
    processes.barrier()
    if processes.is_main:
        _drop_checkpoints(folder)
    trained = replace(load_model(f"local-dir:{model}", pretrained=True), preprocessing=student.preprocessing)
    if test_source.targets is not None and processes.is_main:  # the run's top-1 was of first classes: no evidence
        save_model(trained, model, provenance={**job.provenance, "weights": "last", "seed": seed})
    processes.barrier()
    return trained


def run_folder(out: Path, plan: TransferPlan, protocol: Protocol, reference: str, seed: int) -> Path:
    """Where a backbone's run of a seed lies: another one for other settings."""
    words = [str(part) for part in (plan.mode, reference.rstrip("/").rpartition("/")[2])]
    text = json.dumps([plan.settings(), _flat(protocol), str(plan.spec), reference], sort_keys=True)
    slug = "-".join("".join(c if c.isalnum() or c in "._" else "_" for c in word)[:40] for word in words)
    return out / "runs" / f"{slug}-{hashlib.sha256(text.encode()).hexdigest()[:8]}-seed{seed}"


def _flat(protocol: Protocol) -> dict[str, Any]:
    return {name: list(v) if isinstance(v, tuple) else v for name, v in vars(protocol).items()}


def _config(
    plan: TransferPlan, reference: str, student: LoadedModel, sources: tuple[ImageSource, ImageSource], seed: int
) -> Mapping[str, Any]:
    """config.json, in the form that reports read."""
    train_source, test_source = sources
    document = plan.to_dict()
    names = list(train_source.class_names)
    return {
        "recipe": f"transfer {plan.task}",
        "origin": plan.line(),
        "variants": [],
        "student": {
            "reference": reference,
            "architecture": student.architecture,
            "model_args": dict(student.model_args),
            "num_classes": student.num_classes,
            "preprocessing": student.preprocessing.to_dict(),
            "class_names": names,
        },
        "teachers": [],
        "settings": {**document["settings"], "run.seed": {"value": seed, "source": "--seeds"}},
        "class_names": names,
        "train_data": train_source.description(),
        "val_data": test_source.description(),
        "notes": document["notes"],
        "warnings": [],
        "teacher_reports": [],
    }


def _provenance(
    plan: TransferPlan, loaded: LoadedModel, train_source: ImageSource, protocol: Protocol
) -> dict[str, Any]:
    """What the trained model says of its origin."""
    return {
        "kdzoo_version": metadata.version("kdzoo"),
        "recipe": f"transfer {plan.task}",
        "student_start": loaded.reference,
        "teachers": [],
        "data": train_source.name,
        "training_data": train_source.description(),
        "epochs": protocol.epochs,
    }


def _drop_checkpoints(folder: Path) -> None:
    """A finished run keeps its model; the states on the way there would be many times as large."""
    for checkpoint in (folder / "checkpoints").glob("*.safetensors"):
        checkpoint.unlink(missing_ok=True)
        digest_path(checkpoint).unlink(missing_ok=True)
