"""The generated parts of docs/recipes.md, and the index: what is made of the recipes.

``python -m kdzoo.recipes.document recipes/index.json docs/recipes.md`` writes them anew.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from ..base.settings import flatten
from .citations import citations
from .description import commands, numbered
from .recipe import Recipe
from .registry import RecipeSummary, get_recipe, index_text, list_recipes, recipe_names

_BLOCK = re.compile(r"(<!-- generated: (?P<name>\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def _value(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(f"`{item}`" for item in value) or "none"
    return "none" if value is None else f"`{value}`"


def table_of_recipes() -> str:
    """A line a recipe."""
    return _table(
        ("recipe", "what it does", "paper"),
        (
            (f"[`{listing.name}`](#{listing.name})", listing.summary, _origin(listing))
            for listing in list_recipes()
            if listing.name in recipe_names()
        ),
    )


def _origin(listing: RecipeSummary) -> str:
    paper = f"{listing.title} ({listing.year})"
    return f"ours; closest to {paper}" if listing.ours else paper


def _students(recipe: Recipe) -> str:
    if not recipe.students:
        return ""
    rows = (
        (
            f"`{row.name}`",
            f"`{row.model}`",
            _value(row.teachers),
            str(row.image_size),
            "" if row.initial_top1 is None else f"{row.initial_top1:.2f}",
            "" if row.top1 is None else f"{row.top1:.2f}",
            "" if row.top5 is None else f"{row.top5:.2f}",
            row.note,
        )
        for row in recipe.students
    )
    head = ("student", "starts from", "teachers", "px", "top-1 before", "paper's top-1", "top-5", "note")
    table = "\n**Students**\n\n" + _table(head, rows)
    own = [(f"`{row.name}`", _changes(row.overrides)) for row in recipe.students if row.overrides]
    return table + ("\n" + _table(("student", "its own settings"), own) if own else "")


def _changes(overrides: Mapping[str, object]) -> str:
    return ", ".join(f"`{path}` = {_value(value)}" for path, value in overrides.items())


def _stages(recipe: Recipe) -> str:
    if not recipe.stages:
        return ""
    rows = (
        (
            f"`{stage.name}`",
            stage.why,
            "as set above" if stage.start is None else f"the student of `{stage.start}`",
            _changes(stage.overrides),
            "" if not stage.only_with else "with " + " or ".join(f"`{name}`" for name in stage.only_with),
        )
        for stage in recipe.stages
    )
    return "\n**Stages**\n\n" + _table(("stage", "why", "starts from", "changes", "runs"), rows)


def _variants(recipe: Recipe) -> str:
    rows = (
        (f"`{variant.name}`", variant.why + _by_itself(variant.students), _changes(variant.overrides))
        for variant in recipe.variants
    )
    return "\n**Variants**\n\n" + _table(("variant", "why", "changes"), rows)


def _by_itself(students: Sequence[str]) -> str:
    """For which students outside the table a variant applies unasked."""
    return f"; unasked for {', '.join(f'`{pattern}`' for pattern in students)} outside the table" if students else ""


def _numbered(recipe: Recipe, heading: str) -> str:
    lines = [f"{number}. {text}" for number, text in enumerate(numbered(recipe, heading), 1)]
    return f"\n**{heading}**\n\n" + "\n".join(lines) + "\n"


def section(recipe: Recipe) -> str:
    """A recipe on a page: what it reproduces, settings with citations, students, variants, deviations, conflicts."""
    cited, paper = citations(recipe), recipe.paper
    own = [(f"`{path}`", _value(value), cited[path]) for path, value in flatten(recipe).items() if cited[path]]
    settings = [row for row in own if row[2] != "kdzoo default"]
    closest = "Closest reference: " if recipe.ours else ""
    code = f" Code read: {paper.code}." if paper.code else ""
    return "".join(
        [
            f"\n### {recipe.name}\n\n",
            f"{recipe.summary} {closest}[{paper.title}]({paper.url}), {paper.authors}, {paper.year}.{code}\n\n",
            "\n".join(f"- {line}" for line in recipe.reproduces) + "\n\n",
            "```\n" + "\n".join(commands(recipe)) + "\n```\n\n",
            "**Settings**\n\n",
            _table(("setting", "value", "from"), settings),
            _stages(recipe),
            _students(recipe),
            _variants(recipe),
            _numbered(recipe, "Deviations"),
            _numbered(recipe, "Conflicts"),
        ]
    )


def all_sections() -> str:
    """Every recipe on a page."""
    return "".join(section(get_recipe(name)) for name in recipe_names()).lstrip("\n")


_PARTS: dict[str, Callable[[], str]] = {"recipes": table_of_recipes, "sections": all_sections}


def render(text: str) -> str:
    """The page with its generated parts made anew."""
    return _BLOCK.sub(lambda block: f"{block[1]}\n{_PARTS[block['name']]()}\n{block[3]}", text)


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        page = Path(argument)
        text = index_text() if page.name == "index.json" else render(page.read_text(encoding="utf-8"))
        page.write_text(text, encoding="utf-8")
