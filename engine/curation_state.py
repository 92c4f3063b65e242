"""Where a curation stands: its settings, its stage, its position in it, and the digests of what it has written."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..base.errors import CheckpointError, RunError, UsageError
from ..base.record_file import RecordFile
from ..base.writing import is_leftover, make_folder, write_json

STAGES = ("score", "confirm", "choose")


class CurationState:
    """The folder ``state/`` of a curation.

    Args:
        out: The curation's folder.
        settings: Everything that its bytes depend on, JSON-able.
        resume: Whether to go on with what is there.

    Raises:
        RunError: The folder is in use and ``resume`` was not said.
        CheckpointError: It was begun with other settings, data or teacher, or is damaged.
    """

    def __init__(self, out: Path, settings: Mapping[str, Any], *, resume: bool) -> None:
        self.out, self.folder = out, out / "state"
        self.settings = dict(settings)
        self.stage, self.position = STAGES[0], 0
        self._files: dict[str, dict[str, Any]] = {}
        before = read_settings(out)
        if before is None:
            write_json(self.folder / "settings.json", self.settings)
            return
        if not resume:
            raise in_use(out)
        changed = [name for name in self.settings if before.get(name) != self.settings[name]]
        if changed:
            name = changed[0]
            raise CheckpointError(
                f"{out} was begun with another {name.replace('_', ' ')}: {before.get(name)}, now {self.settings[name]}",
                hint="resume with what it was begun with, or choose another --out",
            )
        self._read()

    def _read(self) -> None:
        path = self.folder / "progress.json"
        if not path.is_file():
            return
        try:
            progress = json.loads(path.read_text(encoding="utf-8"))
            self.stage, self.position = str(progress["stage"]), int(progress["position"])
            self._files = dict(progress["files"])
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"{path} is damaged", hint="begin again in another --out") from error
        for name in self._files:
            RecordFile(self.folder / name, self._files[name]).close()

    def open_files(self, *names: str) -> list[RecordFile]:
        """This stage's files, cut back to what was committed."""
        return [RecordFile(self.folder / name, self._files.get(name)) for name in names]

    def commit(self, position: int, files: Sequence[RecordFile]) -> None:
        """Everything before step ``position`` of this stage is done."""
        self.position = position
        self._files.update({file.path.name: file.commit() for file in files})
        document = {"stage": self.stage, "position": self.position, "files": self._files}
        write_json(self.folder / "progress.json", document)

    def finish(self, next_stage: str, files: Sequence[RecordFile]) -> None:
        """This stage is done."""
        self.stage = next_stage
        self.commit(0, files)
        for file in files:
            file.close()


def read_settings(out: Path) -> dict[str, Any] | None:
    """The settings of the curation in a folder, or None where there is none."""
    path = out / "state" / "settings.json"
    if not path.is_file():
        return None
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise CheckpointError(f"{path} is damaged", hint="begin again in another --out") from error


def prepare_folder(out: Path, *, resume: bool) -> Path:
    """Make the curation's folder; returns its ``state/``.

    Raises:
        RunError: It cannot be made, or is in use and ``resume`` was not said.
        UsageError: It holds something else.
    """
    if (out / "state" / "settings.json").is_file():
        if not resume:
            raise in_use(out)
    elif out.is_dir() and any(entry.name != "state" and not is_leftover(entry.name) for entry in out.iterdir()):
        raise UsageError(f"{out} is not empty and holds no curation", hint="choose another --out")
    return make_folder(out / "state")


def in_use(out: Path) -> RunError:
    """The error for a folder that holds a curation already."""
    return RunError(f"{out} already holds a curation", hint="go on with it: --resume; or choose another --out")
