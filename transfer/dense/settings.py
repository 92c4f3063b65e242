"""Settings of a dense run: dataclasses whose fields carry their citation, and where each value of a run is from."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Generic, TypeVar

from ...base.errors import UsageError
from ...base.setting_values import Range, convert, value_types

Settings = TypeVar("Settings", bound=Any)
Given = Mapping[str, tuple[Any, str]]
"""Value and source of settings by name."""
ImageSide = Annotated[int, Range(1, 16_384)]
FrozenStages = Annotated[int, Range(0, 5)]
"""How many of the backbone's stages do not learn: 0 none, 5 the whole backbone."""
Multipliers = Annotated[tuple[float, ...], Range(0, 1000)]
"""One learning rate over the base rate each."""


def cited(default: Any, source: str) -> Any:
    """A dataclass field with its default and where that is from."""
    return field(default=default, metadata={"source": source})


@dataclass(frozen=True)
class Resolved(Generic[Settings]):
    """Settings, and where each is from.

    Attributes:
        settings: The values.
        sources: The citation, or the option, behind each.
        notes: What the reader should know about how they came about.
    """

    settings: Settings
    sources: Mapping[str, str]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """``{name: {"value", "source"}}``."""
        values = dataclasses.asdict(self.settings)
        return {name: {"value": value, "source": self.sources[name]} for name, value in values.items()}


class Draft(Generic[Settings]):
    """Settings in the making: the defaults of a class, over which later sources are put.

    Args:
        kind: A dataclass with `cited` fields.
        task: What runs, for errors: ``"detection"``.
    """

    def __init__(self, kind: type[Settings], task: str) -> None:
        self.kind, self.task = kind, task
        self.values: dict[str, Any] = {}
        self.sources = {entry.name: str(entry.metadata["source"]) for entry in dataclasses.fields(kind)}

    def put(self, name: str, value: Any, source: str) -> None:
        """Set a value and where it is from."""
        self.values[name], self.sources[name] = value, source

    def put_all(self, given: Given) -> None:
        """Set what was given.

        Raises:
            UsageError: One of them is no setting.
        """
        for name, (value, source) in given.items():
            if name not in self.sources:
                raise _unknown(name, self.sources, self.task)
            self.put(name, value, source)

    def settings(self) -> Settings:
        """The settings as they stand.

        Raises:
            UsageError: Values make no sense.
        """
        return self.kind(**self.values)

    def resolve(self, own_batch: int, cited_by: str) -> Resolved[Settings]:
        """The settings with their sources; a rate that was left as it is while the batch changed is said.

        Args:
            own_batch: The batch size that the cited rate is for.
            cited_by: How the source of a rate that was not given begins.

        Raises:
            UsageError: Values make no sense.
        """
        settings = self.settings()
        notes = []
        if settings.batch_size != own_batch and self.sources["lr"].startswith(cited_by):
            linear = settings.lr * settings.batch_size / own_batch
            notes.append(
                f"lr {settings.lr:g} is for batches of {own_batch}, not {settings.batch_size}: it is left as it is; "
                f"the linear rule would give --lr {linear:g}"
            )
        return Resolved(settings, self.sources, tuple(notes))


def parse_assignments(kind: type[Any], task: str, assignments: Sequence[str]) -> dict[str, tuple[Any, str]]:
    """``KEY=VALUE`` texts as typed values; lists are written with commas.

    Raises:
        UsageError: No ``=``, an unknown key, or a value of the wrong type.
    """
    hints = value_types(kind)
    given: dict[str, tuple[Any, str]] = {}
    for text in assignments:
        name, equals, value = text.partition("=")
        name = name.strip().replace("-", "_")
        if not equals:
            raise UsageError(f"--set {text!r} has no value", hint="write KEY=VALUE, such as lr=0.005")
        if name not in hints:
            raise _unknown(name, hints, task)
        given[name] = (convert(value, hints[name], name), "--set")
    return given


def common_faults(settings: Any) -> list[str]:
    """What does not go together in any dense run's settings, a text each."""
    if len(settings.lr_multipliers) in (0, 5):
        return []
    return ["lr_multipliers are five numbers: the stem's and the four stages'"]


def refuse(wrong: Sequence[str]) -> None:
    """One error for all that makes no sense.

    Raises:
        UsageError: There is something.
    """
    if wrong:
        raise UsageError(f"the settings make no sense: {'; '.join(wrong)}", hint="--dry-run shows them all")


def frozen_line(stages: int) -> str:
    """How many of the backbone's stages do not learn, for a reader."""
    return {0: "nothing frozen", 5: "backbone frozen"}.get(stages, f"{stages} stages frozen")


def _unknown(name: str, known: Iterable[str], task: str) -> UsageError:
    names = list(known)
    nearest = difflib.get_close_matches(name, names, n=1)
    meant = f"did you mean {nearest[0]}?" if nearest else f"there are {', '.join(names)}"
    return UsageError(f"there is no setting {name!r} of a {task} run", hint=meant)
