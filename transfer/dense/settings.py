"""Settings of a dense run: dataclasses whose fields carry their citation, and where each value of a run is from."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, get_type_hints

from ...errors import UsageError

Settings = TypeVar("Settings", bound=Any)
Given = Mapping[str, tuple[Any, str]]
"""Value and source of settings by name."""


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
    hints = get_type_hints(kind)
    given: dict[str, tuple[Any, str]] = {}
    for text in assignments:
        name, equals, value = text.partition("=")
        name = name.strip().replace("-", "_")
        if not equals:
            raise UsageError(f"--set {text!r} has no value", hint="write KEY=VALUE, such as lr=0.005")
        if name not in hints:
            raise _unknown(name, hints, task)
        given[name] = (_typed(name, value.strip(), hints[name]), "--set")
    return given


def common_faults(settings: Any, *, positive: Sequence[str], not_negative: Sequence[str]) -> list[str]:
    """What makes no sense in any dense run's settings, a text each.

    Args:
        settings: With ``batchnorm``, ``frozen_stages`` and ``lr_multipliers`` among its fields.
        positive: Names of values that must be above 0.
        not_negative: Names of values that must be 0 or more.
    """
    values = dataclasses.asdict(settings)
    wrong = [
        f"{name} must be finite" for name, one in values.items() if isinstance(one, float) and not math.isfinite(one)
    ]
    wrong += [f"{name} must be positive" for name in positive if not getattr(settings, name) > 0]
    wrong += [f"{name} must not be negative" for name in not_negative if not getattr(settings, name) >= 0]
    if settings.batchnorm not in ("frozen", "train"):
        wrong.append("batchnorm is frozen or train")
    if not 0 <= settings.frozen_stages <= 5:
        wrong.append("frozen_stages is 0 (none) to 5 (the whole backbone)")
    if len(settings.lr_multipliers) not in (0, 5):
        wrong.append("lr_multipliers are five numbers: the stem's and the four stages'")
    return wrong


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


def _typed(name: str, text: str, kind: Any) -> Any:
    try:
        if kind in (int, float, str):
            return kind(text)
        item = float if float in kind.__args__ else int
        return tuple(item(part) for part in text.split(",") if part.strip() and text not in ("none", "[]"))
    except ValueError:
        wanted = {int: "a whole number", float: "a number"}.get(kind, "numbers with commas between them")
        raise UsageError(f"{name} takes {wanted}, not {text!r}", hint=f"write --set {name}=VALUE") from None
