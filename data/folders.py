"""Data in folders: class folders in train/ and val/, class folders alone, or a heap of images without labels."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ..base.amounts import first_few
from ..base.errors import DataError, UsageError
from .held_out import SharedSource, ValShare
from .hub_files import hub_files
from .layouts import ClassFolder, absent_classes, flat_folder, misplaced
from .listing import (
    describe_left_out,
    list_everything,
    list_folders,
    list_images,
    read_folder,
    read_inode,
    refuse_special,
)
from .sources import FileSource, ImageSource
from .splits import TRAIN, UNLABELED, VAL, find_split, has_split_folders, named_folders, split_note


def open_folder(
    path: Path,
    split: str,
    *,
    name: str | None = None,
    part: str | None = None,
    share: ValShare | None = None,
    one_class: bool = False,
) -> ImageSource:
    """The images of a folder.

    Layouts for ``"train"`` and ``"val"``: ``PATH/train/CLASS/…`` beside ``PATH/val/CLASS/…`` (see `SPLIT_FOLDERS` for
    other names), or ``PATH/CLASS/…``, which then serves whichever split is asked for. For ``"unlabeled"``: every image
    under ``PATH/unlabeled`` or ``PATH/train`` if there is one (never the validation images), otherwise under ``PATH``.

    The classes are those of the training images where these are in the folder: a validation folder may lack some.

    Args:
        path: The folder.
        split: Which images.
        name: The data set's; the folder's by default.
        part: The folder that is the split ``"val"``, such as ``"test"``.
        share: Hold out a share of the training images in place of a validation folder.
        one_class: Whether a single class is meant.

    Raises:
        DataError: No such folder, no images, a flat or empty class folder, another layout than these,
            or validation images of a class that is not trained on.
        UsageError: A share where there are validation images.
    """
    name = name or Path(os.path.realpath(path)).name
    require_folder(path)
    with hub_copy_explained(path):
        if share is not None:
            return _open_shared(path, split, name, share, one_class)
        if split == "unlabeled":
            return _open_unlabeled(path, name)
        root = find_split(path, part if part is not None and split == "val" else split)
        if root is None:
            if part is None and not has_split_folders(path):
                return open_class_folders(path, split, name=name, one_class=one_class)
            raise _no_such_split(path, split, part)
        return _open_split(path, root, split, name, part, one_class)


def _open_split(path: Path, root: Path, split: str, name: str, part: str | None, one_class: bool) -> FileSource:
    train = find_split(path, "train")
    class_names = None if train is None or train == root else list_folders(train)
    source = open_class_folders(root, split, name=name, class_names=class_names or None, one_class=one_class)
    source.notes = (*split_note(path, root), *source.notes)
    if split == "train" and (val := find_split(path, part or "val")) is not None and (others := list_folders(val)):
        compare_classes(root, source.class_names, val, others)
    return source


def _open_shared(path: Path, split: str, name: str, share: ValShare, one_class: bool) -> SharedSource:
    root = path
    if has_split_folders(path):
        held = next((folder for kind in VAL for folder in named_folders(path).get(kind, ())), None)
        if held is not None and list_folders(path / held):
            raise UsageError(f"{path} has validation images, {held}/: nothing else is held out", hint="leave it out")
        root = find_split(path, "train") or path
    whole = open_class_folders(root, "train", name=name, one_class=one_class)
    source = SharedSource(whole, share, split)
    if not len(source):
        raise DataError(f"no class of {root} has two images: none can be held out", hint="add images")
    return source


def _no_such_split(path: Path, split: str, part: str | None) -> DataError:
    there = sorted(name for names in named_folders(path).values() for name in names)
    if part is not None:
        return DataError(
            f"{path} has no folder {part}/",
            hint=f"it has {', '.join(f'{name}/' for name in there)}" if there else f"write {path} alone",
        )
    hint = f"create {path / split}/CLASS/… or name another folder for this split"
    if split == "val":
        hint += f"; --val-share 0.1 (or {path}@val-share=0.1) holds out a tenth of each class"
    return DataError(f"{path} has no folder {split}/ (it has {', '.join(f'{name}/' for name in there)})", hint=hint)


def open_all_for_training(path: Path, split: str, *, name: str) -> ImageSource:
    """As `open_folder`, but where there is a test/ it is ``"val"``, and val/ (valid/, validation/) is trained on too.

    So do papers with data sets whose official splits are three, such as DTD and FGVC-Aircraft.

    Raises:
        DataError: As `open_folder`.
    """
    held_out, test, train = (find_split(path, kind) for kind in (VAL[0], "test", "train"))
    if held_out is None or test is None or held_out == test or train is None:
        return open_folder(path, split, name=name)
    class_names = list_folders(train)
    if split == "val":
        return open_class_folders(test, split, name=name, class_names=class_names)
    parts = {
        root.name: open_class_folders(root, split, name=name, class_names=class_names) for root in (train, held_out)
    }
    compare_classes(train, class_names, test, list_folders(test))
    paths = [f"{folder}/{part.identity(row)}" for folder, part in parts.items() for row in range(len(part))]
    labels = np.concatenate([part.labels for part in parts.values()])
    left_out = sum((Counter(part.left_out) for part in parts.values()), Counter())
    names = tuple(class_names)
    if split == "unlabeled":
        names, labels = (), np.full(len(paths), -1)
    return FileSource(name, split, names, labels, path, paths, left_out=left_out)


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
    place = path if path.name not in ("", "..") else Path(os.path.realpath(path))
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


def compare_splits(path: Path) -> None:
    """Raises DataError when val/ has class folders that train/ lacks, naming the differences."""
    train, val = find_split(path, "train"), find_split(path, "val")
    if train is None or val is None:
        return
    # A flat folder has an error of its own, with its own way out.
    if (train_names := list_folders(train)) and (val_names := list_folders(val)):
        compare_classes(train, train_names, val, val_names)


def compare_classes(train: Path, train_names: Sequence[str], val: Path, val_names: Sequence[str]) -> None:
    """Raises DataError when a class that is measured is not trained on. Fewer classes can be measured."""
    strangers = sorted(set(val_names) - set(train_names))
    if not strangers:
        return
    missing = sorted(set(train_names) - set(val_names))
    only = [f"only in {train.name}/: {first_few(missing)}"] if missing else []
    only.append(f"only in {val.name}/: {first_few(strangers)}")
    raise DataError(
        f"the classes of {train} and {val} differ ({'; '.join(only)})",
        hint=f"the classes are {train.name}/'s folders: rename or remove those that it lacks",
    )


def open_class_folders(
    root: Path, split: str, *, name: str, class_names: Sequence[str] | None = None, one_class: bool = False
) -> FileSource:
    """A folder whose folders are the classes, in the order of `list_folders`.

    Args:
        root: The folder.
        split: What its images are.
        name: The data set's.
        class_names: The classes that are trained on, which are then the source's; this folder may lack some.
        one_class: Whether a single class is meant.

    Raises:
        DataError: No class folders (flat images are explained), a class folder without images, a class that
            ``class_names`` lacks, or folders that are laid out otherwise.
    """
    found = list_folders(root)
    if not found:
        raise flat_folder(root, split=split) if read_folder(root).images else _no_images(root, f"no images in {root}")
    paths, folders, left_out = _list_classes(root, found)
    if not paths:
        raise _no_images(root, f"no images in {root}: its {len(found)} folders hold none")
    wrong = None if one_class or class_names is not None else misplaced(root, folders)
    if wrong is not None:
        raise wrong
    names = found if class_names is None else list(class_names)
    if class_names is not None:
        compare_classes(find_split(root.parent, "train") or root, names, root, found)
    if empty := [folder.name for folder in folders if not folder.num_images]:
        raise empty_classes(root, empty)
    number = {class_name: label for label, class_name in enumerate(names)}
    labels = np.repeat([number[folder.name] for folder in folders], [folder.num_images for folder in folders])
    source = FileSource(name, split, names, labels, root, paths, left_out=left_out)
    source.notes += _folder_notes(root, folders, names)
    return source


def _list_classes(root: Path, names: Sequence[str]) -> tuple[list[str], list[ClassFolder], Counter[str]]:
    """Every image of every class folder, what each folder holds, and what was left out."""
    beside = read_folder(root)
    paths: list[str] = []
    folders: list[ClassFolder] = []
    left_out, special = Counter(beside.left_out), list(beside.special)
    inodes = {read_inode(root): f"{root} itself"}
    for name in names:
        inode = read_inode(root / name)
        if inode in inodes:
            raise DataError(
                f"{root / name} is {inodes[inode]} under another name: its images would have two classes",
                hint="remove the link",
            )
        inodes[inode] = f"{root / name}"
    for name in names:
        listing = list_everything(root / name, inodes)
        special += [(f"{name}/{path}", what) for path, what in listing.special]
        folders.append(ClassFolder.of(name, listing.paths))
        paths += [f"{name}/{path}" for path in listing.paths]
        left_out += listing.left_out
    refuse_special(root, special)
    if paths and beside.images:
        left_out["images beside the class folders"] = len(beside.images)
    return paths, folders, left_out


def _folder_notes(root: Path, folders: Sequence[ClassFolder], class_names: Sequence[str]) -> tuple[str, ...]:
    notes = []
    there = {folder.name for folder in folders}
    if absent := [name for name in class_names if name not in there]:
        notes.append(absent_classes(root, absent, len(class_names)))
    nested = [folder for folder in folders if folder.inside]
    if nested:
        notes.append(
            f"{root}: {len(nested)} of {len(folders)} class folders hold folders, such as "
            f"{nested[0].name}/{nested[0].inside[0]}: their images count as {nested[0].name}"
        )
    return tuple(notes)


def _no_images(root: Path, message: str) -> DataError:
    left_out = f" ({said})" if (said := describe_left_out(list_images(root).left_out)) else ""
    return DataError(f"{message}{left_out}", hint=f"expected class folders with images: {root / 'CLASS'}/IMAGE.jpg")


def empty_classes(root: Path, names: Sequence[str]) -> DataError:
    """The error for class folders without images."""
    return DataError(
        f"class folders without images in {root}: {first_few(names)}",
        hint="fill or remove them, in every split: labels follow the sorted folder names",
    )


def unlabeled_root(path: Path) -> Path:
    """Where a folder's unlabeled images are: ``unlabeled/`` or ``train/`` in it, or the folder itself."""
    named = named_folders(path)
    return next((path / named[name][0] for name in (*UNLABELED, *TRAIN) if name in named), path)


def _open_unlabeled(path: Path, name: str) -> FileSource:
    root = unlabeled_root(path)
    listing = list_images(root)
    if not listing.paths:
        raise DataError(
            f"no images under {root} ({listing.left_out.total()} other files)",
            hint="give a folder that holds images (JPEG, PNG, WebP, …), at any depth"
            + (f"; {said}" if (said := describe_left_out(listing.left_out)) else ""),
        )
    labels = np.full(len(listing.paths), -1, dtype=np.int64)
    return FileSource(name, "unlabeled", (), labels, root, listing.paths, left_out=listing.left_out)
