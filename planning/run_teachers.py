"""Who answers for the teachers of a run: the teachers themselves, checked beforehand, or their stored labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..base.errors import DataError, KdzooError, UsageError
from ..data import EvalTransform, LabelStore, TeacherRecord
from ..data.imagenet import wordnet_ids
from ..engine.class_match import ClassMatch, needs_order
from ..engine.class_order import ORDERS
from ..engine.distributed import Processes
from ..engine.evaluate import PassSettings
from ..engine.features import FeatureReport, check_features
from ..engine.preflight import TeacherReport, match_teacher, preflight
from ..engine.progress import say
from ..engine.signals import StopRequest
from ..engine.teachers import TeacherEnsemble
from ..zoo import LoadedModel, load_model, parse_reference, takes_conditions
from ..zoo.cached import cached_weights
from ..zoo.features import Maps
from .labels import open_labels, record_of
from .models import teachers_of
from .plan import Plan
from .sources import Sources, open_sources
from .teacher_views import further_sizes, require_size, run_size, sides_seen, view_notes

_EVAL_BATCH = 64


@dataclass(frozen=True)
class RunTeachers:
    """The teachers of a run, or what is stored of them.

    Attributes:
        records: What is known of each teacher; empty for a run without.
        ensemble: The teachers, where they are run.
        labels: Their stored answers, where they are not.
        sides: At which each one's views are rendered, pixels; empty where they see the student's, or are not run.
    """

    records: tuple[TeacherRecord, ...] = ()
    ensemble: TeacherEnsemble | None = None
    labels: LabelStore | None = None
    sides: tuple[int, ...] = ()

    def check(
        self, plan: Plan, sources: Sources, processes: Processes, *, trust: bool, stop: StopRequest | None
    ) -> Sequence[Mapping[str, Any]]:
        """Check the teachers on held-out images, and say what came out; of stored labels, what came out then.

        Raises:
            TeacherError: A teacher does not fit the data, or is worse than it promises and not trusted.
        """
        if self.labels is not None:
            if processes.is_main:
                for record in self.records:
                    say(f"teacher {record.reference}: not run, its labels are in {self.labels.folder}")
            return self.labels.head.reports
        if self.ensemble is None:
            return ()
        how = PassSettings(
            batch_size=min(_EVAL_BATCH, plan.recipe.training.batch_size),
            workers=plan.run.workers,
            processes=processes,
            stop=stop,
            teacher_sizes=further_sizes(plan.recipe, self.sides),
        )
        reports: Sequence[TeacherReport | FeatureReport]
        if plan.recipe.objective.task == "features":
            maps: Maps = "dense" if plan.recipe.objective.reads.dense else ""
            transform = eval_transform_of(plan)
            reports, warnings = check_features(self.ensemble, sources.val, transform, how, maps=maps, trust=trust)
        else:
            reports, warnings = preflight(self.ensemble, sources.val, eval_transform_of(plan), how, trust=trust)
        if processes.is_main:
            for report in reports:
                say(f"teacher {report.reference}: {report.summary()}")
            for note in view_notes(plan.recipe, self.records):
                say(note)
            for warning in warnings:
                say(f"warning: {warning}")
        return [report.to_dict() for report in reports]

    def identity(self, epochs: int) -> dict[str, Any]:
        """What a resumed run must find unchanged: the teachers' digests, what they see, and their stored labels'."""
        found: dict[str, Any] = {"teachers.digests": [record.sha256 for record in self.records]}
        if self.sides:
            found["teachers.sides"] = list(self.sides)
        return found if self.labels is None else {**found, "labels.digest": self.labels.digest(epochs)}

    def provenance(self) -> dict[str, Any]:
        """What the exported model says of its teachers."""
        named = [{"reference": record.reference, "license": record.licence} for record in self.records]
        if self.labels is None:
            return {"teachers": named}
        return {
            "teachers": named,
            "stored_labels": {"form": self.labels.head.form, "sha256": self.labels.head.identity},
        }


def start_teachers(plan: Plan, sources: Sources, processes: Processes) -> RunTeachers:
    """Load a plan's teachers, or open the labels that stand in for them.

    Raises:
        ModelError: A teacher's weights are missing.
        DataError: The images have no head pose, which a teacher takes; or the labels do not fit.
        UsageError: The recipe cannot learn from stored labels, or orders of classes are given that no teacher needs.
        TeacherError: A teacher lacks classes of the data, or cannot see the run's views.
    """
    if plan.labels is not None:
        if plan.run.teacher_classes:
            raise UsageError("stored labels are in the data's order", hint="leave --teacher-classes out")
        labels = open_labels(plan, sources)
        return RunTeachers(labels.head.teachers, labels=labels)
    members = teachers_of(plan)
    if not members:
        return RunTeachers()
    for member in members:
        check_conditions(member, sources)
    training, size = plan.recipe.training, run_size(plan.recipe)
    require_size(members, size)
    ensemble = TeacherEnsemble(
        members,
        processes.device,
        precision=training.precision,
        channels_last=training.channels_last,
        matches=match_teachers(members, sources, plan.run.teacher_classes),
        image_size=size,
    )
    records = tuple(
        record_of(member, digest, ensemble.num_outputs(index))
        for index, (member, digest) in enumerate(zip(members, ensemble.answer_digests(), strict=True))
    )
    return RunTeachers(records, ensemble=ensemble, sides=sides_seen(plan.recipe, records))


def match_teachers(members: Sequence[LoadedModel], sources: Sources, orders: Sequence[str]) -> list[ClassMatch] | None:
    """Which outputs of each teacher stand for the data's classes; None where it has none.

    Args:
        members: The teachers.
        sources: The run's images.
        orders: Of the classes of the teachers that do not name them, or name them otherwise than the data: one for all
            of these, or one each; see `class_match.match_classes`.

    Raises:
        UsageError: There are more orders than such teachers.
        TeacherError, DataError: A teacher lacks classes of the data, or an order is none.
    """
    if not sources.class_names:
        if orders:
            raise UsageError(f"{sources.val.name} has no classes", hint="leave --teacher-classes out")
        return None
    open_ones = [index for index, member in enumerate(members) if needs_order(member, sources.val)]
    if orders and set(orders) <= ORDERS.keys():  # of the data's classes: no more and no fewer
        num_classes = len(sources.class_names)
        open_ones = [index for index in open_ones if members[index].num_classes == num_classes] or open_ones
    if orders and len(orders) not in (1, len(open_ones)):
        raise UsageError(
            f"{len(orders)} orders of classes for {len(open_ones)} teachers that do not name the data's classes",
            hint="give --teacher-classes once for all of them, or once for each",
        )
    if orders and not open_ones:
        raise UsageError("every teacher names its classes", hint="leave --teacher-classes out")
    each = list(orders) * (len(open_ones) if len(orders) == 1 else 1)
    given = dict(zip(open_ones, each, strict=bool(orders)))
    return [match_teacher(member, sources.val, given.get(index)) for index, member in enumerate(members)]


def matches_of(plan: Plan) -> list[tuple[LoadedModel, ClassMatch]]:
    """A plan's teachers with which outputs of each stand for the data's classes.

    They have no weights. Nothing where the images or a teacher are not here, or no classes are learnt from teachers.

    Raises:
        KdzooError: As `match_teachers`, or the images cannot be opened.
    """
    if plan.facts.missing:
        return []
    sources, members = open_sources(plan.recipe), list[LoadedModel]()
    if not sources.class_names:  # features are learnt
        match_teachers((), sources, plan.run.teacher_classes)
    elif plan.labels is None and all(cached_weights(parse_reference(one)) is not None for one in plan.teachers):
        members = teachers_of(plan, weights=False)
    for index, member in enumerate(members):
        if member.class_names or member.num_classes == len(sources.class_names):
            continue
        kind = parse_reference(plan.teachers[index]).kind
        if kind == "weights":  # the file alone says how many classes there are
            members[index] = load_model(plan.teachers[index], pretrained=True)
        elif kind in ("timm", "zoo") and member.num_classes == 1000:  # the weights' own
            member.class_names = wordnet_ids()
    matches = match_teachers(members, sources, plan.run.teacher_classes) if members else None
    return list(zip(members, matches or (), strict=matches is not None))


def known_matches(plan: Plan) -> list[tuple[LoadedModel, ClassMatch]]:
    """`matches_of` a plan; nothing where its teachers do not fit, which is one of its obstacles."""
    try:
        return matches_of(plan)
    except KdzooError:
        return []


def class_notes(matches: Sequence[tuple[LoadedModel, ClassMatch]]) -> list[str]:
    """How teachers' classes are brought together with the data's, a line a teacher where they are not the same."""
    return [f"teacher {member.reference}: {match.note}" for member, match in matches if match.note]


def eval_transform_of(plan: Plan) -> EvalTransform:
    """How a run's held-out images become inputs."""
    data = plan.recipe.data
    return EvalTransform(
        image_size=plan.image_size,
        image_width=data.augmentation.image_width,
        crop_pct=data.evaluation.crop_pct,
        interpolation=data.evaluation.interpolation,
    )


def check_conditions(network: LoadedModel, sources: Sources) -> None:
    """Check that every image has the head's pose, where a network takes one.

    Raises:
        DataError: An image has none.
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
