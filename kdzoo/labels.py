"""``kdzoo.label``, and ``kdzoo.plan_labels``: what storing labels would take, settled before it starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from .runs import TeacherArguments, settle

if TYPE_CHECKING:
    from .engine.labelling import LabelResult
    from .planning.label_cost import LabelCost
    from .planning.plan import Plan


def label(recipe: str | None = None, *, form: str = "float32", **run: Unpack[TeacherArguments]) -> list[LabelResult]:
    """Store what teachers answer to every image of a run, for any number of students (``distill(labels=…)``).

    Args:
        recipe: The recipe that the students will follow; ``function_matching`` by default.
        form: ``float32``, ``float16`` or ``topK``.
        run: ``teachers``, ``data``, ``epochs`` and the others of `TeacherArguments` and `RunArguments`; ``out`` is
            ``labels`` by default, ``resume`` may add epochs, ``stage`` is one of those that learn from teachers.

    Returns:
        What was stored, one result a stage; one for a recipe without stages.

    Raises:
        KdzooError: As ``kdzoo.distill``; UsageError for a recipe whose teachers cannot answer beforehand.
    """
    return plan_labels(recipe, form=form, **run).start()


def plan_labels(recipe: str | None = None, *, form: str = "float32", **run: Unpack[TeacherArguments]) -> PlannedLabels:
    """Settle what `label` would do, and start nothing.

    Args:
        recipe, form, run: As those of `label`.

    Raises:
        KdzooError: As `label`.
    """
    from .planning.label_run import check_form, label_plans

    plan = settle("label", recipe, run)
    plans = label_plans(plan, run.get("stage"))
    for one in plans:
        check_form(form, one.recipe)
    return PlannedLabels(
        plan=plan,
        plans=tuple(plans),
        out=Path(run.get("out") or "labels").expanduser(),
        form=form,
        resume=run.get("resume", False),
        stage=run.get("stage"),
        trust_teacher=run.get("trust_teacher", False),
    )


@dataclass(frozen=True, kw_only=True)
class PlannedLabels:
    """Labels that are settled and not stored yet.

    Attributes:
        plan: The run's settings, each with where it is from.
        plans: Whose labels are stored: the run's, or each chosen stage's.
        out: Their folder; those of stages have theirs below it.
        form: How numbers are stored.
        resume: Whether what is there is gone on with.
        stage: The one stage to label; None for all.
        trust_teacher: Whether it goes on although a teacher is worse than it promises.
    """

    plan: Plan
    plans: tuple[Plan, ...]
    out: Path
    form: str
    resume: bool
    stage: str | None
    trust_teacher: bool

    @property
    def folders(self) -> list[Path]:
        """Where the labels of each of ``plans`` go."""
        from .planning.label_run import folder_of_plan

        return [folder_of_plan(one, self.out) for one in self.plans]

    def costs(self) -> list[LabelCost]:
        """What the labels of each of ``plans`` cost on this machine; a few real steps are measured."""
        from .planning.label_cost import estimate_labels

        each = zip(self.plans, self.folders, strict=True)
        return [estimate_labels(one, out=folder, form=self.form) for one, folder in each]

    def obstacles(self, costs: Sequence[LabelCost]) -> list[str]:
        """The reasons why it could not start, none where it could.

        Args:
            costs: From `costs`.
        """
        from .planning.label_cost import label_obstacles

        each = zip(self.plans, self.folders, costs, strict=True)
        return [text for one, folder, cost in each for text in label_obstacles(one, folder, cost, resume=self.resume)]

    def start(self) -> list[LabelResult]:
        """Store them, in this process or (under torchrun) in all of them."""
        from .planning.label_run import label as store

        return store(
            self.plan,
            out=self.out,
            form=self.form,
            resume=self.resume,
            trust_teacher=self.trust_teacher,
            stage=self.stage,
        )
