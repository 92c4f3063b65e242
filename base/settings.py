"""Settings by name: what was given, layer over layer, and where each value is from.

The layers have one order in every verb, the strongest first: the command line (an option or ``--set``), the
environment, the config file, what follows from the data, the row of a paper's table, the recipe or the protocol.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from .errors import UsageError
from .setting_values import check_value, convert, leaves, value_types
from .suggestions import unknown

Settings = TypeVar("Settings")
_WHERE = "--dry-run shows them all"


class Given(NamedTuple):
    """A value of a setting.

    Attributes:
        value: Text, or a value of the setting's type.
        source: Where it is from: ``--epochs``, ``--set``, ``KDZOO_TRAIN_EPOCHS``, ``kdzoo.toml``, or a citation.
    """

    value: Any
    source: str


Values = Mapping[str, tuple[Any, str]]
"""Value and source of settings by name."""


def flatten(settings: Any, prefix: str = "") -> dict[str, Any]:
    """``{dotted path: value}`` of every setting below a dataclass."""
    return {path: value for path, value, _ in leaves(settings, prefix)}


def setting_types(settings: Any, prefix: str = "") -> dict[str, Any]:
    """``{dotted path: type with its range}`` of every setting that `flatten` gives."""
    return {path: annotation for path, _, annotation in leaves(settings, prefix)}


def replace_settings(settings: Settings, values: Mapping[str, Any]) -> Settings:
    """A copy of a dataclass tree with some settings replaced; the values must be of the right type already.

    Raises:
        UsageError: A value that its settings class refuses.
    """
    here: dict[str, Any] = {}
    below: dict[str, dict[str, Any]] = {}
    for path, value in values.items():
        name, dot, rest = path.partition(".")
        if dot:
            below.setdefault(name, {})[rest] = value
        else:
            here[name] = value
    here.update({name: replace_settings(getattr(settings, name), inner) for name, inner in below.items()})
    try:
        return dataclasses.replace(settings, **here)  # type: ignore[type-var]
    except ValueError as error:
        raise UsageError(f"{', '.join(values)}: {error}") from error


def parse_assignments(arguments: Iterable[str]) -> dict[str, str]:
    """``KEY=VALUE`` arguments as ``{key: text}``; a later one wins.

    Raises:
        UsageError: An argument without ``=``.
    """
    values: dict[str, str] = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        above, dot, name = key.strip().rpartition(".")
        if not equals or not name:
            raise UsageError(
                f"--set takes KEY=VALUE, got {argument!r}", hint="for example --set lr=0.02; --dry-run shows the keys"
            )
        values[above + dot + name.replace("-", "_")] = value
    return values


def given_arguments(named: Mapping[str, Any], settings: Mapping[str, Any] | None) -> dict[str, Given]:
    """What a function's own arguments and its ``settings`` give; an argument that is None gives nothing.

    Args:
        named: The arguments, by setting.
        settings: Further settings; one that is `Given` already keeps its source.

    Raises:
        UsageError: Both give the same setting.
    """
    given = {name: Given(value, "argument") for name, value in named.items() if value is not None}
    for name, value in (settings or {}).items():
        if name in given:
            raise UsageError(f"{name} is set twice: in settings and by its own argument", hint="leave one of them out")
        given[name] = value if isinstance(value, Given) else Given(value, "settings")
    return given


def read_settings(types: Mapping[str, Any], given: Values, *, name_options: bool = False) -> dict[str, Given]:
    """What was given, as text or as values, in the settings' own types.

    Args:
        types: Type with its range of every setting.
        given: What was given.
        name_options: Whether an error names the option that gave a value (``--freeze``) rather than the setting.

    Raises:
        UsageError: An unknown setting (the nearest one is named), or a value of the wrong type or out of its range.
    """
    read = {}
    for name, (value, source) in given.items():
        if name not in types:
            raise unknown(name, types, what="setting", where=_WHERE)
        by_option = name_options and source.startswith("--") and source != "--set"
        read[name] = Given(convert(value, types[name], source if by_option else name), source)
    return read


def sourced(values: Mapping[str, Any], sources: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """``{setting: {"value", "source"}}``, as documents have it."""
    return {
        name: {"value": list(value) if isinstance(value, tuple) else value, "source": sources[name]}
        for name, value in values.items()
    }


@dataclass(frozen=True)
class ResolvedSettings(Generic[Settings]):
    """Settings, and where each is from.

    Attributes:
        settings: The values.
        sources: The citation, or what gave it, of each.
        notes: What the reader should know about how they came about.
    """

    settings: Settings
    sources: Mapping[str, str]
    notes: tuple[str, ...] = ()

    def values(self) -> dict[str, Any]:
        """The values by name."""
        return flatten(self.settings)

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """``{name: {"value", "source"}}``."""
        return sourced(self.values(), self.sources)


class SettingsBuilder:
    """Settings in the making: values with their sources, over which stronger layers are put.

    Args:
        types: Type with its range of every setting.
        weakest: The weakest layer: a value of every setting.
    """

    def __init__(self, types: Mapping[str, Any], weakest: Values) -> None:
        self.types = types
        self.values = {name: value for name, (value, _) in weakest.items()}
        self.sources = {name: source for name, (_, source) in weakest.items()}

    def put(self, name: str, value: Any, source: str) -> None:
        """Set a value and where it is from."""
        self.values[name], self.sources[name] = value, source

    def put_all(self, layer: Values) -> None:
        """Put a whole layer over what is there.

        Raises:
            UsageError: One of them is no setting, or its value is not of its type or out of its range.
        """
        for name, (value, source) in layer.items():
            if name not in self.types:
                raise unknown(name, self.types, what="setting", where=_WHERE)
            self.put(name, check_value(value, self.types[name], name), source)

    def resolve(self, kind: type[Settings], notes: Iterable[str] = ()) -> ResolvedSettings[Settings]:
        """The settings as they stand, as the dataclass that checks whether they go together.

        Raises:
            UsageError: Values make no sense.
        """
        return ResolvedSettings(kind(**self.values), dict(self.sources), tuple(notes))


def cited(default: Any, source: str) -> Any:
    """A dataclass field with its default and where that is from."""
    return dataclasses.field(default=default, metadata={"source": source})


def cited_defaults(kind: type[Any]) -> dict[str, Given]:
    """The defaults of a dataclass whose fields are `cited`, each with where it is from."""
    return {entry.name: Given(entry.default, str(entry.metadata["source"])) for entry in dataclasses.fields(kind)}


def cited_settings(kind: type[Settings], **rows: tuple[Any, str]) -> ResolvedSettings[Settings]:
    """Settings from rows of (value, where it is from), one a field."""
    return SettingsBuilder(value_types(kind), rows).resolve(kind)
