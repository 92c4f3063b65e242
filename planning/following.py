"""What follows in a plan from its data, its length and its models, where nobody gave it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.errors import UsageError
from ..base.settings import flatten
from ..data import LabelStore
from ..zoo.references import Reference, parse_reference
from .facts import KNOWN_CLASSES
from .labels import folder_of
from .plan import DataFacts

if TYPE_CHECKING:
    from .plan_builder import PlanBuilder

SIZE = "data.augmentation.image_size"
EPOCHS = "training.epochs"
BATCH = "training.batch_size"
CROP = "data.evaluation.crop_pct"
VIEW = "teachers.view"
FROM_SCRATCH = "from_scratch"
"""Our recipe whose student starts from random weights, whatever is named."""

_IMAGENET_CLASSES = 1000


def follow_data(builder: PlanBuilder, facts: DataFacts) -> None:
    """The image size of data whose images have one size, and no crop of them in evaluation; see `own_data` for ours."""
    height, width = facts.native_size or (0, 0)
    if height == width > 0 and not builder.is_ours:
        where = f"data: every image has {height}×{width} px"
        if SIZE not in builder.chosen and builder.values[SIZE] != height:
            builder.put(SIZE, height, where)
        if CROP not in builder.chosen and builder.values[SIZE] == height and builder.values[CROP] != 1.0:
            builder.put(CROP, 1.0, where)
    side, size = facts.typical_side, builder.values[SIZE]
    if side is not None and size >= 2 * side and not builder.starts_from_weights:  # weights may need the size
        builder.warnings.append(
            f"the images' short side is about {side} px, the crops have {size} px: --set {SIZE}={side} is cheaper "
            "and loses no detail"
        )


def follow_epochs(builder: PlanBuilder) -> None:
    """Milestones, warm-up and period in proportion to a given number of epochs."""
    before, now = int(builder.before[EPOCHS]), int(builder.values[EPOCHS])
    if before == now:
        return
    scaled = []
    milestones = builder.values["schedule.milestones"]
    if (
        milestones
        and "schedule.milestones" not in builder.typed_given
        and "milestones" in builder.values["schedule.name"]
    ):
        shrunk = tuple(max(1, round(epoch * now / before)) for epoch in milestones)
        builder.put("schedule.milestones", shrunk, f"scaled from {list(milestones)} of {before} epochs")
        scaled.append(f"milestones {list(milestones)} to {list(shrunk)}")
    used = {"schedule.warmup_epochs": True, "schedule.period_epochs": builder.values["schedule.name"] == "exponential"}
    for path, applies in used.items():
        value = builder.values[path]
        if value and applies and path not in builder.typed_given:
            builder.put(path, value * now / before, f"scaled from {value:g} of {before} epochs")
            scaled.append(f"{path.removeprefix('schedule.')} {value:g} to {value * now / before:g}")
    if scaled:
        builder.notes.append(f"{before} epochs became {now}: {', '.join(scaled)}")


def follow_batch_size(builder: PlanBuilder) -> None:
    """Say what linear scaling would make of the learning rate."""
    if BATCH not in builder.typed_given or "optimizer.lr" in {*builder.typed_given, *builder.all_given}:
        return
    before, now, lr = builder.before[BATCH], builder.values[BATCH], builder.values["optimizer.lr"]
    if now != before:
        builder.notes.append(
            f"batch {now} instead of {before}: the learning rate stays {lr:g}; linear scaling would make it "
            f"{lr * now / before:g} (--set optimizer.lr={lr * now / before:g})"
        )


def pin_student(builder: PlanBuilder, facts: DataFacts) -> None:
    """The student's reference with its weights named, or without them where it starts from random ones."""
    stage, common = builder.stage, builder.common
    if stage is not None and stage.start is not None and common is not None:
        builder.put("student.model", common.student, common.sources["student.model"])
        builder.put("student.init", "pretrained", f"stage {stage.name}: the student of stage {stage.start}")
        return
    name = str(builder.values["student.model"])
    reference = parse_reference(builder.row.model if builder.row is not None else name)
    written = parse_reference(name).names_weights
    keeps = (builder.is_ours or builder.adapts) and facts.num_classes not in (None, _IMAGENET_CLASSES)
    builder.notes.extend(reference.notes if builder.row is None and not written and not keeps else ())
    _follow_record(builder)
    if "student.init" not in builder.typed_given and builder.values["student.init"] == "pretrained":
        reason = None if written else _random_reason(reference, facts, keeps=keeps)
        if reason:
            builder.put("student.init", "random", "data" if "classes" in reason else "no weights")
            builder.notes.append(reason)
        elif keeps and not written:
            builder.notes.append(
                f"{name} starts from its weights {reference.pinned}, with a new classifier for {facts.num_classes} "
                "classes; from random ones: --set student.init=random"
            )
    given_weights = written and builder.follows != FROM_SCRATCH
    if "student.init" not in builder.chosen and builder.values["student.init"] == "random" and given_weights:
        builder.put("student.init", "pretrained", f"{builder.sources['student.model']} names weights")
    random = builder.values["student.init"] == "random" and reference.kind == "timm"
    builder.values["student.model"] = reference.architecture if random else reference.pinned
    if builder.row is not None and builder.values["student.model"] != name:
        citation = builder.cited.get(f"students.{builder.row.name}.model", builder.origin)
        builder.sources["student.model"] += f"; {builder.base.name}: students.{builder.row.name}, {citation}"


def _follow_record(builder: PlanBuilder) -> None:
    """A run that goes on starts from what it began with."""
    recorded, path = builder.recorded, "student.init"
    if recorded is None or path not in recorded.settings or path in builder.user_given:
        return
    if recorded.settings[path] != builder.values[path]:
        builder.put(path, recorded.settings[path], recorded.source)


def _random_reason(reference: Reference, facts: DataFacts, *, keeps: bool) -> str | None:
    """Why a student whose weights nobody named starts from random ones, or None; ``keeps`` where it has any."""
    if not reference.tag:
        return f"{reference.architecture} has no pretrained weights: the student starts from random ones"
    if facts.num_classes not in (None, _IMAGENET_CLASSES) and not keeps:
        return (
            f"the data has {facts.num_classes} classes, {reference.pinned} has {_IMAGENET_CLASSES}: the student "
            f"starts from random weights (--student {reference.pinned} keeps its own, with a new classifier)"
        )
    return None


def pin_teachers(builder: PlanBuilder, facts: DataFacts) -> None:
    """The teachers' references with their weights named, or those whose labels are stored.

    Raises:
        UsageError: The recipe needs teachers and has none, or has none and they are given; or the labels are of others.
        DataError: The labels are not there.
    """
    models = builder.values["teachers.models"]
    if not builder.recipe().objective.uses_teachers:
        if models and "teachers.models" in builder.typed_given and not builder.base.objective.uses_teachers:
            raise UsageError(f"{builder.base.name} has no teachers", hint="use kdzoo distill with another recipe")
        if VIEW in builder.typed_given and not builder.base.objective.uses_teachers:
            raise UsageError(f"{builder.base.name} has no teachers", hint=f"leave {VIEW} out, or use another recipe")
        builder.values["teachers.models"], builder.values[VIEW] = (), "student"
        if builder.run.labels is not None and not builder.base.objective.uses_teachers:
            raise UsageError(f"{builder.base.name} has no teachers", hint="leave --labels out, or use another recipe")
        return
    if builder.run.labels is not None and not _has_no_labels_yet(builder, builder.run.labels):
        _take_stored_teachers(builder, builder.run.labels)
        return
    if not models:
        raise UsageError(f"{builder.base.name} needs a teacher", hint="name one with --teacher REF")
    if "teachers.models" not in builder.chosen and _teachers_do_not_fit(builder, facts):
        builder.warnings.append(
            f"the recipe's own teachers know other classes than the data's {facts.num_classes}: name yours with "
            "--teacher REF ('kdzoo train' makes one)"
        )
    references = [parse_reference(model) for model in models]
    given = "teachers.models" in builder.typed_given or builder.base.code is not None
    for reference in references:
        if reference.kind == "code" and not given:
            raise UsageError(
                f"{builder.origin} names the teacher {reference.text}, Python that is run where you name it only",
                hint=f"if you know the file: --teacher {reference.text}",
            )
    builder.notes.extend(note for reference in references for note in reference.notes)
    builder.values["teachers.models"] = tuple(reference.pinned for reference in references)


def _has_no_labels_yet(builder: PlanBuilder, labels: str) -> bool:
    """Whether labels are stored of other stages alone: this one runs another time, and says so when it does."""
    if builder.stage is None:
        return False
    others = (folder_of(labels, builder.base, stage) for stage in builder.base.stages if stage != builder.stage)
    return not folder_of(labels, builder.base, builder.stage).is_dir() and any(folder.is_dir() for folder in others)


def _take_stored_teachers(builder: PlanBuilder, labels: str) -> None:
    """The teachers are those whose labels are stored; no other ones may be asked for."""
    folder = folder_of(labels, builder.base, builder.stage)
    head = LabelStore(folder).head
    stored = tuple(teacher.reference for teacher in head.teachers)
    if "teachers.models" in builder.chosen:
        given = tuple(builder.values["teachers.models"])
        if given != stored and tuple(parse_reference(model).pinned for model in given) != stored:
            raise UsageError(
                f"the labels in {folder} are of {', '.join(stored)}, not of {', '.join(given)}",
                hint="leave the teachers out, or store theirs with 'kdzoo label'",
            )
    builder.put("teachers.models", stored, "stored labels")
    view = head.views.get(VIEW, "student")
    if VIEW not in builder.chosen and builder.values[VIEW] != view:
        builder.put(VIEW, view, "stored labels")


def _teachers_do_not_fit(builder: PlanBuilder, facts: DataFacts) -> bool:
    """Whether the recipe's own teachers know another number of classes than the data has."""
    own = KNOWN_CLASSES.get(str(flatten(builder.base)["data.dataset"]))
    return facts.num_classes is not None and own is not None and facts.num_classes != own
