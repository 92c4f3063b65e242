"""``kdzoo data`` as functions: check a set, unpack one that the Hub keeps, pack one into shards, generate one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .base.errors import Interrupted

if TYPE_CHECKING:
    from .data import CheckReport
    from .data.hub_copy import Unpacked
    from .data.shards.pack import Packed


def check_data(
    spec: str,
    *,
    unlabeled: bool = False,
    val_share: float | None = None,
    workers: int | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> CheckReport:
    """Decode every image of a data set of classes, boxes or masks, count its classes, and say what is wrong with it.

    Args:
        spec: A data spec.
        unlabeled: Whether it is a folder of images without labels.
        val_share: Hold this share of each class out, as training does.
        workers: Processes that decode; by default one a core.
        progress: Called with (split, images done, images of the split) as it goes on.

    Raises:
        DataError, UsageError: There is nothing to check: an unknown name, no such folder, or no split at all.
    """
    from .data import check_source
    from .data.detection import check_detection, is_detection_spec
    from .data.segmentation import check_segmentation, is_segmentation_spec
    from .data.specs import with_val_share

    spec = spec if val_share is None else with_val_share(spec, val_share)
    if is_detection_spec(spec) and not unlabeled:
        return check_detection(spec, workers=workers, progress=progress)
    if is_segmentation_spec(spec) and not unlabeled:
        return check_segmentation(spec, workers=workers, progress=progress)
    return check_source(spec, workers=workers, progress=progress, split="unlabeled" if unlabeled else None)


def unpack_data(
    folder: str | Path,
    out: str | Path,
    *,
    image_column: str | None = None,
    label_column: str | None = None,
    config: str | None = None,
    splits: Sequence[tuple[str, str]] = (),
) -> Unpacked:
    """Write a data set that was downloaded from the Hugging Face Hub as class folders; progress goes to stderr.

    Args:
        folder: Holds its parquet files.
        out: Gets ``train/``, ``val/`` and ``test/`` with a folder a class. Called again, an interrupted call goes on.
        image_column: Holds the images, where more than one column could.
        label_column: Holds the classes, where more than one column could.
        config: The configuration, where the copy has several.
        splits: (``train``, ``val`` or ``test``, split of the copy) pairs, where the usual names do not say it.

    Raises:
        DataError: The copy is damaged, incomplete or no image data set, or ``out`` holds something else.
        UsageError: Something has to be chosen.
        RunError: pyarrow is missing, the disk is full, or ``out`` cannot be written.
        Interrupted: Ctrl-C was pressed; what is unpacked stays.
    """
    from .data.hub_copy import unpack

    columns = {"image_column": image_column, "label_column": label_column}
    with _progress("unpacking", 1) as show:
        return unpack(Path(folder), Path(out), config=config, splits=splits, progress=show, **columns)


def pack_data(spec: str, out: str | Path, *, images_per_shard: int = 1000) -> Packed:
    """Write the images of a data set as tar shards, which ``wds:OUT`` reads in the same order under the same names.

    Args:
        spec: A data spec.
        out: Must not be there, or be empty, or be what this call would make. An interrupted call goes on.
        images_per_shard: Of each shard but a split's last.

    Raises:
        DataError: An image cannot be read, or ``out`` holds something else.
        Interrupted: Ctrl-C was pressed; the shards that are whole stay.
    """
    from .data.check import splits_of
    from .data.shards.pack import pack
    from .data.specs import open_source, parse_data_spec

    parsed = parse_data_spec(spec)
    sources = {split: open_source(parsed, split) for split in splits_of(parsed)}
    with _progress("packing", images_per_shard) as show:
        return pack(sources, Path(out), images_per_shard=images_per_shard, progress=show)


@contextlib.contextmanager
def _progress(title: str, images: int) -> Iterator[Callable[[int, int], None]]:
    """Shows (steps done, steps in all), a step being so many images; Ctrl-C leaves what is whole."""
    from .engine.progress import Progress

    with contextlib.ExitStack() as stack:
        shown: list[Progress] = []

        def show(done: int, total: int) -> None:
            if not shown:
                shown.append(stack.enter_context(Progress(total, title, images)))
            if done:
                shown[0].step({})

        try:
            yield show
        except KeyboardInterrupt:
            raise Interrupted(
                f"interrupted while {title}: what is whole stays", hint="the same command goes on"
            ) from None


def generate_data(
    generator: str, folder: str | Path, *, num_images: int = 10_000, seed: int = 0, single_classes: bool = False
) -> int:
    """Write a transfer set: images that a generator makes between two classes each. An interrupted call goes on.

    Args:
        generator: The run folder of the recipe ``class_gan``, or a generator's own folder.
        folder: Where the images go.
        num_images: How many there shall be.
        seed: Of every random choice.
        single_classes: Images of one class each, in place of two mixed ones.

    Returns:
        How many were written; the others were there.
    """
    from .planning.transfer_set import write_transfer_set
    from .zoo.generators import load_generator

    alpha = None if single_classes else 1.0
    return write_transfer_set(load_generator(generator), Path(folder), num_images, seed=seed, class_mix_alpha=alpha)
