"""The networks of a plan: the student with the preprocessing of its run, and its teachers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from ..base.errors import ModelError, TeacherError
from ..data import TeacherRecord
from ..recipes.recipe import Shapes
from ..zoo import LoadedModel, forward_with_dense, load_model, parse_reference
from ..zoo.grey import as_grey
from ..zoo.layers import layer_depths
from ..zoo.own_teacher import OwnNetwork, load_own_teacher
from .plan import Plan


def student_of(plan: Plan, num_classes: int, class_names: tuple[str, ...] = (), *, weights: bool = True) -> LoadedModel:
    """The student, with the size, normalisation and evaluation crop of its run in place of its own.

    Args:
        plan: The run.
        num_classes: Outputs.
        class_names: Of the data, in label order.
        weights: Whether to load its starting weights where the plan has any; False to look at the architecture alone.

    Raises:
        ModelError: The weights are missing or the architecture does not fit.
    """
    data, settings = plan.recipe.data, plan.recipe.student
    before = None if plan.stage is None else plan.stage.start_model
    if weights and before is None and plan.stage is not None and plan.stage.start is not None:
        raise ModelError(
            f"stage {plan.stage.name} goes on with the student of stage {plan.stage.start}, which is not given",
            hint="run the recipe's plan, with stage=NAME for one stage",
        )
    try:
        loaded = load_model(
            settings.model if before is None else f"local-dir:{before}",
            pretrained=weights and settings.init == "pretrained",
            num_classes=num_classes,
            seed=plan.run.seed,
            image_size=plan.image_size,
        )
    except ModelError as error:
        raise _with_both_ways_out(error, settings.model) from error
    if plan.recipe.objective.needs_distillation_head and not hasattr(loaded.model, "set_distilled_training"):
        raise ModelError(
            f"{loaded.architecture} has no distillation head, which {plan.recipe.name} teaches",
            hint="use one with two heads (deit_tiny_distilled_patch16_224, levit_128s, repvit_m0_9), or another recipe",
        )
    only = getattr(loaded.model, "only_size", None)
    if plan.recipe.optimizer.layer_decay < 1:
        layer_depths(loaded.model)
    if only not in (None, data.augmentation.size):
        height, width = data.augmentation.size
        raise ModelError(
            f"{loaded.architecture} is built for images of {only[0]}×{only[1]} px, the run shows {height}×{width}",
            hint="leave --image-size out, or use another network",
        )
    own = loaded.preprocessing
    preprocessing = replace(
        own,
        image_size=plan.image_size,
        image_width=data.augmentation.image_width,
        crop_pct=data.evaluation.crop_pct,
        interpolation=data.evaluation.interpolation,
        mean=own.mean if data.mean == "model" or len(data.mean) != len(own.mean) else data.mean,
        std=own.std if data.std == "model" or len(data.std) != len(own.std) else data.std,
    )
    notes, own_names = loaded.notes, loaded.class_names
    if loaded.pretrained and own_names and len(own_names) == len(class_names) and own_names != class_names:
        notes += (f"{loaded.reference} has another class order than the data: its classifier must learn anew",)
    found = replace(loaded, preprocessing=preprocessing, class_names=class_names, notes=notes)
    return as_grey(found) if data.grey else found


def _with_both_ways_out(error: ModelError, student: str) -> ModelError:
    """The error of published weights that cannot be had, with what to do: get them, or begin without."""
    get_them = (error.hint or "").partition(";")[0]
    if parse_reference(student).kind != "timm" or "network" not in get_them:
        return error
    return ModelError(error.message, hint=f"{get_them}; or start from random weights: --set student.init=random")


def teachers_of(plan: Plan, *, weights: bool = True, num_classes: int | None = None) -> list[LoadedModel]:
    """The teachers, in order.

    Args:
        plan: The run.
        weights: False to look at the architectures alone.
        num_classes: Where only the architectures matter: theirs are made to fit. Where features are compared, their
            classifiers are left off, and a size that they are run at is the one that they are built for.

    Raises:
        ModelError: A teacher's weights are missing.
    """
    for reference in plan.teachers if weights else ():
        parsed = parse_reference(reference)
        if parsed.kind == "timm" and not parsed.tag:
            raise ModelError(
                f"teacher {reference} is an architecture without published weights",
                hint=f"train it: kdzoo train --model {reference} --data {plan.recipe.data.dataset} --out RUN; then "
                "--teacher RUN",
            )
    view, features = plan.recipe.teachers.view, plan.recipe.objective.task == "features"
    size = view if features and isinstance(view, int) else None
    classes = 0 if features else num_classes
    found = []
    for reference in plan.teachers:
        if parse_reference(reference).kind == "code":
            found.append(load_own_teacher(reference, num_classes=classes, image_size=size))
            continue
        found.append(load_model(reference, pretrained=weights, num_classes=classes, image_size=size))
    _check_features(plan, found)
    return found


def _check_features(plan: Plan, teachers: Sequence[LoadedModel]) -> None:
    """Refuse a teacher of the user's own that answers with logits alone where the loss reads features.

    Raises:
        TeacherError: There is one.
    """
    for teacher in teachers if plan.recipe.objective.reads.features else ():
        if isinstance(teacher.model, OwnNetwork) and not teacher.model.gives_features:
            raise TeacherError(
                f"teacher {teacher.reference} answers with logits alone, {plan.recipe.name} reads features",
                hint='let it give (logits, features), or features alone: OwnTeacher(…, gives="features")',
            )


def dense_width(loaded: LoadedModel, image_size: int) -> int:
    """Channels of the map that a network's head pools, looked at with one blank image.

    Raises:
        ModelError: It gives no map.
    """
    network, channels = loaded.model, loaded.preprocessing.input_size[0]
    was_training = network.training
    blank = torch.zeros(1, channels, image_size, image_size, device=next(network.parameters()).device)
    try:
        with torch.no_grad():
            return int(forward_with_dense(network.eval(), blank)[2][0].shape[1])
    finally:
        network.train(was_training)


def feature_width(loaded: LoadedModel) -> int:
    """Width of the pooled penultimate features that ``forward_with_features`` gives."""
    network = loaded.model
    width = getattr(network, "head_hidden_size", None) or network.num_features
    assert isinstance(width, int)
    return width


def shapes_of(
    student: LoadedModel,
    teachers: Sequence[TeacherRecord],
    num_training_images: int,
    labels: np.ndarray | None = None,
    num_targets: int = 0,
    networks: Sequence[LoadedModel] = (),
) -> Shapes:
    """What the objective must know of the networks and the images.

    Args:
        student: With the preprocessing of its run.
        teachers: In order; see ``labels.record_of``.
        num_training_images: Length of the training source.
        labels: Of the training source, int64, (N,).
        num_targets: Of the data, where it is a regression.
        networks: The teachers themselves, where their dense features are compared with the student's.

    Raises:
        ModelError: A network has no dense features, and they are compared.
    """
    look = student.preprocessing
    return Shapes(
        num_classes=student.num_classes,
        num_teachers=len(teachers),
        student_features=feature_width(student),
        teacher_features=tuple(teacher.features for teacher in teachers),
        num_training_images=num_training_images,
        labels=labels,
        image_size=look.image_size,
        mean=look.mean,
        std=look.std,
        num_targets=num_targets,
        teacher_outputs=tuple(teacher.outputs for teacher in teachers),
        teacher_forms=tuple(teacher.output_form for teacher in teachers),
        student_dense=dense_width(student, look.image_size) if networks else 0,
        teacher_dense=tuple(dense_width(one, one.preprocessing.image_size) for one in networks),
    )


def output_form(teacher: LoadedModel) -> Mapping[str, Any]:
    """How a teacher's outputs are to be read, as the run that made it wrote down."""
    form = teacher.provenance.get("output")
    return form if isinstance(form, Mapping) else {}
