"""The root command: knows every verb's name and summary, and imports a verb only to run it or to show its help."""

from __future__ import annotations

from importlib import import_module
from typing import Any, cast

import click
from click.shell_completion import CompletionItem

from .. import __version__
from .commands import CONTEXT, VerbGroup
from .verbs import SECTIONS, VERBS

_EXAMPLES = (
    ("kdzoo demo", "Teachers, a student with and without them, and a report, on images that come with it."),
    ("kdzoo distill --recipe meal_v2 --student resnet50 --dry-run", "What a paper's run takes, before it starts."),
    ("kdzoo eval runs/student --on digits", "Measure what came out."),
)


class Root(VerbGroup):
    """Loads verbs one at a time."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        verb = VERBS.get(cmd_name)
        if verb is None:
            return None
        module = import_module(f"{__package__}.{verb.module}")
        return cast("click.Command", getattr(module, verb.attribute))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, VERBS))
        for section in SECTIONS:
            rows = [(f"{name:<{width}}", verb.summary) for name, verb in VERBS.items() if verb.section == section]
            with formatter.section(section):
                formatter.write_dl(rows)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        names = [CompletionItem(name, help=verb.summary) for name, verb in VERBS.items() if name.startswith(incomplete)]
        return [*names, *click.Command.shell_complete(self, ctx, incomplete)]


@click.command(cls=Root, name="kdzoo", subcommand_metavar="VERB …", examples=_EXAMPLES, context_settings=CONTEXT)
@click.version_option(__version__, prog_name="kdzoo", message="%(prog)s %(version)s")
def root(**_: Any) -> None:
    """A better vision backbone of the same size, by distillation."""
