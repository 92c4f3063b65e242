"""The options that ``train``, ``distill`` and ``label`` share, and what they mean in a plan."""

from __future__ import annotations

import click

from ..base.errors import UsageError
from ..base.setting_values import Epochs
from ..base.settings import Given
from .completion import DATA
from .config_file import config_option
from .options import COUNT, PIXELS, PRECISION, SEED, SHARE, WORKERS, option, section, stacked
from .settings import given_by, given_settings, set_option, setting, within

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
    "budget": "run.budget",
    "exact": "run.exact",
    "batch_size": "training.batch_size",
    "precision": "training.precision",
    "seed": "run.seed",
    "workers": "run.workers",
    "device": "run.device",
}
"""The plan's setting behind each parameter."""

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
            multiple=True,
            metavar="NAME",
            help="A variant of the recipe, see 'kdzoo recipes show'. Repeatable.",
        ),
        set_option("of the recipe, such as optimizer.lr=0.02"),
        setting("--precision", type=PRECISION, help="Of the forward pass."),
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
_TRACKER = setting(
    "--tracker",
    multiple=True,
    type=click.Choice(["tensorboard", "wandb"]),
    help="Log there too. Repeatable; needs kdzoo[trackers].",
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

run_options = stacked(_WHAT_AND_HOW, section(WHERE, _TRACKER, _SHOWN))
"""The shared options, in the order in which the help shows them."""

label_options = stacked(_WHAT_AND_HOW, section(WHERE, _SHOWN))
"""As `run_options`, without those that only a student needs."""

teacher_option = setting(
    "--teacher", multiple=True, metavar="REF", help="A teacher. Repeatable; the recipe's own by default."
)
teacher_classes_option = setting(
    "--teacher-classes",
    multiple=True,
    metavar="ORDER|FILE",
    help="The order of the classes of a teacher that does not name them: natural (class2 before class10, as timm), "
    "string (class10 before class2, as torchvision), data (the data's own), or a text file of the names; or a file of "
    "lines 'data's class, tab, teacher's class or number'. Once for all such teachers, or once each.",
)


def run_settings(ctx: click.Context) -> dict[str, Given]:
    """What was given of the run's and the recipe's settings; see `given_settings`.

    Raises:
        UsageError: One layer says two things of one setting (``--epochs 3 --set training.epochs=4``).
    """
    given = given_settings(ctx, _SETTINGS, rivals=("training.epochs", "run.budget"))
    share = ctx.params.get("val_share")
    if share is not None:
        given["data.dataset"] = _with_share(given, share, str(given_by(ctx, "val_share")))
    return given


def _with_share(given: dict[str, Given], share: float, source: str) -> Given:
    """The training data of which a share is held out."""
    from ..base.settings import Given
    from ..data.specs import with_val_share

    data = given.get("data.dataset")
    if data is None or "data.val_dataset" in given:
        what = "no --data to hold images out of" if data is None else "--val-data has validation images"
        raise UsageError(f"{source}: {what}", hint="--val-share goes with --data PHOTOS and without --val-data")
    return Given(with_val_share(str(data.value), share), f"{data.source}, {source}")
