"""What a run folder says of its run, read without trust: what is missing or damaged is named, the rest is used."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..base.errors import RunError
from ..base.regular_files import read_json, refuse_special

_LARGEST = 1e30  # what a file gives beyond it is damage, not a measurement


@dataclass(frozen=True)
class RunRecord:
    """The documents of a run folder.

    Attributes:
        path: The folder.
        config: config.json; empty where it is missing.
        sessions: One entry a process that worked on the run, the first one first.
        lines: metrics.jsonl.
        speed: speed.jsonl.
        model: model/config.json.
        result: result.json; empty while the run is not finished.
        problems: A line each on what is missing or damaged.
    """

    path: Path
    config: dict[str, Any] = field(default_factory=dict)
    sessions: tuple[dict[str, Any], ...] = ()
    lines: tuple[dict[str, Any], ...] = ()
    speed: tuple[dict[str, Any], ...] = ()
    model: dict[str, Any] = field(default_factory=dict)
    result: dict[str, Any] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    @property
    def is_gaze(self) -> bool:
        """Whether the run predicts a gaze: its numbers are angular errors, in degrees."""
        return any(
            "angular_error" in row for row in (self.result, *self.of_kind("eval"), *self.table("teacher_reports"))
        )

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl of one kind (``train``, ``eval``, ``unreadable``)."""
        return [line for line in self.lines if line.get("kind") == kind]

    def get(self, *keys: str) -> Any:
        """An entry of config.json by its path, or None."""
        found: Any = self.config
        for key in keys:
            found = found.get(key) if isinstance(found, Mapping) else None
        return found

    def setting(self, name: str) -> Any:
        """A setting's value by its dotted name, or None."""
        entry = self.get("settings", name)
        return entry.get("value") if isinstance(entry, Mapping) else entry

    def texts(self, key: str) -> list[str]:
        """A list of texts in config.json."""
        found = self.get(key)
        return [str(entry) for entry in found] if isinstance(found, list) else []

    def table(self, key: str) -> list[dict[str, Any]]:
        """A list of objects in config.json, without entries of another form."""
        found = self.get(key)
        return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def read_run(folder: Path) -> RunRecord:
    """Read a run folder.

    Raises:
        RunError: It is no folder, or holds nothing of a run.
    """
    if not folder.is_dir():
        raise RunError(
            f"{folder} is not a run folder", hint="name the --out folder of 'kdzoo train' or 'kdzoo distill'"
        )
    problems: list[str] = []
    config = _document(folder, "config.json", problems)
    sessions = _document(folder, "environment.json", problems).get("sessions")
    record = RunRecord(
        path=folder,
        config=config,
        sessions=tuple(s for s in sessions if isinstance(s, dict)) if isinstance(sessions, list) else (),
        lines=_lines(folder, "metrics.jsonl", problems),
        speed=_lines(folder, "speed.jsonl", problems),
        result=_document(folder, "result.json", problems, "the run is not finished"),
        model=_document(folder, "model/config.json", problems, "the student is exported when the run ends"),
        problems=tuple(problems),
    )
    if not (record.config or record.lines or record.sessions or record.model):
        raise RunError(f"{folder} holds no run", hint="name the --out folder of 'kdzoo train' or 'kdzoo distill'")
    return record


def as_number(value: object) -> float:
    """A number of a JSON document; NaN for what is none (metrics write ``nan`` and ``inf`` as words)."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not -_LARGEST < value < _LARGEST:
        return math.nan
    return float(value)


def as_count(value: object) -> int:
    """A count of a JSON document; 0 for what is none."""
    number = as_number(value)
    return int(number) if number > 0 else 0


def _document(folder: Path, name: str, problems: list[str], why: str = "") -> dict[str, Any]:
    try:
        document = read_json(folder / name)
    except FileNotFoundError:
        problems.append(f"{name} is not there" + (f": {why}" if why else ""))
        return {}
    except (OSError, ValueError, RecursionError) as error:
        problems.append(f"{name} cannot be read ({error})")
        return {}
    if not isinstance(document, dict):
        problems.append(f"{name} holds no JSON object")
        return {}
    return document


def _lines(folder: Path, name: str, problems: list[str]) -> tuple[dict[str, Any], ...]:
    try:
        refuse_special(folder / name, what="the record")
        text = (folder / name).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        problems.append(f"{name} is not there")
        return ()
    except OSError as error:
        problems.append(f"{name} cannot be read ({error})")
        return ()
    lines, damaged = [], 0
    for line in text.split("\n"):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            entry = None
        if isinstance(entry, dict):
            lines.append(entry)
        else:
            damaged += 1
    if damaged:
        problems.append(f"{name} has {damaged} damaged line{'s' if damaged > 1 else ''}, left out here")
    elif not lines:
        problems.append(f"{name} is empty")
    return tuple(lines)
