"""Writing a store of labels: epoch by epoch, so that a kill at any moment loses only what was not yet committed."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..base.errors import CheckpointError, DataError, RunError
from ..base.holding import LOCK, hold_folder
from ..base.record_file import RecordFile
from ..base.run_documents import append_session
from ..base.writing import clear_errors, is_leftover, remove_leftovers, write_file
from ..data.contents import is_image_digest, other_images
from ..data.label_store import MANIFEST, LabelHead, LabelStore, epoch_file, read_document, write_document
from .run_folder import describe_session

_NUMERICS = ("batch_size", "accumulate", "precision", "channels_last", "device")
"""What the last bits of an answer depend on."""
_OWN = (MANIFEST, "environment.json", LOCK)


class LabelFolder:
    """The folder of a label store while its labels are written.

    Args:
        path: The folder; made by ``claim``.
        head: What the store is.
    """

    def __init__(self, path: Path, head: LabelHead) -> None:
        self.path, self.head = path, head
        self.unreadable: dict[int, str] = {}
        self._epochs: list[dict[str, Any]] = []
        self._unfinished: dict[str, Any] | None = None
        self._file: RecordFile | None = None
        self._rows = 0

    @property
    def num_epochs(self) -> int:
        """How many epochs are complete."""
        return len(self._epochs)

    @property
    def num_rows(self) -> int:
        """Labels of the unfinished epoch."""
        return self._rows

    @contextlib.contextmanager
    def claim(self, *, resume: bool, epochs: int) -> Iterator[None]:
        """Take the folder for this process and read how far it is.

        Args:
            resume: Whether labels that are there are gone on with.
            epochs: How many are wanted in all.

        Raises:
            RunError: The folder holds labels and ``resume`` is false, or something else, is in use, cannot be written,
                or its disk is too small.
            CheckpointError: The labels were stored with other settings, data or teachers, or are damaged.
        """
        with hold_folder(self.path):
            refuse_folder(self.path, self.head, resume=resume)
            remove_leftovers(self.path, alone=True)
            if (self.path / MANIFEST).exists():
                self._read()
            self._require_space(epochs)
            self._write()
            append_session(self.path / "environment.json", describe_session())
            try:
                yield
            finally:
                if self._file is not None:
                    self._file.close()

    def _read(self) -> None:
        _, progress = read_document(self.path)
        LabelStore(self.path).require(len(progress["epochs"]))
        self._epochs, self._unfinished = list(progress["epochs"]), progress["unfinished"]
        self.unreadable = progress["unreadable"]
        if self._unfinished is not None:
            self._rows = int(self._unfinished["bytes"]) // self.head.layout.num_bytes
            self._file = RecordFile(self.path / epoch_file(self.num_epochs), self._unfinished)

    def _require_space(self, epochs: int) -> None:
        """Refuse to begin what the disk cannot hold."""
        done = self.num_epochs * self.head.epoch_bytes + self._rows * self.head.layout.num_bytes
        needed = max(0, epochs * self.head.epoch_bytes - done)
        free = shutil.disk_usage(self.path).free
        if needed > free:
            raise RunError(
                f"{needed:,} bytes of labels are still to be stored, the disk of {self.path} has {free:,} free",
                hint="use --form float16 or top5, fewer --epochs, or another --out",
            )

    def append(self, rows: bytes) -> None:
        """Add labels to the present epoch; they are safe after the next commit."""
        if self._file is None:
            self._file = RecordFile(self.path / epoch_file(self.num_epochs), None)
        self._file.append(rows)
        self._rows += len(rows) // self.head.layout.num_bytes

    def commit(self) -> None:
        """Make everything so far durable; a complete epoch is finished by it."""
        if self._file is not None:
            entry = {"file": epoch_file(self.num_epochs), **self._file.commit()}
            self._unfinished = entry
            if self._rows == self.head.rows:
                self._file.close()
                self._epochs.append(entry)
                self._file, self._unfinished, self._rows = None, None, 0
        self._write()

    def _write(self) -> None:
        progress: Mapping[str, Any] = {
            "epochs": self._epochs,
            "unfinished": self._unfinished,
            "unreadable": {str(sample): self.unreadable[sample] for sample in sorted(self.unreadable)},
        }
        write_file(self.path / MANIFEST, write_document(self.head, progress))


def refuse_folder(path: Path, head: LabelHead, *, resume: bool) -> None:
    """Refuse a folder in which these labels cannot be stored.

    Raises:
        RunError: It holds labels and ``resume`` is false, or something else.
        CheckpointError: Its labels are others, or their manifest is damaged.
    """
    if not path.is_dir():
        return
    if not (path / MANIFEST).exists():
        with clear_errors(path):
            names = [entry.name for entry in path.iterdir()]
        strangers = [name for name in names if name not in _OWN and not is_leftover(name)]
        if strangers:
            raise RunError(f"{path} is not empty and holds no labels (it has {strangers[0]})", hint="use another --out")
        return
    if not resume:
        raise RunError(f"{path} already holds labels", hint="--resume goes on with them; --out starts others")
    try:
        before, _ = read_document(path)
    except DataError as error:
        raise CheckpointError(error.message, hint=error.hint) from error
    changed = differences(_flat(before), _flat(head))
    if changed:
        raise CheckpointError(
            f"the labels in {path} were begun otherwise: {changed}",
            hint="resume with what they were begun with, or use another --out",
        )
    unlike = other_images(before.views, head.views)
    if unlike:
        raise CheckpointError(
            f"the labels in {path} are of other images: {unlike}",
            hint="bring the images back, or store labels in another --out",
        )


def _flat(head: LabelHead) -> dict[str, Any]:
    """What a resumed labelling must share with its beginning, one level deep."""
    document = head.to_dict()
    return {
        "teachers.view": "student",  # where nothing is said of it
        **document["views"],
        **{name: document["made_by"].get(name) for name in _NUMERICS},
        "the teachers' weights": [teacher["sha256"][:12] for teacher in document["teachers"]],
        **{name: document[name] for name in ("form", "holds_features", "rows")},
    }


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What differs, in words; empty where nothing does."""
    keys = [key for key in dict.fromkeys([*before, *now]) if not is_image_digest(key)]
    changed = [key for key in keys if before.get(key) != now.get(key)]
    shown = "; ".join(f"{key} was {before.get(key)!r}, is {now.get(key)!r}" for key in changed[:3])
    return f"{shown} and {len(changed) - 3} more" if len(changed) > 3 else shown
