"""``kdzoo transfer``: finds the command of a task. Reading the table of tasks imports none of them."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any, NamedTuple, cast

import click
from click.shell_completion import CompletionItem

from .commands import VerbGroup, unknown

CLASSIFICATION, DETECTION, SEGMENTATION = "Classification", "Detection", "Segmentation"
SECTIONS = (CLASSIFICATION, DETECTION, SEGMENTATION)
COMMANDS = {
    CLASSIFICATION: ("transfer_classification", "command"),
    DETECTION: ("transfer_dense", "detection"),
    SEGMENTATION: ("transfer_dense", "segmentation"),
}
"""Module and name of each kind's click command, which finds its task's text in ``ctx.info_name``."""


class Task(NamedTuple):
    """One task.

    Attributes:
        section: What kind it is.
        summary: One line.
    """

    section: str
    summary: str


TASKS: dict[str, Task] = {
    "digits": Task(CLASSIFICATION, "The embedded images, for a first look: needs nothing."),
    "cifar10": Task(CLASSIFICATION, "CIFAR-10: 50,000 and 10,000 images, 10 classes."),
    "cifar100": Task(CLASSIFICATION, "CIFAR-100: 50,000 and 10,000 images, 100 classes."),
    "voc2007": Task(CLASSIFICATION, "PASCAL VOC 2007: 5,011 and 4,952 images, 20 classes, several an image."),
    "cub200": Task(CLASSIFICATION, "CUB-200-2011: 5,994 and 5,794 images of 200 birds."),
    "birdsnap": Task(CLASSIFICATION, "Birdsnap: 47,386 and 2,443 images of 500 birds."),
    "aircraft": Task(CLASSIFICATION, "FGVC-Aircraft: 6,667 and 3,333 images, 100 variants."),
    "dtd": Task(CLASSIFICATION, "Describable textures: 3,760 and 1,880 images, 47 classes."),
    "sun397": Task(CLASSIFICATION, "SUN397: 19,850 and 19,850 images, 397 scenes."),
    "coco": Task(DETECTION, "COCO 2017, boxes of 80 classes; coco:PATH for data of your own in its format."),
    "voc2007-detection": Task(DETECTION, "PASCAL VOC 2007: 5,011 and 4,952 images, boxes of 20 classes."),
    "cityscapes": Task(SEGMENTATION, "Cityscapes: 2,975 and 500 images, 19 classes."),
    "voc2012": Task(SEGMENTATION, "PASCAL VOC 2012: 1,464 and 1,449 images, 20 classes and the background."),
    "ade20k": Task(SEGMENTATION, "ADE20K: 20,210 and 2,000 images, 150 classes."),
    "masks": Task(SEGMENTATION, "masks:PATH, your own images and masks."),
}

SHARDS = ("wds", "hf")
"""Class data that lies in tar shards or in parquet: ``wds:PATH``, ``hf:NAME``."""


class Transfer(VerbGroup):
    """Loads the command of one kind of task at a time; what is no known name is data with class folders."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(TASKS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        name, _, _ = cmd_name.partition(":")
        places = (cmd_name, cmd_name.partition("@")[0])  # photos@val-share=0.1
        if name not in (*TASKS, *SHARDS) and not any(map(os.path.exists, places)):
            return None
        section = TASKS[name].section if name in TASKS else CLASSIFICATION
        module, name = COMMANDS[section]
        return cast("click.Command", getattr(import_module(f"{__package__}.{module}"), name))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        command = self.get_command(ctx, args[0])
        if command is None:
            raise click.UsageError(
                unknown("task", args[0], list(TASKS)) + "; a folder of class folders is one too", ctx
            )
        return args[0], command, args[1:]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, TASKS))
        for section in SECTIONS:
            rows = [(f"{name:<{width}}", task.summary) for name, task in TASKS.items() if task.section == section]
            if rows:
                with formatter.section(section):
                    formatter.write_dl(rows)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(name, help=task.summary) for name, task in TASKS.items() if name.startswith(incomplete)]


@click.command(
    cls=Transfer,
    name="transfer",
    subcommand_metavar="TASK …",
    examples=[
        (
            "kdzoo transfer cifar100 --backbone runs/student --baseline runs/baseline",
            "Fine-tune both on the same views; the difference with its interval.",
        ),
        ("kdzoo transfer photos/ --backbone ssld_resnet50d --mode linear", "A linear probe on your own class folders."),
    ],
)
def command(**_: Any) -> None:
    """Measure whether a backbone carries over to another task, beside its baseline.

    TASK is a name below, NAME:PATH for one that lies elsewhere than in $KDZOO_DATA/NAME, or class images of your own as
    every verb takes them: a folder, photos@val-share=0.1, wds:PATH, hf:NAME.
    'kdzoo transfer TASK --help' shows the options of its kind.
    """
