"""A store of labels: what teachers answered to every view of a run, in the order in which the run takes them.

A view is a pure function of (seed, epoch, sample id), and so is the mixing of a batch of (seed, epoch, step): a label
needs no bytes for its augmentation. Row r of an epoch's file belongs to the r-th image of that epoch's order.

    labels.json          what decides the views; the teachers; each epoch's file with its length and SHA-256
    epoch-00000.labels   rows of one length, see ``label_rows``
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..base.errors import DataError, UsageError
from ..base.regular_files import read_json
from .label_rows import RowLayout

MANIFEST = "labels.json"
_FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class TeacherRecord:
    """A teacher as its labels remember it.

    Attributes:
        reference: Its pinned model reference.
        licence: Of its weights, or None.
        sha256: Over its parameters and buffers and, where it does not answer with all its outputs in their own order,
            which of them it answers with.
        outputs: Numbers that it answers with.
        features: Width of its pooled features.
        output_form: How its outputs are to be read, as its folder says; empty for logits.
        preprocessing: What it expected of its images.
    """

    reference: str
    licence: str | None
    sha256: str
    outputs: int
    features: int
    output_form: Mapping[str, Any] = field(default_factory=dict)
    preprocessing: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class LabelHead:
    """What is settled of a store before its first label.

    Attributes:
        views: What decides the images and their order, flat.
        teachers: In order.
        form: Of the numbers, see ``label_forms``.
        holds_features: Whether the teachers' features are stored beside their logits.
        rows: Labels of an epoch.
        class_names: Of the data, in label order.
        made_by: What else the labels' last bits depend on, and where they come from.
        reports: What was measured of each teacher before.
    """

    views: Mapping[str, Any]
    teachers: tuple[TeacherRecord, ...]
    form: str
    holds_features: bool
    rows: int
    class_names: tuple[str, ...]
    made_by: Mapping[str, Any]
    reports: Sequence[Mapping[str, Any]] = ()

    @cached_property
    def identity(self) -> str:
        """A SHA-256 over what the labels are: views, the teachers' weights, form."""
        weights = [(teacher.sha256, teacher.outputs, teacher.features) for teacher in self.teachers]
        found = [dict(self.views), weights, self.form, self.holds_features, self.rows]
        return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()

    @cached_property
    def layout(self) -> RowLayout:
        """What a row holds."""
        return RowLayout(
            self.form,
            tuple(teacher.outputs for teacher in self.teachers),
            tuple(teacher.features for teacher in self.teachers) if self.holds_features else (),
            zlib.crc32(self.identity.encode()),
        )

    @property
    def epoch_bytes(self) -> int:
        """Of an epoch's file."""
        return self.rows * self.layout.num_bytes

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object."""
        return dict(json.loads(json.dumps(asdict(self))))

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> LabelHead:
        """What `to_dict` gave.

        Raises:
            KeyError, TypeError, ValueError: It is something else.
        """
        fields = {name: document[name] for name in cls.__dataclass_fields__}
        teachers = tuple(TeacherRecord(**one) for one in fields["teachers"])
        head = cls(**{**fields, "teachers": teachers, "class_names": tuple(fields["class_names"])})
        objects = (head.views, head.made_by, *(teacher.output_form for teacher in teachers), *head.reports)
        if not all(isinstance(one, dict) for one in objects):
            raise TypeError("a text in place of an object")
        if not (isinstance(head.rows, int) and head.rows > 0 and teachers):
            raise ValueError("no labels in it")
        if head.layout.num_bytes < 1 or min(head.layout.widths) < 1:
            raise ValueError("rows without numbers")
        return head


def epoch_file(epoch: int) -> str:
    """Name of an epoch's file."""
    return f"epoch-{epoch:05d}.labels"


def write_document(head: LabelHead, progress: Mapping[str, Any]) -> str:
    """The text of labels.json.

    Args:
        head: What the store is.
        progress: ``epochs`` (name, bytes and SHA-256 of each finished file), ``unfinished`` (the same of what was
            begun, or None) and ``unreadable`` (images that another one took the place of).
    """
    return json.dumps({"format": _FORMAT, **head.to_dict(), **progress}, indent=2, ensure_ascii=False) + "\n"


def read_document(folder: Path) -> tuple[LabelHead, dict[str, Any]]:
    """What `write_document` wrote into a folder: the head, and the progress.

    Raises:
        DataError: The folder holds no labels, or its manifest is damaged.
    """
    path = folder / MANIFEST
    try:
        document = read_json(path)
    except FileNotFoundError as error:
        what = "holds no stored labels" if folder.is_dir() else "is not there"
        raise DataError(f"{folder} {what}", hint="'kdzoo label' makes a folder of them (--out)") from error
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(path, error) from error
    try:
        if document["format"] != _FORMAT:
            raise DataError(
                f"{path} has format {document['format']!r}, this kdzoo reads {_FORMAT}",
                hint="label again with this one",
            )
        progress = {name: document[name] for name in ("epochs", "unfinished", "unreadable")}
        begun = [] if progress["unfinished"] is None else [progress["unfinished"]]
        for epoch, entry in enumerate([*progress["epochs"], *begun]):
            if entry["file"] != epoch_file(epoch):
                raise ValueError(f"file {entry['file']!r} in place of {epoch_file(epoch)}")
            if not isinstance(entry["bytes"], int) or not isinstance(entry["sha256"], str):
                raise TypeError("a file without its length and digest")
        progress["unreadable"] = {int(sample): str(reason) for sample, reason in progress["unreadable"].items()}
        return LabelHead.from_dict(document), progress
    except (KeyError, TypeError, ValueError, AttributeError, UsageError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(f"{path} is damaged ({type(error).__name__}: {error})", hint="label again into another folder")


class LabelStore:
    """Stored labels, for reading; goes to loader processes, each of which opens its own files.

    Args:
        folder: Where they lie.

    Raises:
        DataError: It holds no labels, or its manifest is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.head, progress = read_document(folder)
        self._epochs: list[dict[str, Any]] = progress["epochs"]
        self._open: tuple[int, int] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": None}

    def __del__(self) -> None:
        if getattr(self, "_open", None) is not None:
            self.close()

    @property
    def num_epochs(self) -> int:
        """Epochs whose labels are complete."""
        return len(self._epochs)

    def digest(self, epochs: int) -> str:
        """A SHA-256 over what the labels of the first epochs are, and over their bytes."""
        files = [entry["sha256"] for entry in self._epochs[:epochs]]
        return hashlib.sha256("\n".join([self.head.identity, *files]).encode()).hexdigest()

    def require(self, epochs: int) -> None:
        """Refuse a store whose first epochs are not there in their whole length.

        Raises:
            DataError: A file of one of them is missing or short.
        """
        for epoch in range(epochs):
            path = self.folder / epoch_file(epoch)
            try:
                size = path.stat().st_size
            except OSError as error:
                raise DataError(f"the labels {path} are missing", hint="put them back, or label again") from error
            if size != self.head.epoch_bytes:
                raise DataError(
                    f"the labels {path} have {size:,} bytes instead of {self.head.epoch_bytes:,}",
                    hint="put the file back, or label again into another folder",
                )

    def rows(self, epoch: int, first: int, count: int) -> Tensor:
        """Labels of an epoch: float32, (count, sum of the widths).

        Raises:
            DataError: They are missing, or are not what was stored there.
        """
        size, path = self.head.layout.num_bytes, self.folder / epoch_file(epoch)
        try:
            data = os.pread(self._descriptor(epoch), count * size, first * size)
        except OSError as error:
            raise DataError(f"the labels {path} cannot be read ({error.strerror})", hint="put them back") from error
        try:
            if len(data) != count * size:
                raise ValueError("it is too short")
            return torch.from_numpy(self.head.layout.unpack(data, epoch, first))
        except ValueError as error:
            raise DataError(
                f"the labels {path} are damaged, or of another store: {error}",
                hint="put the file back, or label again into another folder",
            ) from error

    def _descriptor(self, epoch: int) -> int:
        if self._open is None or self._open[0] != epoch:
            self.close()
            flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK  # opening a FIFO does not wait for a writer
            self._open = (epoch, os.open(self.folder / epoch_file(epoch), flags))
        return self._open[1]

    def close(self) -> None:
        """Let go of the file."""
        opened, self._open = self._open, None
        if opened is not None:
            os.close(opened[1])
