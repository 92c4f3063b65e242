"""docs/cli.md, made from the commands themselves: ``python -m kdzoo.cli.reference > docs/cli.md``."""

from __future__ import annotations

from collections.abc import Iterator

import click

from .root import root
from .settings import SettingOption
from .verbs import VERBS

_WIDTH = 100
_HEAD = """\
# The command line

<!-- Made by `python -m kdzoo.cli.reference > docs/cli.md`; a test fails where the two differ. -->

Results go to stdout, progress and messages to stderr. `--json` prints one JSON document on stdout, and nothing else
there. Exit codes: 0; 1 for something that went wrong; 2 for wrong usage; 130 for an interrupt. An error is one line
that says what happened and one that says what to do; `--debug` (or `KDZOO_DEBUG=1`) shows the traceback as well.

## Where settings come from

The command line wins over the environment, the environment over the config file, the config file over the recipe or
the paper's protocol. `--dry-run` shows where each setting came from. One place may not set the same thing twice, by an
option and by `--set`.

- Command line: an option, or `--set KEY=VALUE` for any setting, `--set optimizer.lr=0.02`. A list is written `1,2,3` or
  `[1, 2, 3]`.
- Environment: an option of a verb has a variable of the verb's own, which the tables below name: `KDZOO_TRAIN_EPOCHS`.
  Below a verb, the command's own variable wins over the verb's: `KDZOO_TRANSFER_COCO_LR` is for one task,
  `KDZOO_TRANSFER_LR` for all of them. Options that can be repeated take several values separated by spaces.
- Config file: `kdzoo.toml` in the working folder, or the file given by `--config` or `KDZOO_CONFIG`. It has a table for
  each verb, with the options' names as keys, and below it a table for each command of the verb. A verb's own table may
  hold options of any of its commands:

```toml
[train]
data = "digits"
batch-size = 64

[distill]
teacher = ["runs/a", "runs/b"]

[distill.set]
optimizer.lr = 0.02

[transfer]
seeds = 3

[transfer.coco]
detector = "faster_rcnn"

[transfer.ade20k.set]
crop = [512, 512]
```

These variables are of no verb alone:

| variable | is |
|---|---|
| `KDZOO_DATA` | the folder of the data sets that are named without a path: `imagenet/`, `cifar10/` and others |
| `KDZOO_HOME` | where pulled models and the indexes of shards are kept; else the user's cache |
| `KDZOO_RESULTS` | where results go that belong to no run; else `results` |
| `KDZOO_MIRROR` | a copy of the releases, for `kdzoo pull` |
| `KDZOO_CONFIG` | the config file |
| `KDZOO_KEEP_MEMORY` | 0 gives freed memory back to the system; by default it is kept on a CPU, for speed (glibc) |
| `KDZOO_DEBUG` | 1 shows the traceback of an error |
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
            f"| `--{option.key}` | {', '.join(f'`{name}`' for name in option.variables(ctx))} |"
            for option in command.params
            if isinstance(option, SettingOption)
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
