"""Where a setting comes from: the flag, else the KDZOO_* environment, else the config file, else the recipe."""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

import click
from click.core import ParameterSource

from ..base.errors import UsageError
from ..base.regular_files import refuse_special
from .commands import SectionOption
from .verbs import VERBS

CONFIG_FILE = "kdzoo.toml"
_CONFIG_KEY = "kdzoo.config"
_TOML_HINT = "write key = value lines, as docs/cli.md shows"
_GIVEN = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT, ParameterSource.DEFAULT_MAP)

Function = TypeVar("Function", bound=Callable[..., Any])


class _Number(click.FloatRange):
    """As click's, without NaN, which is neither below nor above anything."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if number != number:
            self.fail(f"{value} is not in the range {self._describe_range()}.", param, ctx)
        return number


def within(annotation: Any) -> click.ParamType:
    """click's type of a setting, whose range is the one that is declared beside the setting's own type."""
    kind, limits = get_args(annotation)
    whole = click.IntRange if kind is int else _Number
    return whole(limits.low, limits.high, min_open=limits.above_low, max_open=limits.below_high)


def setting(
    *names: str, env: str | None = None, section: str | None = None, **kwargs: Any
) -> Callable[[Function], Function]:
    """An option whose value may also come from the environment and from the config file.

    Args:
        names: As click's option; the first long one names the variable (``--batch-size``: ``KDZOO_BATCH_SIZE``) and the
            config file's key (``batch-size``).
        env: Another variable's name.
        section: Heading in the help.
        kwargs: As click's option.
    """
    long = next(name for name in names if name.startswith("--"))
    variable = env or "KDZOO_" + long.removeprefix("--").replace("-", "_").upper()
    return click.option(*names, cls=SectionOption, section=section, envvar=variable, **kwargs)


def config_option(section: str | None = None) -> Callable[[Function], Function]:
    """``--config FILE``; without it, ``kdzoo.toml`` in the working folder is read where there is one."""
    return click.option(
        "--config",
        cls=SectionOption,
        section=section,
        envvar="KDZOO_CONFIG",
        metavar="FILE",
        is_eager=True,
        expose_value=False,
        callback=_read_config,
        help=f"Settings in a TOML file, a table a verb; {CONFIG_FILE} in the working folder by default.",
    )


def source_of(ctx: click.Context, name: str) -> str | None:
    """Where a parameter's value is from: ``"--epochs"``, ``"KDZOO_EPOCHS"``, ``"kdzoo.toml"``; None for its default."""
    source = ctx.get_parameter_source(name)
    option = _option(ctx, name)
    if source is ParameterSource.COMMANDLINE:
        return _key(option, prefix="--")
    if source is ParameterSource.ENVIRONMENT:
        return str(option.envvar)
    if source is ParameterSource.DEFAULT_MAP:
        return str(ctx.meta[_CONFIG_KEY])
    return None


def strength(ctx: click.Context, name: str) -> int:
    """How strong the layer of a parameter's value is: 3 flag, 2 environment, 1 config file, 0 default."""
    source = ctx.get_parameter_source(name)
    return len(_GIVEN) - _GIVEN.index(source) if source in _GIVEN else 0


def _option(ctx: click.Context, name: str) -> click.Option:
    return next(p for p in ctx.command.params if isinstance(p, click.Option) and p.name == name)


def _key(option: click.Option, prefix: str = "") -> str:
    return prefix + next(text for text in option.opts if text.startswith("--")).removeprefix("--")


def _read_config(ctx: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if ctx.resilient_parsing:
        return
    path = Path(value or CONFIG_FILE).expanduser()
    refuse_special(path, what="the config file")
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if value is None:
            return
        raise UsageError(f"no config file {path}", hint="give the path of a TOML file to --config") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"config file {path} cannot be read ({error})", hint="give another --config") from error
    except RecursionError:
        raise UsageError(f"config file {path} is nested too deeply", hint=_TOML_HINT) from None
    except ValueError as error:  # not TOML, or an integer of thousands of digits
        raise UsageError(f"config file {path} is not TOML: {error}", hint=_TOML_HINT) from error
    verb = _verb(ctx)
    for name, table in tables.items():
        if name not in VERBS or not isinstance(table, Mapping):
            raise UsageError(
                _unknown(path, name, list(VERBS)), hint="its tables are named after verbs, such as [train]"
            )
    ctx.default_map = _defaults(ctx, path, verb, tables.get(verb, {}))
    ctx.meta[_CONFIG_KEY] = str(path)


def _verb(ctx: click.Context) -> str:
    """The verb that a command belongs to: ``transfer`` for ``kdzoo transfer digits``."""
    while ctx.parent is not None and ctx.parent.parent is not None:
        ctx = ctx.parent
    return str(ctx.info_name)


def _defaults(ctx: click.Context, path: Path, verb: str, table: Mapping[str, Any]) -> dict[str, Any]:
    """The table's values by parameter, as text, so that click reads them as it reads a flag's."""
    options = {
        _key(option): option
        for option in ctx.command.params
        if isinstance(option, click.Option) and option.envvar and option.expose_value
    }
    defaults: dict[str, Any] = {}
    for name, value in table.items():
        option = options.get(name.replace("_", "-"))
        if option is None or option.name is None:
            raise UsageError(
                _unknown(path, name, list(options), verb), hint=f"'kdzoo {verb} --help' lists what can stand there"
            )
        if option.name in defaults:
            raise UsageError(f"{path}: {verb}.{name} stands twice", hint="keep one of them")
        if option.multiple:
            defaults[option.name] = _several(value)
        elif isinstance(value, list | dict):
            raise UsageError(f"{path}: {verb}.{name} takes one value", hint=f"write {name} = …")
        else:
            defaults[option.name] = _text(value)
    return defaults


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


def _unknown(path: Path, name: str, known: list[str], verb: str | None = None) -> str:
    nearest = difflib.get_close_matches(name.replace("_", "-"), known, n=1, cutoff=0.5)
    where = f"{path}: {verb + '.' if verb else ''}{name}"
    return f"{where} is not a known {'setting' if verb else 'verb'}" + (
        f"; did you mean {nearest[0]!r}?" if nearest else ""
    )
