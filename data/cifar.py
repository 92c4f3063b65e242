"""`cifar10` and `cifar100` (A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009).

Read from the "python version" archives as torchvision unpacks them, or from class folders of image files.
"""

from __future__ import annotations

import io
import pickle
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..base.errors import DataError
from .folders import hub_copy_explained, open_folder
from .sources import ArraySource, ImageSource
from .splits import has_split_folders


@dataclass(frozen=True, kw_only=True)
class _Layout:
    folder: str
    train_files: tuple[str, ...]
    val_files: tuple[str, ...]
    meta_file: str
    names_key: str
    labels_key: str
    num_classes: int
    url: str


_LAYOUTS = {
    "cifar10": _Layout(
        folder="cifar-10-batches-py",
        train_files=tuple(f"data_batch_{number}" for number in range(1, 6)),
        val_files=("test_batch",),
        meta_file="batches.meta",
        names_key="label_names",
        labels_key="labels",
        num_classes=10,
        url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    ),
    "cifar100": _Layout(
        folder="cifar-100-python",
        train_files=("train",),
        val_files=("test",),
        meta_file="meta",
        names_key="fine_label_names",
        labels_key="fine_labels",
        num_classes=100,
        url="https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
    ),
}


def open_cifar(name: str, path: Path, split: str) -> ImageSource:
    """One split of CIFAR-10 or CIFAR-100; the official test images are the split ``"val"``.

    Args:
        name: ``"cifar10"`` or ``"cifar100"``.
        path: The folder that holds ``cifar-10-batches-py/`` (or is it), or that holds train/ and val/ class folders.
        split: ``"unlabeled"`` gives the training images without labels.

    Raises:
        DataError: Nothing of the kind there (with how to get it), or a damaged file.
    """
    layout = _LAYOUTS[name]
    batches = path if path.name == layout.folder else path / layout.folder
    if batches.is_dir():
        return _open_batches(name, layout, batches, split)
    with hub_copy_explained(path, f"{name}:"):
        if not path.is_dir() or not has_split_folders(path):
            raise missing_cifar(name, path)
        source = open_folder(path, split, name=name)
    if split != "unlabeled" and len(source.class_names) != layout.num_classes:
        raise DataError(
            f"{source.path} has {len(source.class_names)} class folders, {name} has {layout.num_classes}",
            hint=f"for a subset give the folder as a plain path: --data {path}",
        )
    source.native_size = (32, 32)
    return source


def missing_cifar(name: str, path: Path) -> DataError:
    """The error for CIFAR that is not there: where it was looked for, how to get it, what runs instead."""
    layout = _LAYOUTS[name]
    return DataError(
        f"{name} not found: looked for {path / layout.folder}/ and for class folders in {path / 'train'}/",
        hint=f"unpack {layout.url} into {path}/ (or put images in {path}/train/CLASS/ and {path}/val/CLASS/); "
        f"another place: {name}:PATH; `digits` is embedded and runs now",
    )


def _open_batches(name: str, layout: _Layout, folder: Path, split: str) -> ArraySource:
    files = layout.val_files if split == "val" else layout.train_files
    pixels, labels, identities = [], [], []
    for file in files:
        batch = _read_pickle(folder / file)
        try:
            data = np.asarray(batch["data"])
            batch_labels = np.asarray(batch[layout.labels_key], dtype=np.int64)
        except (KeyError, TypeError, ValueError):
            raise _damaged(folder / file, f"it holds no {layout.labels_key}") from None
        if data.dtype != np.uint8 or data.shape != (len(batch_labels), 3072):
            raise _damaged(folder / file, f"its pixels are {data.dtype} {data.shape}")
        if len(batch_labels) and not 0 <= batch_labels.min() <= batch_labels.max() < layout.num_classes:
            raise _damaged(folder / file, f"it has labels beyond 0..{layout.num_classes - 1}")
        pixels.append(data.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
        labels.append(batch_labels)
        identities += [f"{file}/{index:05d}" for index in range(len(batch_labels))]
    class_names = [str(class_name) for class_name in _read_pickle(folder / layout.meta_file).get(layout.names_key, ())]
    if len(class_names) != layout.num_classes:
        raise _damaged(folder / layout.meta_file, f"it names {len(class_names)} classes")
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
    from torchvision.datasets import CIFAR10, CIFAR100

    dataset = CIFAR10 if name == "cifar10" else CIFAR100
    return dict([*dataset.train_list, *dataset.test_list, (dataset.meta["filename"], dataset.meta["md5"])])
