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
        out: The curation's folder; see `prepare_folder`.
        settings: Everything that its bytes depend on, JSON-able.

    Raises:
        CheckpointError: It was begun with other settings, data or teacher, or is damaged.
    """

    def __init__(self, out: Path, settings: Mapping[str, Any]) -> None:
        self.out, self.folder = out, out / "state"
        self.settings = dict(settings)
        self.stage, self.position = STAGES[0], 0
        self._files: dict[str, dict[str, Any]] = {}
        before = _read_settings(self.folder / "settings.json")
        if before is None:
            write_json(self.folder / "settings.json", self.settings)
            return
        for name, value in self.settings.items():
            if before.get(name) != value:
                raise CheckpointError(
                    f"{out} was begun with another {name.replace('_', ' ')}: {before.get(name)}, now {value}",
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

    def has(self, name: str) -> bool:
        """Whether a file was committed."""
        return name in self._files

    def open_files(self, *names: str) -> list[RecordFile]:
        """Open this stage's files, cut back to what was committed."""
        return [RecordFile(self.folder / name, self._files.get(name)) for name in names]

    def commit(self, position: int, files: Sequence[RecordFile]) -> None:
        """Record that everything before step ``position`` of this stage is done."""
        self.position = position
        self._files.update({file.path.name: file.commit() for file in files})
        document = {"stage": self.stage, "position": self.position, "files": self._files}
        write_json(self.folder / "progress.json", document)

    def finish(self, next_stage: str, files: Sequence[RecordFile]) -> None:
        """Close this stage and record the next one as begun."""
        self.stage = next_stage
        self.commit(0, files)
        for file in files:
            file.close()


def prepare_folder(out: Path, *, resume: bool) -> Path:
    """Make the curation's folder; returns its ``state/``.

    Raises:
        RunError: It cannot be made, or holds a curation and ``resume`` was not said.
        UsageError: It holds something else.
    """
    if (out / "state" / "settings.json").is_file():
        if not resume:
            raise RunError(f"{out} already holds a curation", hint="go on with it: --resume; or choose another --out")
    elif out.is_dir() and any(entry.name != "state" and not is_leftover(entry.name) for entry in out.iterdir()):
        raise UsageError(f"{out} is not empty and holds no curation", hint="choose another --out")
    return make_folder(out / "state")


def _read_settings(path: Path) -> dict[str, Any] | None:
    """The settings that a curation was begun with, or None where none was begun."""
    if not path.is_file():
        return None
    try:
        settings = dict(json.loads(path.read_text(encoding="utf-8")))
        thresholds = settings["thresholds"]
        if "worth_a_look" in thresholds:  # its name in curations that were begun before it was changed
            thresholds["min_correlation_for_sift"] = thresholds.pop("worth_a_look")
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} is damaged", hint="begin again in another --out") from error
    return settings
