"""From a plan to a finished run: open the data, build the models, check the teachers, train."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from ..data import ConcatSource, EvalTransform, ImageSource, open_source, torch_seed
from ..engine.distributed import Processes, start_processes
from ..engine.job import TrainJob, TrainResult
from ..engine.loop import train
from ..engine.preflight import TeacherReport, preflight
from ..engine.progress import say
from ..engine.run_folder import RunFolder
from ..engine.signals import StopRequest
from ..engine.teachers import TeacherEnsemble
from ..errors import DataError, UsageError
from ..zoo import LoadedModel, seeded, takes_conditions
from .memory import require_memory
from .models import shapes_of, student_of, teachers_of
from .plan import Plan
from .recipe import Recipe
from .stages import START_DIGEST, model_digest, run_stages

_EVAL_BATCH = 64


@dataclass(frozen=True)
class Sources:
    """A run's images.

    Attributes:
        train: Labelled training images, then the unlabeled ones.
        val: Held-out labelled images of the same classes in the same order.
        class_names: In label order.
    """

    train: ImageSource
    val: ImageSource
    class_names: tuple[str, ...]


def open_sources(recipe: Recipe) -> Sources:
    """Open a recipe's data.

    Raises:
        DataError: Data is missing, or training and validation images have other classes or another class order.
    """
    settings = recipe.data
    labelled = open_source(settings.dataset, "train")
    val = open_source(settings.val_dataset or settings.dataset, "val")
    _check_task(recipe, labelled)
    if labelled.target_names != val.target_names:
        raise DataError(
            f"{settings.dataset} and {settings.val_dataset} have other targets",
            hint="train and evaluate on data with the same targets",
        )
    if labelled.class_names != val.class_names:
        raise DataError(
            f"training data {settings.dataset} and validation data {settings.val_dataset or settings.dataset} have "
            f"other classes: {_first_difference(labelled.class_names, val.class_names)}",
            hint="both need the same class folders",
        )
    train_source = labelled
    if settings.unlabeled is not None:
        train_source = ConcatSource([labelled, open_source(settings.unlabeled, "unlabeled")])
    return Sources(train_source, val, labelled.class_names)


def _check_task(recipe: Recipe, source: ImageSource) -> None:
    """Refuse data of another kind than the recipe learns from: numbers to predict, or several classes an image."""
    if source.class_names and source.targets is not None:
        raise DataError(
            f"an image of {source.name} shows several classes; recipes learn from one class an image",
            hint=f"'kdzoo transfer {source.name} --backbone REF' trains on several",
        )
    if (recipe.objective.task == "regression") != source.is_regression:
        has = f"the targets {' and '.join(source.target_names)}" if source.is_regression else "classes"
        wants = "numbers to predict" if recipe.objective.task == "regression" else "classes"
        other = "use the recipes gaze and xcl_gaze" if source.is_regression else "use mpiigaze, or a recipe for classes"
        raise DataError(f"{recipe.name} needs data with {wants}, {source.name} has {has}", hint=other)


def _first_difference(first: Sequence[str], second: Sequence[str]) -> str:
    for index, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            return f"class {index} is {one!r} in the one and {other!r} in the other"
    return f"{len(first)} and {len(second)} of them"


def _provenance(plan: Plan, sources: Sources, teachers: Sequence[LoadedModel]) -> dict[str, Any]:
    """What the exported model says of its origin."""
    recipe = plan.recipe
    return {
        "kdzoo_version": metadata.version("kdzoo"),
        "recipe": recipe.name,
        "variants": list(plan.variants),
        "paper": recipe.paper.url,
        "student_start": _student_start(plan),
        "teachers": [{"reference": teacher.reference, "license": teacher.licence} for teacher in teachers],
        "data": sources.val.name,
        "training_data": sources.train.description(),
        "epochs": recipe.training.epochs,
        **_regression(plan, sources),
    }


def _regression(plan: Plan, sources: Sources) -> dict[str, Any]:
    """What a model that predicts numbers says of them."""
    if not sources.val.is_regression:
        return {}
    targets, form = list(sources.val.target_names), plan.recipe.objective.output_form()
    return {"task": "regression", "targets": targets, "output": form}


def _student_start(plan: Plan) -> str:
    if plan.stage is not None and plan.stage.start is not None:
        return f"stage {plan.stage.start}"
    return plan.student if plan.recipe.student.init == "pretrained" else "random"


def _identity(plan: Plan, sources: Sources, teachers: TeacherEnsemble | None) -> dict[str, Any]:
    """What a resumed run must find unchanged outside its settings: images, classes, teachers and the student that a
    stage goes on with, by their digests."""
    digests = teachers.digest() if teachers is not None else ()
    before = None if plan.stage is None else plan.stage.start_model
    start = {} if before is None else {START_DIGEST: model_digest(Path(before))}
    return {
        **start,
        "data.train_fingerprint": sources.train.fingerprint(),
        "data.val_fingerprint": sources.val.fingerprint(),
        "teachers.digests": list(digests),
    }


def build_job(
    plan: Plan,
    *,
    out: Path,
    resume: bool,
    trust_teacher: bool,
    processes: Processes,
    stop: StopRequest | None = None,
    trackers: Sequence[str] = (),
) -> TrainJob:
    """Open, build and check everything that a plan names.

    Raises:
        DataError: Data is missing or its parts do not fit together.
        ModelError: A model cannot be built or its weights are missing.
        TeacherError: A teacher does not fit the data, or is worse than it promises and not trusted.
        RunError: ``out`` holds another run.
        CheckpointError: ``out`` holds this run with other settings, data or teachers.
        UsageError: The recipe's own memory (banks and the like) does not fit into this machine's.
    """
    recipe = plan.recipe
    sources = open_sources(recipe)
    num_targets = len(sources.val.target_names) if sources.val.is_regression else 0
    num_outputs = recipe.objective.num_outputs(num_targets or len(sources.class_names))
    student = student_of(plan, num_outputs, sources.class_names)
    members = teachers_of(plan)
    for network in (student, *members):
        _check_conditions(network, sources)
    training = recipe.training
    teachers = None
    if members:
        teachers = TeacherEnsemble(
            members, processes.device, precision=training.precision, channels_last=training.channels_last
        )
    fixed = {**plan.fixed(), **_identity(plan, sources, teachers)}
    if processes.is_main:
        for note in student.notes:
            say(note)
        RunFolder(out).refuse_if_taken(fixed, resume=resume)
    transform = EvalTransform(
        image_size=plan.image_size,
        image_width=recipe.data.augmentation.image_width,
        crop_pct=recipe.data.evaluation.crop_pct,
        interpolation=recipe.data.evaluation.interpolation,
    )
    reports: list[TeacherReport] = []
    if teachers is not None:
        batch = min(_EVAL_BATCH, training.batch_size)
        reports, warnings = preflight(
            teachers,
            sources.val,
            transform,
            batch_size=batch,
            workers=plan.run.workers,
            processes=processes,
            trust=trust_teacher,
            stop=stop,
        )
        if processes.is_main:
            _say_reports(reports, warnings)
    share = training.batch_size // (processes.world_size * training.accumulate)
    require_memory(recipe.objective.memory(len(sources.train), share, len(members)), processes.device)
    with seeded(torch_seed(plan.run.seed, "objective")):
        shapes = shapes_of(student, members, len(sources.train), sources.train.labels, num_targets)
        objective = recipe.objective.build(shapes)
    return TrainJob(
        student=student,
        objective=objective,
        teachers=teachers,
        train_source=sources.train,
        val_source=sources.val,
        augmentation=recipe.data.augmentation,
        mixing=recipe.data.mixing,
        eval_transform=transform,
        training=training,
        optimizer=recipe.optimizer,
        schedule=recipe.schedule,
        seed=plan.run.seed,
        workers=plan.run.workers,
        out=out,
        resume=resume,
        config=_config(plan, sources, student, reports),
        fixed=fixed,
        provenance=_provenance(plan, sources, members),
        trackers=trackers,
        unlabeled_share=recipe.objective.unlabeled_share,
    )


def _check_conditions(network: LoadedModel, sources: Sources) -> None:
    """Refuse a network that takes a head's pose where an image has none.

    Raises:
        DataError: So it is.
    """
    if not takes_conditions(network.model):
        return
    for source in (sources.train, sources.val):
        if source.conditions is None or np.isnan(source.conditions).any():
            raise DataError(
                f"{network.reference} takes the head's pose beside the image, and {source.name} ({source.split}) has "
                "images without one",
                hint="use the network without it (gaze_lenet, gaze_preact_resnet8)",
            )


def _config(plan: Plan, sources: Sources, student: LoadedModel, reports: Sequence[TeacherReport]) -> Mapping[str, Any]:
    """config.json: the plan, and what it met."""
    return {
        **plan.to_dict(),
        "student": {
            "reference": plan.student,
            "architecture": student.architecture,
            "model_args": dict(student.model_args),
            "num_classes": student.num_classes,
            "preprocessing": student.preprocessing.to_dict(),
            "class_names": list(sources.class_names),
        },
        "class_names": list(sources.class_names),
        "train_data": sources.train.description(),
        "val_data": sources.val.description(),
        "student_notes": list(student.notes),
        "teacher_reports": [report.to_dict() for report in reports],
    }


def _say_reports(reports: Sequence[TeacherReport], warnings: Sequence[str]) -> None:
    for report in reports:
        say(f"teacher {report.reference}: {report.summary()}")
    for warning in warnings:
        say(f"warning: {warning}")


def run(
    plan: Plan,
    *,
    out: Path | str,
    resume: bool = False,
    trust_teacher: bool = False,
    trackers: Sequence[str] = (),
    stage: str | None = None,
) -> TrainResult:
    """Carry out a plan, in this process or (under torchrun) in all of them.

    Args:
        plan: From ``resolve``.
        out: The run folder; the stages of a recipe have theirs below it.
        resume: Go on with the run in ``out``, or start it where there is none.
        trust_teacher: Go on although a teacher is worse than it promises.
        trackers: Names of extra trackers.
        stage: The one stage to run; all of them by default.

    Raises:
        KdzooError: As ``build_job`` and ``engine.loop.train``; of stages, as ``stages.run_stages``.
    """
    if stage is not None and not plan.stages:
        raise UsageError(f"{plan.recipe.name} has no stages", hint="leave --stage out")
    with StopRequest() as stop:
        processes = start_processes(plan.run.device)
        try:
            if processes.is_main:
                for line in (*plan.notes, *(f"warning: {warning}" for warning in plan.warnings)):
                    say(line)

            def run_one(one: Plan, folder: Path) -> TrainResult:
                job = build_job(
                    one,
                    out=folder,
                    resume=resume,
                    trust_teacher=trust_teacher,
                    processes=processes,
                    stop=stop,
                    trackers=trackers,
                )
                return train(job, processes, stop)

            folder = Path(out).expanduser()
            if plan.stages:
                return run_stages(plan, folder, run_one, processes, resume=resume, only=stage)
            return run_one(plan, folder)
        finally:
            processes.stop()
