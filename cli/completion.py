"""Shell completion: the script that switches it on, and what completes names without importing any work."""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import CompletionItem, get_completion_class

from .commands import VerbCommand, complete_from

DATA_NAMES = (
    "digits",
    "cifar10",
    "cifar100",
    "imagenet",
    "imagenet-real",
    "imagenetv2",
    "imagenetv2-matched-frequency",
    "imagenetv2-threshold0.7",
    "imagenetv2-top-images",
    "mpiigaze",
    "voc2007",
    "cub200",
    "birdsnap",
    "aircraft",
    "dtd",
    "sun397",
)
"""kdzoo.data's names, written again here because completing must not import it; a test compares them."""


class _DataSpec(click.ParamType):
    """A data spec: a name, or the path of a folder. Text is passed on as it is; only completion knows more."""

    name = "spec"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [*complete_from(DATA_NAMES, incomplete), CompletionItem(incomplete, type="dir")]


class _RecipeName(click.ParamType):
    """A recipe's name, or the path of a recipe file."""

    name = "recipe"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [*complete_from(recipe_names(), incomplete), CompletionItem(incomplete, type="file")]


DATA = _DataSpec()
RECIPE = _RecipeName()


def recipe_names() -> list[str]:
    """Names of the recipes, found without importing them: a recipe's file has its name and makes a ``Recipe``."""
    folder = Path(__file__).resolve().parent.parent / "recipes"
    files = sorted(folder.glob("*.py"))
    return [path.stem for path in files if "\nRECIPE = " in path.read_text(encoding="utf-8")]


@click.command(
    cls=VerbCommand,
    examples=[
        ('eval "$(kdzoo completion bash)"', "In ~/.bashrc; zsh alike."),
        ("kdzoo completion fish > ~/.config/fish/completions/kdzoo.fish", "For fish."),
    ],
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell: verbs, options, recipes and data sets complete with Tab."""
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(ctx.find_root().command, {}, "kdzoo", "_KDZOO_COMPLETE").source())
