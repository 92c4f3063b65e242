"""click's command and group, with sections, examples and the nearest name for a wrong one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import click
from click.shell_completion import CompletionItem

from ..base.suggestions import suggestion

PROGRAM = "kdzoo"
_NAMES_WIDTH = 26
"""Columns of an option's names; the texts of longer ones begin on the next line."""
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class SectionOption(click.Option):
    """An option that stands under a heading of its verb's help.

    Args:
        section: The heading; None for the general ones.
    """

    def __init__(self, *args: Any, section: str | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.section = section


def _examples_section(formatter: click.HelpFormatter, examples: Sequence[tuple[str, str]]) -> None:
    """Lines to copy, as they are: a long command is not broken."""
    if not examples:
        return
    with formatter.section("Examples"):
        for command, meaning in examples:
            indent = " " * formatter.current_indent
            first, *rest = command.split("\n")
            formatter.write(f"{indent}{first}\n")
            for line in [*rest, meaning]:
                formatter.write(f"{indent}    {line}\n")


@contextlib.contextmanager
def _known_context(ctx: click.Context) -> Iterator[None]:
    """click's parser forgets to say in which command something was wrong; the hint needs it."""
    try:
        yield
    except click.UsageError as error:
        error.ctx = error.ctx or ctx
        raise


def _help_record(parameter: click.Parameter, ctx: click.Context) -> tuple[str, str] | None:
    """An option's names and its text, without what click adds: ranges, which an error names, and ``[required]``."""
    if not isinstance(parameter, click.Option) or parameter.hidden:
        return None
    names, text = parameter.get_help_record(ctx) or ("", "")
    extra = parameter.get_help_extra(ctx)
    told = [part for part in (extra.get("default") and f"default: {extra['default']}",) if part]
    shown = parameter.help or text
    return names, f"{shown}  [{'; '.join(told)}]" if told else shown


class VerbCommand(click.Command):
    """A verb.

    Args:
        examples: Command (in one or more lines) and meaning, shown at the end of the help.
    """

    def __init__(self, *args: Any, examples: Sequence[tuple[str, str]] = (), **kwargs: Any) -> None:
        kwargs["context_settings"] = {**CONTEXT, **(kwargs.get("context_settings") or {})}
        kwargs.setdefault("options_metavar", "[OPTIONS]")
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)
        self.params.append(debug_option())

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        with _known_context(ctx):
            return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Required options stand in the usage line too."""
        needed = [f"{max(one.opts, key=len)} {one.make_metavar(ctx)}" for one in self._required(ctx)]
        return [*needed, *super().collect_usage_pieces(ctx)]

    def _required(self, ctx: click.Context) -> list[click.Option]:
        return [one for one in self.get_params(ctx) if isinstance(one, click.Option) and one.required]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Required options first, then each section's; the general ones come last."""
        required = self._required(ctx)
        sections: dict[str, list[tuple[str, str]]] = {"Required": []}
        general: list[tuple[str, str]] = []
        for parameter in self.get_params(ctx):
            record = _help_record(parameter, ctx)
            section = "Required" if parameter in required else getattr(parameter, "section", None)
            if record is not None:
                (general if section is None else sections.setdefault(section, [])).append(record)
        groups = [*sections.items(), ("General" if len(sections) > 1 else "Options", general)]
        widths = [len(names) for _, records in groups for names, _ in records]
        width = max((one for one in widths if one <= _NAMES_WIDTH), default=_NAMES_WIDTH)
        for title, records in groups:
            if records:
                with formatter.section(title):
                    formatter.write_dl([(f"{names:<{width}}", text) for names, text in records], col_max=width)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_epilog(ctx, formatter)
        _examples_section(formatter, self.examples)


class VerbGroup(click.Group):
    """A verb with verbs of its own. Called without one, it shows its help.

    Args:
        examples: As `VerbCommand`'s.
    """

    command_class = VerbCommand

    def __init__(self, *args: Any, examples: Sequence[tuple[str, str]] = (), **kwargs: Any) -> None:
        kwargs["context_settings"] = {**CONTEXT, **(kwargs.get("context_settings") or {})}
        kwargs.setdefault("subcommand_metavar", "VERB …")
        super().__init__(*args, **{"no_args_is_help": False, **kwargs})
        self.examples = tuple(examples)
        self.params.append(debug_option())

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args and not ctx.resilient_parsing:
            click.echo(ctx.get_help())
            ctx.exit(0)
        with _known_context(ctx):
            return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if not name.startswith("-") and name not in self.list_commands(ctx):
            raise click.UsageError(unknown("verb", name, self.list_commands(ctx)), ctx)
        return super().resolve_command(ctx, args)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_epilog(ctx, formatter)
        _examples_section(formatter, self.examples)


def unknown(kind: str, name: str, known: Sequence[str]) -> str:
    """What to say of a name that is not there: the nearest one that is."""
    there = f"there are: {', '.join(known)}"
    return f"no {kind} {name!r}; {suggestion(name, known) or there}"


def verb_path(ctx: click.Context) -> list[str]:
    """The names of a command and of those above it, below the root: ``["transfer", "coco"]``."""
    names = [str(ctx.info_name)]
    while ctx.parent is not None:
        ctx = ctx.parent
        names.insert(0, str(ctx.info_name))
    return names[1:] if names[0] == PROGRAM else names


def debug_option() -> click.Option:
    """``--debug``, at the root and at every verb."""
    return SectionOption(
        ["--debug"],
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=_set_debug,
        help="Show an error's traceback (also KDZOO_DEBUG=1).",
    )


def _set_debug(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    session = ctx.find_root().obj
    if value and session is not None:
        session.debug = True


def complete_from(names: Sequence[str], incomplete: str) -> list[CompletionItem]:
    """The names that begin with what was typed."""
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]
