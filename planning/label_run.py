"""From a plan to stored labels: open the data, load and check the teachers, ask them about every view."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

from ..base.errors import DataError, Interrupted, UsageError
from ..base.suggestions import unknown
from ..data import LabelHead
from ..data.label_forms import parse_form
from ..data.label_store import MANIFEST, read_document
from ..engine.distributed import Processes, start_processes
from ..engine.label_folder import refuse_folder
from ..engine.labelling import LabelJob, LabelResult, store_labels
from ..engine.progress import say
from ..engine.signals import StopRequest
from ..recipes.recipe import Recipe
from .batch_parts import ACCUMULATE, FOR_MEMORY, fitted, in_parts
from .labels import folder_of, order_of, refuse_live, rows_of, views_of
from .memory import available_bytes
from .plan import Plan
from .run_teachers import start_teachers
from .sources import open_sources
from .teacher_views import further_sizes

SPLIT = "split_for_memory"
"""What labels say of themselves whose batches were run in parts because memory was short."""


def label_plans(plan: Plan, stage: str | None = None) -> list[Plan]:
    """The plans whose labels can be stored: the run's, or those of its stages that learn from teachers.

    Args:
        plan: From ``resolve``.
        stage: The one stage to label.

    Raises:
        UsageError: No teacher's answer can be stored, or there is no such stage.
    """
    if plan.labels is not None:
        raise UsageError("labels are stored from teachers, not from labels", hint="leave run.labels out")
    if not plan.stages:
        if stage is not None:
            raise UsageError(f"{plan.recipe.name} has no stages", hint="leave --stage out")
        refuse_live(plan.recipe)
        return [plan]
    taught = {one.stage.name: one for one in plan.stages if one.stage and one.recipe.objective.uses_teachers}
    if stage is not None and stage not in taught:
        where = f"those that learn from teachers are {', '.join(taught)}"
        raise unknown(stage, taught, what=f"stage of {plan.recipe.name}", where=where)
    chosen = [one for name, one in taught.items() if stage in (None, name)]
    for one in chosen:
        refuse_live(one.recipe)
    return chosen


def folder_of_plan(plan: Plan, out: Path) -> Path:
    """Where a plan's labels go."""
    return folder_of(str(out), plan.recipe, None if plan.stage is None else plan.stage.name)


def check_form(form: str, recipe: Recipe) -> None:
    """Refuse a form that cannot hold what the recipe reads.

    Raises:
        UsageError: The form keeps nothing of what the recipe reads, or there is no such form.
    """
    name = parse_form(form).name
    if name.startswith("top") and (recipe.objective.task != "classification" or recipe.objective.reads.features):
        what = "the teachers' features" if recipe.objective.reads.features else "numbers that are no softmax"
        raise UsageError(f"{recipe.name} reads {what}, of which {name} keeps nothing", hint="use --form float16")


def label(
    plan: Plan,
    *,
    out: Path | str,
    form: str = "float32",
    resume: bool = False,
    trust_teacher: bool = False,
    stage: str | None = None,
) -> list[LabelResult]:
    """Store what a plan's teachers answer, in this process or (under torchrun) in all of them.

    Args:
        plan: From ``resolve``; its student and what it would learn with play no part.
        out: The folder; the stages of a recipe have theirs below it.
        form: ``float32``, ``float16`` or ``topK``.
        resume: Go on with the labels in ``out``, or begin them.
        trust_teacher: Go on although a teacher is worse than it promises.
        stage: The one stage to label; all that learn from teachers by default.

    Returns:
        One result a stage; one for a recipe without.

    Raises:
        KdzooError: As ``run`` for data and teachers; as ``store_labels``; UsageError for what cannot be stored.
    """
    plans, folder = label_plans(plan, stage), Path(out).expanduser()
    for one in plans:
        check_form(form, one.recipe)
    with StopRequest() as stop:
        processes = start_processes(plan.run.device)
        try:
            if processes.is_main:
                for line in dict.fromkeys(line for one in (plan, *plans) for line in one.remarks):
                    say(line)
            return [_label_one(one, folder, form, processes, stop, resume, trust_teacher) for one in plans]
        finally:
            processes.stop()


def _label_one(
    plan: Plan, out: Path, form: str, processes: Processes, stop: StopRequest, resume: bool, trust: bool
) -> LabelResult:
    folder = folder_of_plan(plan, out)
    if plan.stage is not None and processes.is_main:
        say(f"labels of stage {plan.stage.name}: {plan.stage.why}")
    try:
        return store_labels(build_label_job(plan, folder, form, processes, stop, resume, trust), processes, stop)
    except Interrupted as error:
        hint = error.hint if plan.stage is None else f"run the same command again with --resume --out {out}"
        raise Interrupted(error.message, hint=hint) from None


def build_label_job(
    plan: Plan, out: Path, form: str, processes: Processes, stop: StopRequest, resume: bool, trust: bool
) -> LabelJob:
    """Open, load and check everything that a plan's labels need.

    Raises:
        DataError, ModelError, TeacherError: As ``run.build_job``.
        RunError: ``out`` holds something else.
        CheckpointError: ``out`` holds labels of other settings, data or teachers.
    """
    free, plan = available_bytes(processes.device), _with_recorded_parts(plan, out)
    sources = open_sources(plan.recipe)
    teachers = start_teachers(plan, sources, processes)
    assert teachers.ensemble is not None
    if processes.is_main:
        for line in sources.warnings:
            say(line)
    if not (out / MANIFEST).exists():
        plan = fitted(plan, None, teachers, processes, free)
    recipe, order = plan.recipe, order_of(plan, sources)
    head = LabelHead(
        views=views_of(plan, sources, teachers.records),
        teachers=teachers.records,
        form=form,
        holds_features=recipe.objective.reads.features,
        rows=rows_of(order),
        class_names=sources.class_names,
        made_by=_made_by(plan, processes),
    )
    if processes.is_main:
        refuse_folder(out, head, resume=resume)
    reports = teachers.check(plan, sources, processes, trust=trust, stop=stop)
    return LabelJob(
        head=replace(head, reports=tuple(reports)),
        teachers=teachers.ensemble,
        source=sources.train,
        augmentation=recipe.data.augmentation,
        mixing=recipe.data.mixing,
        order=order,
        training=recipe.training,
        seed=plan.run.seed,
        workers=plan.run.workers,
        out=out,
        resume=resume,
        teacher_sizes=further_sizes(recipe, teachers.sides),
    )


def _made_by(plan: Plan, processes: Processes) -> dict[str, Any]:
    """What the labels' last bits depend on beside the views, and who asked for them."""
    training = plan.recipe.training
    return {
        "kdzoo_version": metadata.version("kdzoo"),
        "recipe": plan.recipe.name,
        "variants": list(plan.variants),
        "dataset": plan.recipe.data.dataset,
        "batch_size": training.batch_size,
        "accumulate": training.accumulate,
        "precision": training.precision,
        "channels_last": training.channels_last,
        "device": processes.device.type,
        **({SPLIT: True} if plan.sources[ACCUMULATE].startswith(FOR_MEMORY) else {}),
    }


def _with_recorded_parts(plan: Plan, out: Path) -> Plan:
    """The plan with the parts in which its labels were begun to be made, where memory decided them then."""
    with contextlib.suppress(DataError):
        made_by = read_document(out)[0].made_by if (out / MANIFEST).exists() else {}
        parts, own = made_by.get("accumulate"), plan.recipe.training.accumulate
        if made_by.get(SPLIT) and isinstance(parts, int) and parts % own == 0:
            return in_parts(plan, parts, f"{FOR_MEMORY}: as the labels in {out} were begun")
    return plan
