"""Data in folders: class folders in train/ and val/, class folders alone, or a heap of images without labels."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ..errors import DataError
from .hub_files import hub_files
from .listing import count_images, has_images, list_folders, list_images
from .sources import FileSource

SPLIT_FOLDERS = {"train": ("train",), "val": ("val", "valid", "validation", "test")}
_ALL_SPLIT_FOLDERS = frozenset(name for names in SPLIT_FOLDERS.values() for name in names) | {"unlabeled"}


def open_folder(path: Path, split: str, *, name: str | None = None) -> FileSource:
    """The images of a folder.

    Layouts for ``"train"`` and ``"val"``: ``PATH/train/CLASS/…`` beside ``PATH/val/CLASS/…`` (or valid/, validation/,
    test/), or ``PATH/CLASS/…``, which then serves whichever split is asked for. For ``"unlabeled"``: every image
    under ``PATH/unlabeled`` or ``PATH/train`` if there is one (never the validation images), otherwise under ``PATH``.

    Raises:
        DataError: No such folder, no images, a flat or empty class folder, or splits with different classes.
    """
    name = name or path.resolve().name
    require_folder(path)
    with hub_copy_explained(path):
        return _open(path, split, name)


def _open(path: Path, split: str, name: str) -> FileSource:
    if split == "unlabeled":
        return _open_unlabeled(path, name)
    root = find_split(path, split)
    if root is None:
        if not has_split_folders(path):
            return open_class_folders(path, split, name=name)
        wanted = SPLIT_FOLDERS[split]
        raise DataError(
            f"{path} has no folder {' or '.join(f'{folder}/' for folder in wanted)}",
            hint=f"create {path / wanted[0]}/CLASS/… or name another folder for this split",
        )
    compare_splits(path)
    return open_class_folders(root, split, name=name)


def open_all_for_training(path: Path, split: str, *, name: str) -> FileSource:
    """As `open_folder`, but where there is a test/ it is ``"val"``, and val/ (valid/, validation/) is trained on too.

    So do papers with data sets whose official splits are three, such as DTD and FGVC-Aircraft.

    Raises:
        DataError: As `open_folder`.
    """
    held_out = next((folder for folder in SPLIT_FOLDERS["val"] if folder != "test" and (path / folder).is_dir()), None)
    if held_out is None or not (path / "test").is_dir():
        return open_folder(path, split, name=name)
    parts = {folder: open_class_folders(path / folder, split, name=name) for folder in ("train", held_out, "test")}
    train = parts["train"]
    for folder, part in parts.items():
        _compare_classes((path / "train", train.class_names), (path / folder, part.class_names))
    if split == "val":
        return parts["test"]
    trained_on = {"train": train, held_out: parts[held_out]}
    paths = [f"{folder}/{part.identity(row)}" for folder, part in trained_on.items() for row in range(len(part))]
    labels = np.concatenate([part.labels for part in trained_on.values()])
    num_ignored = sum(part.num_ignored for part in trained_on.values())
    if split == "unlabeled":
        return FileSource(name, split, (), np.full(len(paths), -1), path, paths, num_ignored=num_ignored)
    return FileSource(name, split, train.class_names, labels, path, paths, num_ignored=num_ignored)


@contextlib.contextmanager
def hub_copy_explained(path: Path, prefix: str = "") -> Iterator[None]:
    """Where a folder cannot be read and holds the Hub's table files, say how to unpack these.

    Args:
        path: The folder.
        prefix: Of the data spec that reads what was unpacked: ``"dtd:"``.
    """
    try:
        yield
    except DataError:
        kind = hub_files(path) if path.is_dir() else None
        if kind is None or list_images(path).paths:
            raise
        raise hub_copy_given(path, kind, prefix) from None


def hub_copy_given(path: Path, kind: str, prefix: str = "") -> DataError:
    """The error for the Hub's table files where class folders should be."""
    place = path if path.name not in ("", "..") else path.resolve()
    out = Path(f"{place}-unpacked")
    first = "" if kind == "parquet" else "write it as parquet (the datasets library's to_parquet), then "
    return DataError(
        f"{path} holds the Hub's copy as {kind} files, not images in folders",
        hint=f"{first}kdzoo data unpack {shlex.quote(str(path))} {shlex.quote(str(out))}; then give {prefix}{out}",
    )


def require_folder(path: Path) -> None:
    """Raises DataError when there is no such folder."""
    if not path.exists():
        raise DataError(
            f"there is no folder {path}", hint="give a folder of class folders, or `digits`, which needs none"
        )
    if not path.is_dir():
        raise DataError(f"{path} is a file, not a folder", hint="give the folder that holds the images")


def has_split_folders(path: Path) -> bool:
    """Whether a folder is divided into splits (train/, val/, …) rather than into classes."""
    return any(find_split(path, split) is not None for split in SPLIT_FOLDERS)


def find_split(path: Path, split: str) -> Path | None:
    """The folder of a split, or None. Where several would do (val/ and test/), the first in SPLIT_FOLDERS."""
    return next((path / folder for folder in SPLIT_FOLDERS[split] if (path / folder).is_dir()), None)


def compare_splits(path: Path) -> None:
    """Raises DataError when the class folders of train/ and val/ differ, naming the differences."""
    train, val = find_split(path, "train"), find_split(path, "val")
    if train is None or val is None:
        return
    # A flat folder has an error of its own, with its own way out.
    if (train_names := list_folders(train)) and (val_names := list_folders(val)):
        _compare_classes((train, train_names), (val, val_names))


def _compare_classes(one: tuple[Path, Sequence[str]], other: tuple[Path, Sequence[str]]) -> None:
    (train, train_names), (val, val_names) = one, other
    if list(train_names) == list(val_names):
        return
    parts = []
    for label, names in (
        (f"only in {train.name}/", set(train_names) - set(val_names)),
        (f"only in {val.name}/", set(val_names) - set(train_names)),
    ):
        if names:
            shown = sorted(names)
            more = f" and {len(shown) - 5} more" if len(shown) > 5 else ""
            parts.append(f"{label}: {', '.join(shown[:5])}{more}")
    raise DataError(
        f"the classes of {train} and {val} differ ({'; '.join(parts)})",
        hint="labels follow the sorted folder names, so both splits need the same class folders",
    )


def open_class_folders(root: Path, split: str, *, name: str) -> FileSource:
    """A folder whose folders are the classes, in the order of `list_folders`.

    Raises:
        DataError: No class folders (flat images are explained), or a class folder without images.
    """
    class_names = list_folders(root)
    if not class_names:
        raise (
            flat_folder(root)
            if has_images(root)
            else DataError(
                f"no images in {root}", hint=f"expected class folders with images: {root / 'CLASS'}/IMAGE.jpg"
            )
        )
    paths: list[str] = []
    labels: list[np.ndarray] = []
    empty: list[str] = []
    num_ignored = 0
    for label, class_name in enumerate(class_names):
        listing = list_images(root / class_name)
        num_ignored += listing.num_ignored
        paths += [f"{class_name}/{path}" for path in listing.paths]
        labels.append(np.full(len(listing.paths), label, dtype=np.int64))
        if not listing.paths:
            empty.append(class_name)
    if len(empty) == len(class_names):
        raise DataError(
            f"no images in {root}: its {len(class_names)} folders hold none",
            hint=f"expected class folders with images: {root / 'CLASS'}/IMAGE.jpg",
        )
    if empty:
        raise empty_classes(root, empty)
    return FileSource(name, split, class_names, np.concatenate(labels), root, paths, num_ignored=num_ignored)


def flat_folder(root: Path, hint: str | None = None) -> DataError:
    """The error for images that lie beside one another where class folders should be."""
    return DataError(
        f"{root} is flat: {count_images(root):,} images and no class folders, so nothing says which class each one is",
        hint=hint or f"move each image into its class's folder: {root / 'CLASS'}/IMAGE.jpg",
    )


def empty_classes(root: Path, names: Sequence[str]) -> DataError:
    """The error for class folders without images."""
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return DataError(
        f"class folders without images in {root}: {', '.join(names[:5])}{more}",
        hint="fill or remove them, in every split: labels follow the sorted folder names",
    )


def unlabeled_root(path: Path) -> Path:
    """Where a folder's unlabeled images are: ``unlabeled/`` or ``train/`` in it, or the folder itself."""
    return next((path / folder for folder in ("unlabeled", "train") if (path / folder).is_dir()), path)


def _open_unlabeled(path: Path, name: str) -> FileSource:
    root = unlabeled_root(path)
    listing = list_images(root)
    if not listing.paths:
        raise DataError(
            f"no images under {root} ({listing.num_ignored} other files)",
            hint="give a folder that holds JPEG, PNG, WebP, BMP, TIFF, GIF or PPM files, at any depth",
        )
    labels = np.full(len(listing.paths), -1, dtype=np.int64)
    return FileSource(name, "unlabeled", (), labels, root, listing.paths, num_ignored=listing.num_ignored)
