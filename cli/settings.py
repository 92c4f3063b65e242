"""Options whose values may also come from the environment and from the config file, and what was given by which."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, get_args

import click
from click.core import ParameterSource

from ..base.errors import UsageError
from ..base.settings import Given, parse_assignments
from .commands import SectionOption, verb_path
from .output import echo

CONFIG_KEY = "kdzoo.config"
"""Where a context keeps the `ConfigFile` that was read."""
ASSIGNMENTS = "assignments"
"""The parameter of ``--set``."""
_VERBS_TABLE, _COMMANDS_TABLE, _ENVIRONMENT, _COMMAND_LINE = 1, 2, 3, 4
_FORMER_VARIABLES = {"data": "KDZOO_DATASET", "val-data": "KDZOO_VAL_DATASET"}


class ConfigFile(NamedTuple):
    """What a config file says to one command.

    Attributes:
        path: Where it is.
        own: The parameters that the command's own table sets, which wins over its verb's.
        shared_assignments: What the verb's table says as ``--set``.
        own_assignments: What the command's own table says so.
    """

    path: str
    own: frozenset[str]
    shared_assignments: Sequence[str]
    own_assignments: Sequence[str]


class SettingOption(SectionOption):
    """An option that the environment and the config file may set as well.

    Its variables are named as click's ``auto_envvar_prefix`` names them, after the command and the option:
    ``KDZOO_TRAIN_BATCH_SIZE``; below a verb, one for the command alone and one for all commands of the verb:
    ``KDZOO_TRANSFER_COCO_LR``, ``KDZOO_TRANSFER_LR``. With click's ``envvar`` it has that one instead, in every verb.
    """

    @property
    def key(self) -> str:
        """Its long name, as the config file has it."""
        return next(text for text in self.opts if text.startswith("--")).removeprefix("--")

    def variables(self, ctx: click.Context) -> list[str]:
        """The variables that may set it, the strongest first."""
        if self.envvar:
            return [str(self.envvar)]
        names = [name.partition(":")[0].replace("-", "_").upper() for name in verb_path(ctx)]
        names = [name for name in names if re.fullmatch(r"\w+", name)]  # a folder's path is no part of a name
        prefixes = ["_".join(["KDZOO", *names[:length]]) for length in range(len(names), 0, -1)]
        return [f"{prefix}_{self._upper()}" for prefix in prefixes]

    def variable(self, ctx: click.Context) -> str | None:
        """The variable that does set it, or None."""
        return next((name for name in self.variables(ctx) if os.environ.get(name)), None)

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        name = self.variable(ctx)
        return None if name is None else os.environ[name]

    def handle_parse_result(
        self, ctx: click.Context, opts: Mapping[str, Any], args: list[str]
    ) -> tuple[Any, list[str]]:
        found = super().handle_parse_result(ctx, opts, args)
        former = _FORMER_VARIABLES.get(self.key, f"KDZOO_{self._upper()}")
        unused = strength(ctx, str(self.name)) < _ENVIRONMENT and not (self.envvar or ctx.resilient_parsing)
        if unused and os.environ.get(former):
            echo(f"warning: {former} is not read any more: --{self.key} has {self.variables(ctx)[-1]}", err=True)
        return found

    def _upper(self) -> str:
        return self.key.replace("-", "_").upper()


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


def setting(*names: str, **kwargs: Any) -> Callable[[Any], Any]:
    """A `SettingOption`, written as click's option."""
    return click.option(*names, cls=SettingOption, **kwargs)


def set_option(what: str) -> Callable[[Any], Any]:
    """``--set KEY=VALUE``; `given_settings` reads it.

    Args:
        what: Which keys there are, for the help.
    """
    return setting("--set", ASSIGNMENTS, multiple=True, metavar="KEY=VALUE", help=f"Any setting {what}. Repeatable.")


def strength(ctx: click.Context, name: str) -> int:
    """How strong the layer of a parameter's value is: command line, environment, config file; 0 is its default."""
    source = ctx.get_parameter_source(name)
    if source is ParameterSource.DEFAULT_MAP:
        return _COMMANDS_TABLE if name in ctx.meta[CONFIG_KEY].own else _VERBS_TABLE
    if source is ParameterSource.COMMANDLINE:
        return _COMMAND_LINE
    return _ENVIRONMENT if source is ParameterSource.ENVIRONMENT else 0


def given_by(ctx: click.Context, name: str) -> str | None:
    """What gave a parameter its value: ``--epochs``, ``KDZOO_TRAIN_EPOCHS``, ``kdzoo.toml``; None for its default."""
    option, level = _option(ctx, name), strength(ctx, name)
    if level in (_VERBS_TABLE, _COMMANDS_TABLE):
        return str(ctx.meta[CONFIG_KEY].path)
    return {_COMMAND_LINE: f"--{option.key}", _ENVIRONMENT: option.variable(ctx)}.get(level)


def given_settings(ctx: click.Context, settings: Mapping[str, str], *, rivals: Sequence[str] = ()) -> dict[str, Given]:
    """What the command line, the environment and the config file say, an entry a setting: the strongest layer wins.

    Args:
        ctx: Of a verb, with or without `set_option`.
        settings: The setting behind each parameter; those that the verb does not have are passed over.
        rivals: Settings that stand for the same thing: those of the strongest layer alone are given.

    Raises:
        UsageError: One layer says two things of one setting (``--epochs 3 --set training.epochs=4``).
    """
    given: dict[str, Given] = {}
    layer: dict[str, int] = {}
    for name, path in settings.items():
        value = ctx.params.get(name)
        if value not in (None, ()) and strength(ctx, name):
            given[path], layer[path] = Given(value, str(given_by(ctx, name))), strength(ctx, name)
    for level, source, texts in _assignments(ctx):
        for path, text in parse_assignments(texts).items():
            if level == layer.get(path):
                rival = given[path].source
                where = f" in {source}" if rival == source else f": by {rival} and by {source}"
                raise UsageError(f"{path} is set twice{where}", hint="leave one of them out")
            if level > layer.get(path, 0):
                given[path], layer[path] = Given(text, source), level
    strongest = max((layer.get(path, 0) for path in rivals), default=0)
    return {path: entry for path, entry in given.items() if path not in rivals or layer[path] == strongest}


def _assignments(ctx: click.Context) -> Iterator[tuple[int, str, Sequence[str]]]:
    """(strength, source, arguments) of ``--set`` in each layer, the strongest first."""
    if ASSIGNMENTS not in ctx.params:
        return
    option, config = _option(ctx, ASSIGNMENTS), ctx.meta.get(CONFIG_KEY)
    if strength(ctx, ASSIGNMENTS) == _COMMAND_LINE:
        yield _COMMAND_LINE, "--set", ctx.params[ASSIGNMENTS]
    yield _ENVIRONMENT, str(option.variable(ctx)), option.value_from_envvar(ctx) or ()
    if config is not None:
        yield _COMMANDS_TABLE, config.path, config.own_assignments
        yield _VERBS_TABLE, config.path, config.shared_assignments


def _option(ctx: click.Context, name: str) -> SettingOption:
    return next(one for one in ctx.command.params if isinstance(one, SettingOption) and one.name == name)
