"""The options that ``train``, ``distill`` and ``label`` share, and what they mean in a plan."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..base.errors import UsageError
from ..base.setting_values import Count, Epochs, Pixels, Seed, Workers
from .commands import SectionOption
from .completion import DATA
from .settings import config_option, setting, source_of, strength, within

if TYPE_CHECKING:
    from ..planning.plan import Given

WHAT, HOW, WHERE = "What", "How", "The run"

_SETTINGS = {
    "model": "student.model",
    "student": "student.model",
    "teacher": "teachers.models",
    "data": "data.dataset",
    "val_data": "data.val_dataset",
    "labels": "run.labels",
    "teacher_classes": "run.teacher_classes",
    "unlabeled": "data.unlabeled",
    "image_size": "data.augmentation.image_size",
    "epochs": "training.epochs",
    "batch_size": "training.batch_size",
    "precision": "training.precision",
    "seed": "run.seed",
    "workers": "run.workers",
    "device": "run.device",
}
"""The plan's setting behind each parameter."""

Function = TypeVar("Function", bound=Callable[..., Any])


def run_options(function: Function) -> Function:
    """Adds the shared options, in the order in which the help shows them."""
    for option in reversed(_options()):
        function = option(function)
    return function


def label_options(function: Function) -> Function:
    """As `run_options`, without those that only a student needs."""
    for option in reversed(_options(trackers=False)):
        function = option(function)
    return function


def _options(*, trackers: bool = True) -> list[Callable[[Function], Function]]:
    tracker = setting(
        "--tracker",
        multiple=True,
        type=click.Choice(["tensorboard", "wandb"]),
        section=WHERE,
        help="Log there too. Repeatable; needs kdzoo[trackers].",
    )
    return [
        setting("--data", env="KDZOO_DATASET", metavar="SPEC", section=WHAT, type=DATA, help="Training images."),
        setting(
            "--val-data",
            env="KDZOO_VAL_DATASET",
            metavar="SPEC",
            section=WHAT,
            type=DATA,
            help="Held-out images; the validation split of --data by default.",
        ),
        setting(
            "--val-share",
            type=click.FloatRange(min=0, max=1, min_open=True, max_open=True),
            metavar="FRACTION",
            section=WHAT,
            help="Hold this share of each class of --data out, which has no validation images; always the same ones.",
        ),
        setting("--unlabeled", metavar="SPEC", section=WHAT, type=DATA, help="Further images, without labels."),
        setting("--epochs", type=within(Epochs), metavar="N", section=HOW, help="Passes over the training images."),
        setting(
            "--batch-size",
            type=within(Count),
            metavar="N",
            section=HOW,
            help="Images in a batch, all processes together.",
        ),
        setting(
            "--image-size",
            type=within(Pixels),
            metavar="PIXELS",
            section=HOW,
            help="Side of training and evaluation crops.",
        ),
        setting(
            "--variant",
            multiple=True,
            metavar="NAME",
            section=HOW,
            help="A variant of the recipe, see 'kdzoo recipes show'. Repeatable.",
        ),
        setting(
            "--set",
            "assignments",
            multiple=True,
            metavar="KEY=VALUE",
            section=HOW,
            help="Any setting of the recipe, such as optimizer.lr=0.02. Repeatable.",
        ),
        setting("--precision", type=click.Choice(["fp32", "bf16", "fp16"]), section=HOW, help="Of the forward pass."),
        setting("--seed", type=within(Seed), metavar="N", section=HOW, help="Of every random choice.  [default: 0]"),
        setting("--out", metavar="DIR", section=WHERE, help="The run's folder; under runs/ by default."),
        setting(
            "--resume",
            is_flag=True,
            section=WHERE,
            help="Go on with the run in --out, or start it where there is none.",
        ),
        setting("--stage", metavar="NAME", section=WHERE, help="Run one stage of a recipe that has stages."),
        setting(
            "--workers",
            type=within(Workers),
            metavar="N",
            section=WHERE,
            help="Processes that read images; no result depends on it.",
        ),
        setting("--device", metavar="NAME", section=WHERE, help="auto, cpu, cuda or cuda:N.  [default: auto]"),
        setting(
            "--trust-teacher",
            is_flag=True,
            section=WHERE,
            help="Go on although a teacher does not reach the accuracy that it promises.",
        ),
        *([tracker] if trackers else []),
        config_option(section=WHERE),
        click.option(
            "--dry-run",
            is_flag=True,
            cls=SectionOption,
            section=WHERE,
            help="Show what the run would do and cost, and where each setting comes from; start nothing.",
        ),
        click.option(
            "--json",
            "as_json",
            is_flag=True,
            cls=SectionOption,
            section=WHERE,
            help="End with one JSON document on stdout.",
        ),
    ]


def teacher_classes_option(function: Function) -> Function:
    """``--teacher-classes``, of the verbs that run teachers."""
    return setting(
        "--teacher-classes",
        multiple=True,
        metavar="ORDER|FILE",
        section=WHAT,
        help="The order of the classes of a teacher that does not name them: natural (class2 before class10, as timm), "
        "string (class10 before class2, as torchvision), data (the data's own), or a text file of the names. Once for "
        "all such teachers, or once each.",
    )(function)


def given_settings(ctx: click.Context) -> dict[str, Given]:
    """What flags, environment and config file say, an entry a setting: the strongest layer wins.

    Raises:
        UsageError: One layer says two things of one setting (``--epochs 3 --set training.epochs=4``).
    """
    from ..planning.plan import Given, parse_set

    given: dict[str, Given] = {}
    layer: dict[str, int] = {}
    for name, path in _SETTINGS.items():
        source = source_of(ctx, name) if name in ctx.params else None
        value = ctx.params.get(name)
        if source is not None and value not in (None, ()):
            given[path] = Given(value, source)
            layer[path] = strength(ctx, name)
    source, level = source_of(ctx, "assignments"), strength(ctx, "assignments")
    for path, assigned in parse_set(ctx.params["assignments"]).items():
        rival = given.get(path)
        if rival is None or level > layer[path]:
            given[path] = Given(assigned.value, source or "--set")
        elif level == layer[path]:
            raise UsageError(f"{path} is set twice: by {rival.source} and by {source}", hint="leave one of them out")
    share = ctx.params.get("val_share")
    if share is not None:
        given["data.dataset"] = _with_share(given, share, str(source_of(ctx, "val_share")))
    return given


def _with_share(given: dict[str, Given], share: float, source: str) -> Given:
    """The training data of which a share is held out."""
    from ..data.specs import with_val_share
    from ..planning.plan import Given

    data = given.get("data.dataset")
    if data is None or "data.val_dataset" in given:
        what = "no --data to hold images out of" if data is None else "--val-data has validation images"
        raise UsageError(f"{source}: {what}", hint="--val-share goes with --data PHOTOS and without --val-data")
    return Given(with_val_share(str(data.value), share), f"{data.source}, {source}")
