"""What an image data set is to the rest of kdzoo: numbered RGB images, labels, and the names of the classes."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .images import read_rgb
from .listing import PathTable


class ImageSource(ABC):
    """One split of a data set.

    Attributes:
        name: The data set, such as ``"cifar10"``, or the folder's name.
        split: ``"train"``, ``"val"`` or ``"unlabeled"``.
        class_names: Names in label order; empty when unlabelled.
        labels: int64, (N,), read-only; -1 where there is no label.
        native_size: (height, width) that every image has, or None where it varies or is not known.
        path: Where the data lies, or None when it is embedded.
    """

    def __init__(
        self,
        name: str,
        split: str,
        class_names: Sequence[str],
        labels: np.ndarray,
        *,
        native_size: tuple[int, int] | None = None,
        path: Path | None = None,
    ) -> None:
        self.name = name
        self.split = split
        self.class_names = tuple(class_names)
        self.labels = np.array(labels, dtype=np.int64)
        self.labels.flags.writeable = False
        self.native_size = native_size
        self.path = path

    def __len__(self) -> int:
        return len(self.labels)

    @abstractmethod
    def load(self, index: int) -> Image.Image:
        """The image, RGB.

        Raises:
            UnreadableImage: The file cannot be decoded.
        """

    @abstractmethod
    def identity(self, index: int) -> str:
        """A name of the image that does not depend on where the data lies, such as ``"n01440764/x.JPEG"``."""

    def description(self) -> dict[str, Any]:
        """What a run writes down about its data; JSON-able."""
        return {
            "name": self.name,
            "split": self.split,
            "num_images": len(self),
            "num_classes": len(self.class_names),
            "path": None if self.path is None else str(self.path),
        }

    def fingerprint(self) -> str:
        """SHA-256 over identities, labels and class names: another folder, file or class order gives another one."""
        digest = hashlib.sha256()
        for name in self.class_names:
            digest.update(name.encode(errors="surrogateescape") + b"\0")
        digest.update(b"\1" + self.labels.astype("<i8").tobytes())
        for index in range(len(self)):
            digest.update(self.identity(index).encode(errors="surrogateescape") + b"\0")
        return digest.hexdigest()


class ArraySource(ImageSource):
    """Images that are held in memory.

    Args:
        pixels: uint8, (N, H, W, 3).
        identities: One name an image.
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
    ) -> None:
        super().__init__(name, split, class_names, labels, native_size=(pixels.shape[1], pixels.shape[2]), path=path)
        self._pixels = np.ascontiguousarray(pixels)
        self._identities = PathTable(identities)

    def load(self, index: int) -> Image.Image:
        return Image.fromarray(self._pixels[index])

    def identity(self, index: int) -> str:
        return self._identities[index]


class FileSource(ImageSource):
    """Images in files under one folder.

    Args:
        root: The folder that the paths are relative to.
        paths: One relative path an image, with ``/`` between its parts; also its identity.
        num_ignored: Files beside them that were left out for their extension.
    """

    def __init__(
        self,
        name: str,
        split: str,
        class_names: Sequence[str],
        labels: np.ndarray,
        root: Path,
        paths: Sequence[str],
        *,
        num_ignored: int = 0,
        native_size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(name, split, class_names, labels, native_size=native_size, path=root)
        self.num_ignored = num_ignored
        self._root = str(root)
        self._paths = PathTable(paths)

    def load(self, index: int) -> Image.Image:
        relative = self._paths[index]
        return read_rgb(f"{self._root}/{relative}", f"{self._root}/{relative}")

    def identity(self, index: int) -> str:
        return self._paths[index]


class ConcatSource(ImageSource):
    """Several sources one after the other, such as labelled and unlabelled images.

    The class names are those of the first source that has any; labelled parts must agree on them.

    Raises:
        ValueError: Two labelled parts have different class names, or there is no part.
    """

    def __init__(self, parts: Sequence[ImageSource]) -> None:
        if not parts:
            raise ValueError("no sources to concatenate")
        named = [part.class_names for part in parts if part.class_names]
        if any(names != named[0] for names in named):
            raise ValueError("the sources' class names differ")
        sizes = {part.native_size for part in parts}
        super().__init__(
            "+".join(part.name for part in parts),
            parts[0].split,
            named[0] if named else (),
            np.concatenate([part.labels for part in parts]),
            native_size=sizes.pop() if len(sizes) == 1 else None,
        )
        self.parts = tuple(parts)
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

    def description(self) -> dict[str, Any]:
        return {**super().description(), "parts": [part.description() for part in self.parts]}
