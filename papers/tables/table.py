"""What a paper's table is: columns, rows with the published numbers, and what each row takes to be made again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import ClassVar, Literal, TypeAlias

from ...base.paper import Paper

Number = float | str | None


@dataclass(frozen=True)
class Column:
    """A column of numbers.

    Attributes:
        key: Names it in ``Row.numbers``.
        heading: As printed, or near to it.
        unit: Of the numbers.
        better: Which direction is better; None where neither is.
        measured: Which number of ours stands beside the paper's: ``top1`` or ``top5`` of the row's student, with
            ``STAGE.`` before it of that stage's student; ``teacher_top1`` or ``teacher_top5`` of its teachers together;
            ``gap_top1`` or ``gap_top5``, teachers' less student's; ``class:NAME``, the accuracy on one class;
            ``on:SPEC``, top-1 on other evaluation data, where that is there. None where ours is not measured here.
    """

    key: str
    heading: str
    _: KW_ONLY
    unit: str = "%"
    better: Literal["higher", "lower"] | None = "higher"
    measured: str | None = None


@dataclass(frozen=True, kw_only=True)
class OnLabels:
    """Training on labels: how a network comes about that nobody published.

    Attributes:
        variants: Of the recipe ``supervised``.
        settings: ``{dotted setting: value}``.
    """

    variants: tuple[str, ...] = ()
    settings: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Network:
    """A network that a row trains or learns from.

    Attributes:
        model: A model reference, or a name of the recipe's table of students.
        small: The network that stands for it at a small size.
        trained: How it is trained first where its weights are not published; None where they are, or where the row
            itself trains it.
        copies: Instances of it that are trained alike from different seeds.
    """

    model: str
    _: KW_ONLY
    small: str = "cifar_resnet8"
    trained: OnLabels | None = None
    copies: int = 1


@dataclass(frozen=True)
class RecipeRun:
    """A run of a recipe.

    Attributes:
        recipe: Its name.
        student: What is trained.
        variants: Applied in order.
        settings: ``{dotted setting: value}``, beyond the variants.
        teachers: In order.
        starts_trained: Whether the student begins with trained weights.
        unlabeled: The unlabeled images that it takes, in words; empty for none.
        released: The weights that the authors released of this very row, where they are to be had.
    """

    kind: ClassVar[str] = "recipe"
    recipe: str
    student: Network
    _: KW_ONLY
    variants: tuple[str, ...] = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    teachers: tuple[Network, ...] = ()
    starts_trained: bool = False
    unlabeled: str = ""
    released: str | None = None


@dataclass(frozen=True)
class Evaluate:
    """An evaluation of published weights.

    Attributes:
        model: A reference whose weights can be had.
        dataset: Data spec; its validation split.
    """

    kind: ClassVar[str] = "evaluate"
    model: str
    _: KW_ONLY
    dataset: str = "imagenet"


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """Measurements on other tasks.

    Attributes:
        tasks: ``{column: name of the task}``.
        backbone: A reference.
        baseline: What the table compares it with.
        options: Of ``kdzoo transfer``: the mode, the detector, the head.
        protocol: What the paper says of the training.
    """

    kind: ClassVar[str] = "transfer"
    tasks: Mapping[str, str]
    backbone: str
    baseline: str
    options: tuple[str, ...]
    protocol: str = ""


@dataclass(frozen=True)
class NotRun:
    """A published number with nothing to run.

    Attributes:
        why: The reason.
    """

    kind: ClassVar[str] = "reference"
    why: str
    _: KW_ONLY


Takes: TypeAlias = RecipeRun | Evaluate | Transfer | NotRun


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row.

    Attributes:
        label: Unique in its table; near to what is printed.
        numbers: ``{column: the published number}``; text where the table has text; a column may be missing.
        takes: What makes it again.
        small: What stands for it at a small size where that is not ``takes``: a run; a trained network of the table
            alone; or, as text, why there is nothing.
        measured: ``{column: what of ours stands there}``, where that is not the column's own.
        note: What a reader of the row should know.
    """

    label: str
    numbers: Mapping[str, Number]
    takes: Takes
    small: RecipeRun | Network | str | None = None
    measured: Mapping[str, str | None] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of a paper.

    Attributes:
        number: As the paper counts it: ``3``, ``S2``.
        title: What it compares.
        citation: Where it stands.
        columns: In order.
        rows: In order.
        epochs: The usual length of the table's runs: what ``--epochs`` replaces, rows with another length in
            proportion. None where each recipe has its own.
        notes: Conflicts between the sources, and what the paper leaves open.
    """

    number: str
    title: str
    citation: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    epochs: int | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PaperTables(Paper):
    """A paper with its tables.

    Attributes:
        key: Names it on the command line.
        tables: In order.
        notes: What holds for all of them.
    """

    key: str
    tables: tuple[Table, ...]
    notes: tuple[str, ...] = ()


def row(
    columns: Sequence[Column],
    label: str,
    takes: Takes,
    *numbers: Number,
    small: RecipeRun | Network | str | None = None,
    measured: Mapping[str, str | None] | None = None,
    note: str = "",
) -> Row:
    """A row of these columns, a number each; the rest as in `Row`."""
    keys = [column.key for column in columns]
    return Row(
        label=label,
        numbers=dict(zip(keys, numbers, strict=True)),
        takes=takes,
        small=small,
        measured=measured or {},
        note=note,
    )
