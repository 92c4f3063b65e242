"""What a run will do, settled before it starts: every setting with its value and where the value came from.

For the command line::

    plan = resolve(
        "meal_v2",                       # a recipe's name, or the path of a YAML file made by `recipes copy`
        given={
            "student.model": Given("resnet18", "--student"),
            "teachers.models": Given(("runs/a", "runs/b"), "--teacher"),
            "data.dataset": Given("digits", "--data"),            # data.val_dataset, data.unlabeled alike
            "training.epochs": Given("3", "KDZOO_TRAIN_EPOCHS"),  # training.batch_size, training.precision alike
            "run.seed": Given(1, "--seed"),                       # run.workers, run.device, run.labels alike
            "optimizer.lr": Given("0.02", "--set"),
        },
        variants=("cutmix",),                                     # --variant
    )
    print(plan.to_dict())                                         # settings, sources, notes: what --dry-run shows first

``given`` holds one entry a setting: the command line merges its layers first, the strongest winning (flag, environment,
config file). Text is converted by the setting's type; other values are checked against it. What is not given comes, in
this order, from a recipe file, the data and the student (``own_data`` for our own recipes, ``adaptation`` for a paper's
on other data than the paper's), the variants, the student's row in the recipe's table, the recipe.

Some settings follow others where they are not given themselves, and say so in their source:

* milestones, warm-up and period of the schedule are scaled in proportion when ``training.epochs`` is given;
* the image size is the data set's own where all its images have one (digits, CIFAR), the evaluation then crops nothing;
* the student starts from random weights where there are no pretrained ones.

With ``run.exact``, or on the paper's own data, a paper's recipe keeps its values: a given batch size leaves the
learning rate (a note gives the value that linear scaling would), and a bare architecture name that meets data with
other classes than its weights starts from random ones (an ``arch.tag`` keeps its weights and gets a new classifier).

A recipe may have stages. What is given holds for each of them where the stage does not set the same thing itself;
``stages.NAME.SETTING`` is for one stage. A stage's own epochs, learning rate and image size keep their ratio to the
recipe's when those change, and say so; a given batch size is every stage's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from ..base.setting_values import Seed, Workers, default_workers
from ..base.settings import flatten, sourced
from ..recipes.recipe import Recipe, Task

_FREE = ("checkpoint_every_steps", "max_unreadable_fraction", "export")
_PLACES = ("run.workers", "run.device", "run.labels", "run.teacher_classes", "run.check_contents")
_WISHES = ("run.budget", "run.exact")
"""What they decide stands in the settings."""

Budget = Literal["quick", "normal", "patient"]


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """What a run needs beside its recipe.

    Attributes:
        seed: Of every random choice.
        workers: Loader processes; no result depends on it.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        labels: A folder that ``kdzoo label`` made, which answers in the teachers' place; None to run them.
        teacher_classes: Orders of the classes of teachers that do not name them; see
            ``engine.class_order.names_in_order``.
        check_contents: Whether a resumed run's images must have the same bytes, which reads them all; otherwise the
            same names and sizes.
    """

    seed: Seed = 0
    workers: Workers = field(default_factory=default_workers)
    device: str = "auto"
    labels: str | None = None
    teacher_classes: tuple[str, ...] = ()
    check_contents: bool = False
    budget: Budget | None = None
    exact: bool = False


@dataclass(frozen=True, kw_only=True)
class DataFacts:
    """What is known of the data before the run.

    Attributes:
        num_classes: Or None where the data is missing and unknown, or no label is read.
        num_images: Training images, unlabeled ones included, or None where the data is missing and unknown.
        num_unlabeled: How many of them are unlabeled.
        native_size: (height, width) that every image has, or None.
        typical_side: Median short side of a few images, pixels, or None.
        missing: What is missing and how to get it, or None.
        num_targets: How many numbers are to be predicted, of a regression; 0 for classes.
        multilabel: Whether an image may show several classes.
        class_sizes: Training images of the smallest and of the largest class, or None where there are no classes.
        notes: What should be known of how the data was read, a line each.
    """

    num_classes: int | None
    num_images: int | None
    native_size: tuple[int, int] | None
    typical_side: int | None = None
    missing: str | None = None
    num_unlabeled: int = 0
    num_targets: int = 0
    multilabel: bool = False
    class_sizes: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()

    @property
    def task(self) -> Task:
        """What can be learnt from the labels."""
        return "regression" if self.num_targets else "multilabel" if self.multilabel else "classification"


@dataclass(frozen=True, kw_only=True)
class StageStep:
    """Where a plan stands among the stages of its recipe.

    Attributes:
        name: The stage.
        why: What it is for.
        number: 1-based.
        start: The stage whose student it goes on with, or None.
        start_folder: That stage's folder below the run's, or None.
        start_model: That stage's exported student; known when the stage runs.
    """

    name: str
    why: str
    number: int
    start: str | None
    start_folder: str | None
    start_model: str | None = None

    @property
    def folder(self) -> str:
        """Its run folder below the run's."""
        return f"{self.number}-{self.name}"

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object; the same wherever the run lies."""
        found = {"name": self.name, "why": self.why, "number": self.number, "start": self.start}
        return {**found, "folder": self.folder}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A resolved run.

    Attributes:
        recipe: After every change; its ``student.model`` and ``teachers.models`` are pinned references.
        origin: The recipe's name, or the file that it was read from.
        variants: Names of the variants that were applied.
        run: Seed, workers, device.
        facts: Of the data.
        sources: ``{dotted setting: where its value came from}``, ``run.*`` included.
        notes: What the user should know, a line each.
        warnings: What is probably wrong, a line each.
        adapted: What of the recipe was adapted to the data and the student, and why, a line each.
        stages: The plans of the recipe's stages, in order; empty where the recipe is one run. With stages, ``recipe``
            holds what they share.
        stage: Which stage this is the plan of, or None.
    """

    recipe: Recipe
    origin: str
    variants: tuple[str, ...]
    run: RunSettings
    facts: DataFacts
    sources: Mapping[str, str]
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    adapted: tuple[str, ...] = ()
    stages: tuple[Plan, ...] = ()
    stage: StageStep | None = None

    @property
    def student(self) -> str:
        """The pinned reference of the student."""
        return self.recipe.student.model

    @property
    def teachers(self) -> tuple[str, ...]:
        """The pinned references of the teachers."""
        return self.recipe.teachers.models

    @property
    def labels(self) -> str | None:
        """The folder of stored labels that answers in the teachers' place, or None."""
        return self.run.labels if self.recipe.objective.uses_teachers else None

    @property
    def image_size(self) -> int:
        """Side of training and evaluation crops, pixels."""
        return self.recipe.data.augmentation.image_size

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is said before the run: what was adapted, then notes and warnings."""
        keeps = "" if self.run.exact or self.recipe.ours else " (--exact keeps the paper's values)"
        head = f"{self.recipe.name} is adapted to this data{keeps}:"
        adapted = (head, *(f"  {line}" for line in self.adapted)) if self.adapted else ()
        return (*adapted, *self.notes, *(f"warning: {warning}" for warning in self.warnings))

    @property
    def steps_per_epoch(self) -> int | None:
        """Whole batches in an epoch; None where the number of images is not known."""
        return steps_of(self.recipe, self.facts)

    def settings(self) -> dict[str, Any]:
        """``{dotted setting: value}``, ``run.*`` included."""
        return {**flatten(self.recipe), **flatten(self.run, "run.")}

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object: the settings as ``{path: {"value", "source"}}``."""
        staged: dict[str, Any] = {}
        if self.recipe.code is not None:
            staged["recipe_code"] = {"name": self.recipe.code.name, "sha256": self.recipe.code.sha256}
        if self.stage is not None:
            staged["stage"] = self.stage.to_dict()
        if self.stages:
            staged["stages"] = [stage.to_dict() for stage in self.stages]
        return {
            "recipe": self.recipe.name,
            "origin": self.origin,
            "variants": list(self.variants),
            "student": self.student,
            "teachers": list(self.teachers),
            "settings": sourced(self.settings(), self.sources),
            "data": {name: value for name, value in asdict(self.facts).items() if name != "notes"},
            "notes": list(self.notes),
            "warnings": list(self.warnings),
            "adapted": list(self.adapted),
            **staged,
        }

    def fixed(self) -> dict[str, Any]:
        """What a resumed run must share with its beginning: every setting but those that change no result, and the
        recipe's own Python.

        The teachers' view counts where it is not the student's, hints where there are any: runs that were begun before
        there was either go on.
        """
        free = (*_PLACES, *_WISHES, *(f"training.{name}" for name in _FREE))
        free += ("teachers.view",) if self.recipe.teachers.view == "student" else ()
        free += () if self.recipe.objective.hint_weight else ("objective.features.weight",)
        code = {} if self.recipe.code is None else {"recipe.sha256": self.recipe.code.sha256}
        return {**{path: value for path, value in self.settings().items() if path not in free}, **code}


def steps_of(recipe: Recipe, facts: DataFacts) -> int | None:
    """Whole batches in an epoch (see ``BatchOrder``), or None where the number of images is not known."""
    if facts.num_images is None:
        return None
    apart = 0 if recipe.objective.unlabeled_share is None else facts.num_unlabeled
    return (facts.num_images - apart) // recipe.training.batch_size
