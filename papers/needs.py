"""What a row takes: its runs, their steps, arithmetic, disk and time, and what is missing. Nothing is started."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ..base.amounts import amount
from ..base.errors import KdzooError
from .grounds import Grounds, grounds_of
from .jobs import Job, Jobs, architecture

if TYPE_CHECKING:
    from ..planning import Plan
    from .choices import Choices
    from .tables import Row, Transfer

_BYTES = 4
_DOWNLOADS = "they are downloaded first"


@dataclass(frozen=True)
class First:
    """Runs that are alike but for their seeds, and come before a row's own.

    Attributes:
        model: What they train.
        how: The recipe and its variants.
        folders: Theirs, below the reproduction's; a run has one folder, however many rows share it.
        epochs: Of each.
        steps: Of each, or None.
        flops: Of each, about, or None.
        disk_bytes: Of each, about.
    """

    model: str
    how: str
    folders: tuple[str, ...]
    epochs: int
    steps: int | None
    flops: float | None
    disk_bytes: int

    def __str__(self) -> str:
        count = len(self.folders)
        text = f"{count} × " if count > 1 else ""
        text += f"{self.model} by {self.how}, {self.epochs} epochs"
        if self.flops is not None:
            each = " each" if count > 1 else ""
            text += f": {self.steps:,} steps, {amount(self.flops)}FLOP{each}"
        return text


@dataclass
class Needs:
    """A row's needs; those of several seeds together.

    Attributes:
        label: The row.
        kind: ``recipe``, ``evaluate``, ``transfer`` or ``reference``.
        does: What would be done, in words.
        commands: The same by hand, where there is a command.
        first: What is trained before it, and shared with other rows.
        runs: Training runs, those before it not counted.
        steps: Of these runs, or None.
        flops: Floating-point operations of these runs, about, or None.
        disk_bytes: Of their folders, about, or None.
        seconds: On this machine, about; None where not measured.
        missing: What is not here, and how to get it.
        notes: Further.
        folders: Of its runs, below the reproduction's.
        grounds: What it rests on.
    """

    label: str
    kind: str
    does: str
    commands: tuple[str, ...] = ()
    first: tuple[First, ...] = ()
    runs: int = 0
    steps: int | None = None
    flops: float | None = None
    disk_bytes: int | None = None
    seconds: float | None = None
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    grounds: Grounds = field(default_factory=Grounds)

    @property
    def is_run(self) -> bool:
        """Whether there is anything to run, and not a number to quote alone."""
        return self.kind != "reference"

    @property
    def could_start(self) -> bool:
        """Whether nothing is missing but what is downloaded by itself."""
        return all(_DOWNLOADS in text for text in self.missing)

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)


def needs_of(row: Row, jobs: Jobs, *, measure: bool = False) -> Needs:
    """What a row needs and costs. Missing data and weights are listed, never raised.

    Args:
        row: Of the table.
        jobs: The table's.
        measure: Whether to time a few real steps.
    """
    from .tables import Evaluate, NotRun, RecipeRun, Transfer

    choices, takes = jobs.choices, row.takes
    notes = (row.note,) if row.note else ()
    if isinstance(takes, RecipeRun) and choices.released and takes.released:
        return _evaluation(row, takes.released, choices.data or "imagenet", notes)
    planned = jobs.of(row)
    if planned:
        return _training(row, planned, choices, measure=measure, notes=notes)
    if choices.scale == "small":
        nothing = f"nothing: {why_not_small(row)}"
        return Needs(row.label, takes.kind, nothing, notes=notes, grounds=Grounds(otherwise="nothing to run"))
    if isinstance(takes, Evaluate):
        return _evaluation(row, takes.model, choices.data or takes.dataset, notes)
    if isinstance(takes, Transfer):
        protocol = f"; the paper: {takes.protocol}" if takes.protocol else ""
        does = f"kdzoo transfer{protocol}"
        rests = Grounds(otherwise="by hand: kdzoo transfer")
        return Needs(row.label, "transfer", does, commands=transfer_commands(takes), notes=notes, grounds=rests)
    assert isinstance(takes, NotRun)
    rests = Grounds(otherwise="nothing to run")
    return Needs(row.label, "reference", f"nothing: {takes.why}", notes=notes, grounds=rests)


def why_not_small(row: Row) -> str:
    """Why a row has nothing to run at a small size."""
    if isinstance(row.small, str):
        return row.small
    return str(getattr(row.takes, "why", "no small run stands for it"))


def transfer_commands(takes: Transfer) -> tuple[str, ...]:
    """The commands that measure a row of a transfer table, a task each."""
    compared = ["--backbone", takes.backbone, "--baseline", takes.baseline, *takes.options]
    return tuple(shlex.join(["kdzoo", "transfer", task, *compared]) for task in dict.fromkeys(takes.tasks.values()))


def _evaluation(row: Row, model: str, dataset: str, notes: tuple[str, ...]) -> Needs:
    return Needs(
        row.label,
        "evaluate",
        f"evaluates {model} on {dataset}",
        commands=(shlex.join(["kdzoo", "eval", model, "--on", dataset]),),
        missing=(*missing_weights(model), *missing_data(dataset)),
        notes=notes,
        grounds=Grounds(otherwise="published weights", missing=_short(missing_data(dataset), missing_weights(model))),
    )


def _short(data: Sequence[str], weights: Sequence[str], unlabeled: bool = False) -> tuple[str, ...]:
    """What is missing, in a few words."""
    count = f"{len(weights)} weights" if len(weights) > 1 else "weights"
    return tuple(words for words, said in (("data", data), (count, weights), ("unlabeled images", unlabeled)) if said)


def missing_weights(model: str) -> tuple[str, ...]:
    """What to say of weights that are not on this machine; nothing where they are."""
    from ..zoo import parse_reference
    from ..zoo.cached import cached_weights

    reference = parse_reference(model)
    if cached_weights(reference) is not None:
        return ()
    if reference.kind == "zoo":
        return (f"{model} is not pulled yet: kdzoo pull {model}",)
    return (f"the weights of {model} are not in the local cache: {_DOWNLOADS}",)


def missing_data(spec: str, split: str = "val") -> tuple[str, ...]:
    """What to say of data that is not there; nothing where it is."""
    from ..data import open_source

    try:
        open_source(spec, split)
    except KdzooError as error:
        return (f"{error.message} ({error.hint})" if error.hint else error.message,)
    return ()


def _training(row: Row, jobs: Sequence[Job], choices: Choices, *, measure: bool, notes: tuple[str, ...]) -> Needs:
    takes = row.small if choices.scale == "small" and row.small is not None else row.takes
    job = jobs[0]
    try:
        plan = job.plan(None)
        cost = _cost(plan, measure=measure)
        missing = _missing_of(takes, job, plan, choices)
    except KdzooError as error:  # a reference of the user's own that names nothing, say
        text = f"{error.message} ({error.hint})" if error.hint else error.message
        return Needs(row.label, "recipe", f"trains by {job.recipe}", runs=len(jobs), missing=(text,), notes=notes)
    first = first_of(jobs)
    how = " + ".join([job.recipe, *job.variants])
    length = f"{plan.recipe.training.epochs} epochs"
    if plan.stages:
        length = " and ".join(f"{one.recipe.training.epochs}" for one in plan.stages) + " epochs in stages"
    seeds = f", {len(jobs)} seeds" if len(jobs) > 1 else ""
    return Needs(
        row.label,
        "recipe",
        f"trains {architecture(job)} by {how}: {length} of {plan.recipe.data.dataset}{seeds}",
        commands=(command_of(job),),
        first=first,
        runs=len(jobs),
        steps=_times(cost["steps"], len(jobs)),
        flops=_times(cost["flops"], len(jobs)),
        disk_bytes=_times(cost["disk_bytes"], len(jobs)),
        seconds=_times(cost["seconds"], len(jobs)),
        missing=missing,
        notes=notes,
        folders=tuple(one.folder for one in jobs),
        grounds=_grounds(job, plan, missing, choices),
    )


def _grounds(job: Job, plan: Plan, missing: Sequence[str], choices: Choices) -> Grounds:
    if choices.scale == "small":
        return Grounds(otherwise="a small size: the recipe's loss, mixing, schedule and decay alone")
    weights = [text for text in missing if "the weights of" in text or "is not pulled yet" in text]
    unlabeled = any("--unlabeled SPEC" in text for text in missing)
    return grounds_of(plan, _short([plan.facts.missing] if plan.facts.missing else [], weights, unlabeled))


def blocking(row: Row, job: Job, choices: Choices) -> tuple[str, ...]:
    """What keeps a row's run from starting; weights that it downloads by itself do not."""
    takes = row.small if choices.scale == "small" and row.small is not None else row.takes
    return tuple(text for text in _missing_of(takes, job, job.plan(None), choices) if _DOWNLOADS not in text)


def _missing_of(takes: object, job: Job, plan: Plan, choices: Choices) -> tuple[str, ...]:
    from .tables import RecipeRun

    trained = {name for one, name in zip(job.teachers, plan.teachers, strict=False) if isinstance(one, Job)}
    found = dict.fromkeys(text for one in plan.stages or (plan,) for text in _missing(one, trained))
    if isinstance(takes, RecipeRun) and takes.unlabeled and choices.unlabeled is None and choices.scale == "full":
        found[f"{takes.unlabeled}: --unlabeled SPEC"] = None
    return tuple(found)


def _times(value: Any, count: int) -> Any:
    return None if value is None else value * count


def first_of(jobs: Sequence[Job]) -> tuple[First, ...]:
    """What must be finished before runs, those alike together."""
    groups: dict[tuple[str, str], list[Job]] = {}
    for one in dict.fromkeys(before for job in jobs for before in job.first()):
        groups.setdefault((architecture(one), " + ".join([one.recipe, *one.variants])), []).append(one)
    found = []
    for (model, how), alike in groups.items():
        plan = alike[0].plan(None)
        steps, flops = _arithmetic(plan)
        folders = tuple(one.folder for one in alike)
        found.append(First(model, how, folders, plan.recipe.training.epochs, steps, flops, _disk(plan)))
    return tuple(found)


def command_of(job: Job) -> str:
    """The run as a command of its own, with OUT for the reproduction's folder."""

    words = ["kdzoo", "distill" if job.teachers else "train", "--recipe", job.recipe]
    if not job.teachers and job.recipe == "supervised":
        words = words[:2]
    for variant in job.variants:
        words += ["--variant", variant]
    words += ["--student" if job.teachers else "--model", _named(job.student)]
    for teacher in job.teachers:
        words += ["--teacher", _named(teacher)]
    for path, value in job.settings:
        words += ["--set", f"{path}={_text(value)}"]
    return shlex.join([*words, "--seed", str(job.seed), "--out", f"OUT/{job.folder}"])


def _named(one: str | Job) -> str:
    return one if isinstance(one, str) else f"OUT/{one.folder}"


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(_text, value))
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _cost(plan: Plan, *, measure: bool) -> dict[str, Any]:
    """Steps, arithmetic, disk and time; of stages together."""
    from ..planning import estimate

    plans = plan.stages or (plan,)
    found: dict[str, Any] = {"steps": 0, "flops": 0.0, "disk_bytes": 0, "seconds": 0.0 if measure else None}
    for one in plans:
        steps, flops = _arithmetic(one)
        values = {"steps": steps, "flops": flops, "disk_bytes": _disk(one)}
        if measure:
            values["seconds"] = estimate(one).seconds
        for name, value in values.items():
            found[name] = None if value is None or found[name] is None else found[name] + value
    return found


def _missing(plan: Plan, trained: Collection[str]) -> list[str]:
    """Data and published weights that are not here; teachers that are trained first need none."""
    from ..zoo import parse_reference

    found = [plan.facts.missing] if plan.facts.missing else []
    begins = plan.recipe.student.init == "pretrained" and (plan.stage is None or plan.stage.start is None)
    for reference in (*((plan.student,) if begins else ()), *(one for one in plan.teachers if one not in trained)):
        parsed = parse_reference(reference)
        if parsed.kind != "timm" or parsed.tag:
            found.extend(missing_weights(reference))
    return found


def _arithmetic(plan: Plan) -> tuple[int | None, float | None]:
    """Steps, and floating-point operations: three forward passes of the student's for a step, one of each teacher's."""
    if plan.facts.num_images is None:
        return None, None
    training = plan.recipe.training
    steps = plan.facts.num_images // training.batch_size * training.epochs
    student = size_of(plan.student, plan.image_size)[1]
    teachers = sum(size_of(reference)[1] for reference in plan.teachers)
    return steps, float(steps * training.batch_size) * 2 * (3 * student + teachers)


def _disk(plan: Plan) -> int:
    """The run folder at its fullest: the checkpoints that are kept, one being written, the best one, the model."""
    from ..engine.checkpoint import KEPT

    optimizer, training = plan.recipe.optimizer, plan.recipe.training
    parameters = size_of(plan.student, plan.image_size)[0]
    moments = 2 if optimizer.name != "sgd" else int(optimizer.momentum != 0)
    memory = plan.recipe.objective.memory(plan.facts.num_images or 0, training.batch_size, len(plan.teachers))
    checkpoint = _BYTES * (1 + moments) * parameters + (0 if memory is None else memory.held)
    return (KEPT + 2) * checkpoint + _BYTES * parameters


@lru_cache(maxsize=256)
def size_of(reference: str, image_size: int | None = None) -> tuple[int, int]:
    """Parameters and multiply-adds of one image's forward pass, at a square's side or the network's own size.

    The zoo's entries have been counted; other networks are built without memory for their weights.
    """
    import torch

    from ..planning.cost import count
    from ..zoo import load_model
    from ..zoo.entries import COSTS, ENTRIES

    if reference in COSTS and image_size in (None, ENTRIES[reference].image_size):
        return COSTS[reference]
    with torch.device("meta"):
        loaded = load_model(reference, pretrained=False, image_size=image_size)
        cost = count(loaded, image_size or loaded.preprocessing.image_size)
    return cost.parameters, cost.macs
