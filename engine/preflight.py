"""Before the first step: does each teacher know these classes, in this order (or this gaze), as well as it promises?

A silently wrong teacher (another class order, another normalisation, a badly saved file) still lowers the loss, so it
is caught here, by its accuracy on a slice of the validation data, and not by watching the run.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from ..base.errors import DataError, TeacherError
from ..base.metrics import ANGULAR_ERROR, MEAN_AP, Metrics
from ..data import EvalTransform, ImageSource
from ..zoo import LoadedModel
from .class_match import ClassMatch, has_published_order, match_classes, order_of_imagenet
from .class_order import OrderDoubt, doubt_order
from .evaluate import PassSettings, evaluate_ensemble, likeliest_outputs
from .multilabel import check_kind, precision_verdict
from .regression import angular_errors, check_outputs
from .teachers import TeacherEnsemble

SLICE = 1024
_SLACK_PERCENT = 1.0  # another resize filter or crop moves ImageNet's top-1 by a few tenths of a point
_SLACK_DEGREES = 0.5
_SIGMAS = 4.0
REGRESSION = "regression"


@dataclass(frozen=True)
class TeacherReport:
    """What preflight found of one teacher (or, last, of the ensemble).

    Attributes:
        reference: The teacher, or ``"ensemble"``.
        metrics: On the slice.
        promised: What its entry promises of the metric that decides, or None.
        licence: Of its weights, as its entry states it.
        class_order: How its classes were brought into the data's order, or why they are taken to have it; None where
            its own class names say so.
        columns: The output of each class of the data, in label order; None where they are the outputs.
    """

    reference: str
    metrics: Metrics
    promised: float | None = None
    licence: str | None = None
    class_order: str | None = None
    columns: tuple[int, ...] | None = None

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object."""
        primary = self.metrics.primary
        return {
            "reference": self.reference,
            primary.name: self.metrics.value,
            primary.promise: self.promised,
            "num_images": self.metrics.num_images,
            "licence": self.licence,
            **({} if self.class_order is None else {"class_order": self.class_order}),
            **({} if self.columns is None else {"columns": list(self.columns)}),
        }

    def summary(self) -> str:
        """Short text for a log line: what was measured, and what is promised."""
        primary = self.metrics.primary
        unit = "" if primary.unit == "%" else primary.unit
        promised = "" if self.promised is None else f" (promised {self.promised:.2f}{unit})"
        order = "" if self.class_order is None else f"; {self.class_order}"
        return f"{primary.title} {self.metrics.value:.2f}{unit}{promised} on {self.metrics.num_images} images{order}"


def check_classes(member: LoadedModel, class_names: Sequence[str], data: str) -> None:
    """Refuse a teacher whose classes or class order are not the data's.

    Raises:
        TeacherError: The counts differ, or both sides know their class names and the names or their order differ; or
            the teacher predicts numbers.
    """
    if member.provenance.get("task") == REGRESSION:
        raise TeacherError(
            f"teacher {member.reference} predicts {shown_targets(member)}, {data} has classes",
            hint="use a teacher trained on these classes ('kdzoo train' makes one)",
        )
    if member.num_classes == 0:
        raise TeacherError(
            f"teacher {member.reference} has no classifier, {data} has {len(class_names)} classes",
            hint="--recipe features learns from its features, without labels",
        )
    if member.num_classes != len(class_names):
        raise TeacherError(
            f"teacher {member.reference} has {member.num_classes} classes, {data} has {len(class_names)}",
            hint="use a teacher trained on these classes ('kdzoo train' makes one); or say which of its outputs they "
            "are, by lines of a class, a tab and the output's number (from 0): --teacher-classes FILE",
        )
    if not member.class_names:
        return
    for index, (theirs, ours) in enumerate(zip(member.class_names, class_names, strict=True)):
        if theirs != ours:
            raise TeacherError(
                f"teacher {member.reference} has another class order than {data}: "
                f"class {index} is {theirs!r} for the teacher and {ours!r} in the data",
                hint="use the folders that the teacher was trained on, or another teacher",
            )


def check_gaze(member: LoadedModel, source: ImageSource) -> None:
    """Refuse a teacher that does not predict the data's targets, or that knows classes.

    Raises:
        TeacherError: It has other outputs than the targets, or class names.
    """
    targets = " and ".join(source.target_names)
    if member.class_names:
        raise TeacherError(
            f"teacher {member.reference} knows {len(member.class_names)} classes, {source.name} has {targets}",
            hint="use a teacher trained on these targets ('kdzoo train --recipe gaze' makes one)",
        )
    theirs = member.provenance.get("targets")
    if theirs is not None and list(theirs) != list(source.target_names):
        raise TeacherError(
            f"teacher {member.reference} predicts {shown_targets(member)}, {source.name} has the targets {targets}",
            hint="use a teacher trained on these targets",
        )
    try:
        check_outputs(member.num_classes, source, f"teacher {member.reference}")
    except DataError as error:
        raise TeacherError(error.message, hint=error.hint) from None


def shown_targets(member: LoadedModel) -> str:
    """What a regression network predicts, for a message."""
    names = member.provenance.get("targets")
    return " and ".join(map(str, names)) if isinstance(names, list | tuple) else "numbers"


def gaze_verdict(result: Metrics, promised: float | None, source: ImageSource, positions: Sequence[int]) -> str | None:
    """What is wrong with a measured angular error, or None.

    A promise is missed when the measured value lies more than four standard errors and half a degree above it. Without
    a promise a teacher must be four standard errors better than always looking at these images' mean gaze.
    """
    assert source.targets is not None
    error, margin = result["angular_error"], _SIGMAS * result["angular_spread"] / math.sqrt(result.num_images)
    if promised is not None:
        if not error <= promised + margin + _SLACK_DEGREES:
            return f"errs by {error:.2f}° on {result.num_images} images where {promised:.2f}° is promised"
        return None
    truth = torch.from_numpy(source.targets[list(positions)])
    constant = float(angular_errors(truth.mean(dim=0, keepdim=True).expand_as(truth), truth).mean())
    if not error < constant - margin:
        return f"errs by {error:.2f}° on {result.num_images} images, no better than their mean gaze ({constant:.2f}°)"
    return None


def even_slice(num_images: int, size: int = SLICE) -> list[int]:
    """``size`` positions spread evenly over the images (all of them where there are fewer)."""
    return np.linspace(0, num_images - 1, min(size, num_images)).round().astype(int).tolist()


def match_teacher(member: LoadedModel, source: ImageSource, order: str | None = None) -> ClassMatch:
    """Which of a teacher's outputs stand for the data's classes.

    A teacher without class names is taken at its word where the number fits; `preflight` then looks at its answers.

    Args:
        member: The teacher.
        source: Images of the run, labelled.
        order: Of the classes of a teacher that does not name them, or not as the data; see `match_classes`.

    Raises:
        TeacherError: It lacks classes of the data, predicts numbers, or learnt one class an image where the data has
            several.
    """
    if member.provenance.get("task") == REGRESSION:
        check_classes(member, source.class_names, source.name)
    check_kind(member, source)
    if not member.class_names and order is None and not order_of_imagenet(member, source.class_names):
        check_classes(member, source.class_names, source.name)
        return ClassMatch("assumed")
    try:
        return match_classes(member, source, order=order)
    except DataError as error:
        raise TeacherError(f"teacher {error.message}" if order is None else error.message, hint=error.hint) from None


def verdict(top1: float, promised: float | None, num_images: int, num_classes: int) -> str | None:
    """What is wrong with a measured accuracy, or None.

    A promise is missed when the measured value lies more than four standard errors and one point below it. Without a
    promise a teacher must lie four standard errors above chance.
    """
    if promised is not None:
        p = min(max(promised / 100, 0.0), 1.0)
        tolerance = _SIGMAS * 100 * math.sqrt(p * (1 - p) / num_images) + _SLACK_PERCENT
        if top1 < promised - tolerance:
            return f"scores {top1:.1f} % on {num_images} images where {promised:.1f} % is promised"
        return None
    chance = 1 / num_classes
    needed = 100 * (chance + _SIGMAS * math.sqrt(chance * (1 - chance) / num_images))
    if top1 < min(needed, 100.0):
        return f"scores {top1:.1f} % on {num_images} images, no better than chance ({100 * chance:.1f} %)"
    return None


def preflight(
    teachers: TeacherEnsemble, val_source: ImageSource, transform: EvalTransform, how: PassSettings, *, trust: bool
) -> tuple[list[TeacherReport], list[str]]:
    """Check every teacher before a run.

    Args:
        teachers: The frozen teachers.
        val_source: Held-out labelled images; an even slice of them is looked at.
        transform: The run's own evaluation transform.
        how: Batches and processes, and the sizes at which the run shows images to its teachers.
        trust: Go on when a teacher's accuracy is not what it should be, or its answers leave the order of its classes
            open (the classes must fit all the same).

    Returns:
        A report a teacher and one of the ensemble, and the warnings to show.

    Raises:
        TeacherError: The classes differ; or an accuracy is wrong, or an order of classes open, and ``trust`` is false.
    """
    for member, match in zip(teachers.members, teachers.matches, strict=True):
        if val_source.is_regression:
            check_gaze(member, val_source)
        elif match.kind == "assumed":
            check_classes(member, val_source.class_names, val_source.name)
    how = replace(how, limit=even_slice(len(val_source)), title="checking teachers")
    *results, together = evaluate_ensemble(teachers, val_source, transform, how)
    warnings, reports = [], []
    for index, (member, match, result) in enumerate(zip(teachers.members, teachers.matches, results, strict=True)):
        promised = None if match.kind == "subset" else _promise(member, val_source)
        if val_source.is_regression or val_source.is_multilabel:
            judge = gaze_verdict if val_source.is_regression else precision_verdict
            wrong = judge(result, promised, val_source, how.limit or ())
            fault = (wrong, _CHECK) if wrong else None
        else:
            fault = _class_fault(teachers, index, result, promised, _doubt(teachers, index, val_source, transform, how))
        unlike = _size_note(teachers, index, (transform.size, *((side, side) for side in how.teacher_sizes)))
        if fault is not None and not trust:
            enlarged = unlike is not None and teachers.sizes[index] > transform.size and not val_source.is_regression
            hint = f"{_OWN_VIEW}{fault[1]}" if enlarged else fault[1]
            raise TeacherError(f"teacher {member.reference} {fault[0]}", hint=hint)
        if fault is not None:
            warnings.append(f"teacher {member.reference} {fault[0]}; going on because it is trusted")
        warnings.extend(() if unlike is None else (unlike,))
        order = None if val_source.is_regression else _order_note(member, match, val_source)
        reports.append(TeacherReport(member.reference, result, promised, member.licence, order, match.columns))
    return [*reports, TeacherReport("ensemble", together)], warnings


_CHECK = "check its preprocessing and class order, or go on with --trust-teacher"
_OWN_VIEW = "the student's images are enlarged for it: --set teachers.view=own shows it its own size; or "
_WHICH_ORDER = (
    "say which: --teacher-classes natural, string, data (the data's own), or a text file of its class names in its "
    "order, a name a line"
)


def _class_fault(
    teachers: TeacherEnsemble, index: int, result: Metrics, promised: float | None, doubt: OrderDoubt | None
) -> tuple[str, str] | None:
    """What is wrong with a teacher's answers and the way out, or None."""
    outputs = teachers.num_outputs(index)
    wrong = verdict(result["top1"], promised, result.num_images, outputs)
    if doubt is not None and (not wrong or not verdict(doubt.top1 or 0.0, promised, result.num_images, outputs)):
        unnamed = f"does not name its {outputs} classes, and its answers leave their order open"
        return f"{unnamed}: {doubt.reason}", _WHICH_ORDER
    return (wrong, _CHECK) if wrong else None


def _order_note(member: LoadedModel, match: ClassMatch, source: ImageSource) -> str | None:
    """Why a teacher's answers are taken to be in the data's order, where its own class names do not say so."""
    if match.kind == "assumed" and not member.class_names:
        known = "all published models share it" if has_published_order(member, source) else "its answers were looked at"
        return f"it names no classes, their order is taken to be the data's ({known})"
    return match.note or ("its class order was given" if not member.class_names else None)


def _doubt(
    teachers: TeacherEnsemble, index: int, source: ImageSource, transform: EvalTransform, how: PassSettings
) -> OrderDoubt | None:
    """What speaks against the data's order of classes, of a teacher about which nothing says it."""
    member = teachers.members[index]
    if teachers.matches[index].kind != "assumed" or member.class_names or has_published_order(member, source):
        return None
    return doubt_order(*likeliest_outputs(teachers, index, source, transform, how), source.class_names)


def _size_note(teachers: TeacherEnsemble, index: int, rendered: Sequence[tuple[int, int]]) -> str | None:
    """What a teacher's images have to do with those that it was trained on, where they are others.

    Args:
        rendered: Sizes at which the run renders its images, the student's first.
    """
    member, size = teachers.members[index], teachers.sizes[index]
    own = member.preprocessing.input_size[1:]
    trained = f"teacher {member.reference} was trained at {_pixels(own)} px, "
    if size != own:
        return f"{trained}and is run at {_pixels(size)} px"
    return None if size in rendered else f"{trained}the run shows {_pixels(rendered[0])} px: its images are resized"


def _pixels(size: tuple[int, int]) -> str:
    return str(size[0]) if size[0] == size[1] else f"{size[0]}×{size[1]}"


def _promise(member: LoadedModel, source: ImageSource) -> float | None:
    """What a teacher promises of the metric that decides; it counts only where it was made on the same data."""
    if source.is_regression or source.is_multilabel:
        primary, most = (ANGULAR_ERROR, 180) if source.is_regression else (MEAN_AP, 100)
        value, data = member.provenance.get(primary.name), member.provenance.get("data")
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
            return None
        return float(value) if data == source.name else None
    if member.promised_top1 is None or member.promised_on not in (None, source.name):
        return None
    return member.promised_top1
