"""The documents of a run folder, each with one reader and one writer: config.json, environment.json, result.json,
metrics.jsonl and speed.jsonl.

Documents come from anywhere: a field that is missing or of another type becomes its empty value (``""``, ``()``, 0,
NaN, None), never an error. Whoever cannot go on without a field looks at it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from .json_document import as_count, as_number, as_object, as_objects, as_text, decode
from .metrics import TOP1, Metrics, PrimaryMetric, find_primary
from .regular_files import read_json, refuse_special
from .writing import write_json


@dataclass(frozen=True)
class Setting:
    """A setting's value, and where it came from."""

    value: Any
    source: str = ""


@dataclass(frozen=True)
class DataSummary:
    """What a run says of its training or held-out images.

    Attributes:
        name: Of the data set.
        split: Of it.
        num_images: Their number.
        num_classes: Their classes.
        path: Where they lay; None for embedded data.
        targets: Names of the numbers that are to be predicted in place of a class.
    """

    name: str
    split: str
    num_images: int
    num_classes: int
    path: str | None
    targets: tuple[str, ...]


@dataclass(frozen=True)
class TeacherSummary:
    """What preflight measured of a teacher, or, under the name ``ensemble``, of all of them.

    Attributes:
        reference: Of the model.
        primary: What was measured.
        value: Of it; NaN where it was not.
        promised: Of it; NaN where nothing is.
        num_images: On how many images.
        licence: Of the weights, as their entry states it.
    """

    reference: str
    primary: PrimaryMetric
    value: float
    promised: float
    num_images: int
    licence: str

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> TeacherSummary:
        """Read an entry of ``teacher_reports``."""
        primary = find_primary(entry) or TOP1
        numbers = as_number(entry.get(primary.name)), as_number(entry.get(primary.promise))
        licence = as_text(entry.get("licence"))
        return cls(str(entry.get("reference")), primary, *numbers, as_count(entry.get("num_images")), licence)

    @property
    def is_ensemble(self) -> bool:
        """Whether it is of all teachers together."""
        return self.reference == "ensemble"


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """config.json: what a run was asked for, and what it met.

    Attributes:
        recipe: Its name.
        origin: The recipe's name, or the file that it was read from.
        variants: Names of the variants that were applied.
        teachers: Model references.
        settings: By dotted name.
        notes: What the user was told.
        warnings: What is probably wrong.
        class_names: In label order.
        train_data: The training images.
        val_data: The held-out images.
        teacher_reports: What preflight found, the ensemble last.
        fixed: What a resumed run must share with its beginning, by name.
    """

    recipe: str = ""
    origin: str = ""
    variants: tuple[str, ...] = ()
    teachers: tuple[str, ...] = ()
    settings: Mapping[str, Setting] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()
    train_data: DataSummary | None = None
    val_data: DataSummary | None = None
    teacher_reports: tuple[TeacherSummary, ...] = ()
    fixed: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> RunConfig:
        """Read config.json's object."""
        settings = as_object(document.get("settings"))
        values = {name: entry if isinstance(entry, dict) else {"value": entry} for name, entry in settings.items()}
        reports = as_objects(document.get("teacher_reports"))
        config = decode(cls, {**document, "settings": values, "teacher_reports": []})
        return replace(config, teacher_reports=tuple(map(TeacherSummary.from_json, reports)))

    def setting(self, name: str) -> Any:
        """A setting's value by its dotted name, or None."""
        found = self.settings.get(name)
        return None if found is None else found.value


def read_config(path: Path) -> RunConfig:
    """Read config.json.

    Raises:
        OSError, ValueError: It is missing or cannot be read, or holds no JSON object.
    """
    return RunConfig.from_json(_read_object(path))


def read_fixed(path: Path) -> dict[str, Any]:
    """What config.json says that a resumed run must share with its beginning.

    Raises:
        OSError, ValueError: It is missing or cannot be read, or says nothing of that.
    """
    found = _read_object(path).get("fixed")
    if not isinstance(found, dict):
        raise ValueError("'fixed'")
    return found


def write_config(path: Path, config: Mapping[str, Any], fixed: Mapping[str, Any] | None = None) -> None:
    """Write config.json.

    Args:
        path: The file.
        config: As `RunConfig` reads it, and anything else that a reader may like to know.
        fixed: What a resumed run must share with its beginning; None of the stages of a recipe together.

    Raises:
        RunError: It cannot be written.
    """
    write_json(path, {**config, **({} if fixed is None else {"fixed": dict(fixed)})})


@dataclass(frozen=True, kw_only=True)
class Session:
    """What one process of a run ran on: an entry of environment.json, secrets taken out."""

    started: str = ""
    command: tuple[str, ...] = ()
    python: str = ""
    platform: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    processor: str | None = None
    cpu_cores: int | None = None
    torch_threads: int | None = None
    devices: tuple[str, ...] = ()
    world_size: int | None = None
    git_revision: str | None = None


def sessions_from_json(document: Mapping[str, Any]) -> tuple[Session, ...]:
    """The sessions of environment.json's object, the first one first."""
    return tuple(decode(Session, entry) for entry in as_objects(document.get("sessions")))


def append_session(path: Path, session: Session) -> None:
    """Add a process to an environment.json.

    Raises:
        RunError: It cannot be written.
    """
    try:
        before = as_objects(_read_object(path).get("sessions"))
    except (OSError, ValueError):
        before = []
    write_json(path, {"sessions": [*before, asdict(session)]})


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """What a finished run gave: ``result.json`` in its folder.

    Attributes:
        run: The run folder.
        model: The exported student, timm's own layout.
        metrics: Of the exported weights, on all held-out images: ``result.metrics["top1"]``.
        best: The best value of the metric that decides, of any evaluation.
        epochs: Finished.
        steps: Finished.
        images_per_s: Training throughput of the last process that worked on the run, all ranks together.
        seconds: That this process trained.
        unreadable: Training images that could not be decoded and were replaced.
        warnings: What a reader of these numbers must know, a sentence each.
    """

    run: str
    model: str
    metrics: Metrics
    best: float
    epochs: int
    steps: int
    images_per_s: float
    seconds: float
    unreadable: int
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object; `from_json` reads it."""
        return {
            "run": self.run,
            "model": self.model,
            **self.metrics.to_dict(),
            **{name: getattr(self, name) for name in ("epochs", "steps", "images_per_s", "seconds")},
            f"best_{self.metrics.primary.name}": self.best,
            "unreadable": self.unreadable,
            "warnings": list(self.warnings),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any], folder: Path) -> TrainResult:
        """Read result.json's object, of a run that may have moved to ``folder`` since."""
        metrics = Metrics.from_json(document)
        return cls(
            run=str(folder),
            model=str(folder / "model"),
            metrics=metrics,
            best=as_number(document.get(f"best_{metrics.primary.name}")),
            epochs=as_count(document.get("epochs")),
            steps=as_count(document.get("steps")),
            images_per_s=as_number(document.get("images_per_s")),
            seconds=as_number(document.get("seconds")),
            unreadable=as_count(document.get("unreadable")),
            warnings=decode(tuple[str, ...], document.get("warnings")),
        )


def read_result(folder: Path) -> TrainResult | None:
    """A finished run's result; None where there is none, or it is damaged."""
    try:
        result = TrainResult.from_json(_read_object(folder / "result.json"), folder)
    except (OSError, ValueError):
        return None
    return result if result.metrics.is_measured else None


@dataclass(frozen=True)
class MetricLine:
    """A line of metrics.jsonl or speed.jsonl.

    Attributes:
        kind: ``train``, ``eval``, ``unreadable`` or ``speed``.
        epoch: NaN where it says none.
        step: NaN where it says none.
        model: Of an evaluation: ``student`` or ``ema``.
        values: Everything else: numbers (NaN for what is none) by name, in the line's order.
        texts: What of the rest is text.
    """

    kind: str
    epoch: float
    step: float
    model: str
    values: Mapping[str, float]
    texts: Mapping[str, str]

    @classmethod
    def from_json(cls, line: Mapping[str, Any]) -> MetricLine:
        """Read a line's object."""
        rest = {str(name): value for name, value in line.items() if name not in ("kind", "epoch", "step", "model")}
        return cls(
            kind=as_text(line.get("kind")),
            epoch=as_number(line.get("epoch")),
            step=as_number(line.get("step")),
            model=str(line.get("model", "student")),
            values={name: as_number(value) for name, value in rest.items()},
            texts={name: value for name, value in rest.items() if isinstance(value, str)},
        )


def read_lines(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The objects of a JSON-lines file, and how many lines are damaged, such as a last one cut short by a kill.

    Raises:
        OSError: It is missing or cannot be read.
        UsageError: It is no ordinary file.
    """
    refuse_special(path, what="the record")
    lines, damaged = [], 0
    for text in path.read_text(encoding="utf-8", errors="replace").split("\n"):
        if not text.strip():
            continue
        try:
            entry = json.loads(text)
        except (ValueError, RecursionError):
            entry = None
        if isinstance(entry, dict):
            lines.append(entry)
        else:
            damaged += 1
    return lines, damaged


def _read_object(path: Path) -> dict[str, Any]:
    document = read_json(path)
    if not isinstance(document, dict):
        raise ValueError("it holds no JSON object")
    return document
