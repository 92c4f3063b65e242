"""``kdzoo.train`` and ``kdzoo.distill``, and ``kdzoo.plan_run``: what a run would be, settled before it starts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

from .base.errors import UsageError
from .base.settings import Given, flatten, given_arguments
from .base.suggestions import unknown

if TYPE_CHECKING:
    from .base.run_documents import TrainResult
    from .planning.cost import Cost
    from .planning.default_recipe import Verb
    from .planning.plan import Plan

SETTING_OF = {
    "student": "student.model",
    "teachers": "teachers.models",
    "teacher_classes": "run.teacher_classes",
    "labels": "run.labels",
    "data": "data.dataset",
    "val_data": "data.val_dataset",
    "unlabeled": "data.unlabeled",
    "image_size": "data.augmentation.image_size",
    "epochs": "training.epochs",
    "budget": "run.budget",
    "exact": "run.exact",
    "batch_size": "training.batch_size",
    "precision": "training.precision",
    "seed": "run.seed",
    "workers": "run.workers",
    "device": "run.device",
}
"""The plan's setting behind each argument and option."""


class RunArguments(TypedDict, total=False):
    """What ``train``, ``distill`` and ``label`` share. What is not given is the recipe's.

    Attributes:
        data: Data spec of the training images.
        val_data: Data spec of the held-out images; by default the validation split of ``data``.
        val_share: Hold this share of each class of ``data`` out, which has no validation images.
        unlabeled: Data spec of further images.
        epochs: Passes over the training images.
        budget: In place of epochs, how many images are seen: ``quick``, ``normal`` or ``patient``.
        exact: Whether a paper's recipe keeps the paper's values on other data.
        batch_size: Images in a batch, all processes together.
        image_size: Side of training and evaluation crops, pixels.
        precision: ``fp32``, ``bf16``, ``fp16``, or ``auto``: bf16 on a GPU that has it, else the recipe's.
        variants: Names of the recipe's variants, applied in order.
        settings: Any other settings, by dotted path: ``{"optimizer.lr": 0.02}``; `Given` says where a value is from.
        seed: Of every random choice; 0 by default.
        workers: Processes that read images; no result depends on it.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        out: The folder; the stages of a recipe have theirs below it. By default a run's is under ``runs/``.
        resume: Go on with what is in ``out``, or start it where there is none.
        stage: The one stage to run, of a recipe that has stages; all of them by default.
        trust_teacher: Go on although a teacher does not reach the accuracy that it promises.
    """

    data: str | None
    val_data: str | None
    val_share: float | Given | None
    unlabeled: str | None
    epochs: int | None
    budget: Literal["quick", "normal", "patient"] | None
    exact: bool
    batch_size: int | None
    image_size: int | None
    precision: str | None
    variants: Sequence[str]
    settings: Mapping[str, Any] | None
    seed: int
    workers: int | None
    device: str | None
    out: str | Path | None
    resume: bool
    stage: str | None
    trust_teacher: bool


class TeacherArguments(RunArguments, total=False):
    """What ``distill`` and ``label`` share.

    Attributes:
        student: A model reference, or a row of the recipe's table; ``label`` takes its teachers and image size alone.
        teachers: Model references; ``FILE.py:FUNCTION`` is a teacher of your own.
        teacher_classes: The order of the classes of teachers that do not name them, once for all or once each:
            ``natural``, ``string``, ``data``, or a text file of the names.
    """

    student: str | None
    teachers: Sequence[str]
    teacher_classes: Sequence[str]


class DistillArguments(TeacherArguments, total=False):
    """What ``distill`` takes.

    Attributes:
        labels: What ``label`` stored for these very images, in place of the teachers.
        trackers: ``tensorboard``, ``wandb``, ``trackio``, ``mlflow``.
    """

    labels: str | Path | None
    trackers: Sequence[str]


def distill(recipe: str | None = None, **run: Unpack[DistillArguments]) -> TrainResult:
    """Train a student from teachers, with a recipe. What is not given is the recipe's.

    Args:
        recipe: A recipe's name, or the path of a recipe file, YAML or Python of your own; ``function_matching`` by
            default.
        run: ``student``, ``teachers``, ``data``, ``out`` and the others of `DistillArguments` and `RunArguments`.

    Raises:
        UsageError: A setting is unknown, of the wrong type, or given twice; the recipe uses no teachers.
        DataError, ModelError, TeacherError: Data or a model is missing, or they do not fit together.
        RunError, CheckpointError: The run cannot start or go on.
        Interrupted: SIGTERM or SIGINT came; everything finished so far is saved.
    """
    return plan_run("distill", recipe, **run).start()


def train(
    model: str, *, recipe: str | None = None, trackers: Sequence[str] = (), **run: Unpack[RunArguments]
) -> TrainResult:
    """Train a model on labels: a teacher, or the baseline that a distilled student must beat.

    Args:
        model: A model reference.
        recipe: A recipe that needs no teachers; by default ``finetune`` where the model has weights, ``from_scratch``
            where it has none, ``supervised`` on ImageNet.
        trackers: ``tensorboard``, ``wandb``, ``trackio``, ``mlflow``.
        run: ``data``, ``epochs``, ``out`` and the others of `RunArguments`.

    Raises:
        KdzooError: As `distill`; UsageError where the recipe learns from teachers.
    """
    return plan_run("train", recipe, student=model, trackers=trackers, **run).start()


def plan_run(
    verb: Literal["train", "distill"], recipe: str | None = None, **run: Unpack[DistillArguments]
) -> PlannedRun:
    """Settle what `train` or `distill` would do, and start nothing.

    Args:
        verb: Which of them; what ``train`` trains is its ``student``.
        recipe: As theirs.
        run: As that of `distill`.

    Raises:
        UsageError, ModelError, DataError: As `distill`. What is missing here is no error: see `PlannedRun.obstacles`.
    """
    given, resume = run.get("out"), run.get("resume", False)
    out = Path(given).expanduser() if given else None
    plan = settle(verb, recipe, run, resumed=out if resume else None)
    if out is None:
        out = _default_folder(plan)
        plan = settle(verb, recipe, run, resumed=out) if resume else plan
    needs_teachers = plan.recipe.objective.uses_teachers
    if verb == "train" and needs_teachers:
        raise UsageError(f"recipe {plan.recipe.name} learns from teachers", hint="'kdzoo distill' takes --teacher")
    if verb == "distill" and not needs_teachers:
        raise UsageError(f"recipe {plan.recipe.name} uses no teachers", hint="'kdzoo train' trains on labels")
    return PlannedRun(
        plan=plan,
        out=out,
        resume=resume,
        stage=run.get("stage"),
        trust_teacher=run.get("trust_teacher", False),
        trackers=tuple(run.get("trackers", ())),
    )


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """A run of `train` or `distill` that is settled and has not begun.

    Attributes:
        plan: Its settings, each with where it is from; `Plan.to_dict` shows them.
        out: Its folder.
        resume: Whether it goes on with what is there.
        stage: The one stage that is to run; None for all.
        trust_teacher: Whether it goes on although a teacher is worse than it promises.
        trackers: Names of extra trackers.
    """

    plan: Plan
    out: Path
    resume: bool = False
    stage: str | None = None
    trust_teacher: bool = False
    trackers: tuple[str, ...] = ()

    @property
    def to_run(self) -> Plan:
        """The plan with the one stage that is to run, where one was named."""
        chosen = tuple(one for one in self.plan.stages if one.stage is not None and one.stage.name == self.stage)
        return replace(self.plan, stages=chosen) if chosen else self.plan

    @property
    def folders(self) -> list[Path]:
        """The run's folder, or those of its stages that have begun."""
        stages = [self.out / one.stage.folder for one in self.plan.stages if one.stage is not None]
        return [folder for folder in stages if (folder / "config.json").exists()] if stages else [self.out]

    def costs(self) -> list[Cost]:
        """What the run, or each of its stages, costs on this machine; a few real steps are measured."""
        from .planning.cost import estimate

        return [estimate(one) for one in self.to_run.stages or (self.plan,)]

    def obstacles(self, costs: Sequence[Cost]) -> list[str]:
        """The reasons why it could not start, none where it could.

        Args:
            costs: From `costs`.
        """
        from .planning.obstacles import obstacles

        return obstacles(self.to_run, costs, str(self.out), resume=self.resume)

    def usual_settings(self) -> dict[str, Any]:
        """The recipe's settings and the defaults of a run, as they are where nothing is given."""
        from .planning.plan import RunSettings
        from .recipes import load_recipe

        return {**flatten(load_recipe(self.plan.origin).recipe), **flatten(RunSettings(), "run.")}

    def start(self) -> TrainResult:
        """Carry it out, in this process or (under torchrun) in all of them."""
        from .planning.run import run

        return run(
            self.plan,
            out=self.out,
            resume=self.resume,
            trust_teacher=self.trust_teacher,
            trackers=self.trackers,
            stage=self.stage,
        )


def _default_folder(plan: Plan) -> Path:
    """The run folder where none was given: what is trained, how, on what, from which seed."""
    data = plan.recipe.data.dataset.partition(":")[0].rstrip("/").rpartition("/")[2]
    student = plan.student.rstrip("/").rpartition("/")[2]
    name = f"{plan.recipe.name}-{student}-{data}-{plan.run.seed}"
    return Path("runs", re.sub(r"[^\w.-]+", "_", name))


def settle(verb: Verb, recipe: str | None, arguments: Mapping[str, Any], *, resumed: Path | None = None) -> Plan:
    """The plan of what a verb's function was called with.

    Args:
        verb: The verb.
        recipe: A recipe's name or file; None for the one that fits.
        arguments: By name; those that are None, empty or False give nothing.
        resumed: The folder of a run that goes on.

    Raises:
        UsageError: An argument is unknown, or two give the same setting.
        KdzooError: As ``planning.default_recipe.plan_verb``.
    """
    known = TeacherArguments if verb == "label" else DistillArguments
    for name in arguments:
        if name not in known.__optional_keys__:
            raise unknown(name, known.__optional_keys__, what="argument", where=f"help(kdzoo.{verb}) shows them")
    from .planning.default_recipe import plan_verb

    named = {setting: _value(arguments.get(name)) for name, setting in SETTING_OF.items()}
    given = given_arguments(named, arguments.get("settings"))
    share = arguments.get("val_share")
    if share is not None:
        given["data.dataset"] = _with_share(given, share if isinstance(share, Given) else Given(share, "val_share"))
    return plan_verb(verb, recipe, given=given, variants=tuple(arguments.get("variants", ())), resumed=resumed)


def _value(argument: Any) -> Any:
    """An argument as settings have it; None where it gives nothing."""
    if isinstance(argument, list | tuple):
        return tuple(argument) or None
    return str(argument) if isinstance(argument, Path) else None if argument is False else argument


def _with_share(given: Mapping[str, Given], share: Given) -> Given:
    """The training data, of which a share is held out."""
    from .data.specs import with_val_share

    data = given.get("data.dataset")
    if data is None or "data.val_dataset" in given:
        what = "no --data to hold images out of" if data is None else "--val-data has validation images"
        raise UsageError(f"{share.source}: {what}", hint="--val-share goes with --data PHOTOS and without --val-data")
    return Given(with_val_share(str(data.value), share.value), f"{data.source}, {share.source}")
