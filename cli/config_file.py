"""``--config``: settings in a TOML file, a table a verb, and a table a command below a verb that has several."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from ..base.errors import UsageError
from ..base.regular_files import refuse_special
from ..base.suggestions import suggestion
from .commands import verb_path
from .settings import ASSIGNMENTS, CONFIG_KEY, ConfigFile, SettingOption, setting
from .verbs import VERBS

CONFIG_FILE = "kdzoo.toml"
_TOML_HINT = "write key = value lines, as docs/cli.md shows"


def _read_config(ctx: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if ctx.resilient_parsing:
        return
    path = Path(value or CONFIG_FILE).expanduser()
    try:
        tables = _read_toml(path)
    except FileNotFoundError:
        if value is None:
            return
        raise UsageError(f"no config file {path}", hint="give the path of a TOML file to --config") from None
    for name, table in tables.items():
        if name not in VERBS or not isinstance(table, Mapping):
            hint = suggestion(name, VERBS, "its tables are named after verbs, such as [train]")
            raise UsageError(f"{path}: there is no verb {name!r}", hint=hint)
    shared, own = _Tables(ctx, path).defaults(tables)
    ctx.default_map = {**shared, **own}
    ctx.meta[CONFIG_KEY] = ConfigFile(str(path), frozenset(own), shared.get(ASSIGNMENTS, ()), own.get(ASSIGNMENTS, ()))


def _read_toml(path: Path) -> dict[str, Any]:
    refuse_special(path, what="the config file")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"config file {path} cannot be read ({error})", hint="give another --config") from error
    except RecursionError:
        raise UsageError(f"config file {path} is nested too deeply", hint=_TOML_HINT) from None
    except ValueError as error:  # not TOML, or an integer of thousands of digits
        raise UsageError(f"config file {path} is not TOML: {error}", hint=_TOML_HINT) from error


class _Tables:
    """What a config file has for one command: its verb's table and, below a verb with several commands, its own."""

    def __init__(self, ctx: click.Context, path: Path) -> None:
        self.ctx, self.path = ctx, path
        self.verb, *below = verb_path(ctx)
        self.below = below[0] if below else ""
        self.group = ctx.parent if below else None
        self.options = _options(ctx.command)

    def defaults(self, tables: Mapping[str, Mapping[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
        """The verb's values and the command's own ones by parameter, as text, so that click reads them as a flag's."""
        shared = dict(tables.get(self.verb, {}))
        own: Mapping[str, Any] = {}
        for name in [name for name, value in shared.items() if isinstance(value, Mapping) and self._is_command(name)]:
            table = shared.pop(name)
            if name in (self.below, self.below.partition(":")[0]):
                own = table
        return self._read(shared, self.verb), self._read(own, f"{self.verb}.{self.below.partition(':')[0]}")

    def _is_command(self, name: str) -> bool:
        """Whether a table is one of the commands below the verb."""
        if self.group is None or not isinstance(self.group.command, click.Group):
            return False
        return name == self.below or name.partition(":")[0] in self.group.command.list_commands(self.group)

    def _read(self, table: Mapping[str, Any], title: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in table.items():
            option = self.options.get(name.replace("_", "-"))
            if option is None and title == self.verb and name.replace("_", "-") in self._options_beside():
                continue  # of another command of the verb
            if option is None or option.name is None:
                where = f"'kdzoo {title.replace('.', ' ')} --help' lists what can stand there"
                hint = suggestion(name, self.options, where)
                raise UsageError(f"{self.path}: there is no setting {title}.{name}", hint=hint)
            if option.name in found:
                raise UsageError(f"{self.path}: {title}.{name} stands twice", hint="keep one of them")
            if option.multiple:
                found[option.name] = _several(value)
            elif isinstance(value, list) and "LIST" in (option.metavar or ""):
                found[option.name] = ",".join(map(_text, value))
            elif isinstance(value, list | dict):
                raise UsageError(f"{self.path}: {title}.{name} takes one value", hint=f"write {name} = …")
            else:
                found[option.name] = _text(value)
        return found

    def _options_beside(self) -> set[str]:
        """The options of the other commands of the verb."""
        if self.group is None or not isinstance(self.group.command, click.Group):
            return set()
        names = self.group.command.list_commands(self.group)
        commands = [self.group.command.get_command(self.group, name) for name in names]
        return {key for command in commands if command is not None for key in _options(command)}


def _options(command: click.Command) -> dict[str, SettingOption]:
    return {one.key: one for one in command.params if isinstance(one, SettingOption) and one.expose_value}


def _several(value: Any, prefix: str = "") -> list[str]:
    """A list, a single value, or (for ``--set``) a table, whose dotted keys become ``a.b=value``."""
    if isinstance(value, Mapping):
        texts: list[str] = []
        for key, item in value.items():
            name = f"{prefix}{key}"
            texts += _several(item, f"{name}.") if isinstance(item, Mapping) else [f"{name}={_text(item)}"]
        return texts
    return [_text(item) for item in (value if isinstance(value, list) else [value])]


def _text(value: Any) -> str:
    try:
        return json.dumps(value) if isinstance(value, bool | list) else str(value)
    except (TypeError, ValueError):  # a list of dates; an integer of thousands of digits
        raise UsageError("the config file has a value that no setting takes", hint=_TOML_HINT) from None


config_option = setting(
    "--config",
    envvar="KDZOO_CONFIG",
    metavar="FILE",
    is_eager=True,
    expose_value=False,
    callback=_read_config,
    help=f"TOML file of settings; else ./{CONFIG_FILE}.",
)
"""``--config FILE``; without it, ``kdzoo.toml`` in the working folder is read where there is one."""
