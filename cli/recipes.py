"""``kdzoo recipes``."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from ..base.errors import RunError
from ..base.regular_files import refuse_special
from .commands import VerbCommand, VerbGroup
from .completion import RECIPE
from .options import format_options, json_option
from .output import echo, literal, print_json, print_rows, work


@click.group(cls=VerbGroup, name="recipes")
def command() -> None:
    """Recipes: papers' training settings, each value with its citation."""


@command.command("list", cls=VerbCommand)
@format_options
def list_(form: str, as_json: bool) -> None:
    """List the recipes, those of installed packages by name."""
    from .. import list_recipes

    with work():
        rows: list[dict[str, Any]] = [listing.to_dict() for listing in list_recipes()]
    columns = ("name", "year", "title", "summary", "students") if form == "csv" else ("name", "summary")
    print_rows(rows, {name: name for name in columns}, "json" if as_json else form)


@command.command(cls=VerbCommand, examples=[("kdzoo recipes show meal_v2", "Its table, settings and deviations.")])
@click.argument("name", type=RECIPE)
@json_option
def show(name: str, as_json: bool) -> None:
    """Show a recipe: paper, numbers, settings with their citations, students, variants, deviations.

    NAME is a recipe's name, a file made by 'kdzoo recipes copy', or Python of your own, which is run.
    """
    from .. import describe_recipe, load_recipe

    with work():
        document = describe_recipe(load_recipe(name).recipe)
    if as_json:
        print_json(document)
    else:
        _show(document)


@command.command(
    cls=VerbCommand,
    examples=[("kdzoo recipes copy meal_v2 mine.yaml", "Edit mine.yaml, then: kdzoo distill --recipe mine.yaml …")],
)
@click.argument("name", type=RECIPE)
@click.argument("file", required=False, metavar="[FILE]")
@click.option("--force", is_flag=True, help="Replace FILE where it exists.")
def copy(name: str, file: str | None, force: bool) -> None:
    """Write a recipe as a YAML file to edit; NAME.yaml in the working folder by default."""
    from .. import export_recipe, load_recipe

    path = Path(file or f"{Path(name).stem}.yaml").expanduser()
    with work():
        text = export_recipe(load_recipe(name).recipe)
    _write_new(path, text, force=force)
    echo(path)


def _write_new(path: Path, text: str, *, force: bool) -> None:
    """Write a file whole or not at all; over an existing one only by force."""
    from ..base.writing import write_file

    refuse_special(path, what="the new file")
    if path.is_dir():
        raise RunError(f"{path} is a folder", hint="name a file in it")
    if not path.parent.is_dir():
        raise RunError(f"there is no folder {path.parent}", hint="make it first, or name another FILE")
    if path.exists() and not force:
        raise RunError(f"{path} exists already", hint="name another FILE, or replace it with --force")
    write_file(path, text, option="FILE")


def _show(document: dict[str, Any]) -> None:
    paper = document["paper"]
    echo(f"{document['name']}: {document['summary']}\n", lines=True)
    echo(f"ours; the closest reference: {paper['title']}" if document["ours"] else paper["title"])
    echo(f"{paper['authors']}, {paper['year']}, {paper['url']}")
    if paper["code"]:
        echo(f"code: {paper['code']}")
    _items("Reproduces", document["reproduces"])
    _items("Run it", document["commands"])
    if document["students"]:
        echo("\nStudents")
        names = ("name", "model", "teachers", "image_size", "initial_top1", "top1", "top5", "note")
        headings = {"image_size": "pixels", "initial_top1": "top1 before", "top1": "paper top1", "top5": "paper top5"}
        print_rows(document["students"], {name: headings.get(name, name) for name in names}, "table")
    echo("\nSettings (change one with --set KEY=VALUE)")
    _settings(document["settings"])
    for row in document["students"]:
        if row["overrides"]:
            echo(f"\nStudent {row['name']}, its own settings")
            _settings(row["overrides"])
    for number, stage in enumerate(document["stages"], start=1):
        when = f" (with --variant {' or '.join(stage['only_with'])})" if stage["only_with"] else ""
        start = "" if stage["start"] is None else f"; starts from the student of {stage['start']}"
        echo(f"\nStage {number}, {stage['name']}{when}: {stage['why']}{start}")
        if stage["overrides"]:
            _settings(stage["overrides"])
    for variant in document["variants"]:
        echo(f"\nVariant {variant['name']} (--variant {variant['name']}): {variant['why']}")
        if variant["overrides"]:
            _settings(variant["overrides"])
    _items("Deviations from the paper", document["deviations"], numbered=True)
    _items("Where the sources disagree", document["conflicts"], numbered=True)


def _settings(settings: dict[str, dict[str, Any]]) -> None:
    rows = [
        {"key": key, "value": literal(entry["value"]), "from": entry["citation"]} for key, entry in settings.items()
    ]
    print_rows(rows, {"key": "setting", "value": "value", "from": "from"}, "table")


def _items(title: str, items: Iterable[str], *, numbered: bool = False) -> None:
    lines = list(items)
    if not lines:
        return
    echo(f"\n{title}")
    for index, line in enumerate(lines, start=1):
        lead = f"  {index}. " if numbered else "  "
        wrapped = textwrap.fill(line.replace("``", "`"), 100, initial_indent=lead, subsequent_indent=" " * len(lead))
        echo(wrapped, lines=True)
