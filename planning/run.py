"""From a plan to a finished run: open the data, build the models, check the teachers, train."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from ..base.errors import UsageError
from ..base.run_documents import TrainResult
from ..data import torch_seed
from ..data.contents import contents_digest
from ..engine.distributed import Processes, start_processes
from ..engine.job import TrainJob
from ..engine.loop import train
from ..engine.multilabel import MULTILABEL
from ..engine.progress import say
from ..engine.run_folder import RunFolder
from ..engine.signals import StopRequest
from ..recipes.hints import Hinted
from ..zoo import LoadedModel, seeded
from .batch_parts import fitted, with_recorded_parts
from .hints import guided_stages
from .memory import available_bytes, require_memory
from .models import shapes_of, student_of
from .plan import Plan
from .run_teachers import RunTeachers, check_conditions, eval_transform_of, start_teachers
from .sources import Sources, open_sources
from .stages import START_DIGEST, model_digest, run_stages
from .teacher_views import further_sizes


def _provenance(plan: Plan, sources: Sources, teachers: RunTeachers) -> dict[str, Any]:
    """What the exported model says of its origin."""
    recipe = plan.recipe
    return {
        "kdzoo_version": metadata.version("kdzoo"),
        "recipe": recipe.name,
        "variants": list(plan.variants),
        "paper": None if recipe.ours else recipe.paper.url,
        "student_start": _student_start(plan),
        **teachers.provenance(),
        "data": sources.val.name,
        "training_data": sources.train.description(),
        "epochs": recipe.training.epochs,
        **_task(plan, sources),
    }


def _task(plan: Plan, sources: Sources) -> dict[str, Any]:
    """What a model says of outputs that are not the classes of which an image shows one."""
    if plan.recipe.objective.task == "features":
        return {"task": "features"}
    if sources.val.is_multilabel:
        return {"task": MULTILABEL}
    if not sources.val.is_regression:
        return {}
    targets, form = list(sources.val.target_names), plan.recipe.objective.output_form()
    return {"task": "regression", "targets": targets, "output": form}


def _student_start(plan: Plan) -> str:
    if plan.stage is not None and plan.stage.start is not None:
        return f"stage {plan.stage.start}"
    return plan.student if plan.recipe.student.init == "pretrained" else "random"


def _identity(plan: Plan, sources: Sources, teachers: RunTeachers) -> dict[str, Any]:
    """What a resumed run must find unchanged outside its settings: images, classes, teachers, stored labels and the
    student that a stage goes on with, by their digests."""
    before = None if plan.stage is None else plan.stage.start_model
    start = {} if before is None else {START_DIGEST: model_digest(Path(before))}
    return {
        **start,
        "data.train_fingerprint": sources.train.fingerprint(),
        "data.val_fingerprint": sources.val.fingerprint(),
        **sources.sizes,
        **(_contents(sources) if plan.run.check_contents else {}),
        **teachers.identity(plan.recipe.training.epochs),
    }


def _contents(sources: Sources) -> dict[str, str]:
    """Digests over every byte of the images, of what lies in files."""
    digests = {
        "data.train_contents": contents_digest(sources.train),
        "data.val_contents": contents_digest(sources.val),
    }
    return {key: digest for key, digest in digests.items() if digest is not None}


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
    free = available_bytes(processes.device)
    plan = with_recorded_parts(plan, out)
    sources = open_sources(plan.recipe)
    recipe = plan.recipe
    num_targets = len(sources.val.target_names) if sources.val.is_regression else 0
    num_outputs = recipe.objective.num_outputs(num_targets or len(sources.class_names))
    student = student_of(plan, num_outputs, sources.class_names)
    check_conditions(student, sources)
    teachers = start_teachers(plan, sources, processes)
    networks = teachers.ensemble.members if teachers.ensemble else ()
    guided = guided_stages(plan, student, networks)
    require_memory(recipe.objective.memory(len(sources.train), 1, len(teachers.records)), processes.device)
    if not RunFolder(out).has_progress():
        plan = fitted(plan, student, teachers, processes, free)
        recipe = plan.recipe
    training = recipe.training
    fixed = {**plan.fixed(), **_identity(plan, sources, teachers)}
    if processes.is_main:
        for note in (*student.notes, *sources.warnings):
            say(note)
        RunFolder(out).refuse_if_taken(fixed, resume=resume)
    reports = teachers.check(plan, sources, processes, trust=trust_teacher, stop=stop)
    with seeded(torch_seed(plan.run.seed, "objective")):
        dense, labels = networks if recipe.objective.reads.dense else (), sources.train.labels
        shapes = shapes_of(student, teachers.records, len(sources.train), labels, num_targets, dense)
        objective = recipe.objective.build(shapes)
        objective = objective if guided is None else Hinted(objective, guided)
    return TrainJob(
        student=student,
        objective=objective,
        teachers=teachers.ensemble,
        labels=teachers.labels,
        train_source=sources.train,
        val_source=sources.val,
        augmentation=recipe.data.augmentation,
        mixing=recipe.data.mixing,
        eval_transform=eval_transform_of(plan),
        training=training,
        optimizer=recipe.optimizer,
        schedule=recipe.schedule,
        seed=plan.run.seed,
        workers=plan.run.workers,
        out=out,
        resume=resume,
        config=_config(plan, sources, student, reports),
        fixed=fixed,
        provenance=_provenance(plan, sources, teachers),
        trackers=trackers,
        unlabeled_share=recipe.objective.unlabeled_share,
        teacher_sizes=further_sizes(recipe, teachers.sides),
    )


def _config(
    plan: Plan, sources: Sources, student: LoadedModel, reports: Sequence[Mapping[str, Any]]
) -> Mapping[str, Any]:
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
        "teacher_reports": [dict(report) for report in reports],
    }


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
                for line in plan.remarks:
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
