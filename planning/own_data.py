"""Settings that follow from the data and the student, where nobody gave them: the table of numbers, and its use.

``TABLE`` holds every number. A row whose name is a setting is that setting's value; the functions below it compute with
the other rows. docs/defaults.md shows the table.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from .facts import SMALL_SIDE
from .following import BATCH, EPOCHS, FROM_SCRATCH, SIZE
from .plan import Budget, DataFacts
from .starting_weights import OwnInput

if TYPE_CHECKING:
    from .plan_builder import PlanBuilder

FINETUNE, DISTIL, FEATURES = "finetune", "function_matching", "features"
OURS = (FINETUNE, FROM_SCRATCH, DISTIL, FEATURES)
"""The recipes whose settings follow the table."""

BUDGETS: Mapping[Budget, float] = {"quick": 0.25, "normal": 1.0, "patient": 4.0}
"""Images seen, over those of the normal budget."""

SIZE_STEP = 32
"""An image size that follows the images' short side is a multiple of this, pixels: a network's usual stride."""

WEIGHTS, UNEQUAL = "objective.class_weights", 10
"""The setting that counts classes alike, and how many times the smallest class's images the largest has where a run
names it."""

SHORT = 30
"""Passes from which a training from random weights is long enough to be mixed."""

LEAVE: Any = ...
"""In the table: the recipe's own value stands."""


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        name: A setting, or what a function below calls it.
        finetune: Of ``finetune``.
        from_scratch: Of ``from_scratch``.
        taught_weights: Of ``function_matching`` where the student starts from weights.
        taught_scratch: Of ``function_matching`` where it starts from none.
        what: What it is, for docs/defaults.md.
        only: What it is for: ``short`` runs (fewer passes than ``SHORT``), ``small`` images (``SMALL_SIDE``), images
            with ``several`` classes each, or the set ``digits``; empty for all. A later row replaces an earlier one.
    """

    name: str
    finetune: Any
    from_scratch: Any
    taught_weights: Any
    taught_scratch: Any
    what: str
    only: Literal["", "short", "small", "several", "digits"] = ""


TABLE = (
    #    name                            finetune     from_scratch  taught: weights, scratch
    Row("passes", 10, 60, 10, 60, "passes over the images, normal budget"),
    Row("least_images", 8_000, 150_000, 8_000, 150_000, "images seen at least"),
    Row("most_passes", 100, 500, 100, 500, "passes at most, whatever the least"),
    Row("most_images", 1_500_000, math.inf, 1_500_000, math.inf, "images seen at most"),
    Row("least_passes", 3, 60, 3, 60, "passes at least, whatever the most"),
    Row("evaluations", 20, 20, 20, 20, "evaluations during the run, about"),
    Row("batch_divisor", 64, 64, 64, 64, "the batch is the power of two nearest to images / this"),
    Row("least_batch", 8, 8, 8, 8, "batch at least"),
    Row("most_batch", 128, 128, 128, 128, "batch at most"),
    Row("lr", 0.02, 0.1, 0.02, 0.1, "learning rate at the next row's batch, linear in the batch"),
    Row("lr_batch", 32, 128, 32, 128, "the batch of that learning rate"),
    Row("warmup_share", 0.05, 0.05, 0.05, 0.05, "share of the steps in which the rate rises"),
    Row("optimizer.weight_decay", 1e-4, 5e-4, 1e-4, 5e-4, "weight decay"),
    Row("training.ema_decay", None, None, None, None, "average of the weights"),
    Row("objective.label_smoothing", 0.0, 0.1, LEAVE, LEAVE, "label smoothing"),
    Row("objective.label_smoothing", LEAVE, 0.0, LEAVE, LEAVE, "label smoothing", only="several"),
    Row(
        "objective.probabilities",
        "sigmoid",
        "sigmoid",
        "sigmoid",
        "sigmoid",
        "outputs become probabilities by",
        only="several",
    ),
    Row("objective.temperature", LEAVE, LEAVE, 1.0, 2.0, "temperature"),
    Row("data.augmentation.crop", "random_resized", "random_resized", "random_resized", "random_resized", "crop"),
    Row("data.augmentation.crop", LEAVE, "pad4", LEAVE, "pad4", "crop", only="small"),
    Row("data.augmentation.scale", (0.35, 1.0), (0.25, 1.0), (0.35, 1.0), (0.25, 1.0), "share of the image in a crop"),
    Row("data.augmentation.hflip_prob", 0.5, 0.5, 0.5, 0.5, "probability of a mirrored image"),
    Row("data.augmentation.hflip_prob", 0.0, 0.0, 0.0, 0.0, "probability of a mirrored image", only="digits"),
    Row("data.mixing.mixup_prob", 0.0, 1.0, 0.0, 0.0, "share of the batches that MixUp mixes"),
    Row("data.mixing.mixup_prob", LEAVE, 0.0, LEAVE, LEAVE, "share of the batches that MixUp mixes", only="short"),
    Row("data.mixing.mixup_prob", LEAVE, 0.0, LEAVE, LEAVE, "share of the batches that MixUp mixes", only="small"),
    Row("data.mixing.mixup_alpha", LEAVE, 0.2, 1.0, 1.0, "MixUp's Beta parameter (1: uniform)"),
    Row("least_size", 0, 64, 0, 64, "image size at least, pixels, where the images have it"),
    Row("enlarged_size", 128, LEAVE, 128, LEAVE, "image size of smaller images, pixels, for weights made for as much"),
    Row("crop_pct", "weights", 0.95, "weights", 0.95, "evaluation's crop over the resized short side"),
    Row("crop_pct", 1.0, 1.0, 1.0, 1.0, "evaluation's crop over the resized short side", only="small"),
    Row("interpolation", "weights", "bilinear", "weights", "bilinear", "of every resize"),
    Row("teachers.view", LEAVE, LEAVE, "own", "own", "at what size a teacher sees a view"),
)


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What the table is read for.

    Attributes:
        recipe: One of ``OURS``.
        pretrained: Whether the student starts from weights.
        facts: Of the data.
        dataset: The data set's name.
        own: What the student's network, or its weights, expect of an image.
        passes: Of the run, where they are known.
    """

    recipe: str
    pretrained: bool
    facts: DataFacts
    dataset: str
    own: OwnInput
    passes: int | None = None

    @property
    def column(self) -> str:
        """The table's column."""
        if self.recipe not in (DISTIL, FEATURES):
            return self.recipe
        return "taught_weights" if self.pretrained else "taught_scratch"

    @property
    def small_side(self) -> int | None:
        """Side of the images, where they are small ones."""
        height, width = self.facts.native_size or (0, 0)
        return height if height == width and 0 < height <= SMALL_SIDE else None

    def cells(self) -> dict[str, tuple[Any, str]]:
        """``{row: (value, which images or which start it is for)}``."""
        start = "from its weights" if self.pretrained else "from random weights"
        reasons = {"": f"ours: a student {start}" if self.recipe == DISTIL else "ours: docs/defaults.md"}
        if self.passes is not None and self.passes < SHORT:
            reasons["short"] = f"ours: {self.passes} passes are too few to mix"
        if self.small_side is not None:
            reasons["small"] = f"data: every image has {self.small_side}×{self.small_side} px"
        if self.facts.multilabel:
            reasons["several"] = "data: an image may show several classes"
        if self.dataset == "digits":
            reasons["digits"] = "data: a mirrored digit is another sign"
        found: dict[str, tuple[Any, str]] = {}
        for row in TABLE:
            own = self.recipe == FEATURES and row.name.startswith(("data.mixing.", "optimizer."))
            value = LEAVE if own else getattr(row, self.column)
            if row.only in reasons and value is not LEAVE:
                found[row.name] = (value, reasons[row.only])
        return found

    def epochs(self, budget: Budget) -> int:
        """Passes over the images that a budget pays for."""
        images, number = self.facts.num_images or 1, {name: value for name, (value, _) in self.cells().items()}
        seen = min(number["passes"] * images, max(number["most_images"], number["least_passes"] * images))
        seen = min(max(seen, number["least_images"]), number["most_passes"] * images)
        return max(1, round(BUDGETS[budget] * seen / images))

    def batch_size(self) -> int:
        """Images in a batch: a power of two, never more than there are images."""
        images, number = self.facts.num_images or 1, {name: value for name, (value, _) in self.cells().items()}
        near = 2 ** max(0, round(math.log2(max(1.0, images / number["batch_divisor"]))))
        wanted = min(max(near, number["least_batch"]), number["most_batch"])
        return int(min(wanted, 2 ** int(math.log2(max(1, images)))))

    def image_size(self) -> tuple[int, str]:
        """Side of the crops and why: the network's own, and never much more than the images have."""
        own, side = self.own, self.facts.typical_side
        if own.fixed and self.pretrained:
            return own.image_size, f"student: its weights take {own.image_size} px alone"
        enlarged = self.cells()["enlarged_size"][0] if self.pretrained else 0
        if side is not None and side < enlarged <= own.image_size:
            return enlarged, f"ours: its weights, made for {own.image_size} px, see little at the images' {side} px"
        if self.small_side is not None:
            return self.small_side, f"data: every image has {self.small_side}×{self.small_side} px"
        least = self.cells()["least_size"][0]
        if own.image_size < least and side is not None and side >= least:
            return least, f"ours: the network's own {own.image_size} px show too little of images of about {side} px"
        if side is None or side >= own.image_size:
            return own.image_size, f"student: the network's own {own.image_size} px"
        return shrunk(side), f"data: the images' short side is about {side} px"


def shrunk(side: int) -> int:
    """The image size for images of a short side: a multiple of ``SIZE_STEP``, and no more than they have."""
    return max(SIZE_STEP, side // SIZE_STEP * SIZE_STEP)


def follow_own_data(builder: PlanBuilder, subject: Subject) -> None:
    """Put the table's values where nobody gave others, with the reason of each as its source."""
    facts, budget = subject.facts, builder.run.budget or "normal"
    if facts.num_images is not None:
        why = f"data: {facts.num_images:,} images, budget {budget}"
        subject = replace(subject, passes=builder.follow(EPOCHS, subject.epochs(budget), why))
    cells = subject.cells()
    number = {name: value for name, (value, _) in cells.items()}
    for name, (value, why) in cells.items():
        if name in builder.types:
            builder.follow(name, value, why if builder.values[name] != value else builder.sources[name])
    builder.follow(SIZE, *subject.image_size())
    _follow_evaluation(builder, subject)
    if facts.num_images is None:
        return
    epochs = subject.passes
    assert epochs is not None
    batch = builder.follow(BATCH, subject.batch_size(), f"data: {facts.num_images:,} images")
    lr = builder.follow("optimizer.lr", *_rate(builder, subject, batch))
    share = number["warmup_share"]
    builder.follow("schedule.warmup_epochs", round(share * epochs, 3), f"ours: {share:.0%} of {epochs} epochs")
    every = max(1, round(epochs / number["evaluations"]))
    builder.follow("training.evaluate_every_epochs", every, f"ours: about {number['evaluations']} in {epochs} epochs")
    builder.notes.append(
        f"{builder.base.name} on {facts.num_images:,} images: {epochs} epoch{'s' if epochs > 1 else ''} in batches of "
        f"{batch}, learning rate {lr:g}, {builder.values[SIZE]} px; --dry-run shows where each setting comes from"
    )
    flips = builder.values["data.augmentation.hflip_prob"]
    if flips and "data.augmentation.hflip_prob" not in builder.user_given:
        builder.notes.append(
            "images are mirrored at random; where left and right make another class (letters, signs): "
            "--set data.augmentation.hflip_prob=0"
        )
    least, most = facts.class_sizes or (1, 1)
    if (
        most >= UNEQUAL * least
        and not facts.multilabel
        and builder.values.get(WEIGHTS, "balanced") is None
        and WEIGHTS not in builder.user_given
    ):
        builder.notes.append(
            f"classes have {least:,} to {most:,} images: rare ones are easily never answered; "
            f"--set {WEIGHTS}=balanced counts each class alike"
        )


def _rate(builder: PlanBuilder, subject: Subject, batch: int) -> tuple[float, str]:
    """The learning rate of a batch, and why; that of ``features`` is its recipe's, for AdamW."""
    if subject.recipe == FEATURES:
        rate, at = builder.values["optimizer.lr"] * (1 if subject.pretrained else 4), int(builder.before[BATCH])
        return rate * math.sqrt(batch / at), f"ours: {rate:g} at a batch of {at}, by its square root, as Adam takes it"
    number = {name: value for name, (value, _) in subject.cells().items()}
    why = f"ours: {number['lr']:g} at a batch of {number['lr_batch']}, linear in the batch"
    return number["lr"] * batch / number["lr_batch"], why


def _follow_evaluation(builder: PlanBuilder, subject: Subject) -> None:
    """The resize and crop of evaluation, and the training crop's resize."""
    cells, own = subject.cells(), subject.own
    values: dict[str, tuple[Any, str]] = {}
    for name, theirs in (("crop_pct", min(own.crop_pct, 1.0)), ("interpolation", own.interpolation)):
        value, why = cells[name]
        values[name] = (theirs, "student: as its weights were evaluated") if value == "weights" else (value, why)
    builder.follow("data.evaluation.crop_pct", *values["crop_pct"])
    for path in ("data.evaluation.interpolation", "data.augmentation.interpolation"):
        builder.follow(path, *values["interpolation"])


def table_lines() -> Iterator[str]:
    """docs/defaults.md's table."""
    heads = ("`finetune`", "`from_scratch`", "`function_matching` from weights", "`function_matching` from scratch")
    yield f"| what | images | {' | '.join(heads)} |"
    yield "| --- " * (2 + len(heads)) + "|"
    for row in TABLE:
        cells = (row.finetune, row.from_scratch, row.taught_weights, row.taught_scratch)
        where = {
            "": "all",
            "short": f"runs of less than {SHORT} passes",
            "small": f"of one size up to {SMALL_SIDE} px",
            "several": "with several classes",
            "digits": "`digits`",
        }[row.only]
        yield "| " + " | ".join([f"{row.what} (`{row.name}`)", where, *map(_shown, cells)]) + " |"


def _shown(value: Any) -> str:
    if value is LEAVE:
        return ""
    if isinstance(value, tuple):
        return " to ".join(f"{one:g}" for one in value)
    if isinstance(value, int | float):
        return "no limit" if value == math.inf else f"{value:,}" if isinstance(value, int) else f"{value:g}"
    return {None: "off", "weights": "as its weights"}.get(value, str(value))


if __name__ == "__main__":
    print("\n".join(table_lines()))
