"""``kdzoo data pack``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from ..base.setting_values import Count
from .commands import VerbCommand
from .completion import DATA
from .options import json_option
from .output import print_fields, print_json, work
from .settings import within


@click.command(
    cls=VerbCommand,
    examples=[
        ("kdzoo data pack photos photos-shards", "photos-shards/train-000000.tar, …, val-000000.tar, …"),
        ("kdzoo train --model resnet18 --data wds:photos-shards", "The same run as with --data photos."),
        ("kdzoo data pack imagenet /nvme/imagenet --images-per-shard 5000", "$KDZOO_DATA/imagenet, in 267 files."),
    ],
)
@click.argument("spec", type=DATA)
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--images-per-shard", type=within(Count), metavar="N", default=1000, show_default=True, help="In each file."
)
@json_option
def pack(spec: str, out: Path, images_per_shard: int, as_json: bool) -> None:
    """Write the images of a data set as tar shards, for file systems that are slow with many files.

    OUT gets a .tar file for every thousand images, as webdataset and timm read them, and is read as wds:OUT: in the
    same order, under the same names. The images' bytes stay as they are, and the same images give the same shards. An
    interrupted call goes on when it is given again.
    """
    from .. import pack_data

    with work():
        done = pack_data(spec, out, images_per_shard=images_per_shard)
    if as_json:
        print_json({**asdict(done), "out": str(out)})
        return
    print_fields(
        {
            **{split: f"{count:,} images" for split, count in done.num_images.items()},
            "shards": f"{done.num_written:,} written, {done.num_shards - done.num_written:,} were there",
            "folder": str(out),
            "data spec": f"wds:{out}",
        }
    )
