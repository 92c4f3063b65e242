"""Recipes as YAML files: every value with its citation as a comment, to copy, edit and pass back.

A file names the recipe that it changes (``base``) and holds any part of its settings, students and variants; what it
leaves out stays as in the base.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ..base.errors import UsageError
from ..base.own_code import SUFFIX, load_code
from ..base.regular_files import refuse_special
from ..base.setting_values import convert, shown, value_types
from ..base.settings import flatten, replace_settings, setting_types
from ..base.suggestions import unknown
from .citations import citations
from .overrides import typed
from .own import own_settings, recipe_in
from .recipe import Recipe, Stage, StudentRow, Variant
from .registry import get_recipe, recipe_names
from .yaml_text import read_yaml

_TABLES = {"stages": (Stage, "a stage"), "students": (StudentRow, "a student"), "variants": (Variant, "a variant")}
_HINT = "'kdzoo recipes copy NAME' writes a file that is right"


@dataclass(frozen=True)
class LoadedRecipe:
    """A recipe by name or from a file.

    Attributes:
        recipe: With the file's changes.
        origin: Its name, or the file's path.
        changed: Settings that the file changed, of a recipe of the user's own those that its base says otherwise.
    """

    recipe: Recipe
    origin: str
    changed: frozenset[str] = frozenset()


def _scalar(value: Any) -> str:
    """A value in YAML's flow style, on one line."""
    plain = list(value) if isinstance(value, tuple) else value
    text = yaml.safe_dump(plain, default_flow_style=True, allow_unicode=True, width=100_000)
    return text.removesuffix("\n").removesuffix("\n...").strip()


def _commented(line: str, citation: str | None) -> str:
    return f"{line}  # {citation}" if citation else line


def _nested(flat: Mapping[str, Any], cited: Mapping[str, str]) -> Iterator[str]:
    """Lines of a mapping from dotted paths, a level of indentation a dot."""
    before: list[str] = []
    for path, value in flat.items():
        *parents, name = path.split(".")
        for depth, parent in enumerate(parents):
            if before[: depth + 1] != parents[: depth + 1]:
                yield f"{'  ' * depth}{parent}:"
        before = parents
        yield _commented(f"{'  ' * len(parents)}{name}: {_scalar(value)}", cited.get(path))


def _rows(recipe: Recipe, cited: Mapping[str, str]) -> Iterator[str]:
    yield "students:" if recipe.students else "students: []"
    for row in recipe.students:
        mark = "- "
        for field in dataclasses.fields(row):
            if field.name == "overrides":
                if row.overrides:
                    yield from _overrides(row.overrides, cited, f"students.{row.name}.overrides")
                continue
            if field.name == "variants" and not row.variants:
                continue
            line = f"{mark}{field.name}: {_scalar(getattr(row, field.name))}"
            yield _commented(line, cited.get(f"students.{row.name}.{field.name}"))
            mark = "  "


def _overrides(overrides: Mapping[str, Any], cited: Mapping[str, str], prefix: str) -> Iterator[str]:
    yield "  overrides:" if overrides else "  overrides: {}"
    for path, value in overrides.items():
        yield _commented(f"    {path}: {_scalar(value)}", cited.get(f"{prefix}.{path}"))


def _stages(recipe: Recipe, cited: Mapping[str, str]) -> Iterator[str]:
    if recipe.stages:
        yield "stages:"
    for stage in recipe.stages:
        yield f"- name: {_scalar(stage.name)}"
        yield f"  why: {_scalar(stage.why)}"
        yield _commented(f"  start: {_scalar(stage.start)}", cited.get(f"stages.{stage.name}.start"))
        yield f"  only_with: {_scalar(stage.only_with)}"
        yield from _overrides(stage.overrides, cited, f"stages.{stage.name}")


def _variants(recipe: Recipe, cited: Mapping[str, str]) -> Iterator[str]:
    yield "variants:" if recipe.variants else "variants: []"
    for variant in recipe.variants:
        yield f"- name: {_scalar(variant.name)}"
        yield f"  why: {_scalar(variant.why)}"
        if variant.students:
            yield f"  students: {_scalar(variant.students)}"
        yield from _overrides(variant.overrides, cited, f"variants.{variant.name}")


def export_recipe(recipe: Recipe) -> str:
    """The recipe as the text of a YAML file: every setting with its citation, the table of students, the variants.

    Raises:
        UsageError: It stands in a Python file, which is edited itself.
    """
    if recipe.code is not None and not recipe.code.package:
        raise UsageError(f"{recipe.code.name} is Python, not copied as YAML", hint="copy and edit the file itself")
    cited = citations(recipe)
    lines = [
        f"# {recipe.paper.title} ({recipe.paper.year}), {recipe.paper.url}",
        "# Run it with: kdzoo distill --recipe THIS_FILE",
        f"base: {recipe.name}  # what this file leaves out is as there",
        *_nested(flatten(recipe), cited),
        *_stages(recipe, cited),
        *_rows(recipe, cited),
        *_variants(recipe, cited),
    ]
    return "\n".join(lines) + "\n"


def _mapping(value: Any, what: str, path: Path) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise UsageError(f"{path}: {what} must be a mapping of names to values, got {shown(value)}", hint=_HINT)
    return value


def _flat(document: Mapping[str, Any], known: Mapping[str, Any], path: Path, prefix: str = "") -> dict[str, Any]:
    """The document's settings by dotted path; refuses what is no setting."""
    flat: dict[str, Any] = {}
    for key, value in document.items():
        name = f"{prefix}{key}"
        if name in known:
            found = {name: value}
        elif any(other.startswith(f"{name}.") for other in known):
            found = _flat(_mapping(value, name, path), known, path, f"{name}.")
        else:
            raise unknown(name, [*known, *_TABLES, "base"], what="setting", where=f"in {path}; {_HINT}")
        for twice in found.keys() & flat.keys():
            raise UsageError(f"{path}: {twice} stands twice", hint="keep one of them")
        flat.update(found)
    return flat


def _list(value: Any, what: str, path: Path) -> list[Mapping[str, Any]]:
    if not isinstance(value, list):
        raise UsageError(f"{path}: {what} must be a list, got {shown(value)}", hint=_HINT)
    return [_mapping(item, f"each of {what}", path) for item in value]


def _entry(recipe: Recipe, table: str, entry: Mapping[str, Any], path: Path) -> Any:
    """A stage, a student or a variant from a mapping."""
    kind, what = _TABLES[table]
    content = {"why": "", **entry} if kind is Variant else dict(entry)
    given = content.pop("overrides", None if kind is Variant else {})
    content["overrides"] = typed(recipe, _mapping(given, f"{what}'s overrides", path))
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for key in content:
        if key not in fields:
            raise unknown(key, fields, what=f"field of {table}", where=f"in {path}; {_HINT}")
    required = dataclasses.MISSING
    missing = [
        name
        for name, field in fields.items()
        if field.default is required and field.default_factory is required and name not in content
    ]
    if missing:
        raise UsageError(f"{path}: an entry of {table} lacks {', '.join(missing)}", hint=_HINT)
    hints = value_types(kind)
    free = ("note", "overrides")  # a text that may be empty, and what is typed already
    return kind(
        **{
            key: value if key in free else convert(value, hints[key], f"{table}.{key}")
            for key, value in content.items()
        }
    )


def read_recipe_file(path: Path) -> LoadedRecipe:
    """A recipe from a YAML file.

    Raises:
        UsageError: The file is missing or not YAML, names no base, or holds something unknown or of the wrong type.
    """
    document = read_yaml(path, what="the recipe file", hint=_HINT)
    content = dict(_mapping(document, "a recipe file", path))
    if "base" not in content:
        known = ", ".join(recipe_names())
        raise UsageError(f"{path} names no base recipe", hint=f"add a line 'base: NAME' with one of {known}")
    base = get_recipe(convert(content.pop("base"), str, f"{path}: base"))
    tables = {name: content.pop(name) for name in _TABLES if name in content}
    try:
        values = typed(base, _flat(content, setting_types(base), path))
        recipe = replace_settings(base, values)
        for table in tables:
            entries = _list(tables[table], table, path)
            recipe = _with(recipe, table, ())
            recipe = _with(recipe, table, tuple(_entry(recipe, table, entry, path) for entry in entries))
    except UsageError as error:
        message = error.message if str(path) in error.message else f"{path}: {error.message}"
        raise UsageError(message, hint=error.hint) from error
    before = flatten(base)
    changed = frozenset(name for name, value in values.items() if value != before[name])
    return LoadedRecipe(recipe, str(path), changed)


def _with(recipe: Recipe, table: str, entries: tuple[Any, ...]) -> Recipe:
    changes: dict[str, Any] = {table: entries}
    return dataclasses.replace(recipe, **changes)


def load_recipe(text: str) -> LoadedRecipe:
    """A recipe by name, or from a YAML or Python file by its path; the Python is run.

    Raises:
        KdzooError: Neither a recipe's name nor a readable recipe file, or the Python raises.
    """
    if text in recipe_names():
        return LoadedRecipe(get_recipe(text), text)
    path = Path(text).expanduser()
    if path.suffix.lower() == SUFFIX:
        recipe = recipe_in(load_code(path))
        return LoadedRecipe(recipe, text, own_settings(recipe))
    refuse_special(path, what="the recipe file")
    if path.suffix.lower() in (".yaml", ".yml") or path.is_file():
        return read_recipe_file(path)
    recipe = get_recipe(text)
    return LoadedRecipe(recipe, text, own_settings(recipe))
