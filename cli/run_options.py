"""The options that ``train``, ``distill`` and ``label`` share, and what they mean in a plan."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import click

from ..base.errors import UsageError
from ..base.setting_values import Epochs
from ..base.settings import Given
from .completion import DATA
from .config_file import config_option
from .options import COUNT, PIXELS, PRECISION, SEED, SHARE, WORKERS, option, section, stacked, tracker_option
from .settings import CONFIG_KEY, given_by, given_settings, set_option, setting, within

WHAT, HOW, WHERE = "What", "How", "The run"
_CODE = re.compile(r"\.py\b", re.IGNORECASE)
_ARGUMENTS = ("variants", "out", "resume", "stage", "trust_teacher", "trackers", "form")
"""What the verbs' functions take beside settings."""

_WHAT_AND_HOW = stacked(
    section(
        WHAT,
        setting("--data", metavar="SPEC", type=DATA, help="Training images."),
        setting(
            "--val-data", metavar="SPEC", type=DATA, help="Held-out images; the validation split of --data by default."
        ),
        setting(
            "--val-share",
            type=SHARE,
            metavar="FRACTION",
            help="Hold this share of each class of --data out, which has no validation images; always the same ones.",
        ),
        setting("--unlabeled", metavar="SPEC", type=DATA, help="Further images, without labels."),
    ),
    section(
        HOW,
        setting("--epochs", type=within(Epochs), metavar="N", help="Passes over the training images."),
        setting(
            "--budget",
            metavar="BUDGET",
            type=click.Choice(["quick", "normal", "patient"]),
            help="In place of --epochs: quick, normal or patient, four times as many images each.",
        ),
        setting("--exact", is_flag=True, help="A paper's recipe keeps the paper's values on other data."),
        setting("--batch-size", type=COUNT, metavar="N", help="Images in a batch, all processes together."),
        setting("--image-size", type=PIXELS, metavar="PIXELS", help="Side of training and evaluation crops."),
        setting(
            "--variant",
            "variants",
            multiple=True,
            metavar="NAME",
            help="A variant of the recipe, see 'kdzoo recipes show'. Repeatable.",
        ),
        set_option("of the recipe, such as optimizer.lr=0.02"),
        setting(
            "--precision",
            type=click.Choice([*PRECISION.choices, "auto"]),
            help="Of the forward pass; auto is bf16 on a GPU that has it, else the recipe's.",
        ),
        setting("--seed", type=SEED, metavar="N", help="Of every random choice.  [default: 0]"),
    ),
    section(
        WHERE,
        setting("--out", metavar="DIR", help="The run's folder; under runs/ by default."),
        setting("--resume", is_flag=True, help="Go on with the run in --out, or start it where there is none."),
        setting("--stage", metavar="NAME", help="Run one stage of a recipe that has stages."),
        setting("--workers", type=WORKERS, metavar="N", help="Processes that read images; no result depends on it."),
        setting("--device", metavar="NAME", help="auto, cpu, cuda or cuda:N.  [default: auto]"),
        setting(
            "--trust-teacher",
            is_flag=True,
            help="Go on although a teacher does not reach the accuracy that it promises.",
        ),
    ),
)
_SHOWN = stacked(
    config_option,
    option(
        "--dry-run",
        is_flag=True,
        help="Say whether the run could start, what it costs and what differs from the recipe; start nothing.",
    ),
    option("--all", "every_setting", is_flag=True, help="With --dry-run: show every setting."),
    option("--json", "as_json", is_flag=True, help="End with one JSON document on stdout."),
)

run_options = stacked(_WHAT_AND_HOW, section(WHERE, tracker_option, _SHOWN))
"""The shared options, in the order in which the help shows them."""

label_options = stacked(_WHAT_AND_HOW, section(WHERE, _SHOWN))
"""As `run_options`, without those that only a student needs."""

teacher_option = setting(
    "--teacher",
    "teachers",
    multiple=True,
    metavar="REF",
    help="A teacher; mine.py:FUNCTION is one of your own. Repeatable; the recipe's own by default.",
)
teacher_classes_option = setting(
    "--teacher-classes",
    multiple=True,
    metavar="ORDER|FILE",
    help="The order of the classes of a teacher that does not name them: natural (class2 before class10, as timm), "
    "string (class10 before class2, as torchvision), data (the data's own), or a text file of the names; or a file of "
    "lines 'data's class, tab, teacher's class or number'. Once for all such teachers, or once each.",
)


def run_arguments(ctx: click.Context) -> dict[str, Any]:
    """What was given, as the verbs' functions take it; see `given_settings`.

    Raises:
        UsageError: One layer says two things of one setting (``--epochs 3 --set training.epochs=4``); or a config file
            names Python.
    """
    from ..runs import SETTING_OF

    settings = given_settings(ctx, SETTING_OF, rivals=("training.epochs", "run.budget"))
    _refuse_code(ctx, settings)
    share = ctx.params["val_share"]
    arguments = {name: ctx.params[name] for name in _ARGUMENTS if name in ctx.params}
    arguments["val_share"] = None if share is None else Given(share, str(given_by(ctx, "val_share")))
    return {**arguments, "settings": settings}


def _refuse_code(ctx: click.Context, settings: Mapping[str, Given]) -> None:
    """A config file is read where it lies, and may come with data or a run of somebody's: it gets no Python run.

    Raises:
        UsageError: It names some.
    """
    recipe = Given(ctx.params.get("recipe") or "", str(given_by(ctx, "recipe")))
    named = [recipe, *(entry for path, entry in settings.items() if path.endswith("teachers.models"))]
    config = ctx.meta.get(CONFIG_KEY)
    for value, source in named:
        if config is not None and source == config.path and _CODE.search(str(value)):
            raise UsageError(
                f"{source} names Python ({value}), which is run where you name it only",
                hint="if you know the file, name it on the command line: --recipe, --teacher",
            )
