"""docs/cli.md, made from the commands themselves: ``python -m kdzoo.cli.reference > docs/cli.md``."""

from __future__ import annotations

from collections.abc import Iterator

import click

from .root import root
from .verbs import VERBS

_WIDTH = 100
_HEAD = """\
# The command line

<!-- Made by `python -m kdzoo.cli.reference > docs/cli.md`; a test fails where the two differ. -->

Results go to stdout, progress and messages to stderr. `--json` prints one JSON document on stdout, and nothing else
there. Exit codes: 0; 1 for something that went wrong; 2 for wrong usage; 130 for an interrupt. An error is one line
that says what happened and one that says what to do; `--debug` (or `KDZOO_DEBUG=1`) shows the traceback as well.

## Where settings come from

A flag wins over the environment, the environment over the config file, the config file over the recipe. `--dry-run`
shows where each setting came from.

- Environment: an option has the variable that the tables below name, such as `KDZOO_EPOCHS`. Options that can be
  repeated take several values separated by spaces. `KDZOO_DATA` is something else: the folder that holds `imagenet/`,
  `cifar10/`, `cifar100/`.
- Config file: `kdzoo.toml` in the working folder, or the file given by `--config` or `KDZOO_CONFIG`. It has a table for
  each verb, with the options' names as keys:

```toml
[train]
data = "digits"
batch-size = 64

[distill]
teacher = ["runs/a", "runs/b"]

[distill.set]
optimizer.lr = 0.02
```
"""


def commands(ctx: click.Context, command: click.Command) -> Iterator[tuple[click.Context, click.Command]]:
    """A command and everything below it, as (context, command); one that has several names stands under its first."""
    yield ctx, command
    if isinstance(command, click.Group):
        shown: set[int] = set()
        for name in command.list_commands(ctx):
            below = command.get_command(ctx, name)
            assert below is not None
            if id(below) not in shown:
                shown.add(id(below))
                yield from commands(_context(below, name, ctx), below)


def _context(command: click.Command, name: str, parent: click.Context | None = None) -> click.Context:
    return click.Context(
        command, info_name=name, parent=parent, **{**command.context_settings, "terminal_width": _WIDTH}
    )


def everything() -> Iterator[tuple[click.Context, click.Command]]:
    """The root command and every verb, as (context, command)."""
    return commands(_context(root, "kdzoo"), root)


def page() -> str:
    """The text of docs/cli.md."""
    parts = [_HEAD]
    for ctx, command in everything():
        parts.append(f"## {ctx.command_path}\n\n```text\n{command.get_help(ctx).rstrip()}\n```\n")
        variables = [
            f"| `{option.opts[0]}` | `{option.envvar}` |"
            for option in command.params
            if isinstance(option, click.Option) and option.envvar
        ]
        if variables:
            parts.append("\n".join(["| option | variable |", "|---|---|", *variables]) + "\n")
    return "\n".join(parts)


def verbs() -> list[str]:
    """Every way to call the command for its help: ``[]``, ``["train"]``, ``["recipes", "list"]``, …"""
    found = [ctx.command_path.split()[1:] for ctx, _ in everything()]
    assert {path[0] for path in found if path} == set(VERBS)
    return [" ".join(path) for path in found]


if __name__ == "__main__":
    print(page(), end="")
