"""What a recipe is: a frozen tree of literals with an objective.

The tree names everything that decides a run's result: the data and its views, the student and where it starts from, the
teachers, the length of the run, optimiser, schedule and loss. It holds numbers, strings, booleans and tuples only, so
that it can be printed, written as YAML, changed by ``--set`` and compared. Importing this module imports no torch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from ..base.own_code import OwnCode
from ..base.paper import Paper
from ..base.setting_values import Colours, CropPct, Deviations, Pixels, Weight
from ..data.mixing import Mixing
from ..data.views import Augmentation
from ..engine.settings import OptimizerSettings, ScheduleSettings, TrainingSettings

if TYPE_CHECKING:
    import numpy as np

    from ..engine.objective import Objective

Task = Literal["classification", "multilabel", "regression", "features"]
Probabilities = Literal["softmax", "sigmoid"]
"""How outputs become probabilities: of classes that exclude each other, or of each class by itself."""


@dataclass(frozen=True, kw_only=True)
class StudentRow:
    """A line of the paper's table of students.

    Attributes:
        name: What ``--student`` calls it: the architecture.
        model: The reference that the run starts from, pinned to a tag where it has pretrained weights.
        teachers: The references of its teachers.
        image_size: Training and evaluation crop, pixels.
        initial_top1: The starting weights' accuracy on ImageNet as their publisher measured it, percent, or None.
        top1: The paper's result, percent, or None.
        top5: The paper's result, percent, or None.
        note: What a reader of the table should know.
        overrides: Settings of this student's own, as a variant has them.
        variants: The recipe's variants whose settings are this student's; they apply wherever it is trained.
    """

    name: str
    model: str
    teachers: tuple[str, ...]
    image_size: Pixels
    initial_top1: float | None = None
    top1: float | None = None
    top5: float | None = None
    note: str = ""
    overrides: Mapping[str, Any] = field(default_factory=dict)
    variants: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class StudentSettings:
    """The student.

    Attributes:
        model: A model reference, or a name of the recipe's table of students.
        init: Whether the run starts from the reference's weights (``pretrained``) or from seeded random ones.
    """

    model: str
    init: Literal["pretrained", "random"]


@dataclass(frozen=True, kw_only=True)
class TeacherSettings:
    """The teachers.

    Attributes:
        models: Model references, in order; empty where a recipe trains on labels alone.
        view: How a view reaches the teachers: ``student``: the student's pixels, scaled to each teacher's input size;
            ``own``: rendered from the original at each teacher's input size; or a side in pixels, at which it is
            rendered and every teacher is run. What is drawn (crop, flip, colours, mixing) is the same.
    """

    models: tuple[str, ...] = ()
    view: Literal["student", "own"] | Pixels = "student"


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """The evaluation transform: resize the short side to floor(image size / crop_pct), then crop the centre.

    Attributes:
        crop_pct: Crop over resized short side.
        interpolation: Of the resize.
    """

    crop_pct: CropPct
    interpolation: Literal["bilinear", "bicubic"]


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """The images and what is done to them.

    Attributes:
        dataset: Data spec of the training images.
        val_dataset: Data spec of the validation images; None for ``dataset``'s own validation split.
        unlabeled: Data spec of further images without labels, or None.
        augmentation: Training views, their size included.
        mixing: MixUp and CutMix of the batch.
        evaluation: The evaluation transform, at the training views' size.
        mean: Normalisation of the student's input, in [0, 1]; ``model`` for what its weights came with.
        std: As ``mean``.
        grey: Whether the student sees one channel, the mean of an image's three.
    """

    dataset: str
    augmentation: Augmentation
    mixing: Mixing
    evaluation: EvaluationSettings
    mean: Literal["model"] | Colours
    std: Literal["model"] | Deviations
    val_dataset: str | None = None
    unlabeled: str | None = None
    grey: bool = False


def task_of(probabilities: Probabilities) -> Task:
    """What a loss is for that reads outputs so."""
    return "multilabel" if probabilities == "sigmoid" else "classification"


@dataclass(frozen=True)
class Shapes:
    """What an objective must know to build its modules.

    Attributes:
        num_classes: C, the student's outputs.
        num_teachers: K.
        student_features: D, width of the student's pooled penultimate features.
        teacher_features: D_k of each teacher.
        num_training_images: Length of the training source.
        labels: int64, (N,), of the training source; -1 where an image has none. None where they are not known.
        image_size: Side of the student's input, pixels.
        mean: Normalisation of the student's input, in [0, 1].
        std: As ``mean``.
        num_targets: D of a regression; 0 for classes.
        teacher_outputs: Outputs of each teacher.
        teacher_forms: How each teacher's outputs are to be read, as its folder says; empty where it does not.
        student_dense: Channels of the map that the student's head pools; 0 where nobody asks.
        teacher_dense: The same of each teacher; empty where nobody asks.
    """

    num_classes: int
    num_teachers: int
    student_features: int
    teacher_features: tuple[int, ...]
    num_training_images: int
    labels: np.ndarray | None = None
    image_size: int = 0
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    num_targets: int = 0
    teacher_outputs: tuple[int, ...] = ()
    teacher_forms: tuple[Mapping[str, Any], ...] = ()
    student_dense: int = 0
    teacher_dense: tuple[int, ...] = ()


@dataclass(frozen=True)
class ObjectiveMemory:
    """What an objective takes beside the networks, in bytes.

    Attributes:
        held: All through the run, and in every checkpoint.
        step: Further, during a step, on each process.
        what: What it is, a few words.
    """

    held: int
    step: int
    what: str


@dataclass(frozen=True, kw_only=True)
class TeacherReads:
    """What a loss reads of the teachers.

    Attributes:
        features: Whether it reads their features beside their logits.
        dense: Whether it reads their dense features.
        live: Why it needs the teachers themselves, so that their answers cannot be stored beforehand; empty where they
            can.
        memory: Whether it keeps what they said of an image until the image comes again.
        made_images: Whether it asks them about images that it makes itself, at the student's size.
    """

    features: bool = False
    dense: bool = False
    live: str = ""
    made_images: bool = False
    memory: bool = False


@dataclass(frozen=True, kw_only=True)
class ObjectiveSettings(ABC):
    """Base of the recipes' loss settings: literals, and how to build the objective from them."""

    @property
    @abstractmethod
    def uses_teachers(self) -> bool:
        """Whether the loss reads teachers."""

    @property
    def reads(self) -> TeacherReads:
        """What the loss reads of the teachers; their logits for the step's own images unless it says more."""
        return TeacherReads()

    @property
    @abstractmethod
    def uses_labels(self) -> bool:
        """Whether the loss reads labels; unlabeled images are refused where it does."""

    @property
    def needs_trained_student(self) -> bool:
        """Whether the loss is of use only to a student that starts from trained weights."""
        return False

    @property
    def hint_weight(self) -> float:
        """The weight of hints beside the loss; 0 where it has none or reads no teachers."""
        return 0.0

    @property
    def needs_distillation_head(self) -> bool:
        """Whether the student must have a head of its own for what the teachers say."""
        return False

    @property
    def students(self) -> tuple[str, ...]:
        """The only architectures that the loss can train; empty for any."""
        return ()

    @property
    def unlabeled_share(self) -> float | None:
        """Share of each batch that is drawn from the unlabeled images; None to shuffle all images together."""
        return None

    @property
    def task(self) -> Task:
        """What the loss is for: one class an image, several, numbers to predict, or features, which read no label."""
        return "classification"

    def num_outputs(self, size: int) -> int:
        """Outputs of the student for data of ``size`` classes or targets; 0 for a backbone without a classifier."""
        return size

    def output_form(self) -> dict[str, Any]:
        """How the student's outputs are to be read, for its model folder; empty for logits."""
        return {}

    @abstractmethod
    def build(self, shapes: Shapes) -> Objective:
        """The objective with freshly initialised modules (the caller seeds torch).

        Raises:
            UsageError: The settings do not fit the shapes.
        """

    def notes(self, num_classes: int) -> tuple[str, ...]:
        """What these settings mean for this number of classes, where that is worth a line."""
        return ()

    def memory(self, num_images: int, batch_size: int, num_teachers: int) -> ObjectiveMemory | None:
        """What the objective takes, where that is worth stating before it is taken.

        Args:
            num_images: Length of the training source.
            batch_size: Images that a process sees at once.
            num_teachers: K.
        """
        return None


@dataclass(frozen=True, kw_only=True)
class HintSettings:
    """FitNets' hints beside a recipe's own loss: the student's stages against the teachers'.

    Attributes:
        weight: Of their mean squared difference; 0 for none.
    """

    weight: Weight = 0.0


@dataclass(frozen=True, kw_only=True)
class TaughtSettings(ObjectiveSettings):
    """Base of the loss settings that learn from teachers, to which hints can be added.

    Attributes:
        features: The hints.
    """

    features: HintSettings = HintSettings()

    @property
    def uses_teachers(self) -> bool:
        return True

    @property
    def hint_weight(self) -> float:
        return self.features.weight if self.uses_teachers else 0.0


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A named set of changes: the other side of a conflict between sources, or another row of a table.

    Attributes:
        name: What ``--variant`` calls it.
        why: What it is for, a line.
        overrides: ``{dotted setting: value}``; ``stages.STAGE.`` before a setting changes it in that stage alone,
            ``students.STUDENT.`` before either changes it for that row of the table alone, ``datasets.NAME.`` before
            all of them on that data set alone.
        students: Patterns of the architectures outside the table of students that it is for; it applies to them by
            itself, and a note says so.
    """

    name: str
    why: str
    overrides: Mapping[str, Any]
    students: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One of several runs that a recipe consists of, one after the other.

    Attributes:
        name: What ``--stage`` calls it; part of its folder's name.
        why: What it is for, a line.
        start: The earlier stage whose student it goes on with; None where it starts as ``student`` says.
        overrides: ``{dotted setting: value}``: where it differs from the recipe's settings.
        only_with: The variants that add it; empty where it always runs.
    """

    name: str
    why: str
    start: str | None
    overrides: Mapping[str, Any]
    only_with: tuple[str, ...] = ()


class CitedValue(NamedTuple):
    """A value of a recipe's file and where it comes from.

    Attributes:
        path: A dotted setting, ``students.NAME.FIELD``, ``students.NAME.overrides.SETTING``, ``stages.NAME.SETTING``,
            ``variants.NAME.SETTING``, or the name of a constant.
        value: As it stands there.
        citation: The place that says it.
    """

    path: str
    value: Any
    citation: str


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A paper's training recipe. Its deviations and the sources' conflicts stand, numbered, in its file's docstring.

    Attributes:
        name: What ``--recipe`` calls it.
        summary: What it does, a line.
        paper: Where it comes from.
        reproduces: The tables it reproduces, with their numbers.
        students: The paper's table of students; empty where it has none.
        variants: Named changes.
        stages: The runs that it consists of, in order; empty for an ordinary recipe, which is one run.
        ours: Whether it is kdzoo's own: ``paper`` is then the closest reference.
        base: Of a user's own, the recipe of kdzoo's that it changes: what follows the data there does so here.
        cited: Every value of its file with the place that says it; no run depends on them.
        code: Of a user's own or a package's, the Python that defines it; None for kdzoo's.
    """

    SETTINGS: ClassVar = ("student", "teachers", "data", "training", "optimizer", "schedule", "objective")
    """Its settings, as against its description and its tables: what ``--set`` can reach."""

    name: str
    summary: str
    paper: Paper
    reproduces: tuple[str, ...]
    student: StudentSettings
    teachers: TeacherSettings
    data: DataSettings
    training: TrainingSettings
    optimizer: OptimizerSettings
    schedule: ScheduleSettings
    objective: ObjectiveSettings
    students: tuple[StudentRow, ...] = ()
    variants: tuple[Variant, ...] = ()
    stages: tuple[Stage, ...] = ()
    ours: bool = False
    base: str = ""
    cited: tuple[CitedValue, ...] = field(default=(), repr=False, compare=False)
    code: OwnCode | None = field(default=None, repr=False, compare=False)

    def student_row(self, name: str) -> StudentRow | None:
        """The row called ``name`` (its name or its full reference), or None."""
        return next((row for row in self.students if name in (row.name, row.model)), None)


DESCRIPTION = ("name", "summary", "paper", "reproduces", "ours")
"""The recipe's fields that describe it; they need no citation."""
