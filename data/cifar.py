"""`cifar10` and `cifar100` (A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009).

Read from the "python version" archives as torchvision unpacks them, or from class folders of image files.
"""

from __future__ import annotations

import io
import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from ..base.errors import DataError
from .folders import hub_copy_explained, open_folder
from .sources import ArraySource, ImageSource
from .splits import has_split_folders


def _layout(name: str) -> Any:
    """torchvision's class of the data set, which names its folder, its files with their MD5 sums, and their address."""
    from torchvision.datasets import CIFAR10, CIFAR100

    return CIFAR10 if name == "cifar10" else CIFAR100


def open_cifar(name: str, path: Path, split: str) -> ImageSource:
    """One split of CIFAR-10 or CIFAR-100; the official test images are the split ``"val"``.

    Args:
        name: ``"cifar10"`` or ``"cifar100"``.
        path: The folder that holds ``cifar-10-batches-py/`` (or is it), or that holds train/ and val/ class folders.
        split: ``"unlabeled"`` gives the training images without labels.

    Raises:
        DataError: Nothing of the kind there (with how to get it), or a damaged file.
    """
    folder, num_classes = _layout(name).base_folder, int(name.removeprefix("cifar"))
    batches = path if path.name == folder else path / folder
    if batches.is_dir():
        return _open_batches(name, num_classes, batches, split)
    with hub_copy_explained(path, f"{name}:"):
        if not path.is_dir() or not has_split_folders(path):
            raise missing_cifar(name, path)
        source = open_folder(path, split, name=name)
    if split != "unlabeled" and len(source.class_names) != num_classes:
        raise DataError(
            f"{source.path} has {len(source.class_names)} class folders, {name} has {num_classes}",
            hint=f"for a subset give the folder as a plain path: --data {path}",
        )
    source.native_size = (32, 32)
    return source


def missing_cifar(name: str, path: Path) -> DataError:
    """The error for CIFAR that is not there: where it was looked for, how to get it, what runs instead."""
    layout = _layout(name)
    return DataError(
        f"{name} not found: looked for {path / layout.base_folder}/ and for class folders in {path / 'train'}/",
        hint=f"unpack {layout.url} into {path}/ (or put images in {path}/train/CLASS/ and {path}/val/CLASS/); "
        f"another place: {name}:PATH; `digits` is embedded and runs now",
    )


def _open_batches(name: str, num_classes: int, folder: Path, split: str) -> ArraySource:
    layout, labels_key = _layout(name), "labels" if name == "cifar10" else "fine_labels"
    meta = layout.meta
    pixels, labels, identities = [], [], []
    for file, _ in layout.test_list if split == "val" else layout.train_list:
        batch = _read_pickle(folder / file)
        try:
            data = np.asarray(batch["data"])
            batch_labels = np.asarray(batch[labels_key], dtype=np.int64)
        except (KeyError, TypeError, ValueError):
            raise _damaged(folder / file, f"it holds no {labels_key}") from None
        if data.dtype != np.uint8 or data.shape != (len(batch_labels), 3072):
            raise _damaged(folder / file, f"its pixels are {data.dtype} {data.shape}")
        if len(batch_labels) and not 0 <= batch_labels.min() <= batch_labels.max() < num_classes:
            raise _damaged(folder / file, f"it has labels beyond 0..{num_classes - 1}")
        pixels.append(data.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
        labels.append(batch_labels)
        identities += [f"{file}/{index:05d}" for index in range(len(batch_labels))]
    class_names = [str(class_name) for class_name in _read_pickle(folder / meta["filename"]).get(meta["key"], ())]
    if len(class_names) != num_classes:
        raise _damaged(folder / meta["filename"], f"it names {len(class_names)} classes")
    all_labels = np.concatenate(labels)
    if split == "unlabeled":
        class_names, all_labels = [], np.full(len(all_labels), -1)
    return ArraySource(name, split, class_names, all_labels, np.concatenate(pixels), identities, path=folder)


class _ArrayUnpickler(pickle.Unpickler):
    """Rebuilds dictionaries, lists, strings and numpy arrays of plain numbers; nothing else can be named."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in {("numpy", "ndarray"), ("numpy", "dtype")}:
            return getattr(np, name)
        if name == "_reconstruct" and module in {"numpy.core.multiarray", "numpy._core.multiarray"}:
            return _empty_array
        if (module, name) == ("_codecs", "encode"):
            return _latin1
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed here")


def _empty_array(kind: type, shape: tuple[int, ...], code: Any) -> np.ndarray:
    if kind is not np.ndarray:
        raise pickle.UnpicklingError("only plain arrays are allowed here")
    return np.ndarray.__new__(np.ndarray, (0,), np.uint8)


def _latin1(text: str, encoding: str) -> bytes:
    if encoding not in {"latin1", "latin-1"}:
        raise pickle.UnpicklingError(f"the encoding {encoding} is not allowed here")
    return text.encode("latin1")


def _read_pickle(path: Path) -> dict[str, Any]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _damaged(path, (error.strerror or str(error)).lower()) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy on the dtype flags of arrays that Python 2 pickled
            value = _ArrayUnpickler(io.BytesIO(content), encoding="latin1").load()
    except Exception as error:  # a broken pickle raises almost anything
        raise _damaged(path, " ".join(str(error).split()) or type(error).__name__) from None
    if not isinstance(value, dict):
        raise _damaged(path, "it holds no dictionary")
    return value


def _damaged(path: Path, reason: str) -> DataError:
    return DataError(f"cannot read {path}: {reason}", hint="unpack the official archive again")


def official_md5s(name: str) -> dict[str, str]:
    """MD5 sums of the official files, by file name, as torchvision lists them."""
    dataset = _layout(name)
    return dict([*dataset.train_list, *dataset.test_list, (dataset.meta["filename"], dataset.meta["md5"])])
