"""What an image data set is to the rest of kdzoo: numbered RGB images, with classes or with numbers to predict."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from ..base.errors import UsageError
from .images import read_bytes, read_orientation, read_rgb
from .listing import PathTable, describe_left_out
from .reading import AS_STORED, Reading


class ImageSource(ABC):
    """One split of a data set.

    Attributes:
        name: The data set, such as ``"cifar10"``, or the folder's name.
        split: ``"train"``, ``"val"`` or ``"unlabeled"``.
        class_names: Names in label order; empty when unlabelled.
        labels: int64, (N,), read-only; -1 where there is no label.
        native_size: (height, width) that every image has, or None where it varies or is not known.
        path: Where the data lies, or None when it is embedded.
        target_names: What a regression predicts, such as ``("pitch", "yaw")``; of images that show several classes
            these; empty for one class an image.
        targets: float32, (N, D), read-only, a column a target name; NaN where an image has none. Of several classes 1
            shown, 0 not shown, NaN not known, and ``labels`` are -1. None for one class an image.
        conditions: float32, (N, P), read-only: numbers that belong to the image and that a network may take beside it
            (a head pose). None where there are none.
        reading: How its files become images.
        sizes: int64, (N,): bytes of each image's file where that is known without looking; -1 where there is none.
        notes: What should be known of how the data was read, a line each: files left out, classes without an image.
    """

    reading: Reading = AS_STORED
    sizes: np.ndarray | None = None
    notes: tuple[str, ...] = ()

    def __init__(
        self,
        name: str,
        split: str,
        class_names: Sequence[str],
        labels: np.ndarray,
        *,
        native_size: tuple[int, int] | None = None,
        path: Path | None = None,
        target_names: Sequence[str] = (),
        targets: np.ndarray | None = None,
        conditions: np.ndarray | None = None,
    ) -> None:
        self.name = name
        self.split = split
        self.class_names = tuple(class_names)
        self.labels = np.array(labels, dtype=np.int64)
        self.labels.flags.writeable = False
        self.native_size = native_size
        self.path = path
        self.target_names = tuple(target_names)
        self.targets = _columns(targets, len(self.labels), len(self.target_names))
        self.conditions = _columns(conditions, len(self.labels))

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def is_regression(self) -> bool:
        """Whether numbers are to be predicted, and no classes."""
        return bool(self.target_names) and not self.class_names

    @property
    def is_multilabel(self) -> bool:
        """Whether an image may show several classes."""
        return bool(self.class_names) and self.targets is not None

    @property
    def task(self) -> Literal["classification", "multilabel", "regression"]:
        """What can be learnt from the labels."""
        return "regression" if self.is_regression else "multilabel" if self.is_multilabel else "classification"

    @abstractmethod
    def load(self, index: int) -> Image.Image:
        """The image, RGB.

        Raises:
            UnreadableImage: The file cannot be decoded.
        """

    @abstractmethod
    def identity(self, index: int) -> str:
        """A name of the image that does not depend on where the data lies, such as ``"n01440764/x.JPEG"``."""

    def file(self, index: int) -> str | None:
        """The path of the image's own file; None where it has none, as of images in memory."""
        return None

    def encoded(self, index: int) -> bytes | None:
        """The image's file as it is stored; None where it has none, as of images in memory.

        Raises:
            UnreadableImage: It cannot be read.
        """
        path = self.file(index)
        return None if path is None else read_bytes(path)

    def orientation(self, index: int) -> int:
        """The EXIF orientation that the image's file states, 1 to 8; 1 where it states none."""
        return 1

    def read_as(self, reading: Reading) -> None:
        """Read the files so from now on.

        Raises:
            UsageError: There are no files whose reading could differ.
        """
        if reading != AS_STORED:
            raise UsageError(f"{self.name} is not read from image files", hint=f"leave {reading} out")

    def _readings(self) -> str:
        """How the files are read, for the fingerprint; empty for the default."""
        return str(self.reading)

    def description(self) -> dict[str, Any]:
        """What a run writes down about its data; JSON-able."""
        described = {
            "name": self.name,
            "split": self.split,
            "num_images": len(self),
            "num_classes": len(self.class_names),
            "path": None if self.path is None else str(self.path),
        }
        if self.is_multilabel:
            return {**described, "several_labels": True}
        return {**described, "targets": list(self.target_names)} if self.target_names else described

    def fingerprint(self) -> str:
        """SHA-256 over identities, labels, targets and class names: another folder, file or order gives another one."""
        digest = hashlib.sha256()
        for name in self.class_names:
            digest.update(name.encode(errors="surrogateescape") + b"\0")
        digest.update(b"\1" + self.labels.astype("<i8").tobytes())
        for numbers in (self.targets, self.conditions):
            if numbers is not None:
                digest.update(b"\2" + numbers.astype("<f4").tobytes())
        for index in range(len(self)):
            digest.update(self.identity(index).encode(errors="surrogateescape") + b"\0")
        digest.update(self._readings().encode())
        return digest.hexdigest()


def _columns(numbers: np.ndarray | None, rows: int, columns: int | None = None) -> np.ndarray | None:
    """A read-only float32 copy, (rows, columns)."""
    if numbers is None:
        return None
    table = np.array(numbers, dtype=np.float32)
    if table.ndim != 2 or len(table) != rows or columns not in (None, table.shape[1]):
        raise ValueError(f"expected {rows} rows of {columns or 'some'} numbers, got {table.shape}")
    table.flags.writeable = False
    return table


class ArraySource(ImageSource):
    """Images that are held in memory.

    Args:
        pixels: uint8, (N, H, W, 3), or (N, H, W) of grey images.
        identities: One name an image.
        target_names, targets, conditions: As `ImageSource` has them.
    """

    def __init__(
        self,
        name: str,
        split: str,
        class_names: Sequence[str],
        labels: np.ndarray,
        pixels: np.ndarray,
        identities: Sequence[str],
        *,
        path: Path | None = None,
        target_names: Sequence[str] = (),
        targets: np.ndarray | None = None,
        conditions: np.ndarray | None = None,
    ) -> None:
        super().__init__(
            name,
            split,
            class_names,
            labels,
            native_size=(pixels.shape[1], pixels.shape[2]),
            path=path,
            target_names=target_names,
            targets=targets,
            conditions=conditions,
        )
        self._pixels = np.ascontiguousarray(pixels)
        self._identities = PathTable(identities)

    def load(self, index: int) -> Image.Image:
        image = Image.fromarray(self._pixels[index])
        return image if image.mode == "RGB" else image.convert("RGB")

    def identity(self, index: int) -> str:
        return self._identities[index]


class FileSource(ImageSource):
    """Images in files under one folder.

    Args:
        root: The folder that the paths are relative to.
        paths: One relative path an image, with ``/`` between its parts; also its identity.
        left_out: How many files beside them were left out, by what they are; see `FolderEntries`.
        target_names, targets: As `ImageSource` has them.

    Attributes:
        num_listed: Images that the data set's own list has, where some of them may not be there.
    """

    num_listed: int | None = None

    def __init__(
        self,
        name: str,
        split: str,
        class_names: Sequence[str],
        labels: np.ndarray,
        root: Path,
        paths: Sequence[str],
        *,
        left_out: Mapping[str, int] | None = None,
        target_names: Sequence[str] = (),
        targets: np.ndarray | None = None,
    ) -> None:
        super().__init__(name, split, class_names, labels, path=root, target_names=target_names, targets=targets)
        self.left_out = dict(left_out or {})
        self._root = str(root)
        self._paths = PathTable(paths)
        if said := describe_left_out(self.left_out):
            self.notes = (f"{root}: {said}",)

    def load(self, index: int) -> Image.Image:
        path = self.file(index)
        return read_rgb(path, path, self.reading)

    def orientation(self, index: int) -> int:
        return read_orientation(self.file(index))

    def read_as(self, reading: Reading) -> None:
        self.reading = reading

    def file(self, index: int) -> str:
        return f"{self._root}/{self._paths[index]}"

    def identity(self, index: int) -> str:
        return self._paths[index]


def _joined(tables: Sequence[np.ndarray | None], lengths: Sequence[int]) -> np.ndarray | None:
    """The tables one after the other, NaN for a part that has none; None where no part has one."""
    width = next((table.shape[1] for table in tables if table is not None), None)
    if width is None:
        return None
    missing = [np.full((length, width), np.nan, dtype=np.float32) for length in lengths]
    return np.concatenate([gap if table is None else table for table, gap in zip(tables, missing, strict=True)])


class ConcatSource(ImageSource):
    """Several sources one after the other, such as labelled and unlabelled images.

    The class names are those of the first source that has any; labelled parts must agree on them. So are the target
    names and the conditions, which are NaN for the images of a part that has none.

    Raises:
        ValueError: Two labelled parts have different class or target names, or there is no part.
    """

    def __init__(self, parts: Sequence[ImageSource]) -> None:
        if not parts:
            raise ValueError("no sources to concatenate")
        named = [part.class_names for part in parts if part.class_names]
        if any(names != named[0] for names in named):
            raise ValueError("the sources' class names differ")
        predicted = [part.target_names for part in parts if part.target_names]
        if any(names != predicted[0] for names in [*predicted, *(named[:1] if predicted else ())]):
            raise ValueError("the sources' targets differ")
        sizes = {part.native_size for part in parts}
        super().__init__(
            "+".join(part.name for part in parts),
            parts[0].split,
            named[0] if named else (),
            np.concatenate([part.labels for part in parts]),
            native_size=sizes.pop() if len(sizes) == 1 else None,
            target_names=predicted[0] if predicted else (),
            targets=_joined([part.targets for part in parts], [len(part) for part in parts]),
            conditions=_joined([part.conditions for part in parts], [len(part) for part in parts]),
        )
        self.parts = tuple(parts)
        if any(part.sizes is not None for part in parts):
            known = [np.full(len(part), -1) if part.sizes is None else part.sizes for part in parts]
            self.sizes = np.concatenate(known)
        self.notes = tuple(dict.fromkeys(note for part in parts for note in part.notes))
        self._ends = np.cumsum([len(part) for part in parts])

    def _locate(self, index: int) -> tuple[int, int]:
        part = int(np.searchsorted(self._ends, index, side="right"))
        return part, index - (int(self._ends[part - 1]) if part else 0)

    def load(self, index: int) -> Image.Image:
        part, local = self._locate(index)
        return self.parts[part].load(local)

    def identity(self, index: int) -> str:
        part, local = self._locate(index)
        return f"{self.parts[part].name}/{self.parts[part].split}/{self.parts[part].identity(local)}"

    def encoded(self, index: int) -> bytes | None:
        part, local = self._locate(index)
        return self.parts[part].encoded(local)

    def file(self, index: int) -> str | None:
        part, local = self._locate(index)
        return self.parts[part].file(local)

    def _readings(self) -> str:
        return "|".join(str(part.reading) for part in self.parts).strip("|")

    def description(self) -> dict[str, Any]:
        return {**super().description(), "parts": [part.description() for part in self.parts]}
