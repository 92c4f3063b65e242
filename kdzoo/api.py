"""What the verbs do, as functions: ``kdzoo.distill``, ``kdzoo.label``, ``kdzoo.train``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .base.run_documents import TrainResult
    from .engine.labelling import LabelResult
    from .planning.default_recipe import Verb
    from .planning.plan import Budget, Plan


def distill(
    recipe: str | None = None,
    *,
    student: str | None = None,
    teachers: Sequence[str] = (),
    teacher_classes: Sequence[str] = (),
    labels: str | Path | None = None,
    data: str | None = None,
    val_data: str | None = None,
    unlabeled: str | None = None,
    epochs: int | None = None,
    budget: Budget | None = None,
    exact: bool = False,
    batch_size: int | None = None,
    image_size: int | None = None,
    precision: str | None = None,
    variants: Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
    workers: int | None = None,
    device: str | None = None,
    out: str | Path,
    resume: bool = False,
    stage: str | None = None,
    trust_teacher: bool = False,
    trackers: Sequence[str] = (),
) -> TrainResult:
    """Train a student from teachers, with a recipe. What is not given is the recipe's.

    Args:
        recipe: A recipe's name, or the path of a recipe file; ``function_matching`` by default.
        student: A model reference.
        teachers: Model references.
        teacher_classes: The order of the classes of teachers that do not name them, once for all or once each:
            ``natural``, ``string``, ``data``, or a text file of the names.
        labels: What `label` stored for these very images, in place of the teachers.
        data: Data spec of the training images.
        val_data: Data spec of the held-out images; by default the validation split of ``data``.
        unlabeled: Data spec of further images.
        epochs: Passes over the training images.
        budget: In place of epochs, how many images are seen: ``quick``, ``normal`` or ``patient``.
        exact: Whether a paper's recipe keeps the paper's values on other data.
        batch_size: Images in a batch, all processes together.
        image_size: Side of training and evaluation crops, pixels.
        precision: ``fp32``, ``bf16`` or ``fp16``.
        variants: Names of the recipe's variants, applied in order.
        settings: Any other settings, by dotted path: ``{"optimizer.lr": 0.02}``.
        seed: Of every random choice.
        workers: Processes that read images; no result depends on it.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        out: The run's folder.
        resume: Go on with the run in ``out``, or start it where there is none.
        stage: The one stage to run, of a recipe that has stages; all of them by default.
        trust_teacher: Go on although a teacher does not reach the accuracy that it promises.
        trackers: ``tensorboard``, ``wandb``.

    Raises:
        UsageError: A setting is unknown, of the wrong type, or given twice.
        DataError, ModelError, TeacherError: Data or a model is missing, or they do not fit together.
        RunError, CheckpointError: The run cannot start or go on.
        Interrupted: SIGTERM or SIGINT came; everything finished so far is saved.
    """
    from .planning.run import run

    named = {
        "student.model": student,
        "teachers.models": tuple(teachers) or None,
        "run.teacher_classes": tuple(teacher_classes) or None,
        "run.labels": None if labels is None else str(labels),
        "data.dataset": data,
        "data.val_dataset": val_data,
        "data.unlabeled": unlabeled,
        "data.augmentation.image_size": image_size,
        "training.epochs": epochs,
        "run.budget": budget,
        "run.exact": exact or None,
        "training.batch_size": batch_size,
        "training.precision": precision,
        "run.seed": seed,
        "run.workers": workers,
        "run.device": device,
    }
    plan = _plan("distill", recipe, named, settings, variants, Path(out) if resume else None)
    return run(plan, out=out, resume=resume, stage=stage, trust_teacher=trust_teacher, trackers=trackers)


def _plan(
    verb: Verb,
    recipe: str | None,
    named: Mapping[str, Any],
    settings: Mapping[str, Any] | None,
    variants: Sequence[str],
    resumed: Path | None = None,
) -> Plan:
    from .base.settings import given_arguments
    from .planning.default_recipe import plan_verb

    return plan_verb(verb, recipe, given=given_arguments(named, settings), variants=variants, resumed=resumed)


def label(
    recipe: str | None = None,
    *,
    teachers: Sequence[str] = (),
    teacher_classes: Sequence[str] = (),
    data: str | None = None,
    val_data: str | None = None,
    unlabeled: str | None = None,
    epochs: int | None = None,
    budget: Budget | None = None,
    exact: bool = False,
    batch_size: int | None = None,
    image_size: int | None = None,
    precision: str | None = None,
    variants: Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
    workers: int | None = None,
    device: str | None = None,
    form: str = "float32",
    out: str | Path,
    resume: bool = False,
    stage: str | None = None,
    trust_teacher: bool = False,
) -> list[LabelResult]:
    """Store what teachers answer to every image of a run, for any number of students (``distill(labels=…)``).

    Args:
        recipe: The recipe that the students will follow; ``function_matching`` by default.
        teachers: Model references; the recipe's own by default.
        form: ``float32``, ``float16`` or ``topK``.
        out: The folder of the labels; the stages of a recipe have theirs below it.
        resume: Go on with the labels in ``out``, or add epochs to them.
        stage: The one stage to label, of a recipe that has stages; all that learn from teachers by default.
        teacher_classes, data, val_data, unlabeled, epochs, budget, exact, batch_size, image_size, precision, variants,
            settings, seed, workers, device, trust_teacher: As those of `distill`.

    Returns:
        What was stored, one result a stage; one for a recipe without stages.

    Raises:
        KdzooError: As `distill`; UsageError for a recipe whose teachers cannot answer beforehand.
    """
    from .planning.label_run import label as run_label

    named = {
        "teachers.models": tuple(teachers) or None,
        "run.teacher_classes": tuple(teacher_classes) or None,
        "data.dataset": data,
        "data.val_dataset": val_data,
        "data.unlabeled": unlabeled,
        "data.augmentation.image_size": image_size,
        "training.epochs": epochs,
        "run.budget": budget,
        "run.exact": exact or None,
        "training.batch_size": batch_size,
        "training.precision": precision,
        "run.seed": seed,
        "run.workers": workers,
        "run.device": device,
    }
    plan = _plan("label", recipe, named, settings, variants)
    return run_label(plan, out=out, form=form, resume=resume, trust_teacher=trust_teacher, stage=stage)


def train(model: str, *, recipe: str | None = None, out: str | Path, **arguments: Any) -> TrainResult:
    """Train a model on labels: a teacher, or the baseline that a distilled student must beat.

    Args:
        model: A model reference.
        recipe: A recipe that needs no teachers; by default ``finetune`` where the model has weights, ``from_scratch``
            where it has none, ``supervised`` on ImageNet.
        out: The run's folder.
        arguments: As those of `distill`.
    """
    from .base.settings import given_arguments
    from .engine.progress import say
    from .planning.default_recipe import choose_recipe
    from .planning.recorded import recorded_run

    if recipe is None:
        named = {"student.model": model, "data.dataset": arguments.get("data")}
        given = given_arguments(named, arguments.get("settings"))
        recipe, why = choose_recipe("train", given, arguments.get("variants", ()))
        recorded = recorded_run(Path(out)) if arguments.get("resume") else None
        if recorded is not None:
            recipe, why = recorded.recipe, f"as the run in {out} began"
        say(f"recipe {recipe}: {why}")
    return distill(recipe, student=model, out=out, **arguments)
