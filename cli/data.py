"""``kdzoo data``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..base.setting_values import Count
from .commands import VerbCommand, VerbGroup
from .completion import DATA
from .data_pack import pack
from .options import SEED, SHARE, WORKERS, json_option
from .output import echo, print_fields, print_json, print_rows, work
from .settings import setting, within

if TYPE_CHECKING:
    from .. import CheckReport

_SHOWN = 20


@click.group(cls=VerbGroup, name="data")
def command() -> None:
    """Data sets: check one before training on it, unpack a Hub copy, pack shards, make one with a generator."""


command.add_command(pack)


@command.command(
    cls=VerbCommand,
    examples=[
        ("kdzoo data check imagenet", "$KDZOO_DATA/imagenet, against ILSVRC 2012's counts."),
        ("kdzoo data check coco:PATH", "Boxes: every entry of the annotations and every image."),
        ("kdzoo data check cityscapes:PATH", "Masks: every image, and every mask's ids and size."),
        ("kdzoo data check photos/", "Class folders in photos/train and photos/val."),
        ("kdzoo data check photos/ --val-share 0.1", "Class folders in photos itself, a tenth of each held out."),
    ],
)
@click.argument("spec", type=DATA)
@click.option("--unlabeled", is_flag=True, help="SPEC is a folder of images without labels.")
@setting(
    "--val-share",
    type=SHARE,
    metavar="FRACTION",
    help="As training does: hold out this share of each class.",
)
@setting("--workers", type=WORKERS, metavar="N", help="Processes that decode images; one a core by default.")
@json_option
@click.pass_context
def check(
    ctx: click.Context, spec: str, unlabeled: bool, val_share: float | None, workers: int | None, as_json: bool
) -> None:
    """Decode every image of a data set, count its classes, and say what is wrong with it.

    Exits with 1 where something is wrong.
    """
    from .. import check_data

    with work():
        report = check_data(spec, unlabeled=unlabeled, val_share=val_share, workers=workers, progress=_progress())
    if as_json:
        print_json(report.to_json())
    else:
        _show(report)
    ctx.exit(0 if report.ok else 1)


@command.command(
    cls=VerbCommand,
    examples=[
        ("kdzoo data generate runs/gan transfer-set/ --num-images 10000", "With a generator that class_gan trained."),
        (
            "kdzoo distill --recipe xcl_gan --variant offline --unlabeled transfer-set/ …",
            "Half of each batch is from it.",
        ),
    ],
)
@click.argument("generator")
@click.argument("folder", type=click.Path(path_type=Path))
@setting("--num-images", type=within(Count), metavar="N", default=10_000, show_default=True, help="How many.")
@setting("--seed", type=SEED, metavar="N", default=0, show_default=True, help="Of every random choice.")
@click.option("--single-classes", is_flag=True, help="Images of one class each, in place of two mixed ones.")
def generate(generator: str, folder: Path, num_images: int, seed: int, single_classes: bool) -> None:
    """Write a transfer set: images that GENERATOR makes between two classes each, into FOLDER.

    GENERATOR is the run folder of the recipe class_gan, or a generator's own folder. An interrupted call goes on where
    it stopped.
    """
    from .. import generate_data

    with work():
        written = generate_data(generator, folder, num_images=num_images, seed=seed, single_classes=single_classes)
    print_fields({"images": f"{written:,} written, {num_images - written:,} were there", "folder": str(folder)})


def _split_pairs(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> list[tuple[str, str]]:
    pairs = []
    for value in values:
        folder, equals, name = value.partition("=")
        if folder not in ("train", "val", "test") or not equals or not name:
            raise click.BadParameter(f"{value!r} is not train=NAME, val=NAME or test=NAME", ctx=ctx, param=param)
        pairs.append((folder, name))
    return pairs


@command.command(
    cls=VerbCommand,
    examples=[
        ("hf download --repo-type dataset tanganke/dtd --local-dir dtd-hub", "First get the copy: 630 MB of parquet."),
        ("kdzoo data unpack dtd-hub dtd", "dtd/train/banded/0000000.jpg, …, dtd/test/zigzagged/…"),
        ("kdzoo data check dtd:dtd", "Against the official counts and classes."),
        ("kdzoo data unpack hub out --label-column fine_label", "One of several labels."),
        ("kdzoo data unpack hub out --split train=train --split val=dev", "These splits only, as train/ and val/."),
    ],
)
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--image-column", metavar="NAME", help="Holds the images, where more than one column could.")
@click.option("--label-column", metavar="NAME", help="Holds the classes, where more than one column could.")
@click.option("--config", metavar="NAME", help="The configuration, where the copy has several.")
@click.option(
    "--split",
    "splits",
    multiple=True,
    callback=_split_pairs,
    metavar="FOLDER=NAME",
    help="Write the copy's split NAME as train, val or test. May be repeated; by default those with usual names.",
)
@json_option
def unpack(folder: Path, out: Path, as_json: bool, **how: Any) -> None:
    """Write a data set that was downloaded from the Hugging Face Hub as class folders.

    FOLDER holds its parquet files; OUT gets train/, val/ and test/ with a folder a class. The images' bytes stay as
    they are, and each is decoded once. An interrupted call goes on when it is given again. Needs pyarrow:
    pip install 'kdzoo[hub-data]'.
    """
    from .. import unpack_data

    with work():
        done = unpack_data(folder, out, **how)
    there = sum(done.num_images.values()) - done.num_written
    document = {**asdict(done), "out": str(out)}
    if unverified := document.pop("num_unverified"):
        echo(
            f"note: the copy records no digest of {unverified} of its files: a changed bit inside an image can stay "
            "unnoticed ('hf download --local-dir' records them)",
            err=True,
        )
    if as_json:
        print_json(document)
        return
    print_fields(
        {
            **{f"{name}/": f"{count:,} images" for name, count in done.num_images.items()},
            "classes": done.num_classes,
            "images": f"{done.num_written:,} written, {there:,} were there",
            "folder": str(out),
        }
    )
    for warning in done.warnings:
        echo(f"warning: {warning}")


def _progress() -> Callable[[str, int, int], None]:
    last = {"tenth": -1}

    def show(split: str, done: int, total: int) -> None:
        tenth = 10 * done // max(total, 1)
        if done == total or (total >= 10_000 and tenth != last["tenth"]):
            echo(f"{split}: {done:,} of {total:,} images decoded", err=True)
        last["tenth"] = tenth

    return show


def _below(folder: str | None, path: str | None) -> str | None:
    """A split's folder as seen from the data set's; None where it is that folder itself."""
    if folder is None or path is None or folder == path or not Path(folder).is_relative_to(path):
        return None
    return f"{Path(folder).relative_to(path)}/"


def _counts(class_counts: dict[str, int]) -> str:
    """``cat 6, dog 5``: all of them, or the smallest where there are many."""
    if len(class_counts) <= _SHOWN:
        return ", ".join(f"{name} {count:,}" for name, count in class_counts.items())
    smallest = sorted(class_counts.items(), key=lambda item: item[1])[:5]
    fewest = ", ".join(f"{name} {count:,}" for name, count in smallest)
    return f"fewest {fewest} (--json lists all {len(class_counts):,})"


def _show(report: CheckReport) -> None:
    print_fields({"data": report.spec, "path": report.path or "embedded"})
    rows = [
        {
            "split": split.split,
            "folder": _below(split.folder, report.path),
            "images": split.num_images,
            "classes": len(split.class_counts) or None,
            "smallest": min(split.class_counts.values(), default=None),
            "largest": max(split.class_counts.values(), default=None),
            "unreadable": len(split.unreadable),
            "expected": split.expected and f"{split.expected[0]} in {split.expected[1]}",
        }
        for split in report.splits
    ]
    columns = (
        "split",
        *(("folder",) if any(row["folder"] for row in rows) else ()),
        "images",
        "classes",
        "smallest",
        "largest",
        "unreadable",
        "expected",
    )
    headings = {"smallest": "smallest class", "largest": "largest class", "expected": "expected images"}
    if rows:
        print_rows(rows, {name: headings.get(name, name) for name in columns}, "table")
    for split in report.splits:
        if split.class_counts:
            echo(f"images a class: {split.split}: {_counts(split.class_counts)}")
    for note in report.notes:
        echo(f"note: {note}")
    for split in report.splits:
        for identity, reason in split.unreadable[:_SHOWN]:
            echo(f"unreadable: {split.split}: {identity}: {reason}")
        if len(split.unreadable) > _SHOWN:
            echo(f"unreadable: {split.split}: and {len(split.unreadable) - _SHOWN} more (--json lists them all)")
    for warning in report.warnings:
        echo(f"warning: {warning}")
    for problem in report.problems:
        echo(f"problem: {problem}")
    echo("ok" if report.ok else "not ok")
