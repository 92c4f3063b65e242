"""A run folder, read without trust: what is missing or damaged is named, the rest is used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import RunError
from .metrics import TOP1, PrimaryMetric, find_primary
from .regular_files import read_json
from .run_documents import MetricLine, RunConfig, Session, TrainResult, read_lines, sessions_from_json

_NAME_ONE = "name the --out folder of 'kdzoo train' or 'kdzoo distill'"


@dataclass(frozen=True)
class RunRecord:
    """The documents of a run folder.

    Attributes:
        path: The folder.
        config: config.json.
        sessions: One entry a process that worked on the run, the first one first.
        lines: metrics.jsonl.
        speed: speed.jsonl.
        model: model/config.json; empty where nothing is exported.
        result: result.json; None while the run is not finished.
        problems: A line each on what is missing or damaged.
    """

    path: Path
    config: RunConfig
    sessions: tuple[Session, ...] = ()
    lines: tuple[MetricLine, ...] = ()
    speed: tuple[MetricLine, ...] = ()
    model: Mapping[str, Any] = field(default_factory=dict)
    result: TrainResult | None = None
    problems: tuple[str, ...] = ()

    @property
    def primary(self) -> PrimaryMetric:
        """The metric by which the run is measured."""
        found = [] if self.result is None else [self.result.metrics.primary]
        found += [primary for line in self.lines_of_kind("eval") if (primary := find_primary(line.values))]
        found += [report.primary for report in self.config.teacher_reports]
        return next((primary for primary in found if primary is not TOP1), TOP1)

    def lines_of_kind(self, kind: str) -> list[MetricLine]:
        """The lines of metrics.jsonl of one kind (``train``, ``eval``, ``unreadable``)."""
        return [line for line in self.lines if line.kind == kind]


def read_run(folder: Path) -> RunRecord:
    """Read a run folder.

    Raises:
        RunError: It is no folder, or holds nothing of a run.
    """
    if not folder.is_dir():
        raise RunError(f"{folder} is not a run folder", hint=_NAME_ONE)
    problems: list[str] = []
    config = _document(folder, "config.json", problems)
    environment = _document(folder, "environment.json", problems)
    lines, speed = (_lines(folder, name, problems) for name in ("metrics.jsonl", "speed.jsonl"))
    result = _document(folder, "result.json", problems, "the run is not finished")
    model = _document(folder, "model/config.json", problems, "the student is exported when the run ends")
    record = RunRecord(
        path=folder,
        config=RunConfig.from_json(config),
        sessions=sessions_from_json(environment),
        lines=lines,
        speed=speed,
        model=model,
        result=TrainResult.from_json(result, folder) if result else None,
        problems=tuple(problems),
    )
    if not (config or lines or record.sessions or model):
        raise RunError(f"{folder} holds no run", hint=_NAME_ONE)
    return record


def _document(folder: Path, name: str, problems: list[str], why: str = "") -> dict[str, Any]:
    try:
        document = read_json(folder / name)
    except FileNotFoundError:
        problems.append(f"{name} is not there" + (f": {why}" if why else ""))
        return {}
    except (OSError, ValueError) as error:
        problems.append(f"{name} cannot be read ({error})")
        return {}
    if not isinstance(document, dict):
        problems.append(f"{name} holds no JSON object")
        return {}
    return document


def _lines(folder: Path, name: str, problems: list[str]) -> tuple[MetricLine, ...]:
    try:
        lines, damaged = read_lines(folder / name)
    except FileNotFoundError:
        problems.append(f"{name} is not there")
        return ()
    except OSError as error:
        problems.append(f"{name} cannot be read ({error})")
        return ()
    if damaged:
        problems.append(f"{name} has {damaged} damaged line{'s' if damaged > 1 else ''}, left out here")
    elif not lines:
        problems.append(f"{name} is empty")
    return tuple(map(MetricLine.from_json, lines))
