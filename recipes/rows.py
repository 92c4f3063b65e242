"""A recipe as its file states it: rows of a setting, its value and the place that says so.

::

    RECIPE = from_rows(
        …,
        settings=(
            ("optimizer.lr", 0.01, "§6.1"),
            *at("code: train.py", {"optimizer.nesterov": False, "training.precision": "fp32"}),
        ),
        students=(
            columns("name", "model", "teachers", "image_size", "top1"),
            sources("Table 4", "§6.1", "§6.1", "Table 4", "Table 4"),
            student("resnet18", "resnet18.tv_in1k", TEACHERS, 224, 73.19),
            ("optimizer.weight_decay", 1e-5, "§4.2"),
        ),
        variants=(
            variant("long", "the code's own default length"),
            ("training.epochs", 200, "code: opts.py"),
        ),
    )

The rows below a student, a stage or a variant are its own. A later row replaces an earlier one of the same setting, so
that a block which several papers share may stand first and what differs after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, TypeAlias

from ..base.setting_values import value_types
from .citations import is_citation
from .recipe import CitedValue, ObjectiveSettings, Paper, Recipe, Stage, StudentRow, TaughtSettings, Variant

SettingRow: TypeAlias = tuple[str, Any, str]
"""(dotted setting, value, citation)."""
_STUDENT_FIELDS = [entry.name for entry in fields(StudentRow) if entry.name not in ("note", "overrides", "variants")]


def at(citation: str, *blocks: Mapping[str, Any]) -> tuple[SettingRow, ...]:
    """The settings of some blocks as rows of one citation."""
    return tuple((path, value, citation) for block in blocks for path, value in block.items())


@dataclass(frozen=True)
class Columns:
    """The head of the table of students: fields of `StudentRow`."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class Sources:
    """The citations of the columns, for the students that follow."""

    citations: tuple[str, ...]


@dataclass(frozen=True)
class StudentCells:
    """A line of the table of students, before its columns are known."""

    cells: tuple[Any, ...]
    variants: tuple[str, ...]


StudentEntry: TypeAlias = Columns | Sources | StudentCells | SettingRow | tuple[str, str]
"""Of the table of students; the pair is ``("note", text)``."""


def columns(*names: str) -> Columns:
    """The head of the table of students: fields of `StudentRow`."""
    return Columns(names)


def sources(*citations: str) -> Sources:
    """The citations of the columns, for the students that follow; empty where each student has its own."""
    return Sources(citations)


def student(*cells: Any, variants: tuple[str, ...] = ()) -> StudentCells:
    """A student, a cell a column; None where the paper has no number, or where a row below gives value and citation."""
    return StudentCells(cells, variants)


def stage(name: str, why: str, only_with: tuple[str, ...] = ()) -> Stage:
    """A stage without its rows."""
    return Stage(name=name, why=why, start=None, overrides={}, only_with=only_with)


def variant(name: str, why: str, students: tuple[str, ...] = ()) -> Variant:
    """A variant without its rows."""
    return Variant(name=name, why=why, overrides={}, students=students)


def from_rows(
    *,
    name: str,
    summary: str,
    paper: Paper,
    reproduces: tuple[str, ...],
    objective: type[ObjectiveSettings],
    settings: Iterable[SettingRow],
    students: Iterable[StudentEntry] = (),
    stages: Iterable[Stage | SettingRow] = (),
    variants: Iterable[Variant | SettingRow] = (),
    constants: Iterable[SettingRow] = (),
    ours: bool = False,
) -> Recipe:
    """A recipe from its rows.

    Args:
        name: As all of these, see `Recipe`.
        summary: What it does.
        paper: Where it comes from.
        reproduces: The tables.
        objective: The class of its loss settings.
        settings: A row a setting.
        students: The table, and below a student its rows: fields of `StudentRow`, or settings of its own.
        stages: Stages, and the rows of each below it: ``start``, or settings.
        variants: Variants, and the rows of each below it.
        constants: What several rows have in common, under the name that the file gives it.
        ours: Whether it is kdzoo's own.

    Raises:
        ValueError: A row has no citation, or no such setting exists.
    """
    hints = ("objective.features.weight", 0.0, "ours: FitNets' hints where they are asked for, docs/objectives.md")
    own = _checked((*((hints,) if issubclass(objective, TaughtSettings) else ()), *settings))
    tree = _nested(own)
    for section in tree:
        if section not in Recipe.SETTINGS:
            raise ValueError(f"there is no setting {section}")
    kinds = {**value_types(Recipe), "objective": objective}
    table, runs, changes = list(_students(students)), list(_stages(stages)), list(_variants(variants))
    return Recipe(
        name=name,
        summary=summary,
        paper=paper,
        reproduces=reproduces,
        **{section: _built(kinds[section], tree.get(section, {}), section) for section in Recipe.SETTINGS},
        students=tuple(row for row, _ in table),
        stages=tuple(run for run, _ in runs),
        variants=tuple(change for change, _ in changes),
        ours=ours,
        cited=(*_checked(constants), *own, *(row for _, below in (*table, *runs, *changes) for row in below)),
    )


def _checked(rows: Iterable[tuple[Any, ...]], prefix: str = "") -> tuple[CitedValue, ...]:
    """The rows under their full paths, each with a citation; the last of those with the same path."""
    found: dict[str, CitedValue] = {}
    for row in rows:
        path = f"{prefix}{row[0]}"
        if len(row) != 3 or not is_citation(row[2]):
            raise ValueError(f"{path} = {row[1]!r} has no citation")
        found[path] = CitedValue(path, row[1], row[2])
    return tuple(found.values())


def _nested(rows: Iterable[CitedValue]) -> dict[str, Any]:
    """The rows' values as mappings in mappings, a level a dot."""
    tree: dict[str, Any] = {}
    for row in rows:
        *parents, last = row.path.split(".")
        inner = tree
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[last] = row.value
    return tree


def _built(kind: Any, values: Mapping[str, Any], path: str) -> Any:
    """A dataclass of settings from the values below it."""
    kinds = value_types(kind)
    for name in values:
        if name not in kinds:
            raise ValueError(f"there is no setting {path}.{name}")
    return kind(
        **{
            name: _built(kinds[name], value, f"{path}.{name}") if isinstance(value, dict) else value
            for name, value in values.items()
        }
    )


def _below(entries: Iterable[Any], kind: type) -> list[tuple[Any, list[SettingRow]]]:
    """Every entry of a kind with the rows that follow it."""
    groups: list[tuple[Any, list[SettingRow]]] = []
    for entry in entries:
        if isinstance(entry, kind):
            groups.append((entry, []))
        elif not groups:
            raise ValueError(f"{entry[0]} stands before the first {kind.__name__}")
        else:
            groups[-1][1].append(entry)
    return groups


def _students(entries: Iterable[StudentEntry]) -> Iterator[tuple[StudentRow, tuple[CitedValue, ...]]]:
    """The table of students, each with its rows."""
    names: tuple[str, ...] = ()
    citations: tuple[str, ...] = ()
    spread: list[StudentCells | SettingRow | tuple[str, str]] = []
    for entry in entries:
        if isinstance(entry, Columns):
            names = entry.names
        elif isinstance(entry, Sources):
            citations = entry.citations
        else:
            spread.append(entry)
        if isinstance(entry, StudentCells):
            if not len(entry.cells) == len(names) == len(citations):
                counts = f"{len(entry.cells)} cells, {len(names)} columns and {len(citations)} sources"
                raise ValueError(f"student {entry.cells[0]} has {counts}")
            spread += (row for row in zip(names, entry.cells, citations, strict=True) if row[1] is not None)
    for line, below in _below(spread, StudentCells):
        rows = {row[0]: row for row in below}
        note = rows.pop("note", ("note", ""))[1]
        given = {name: rows.pop(name) for name in _STUDENT_FIELDS if name in rows}
        row = StudentRow(
            **{name: row[1] for name, row in given.items()},
            note=note,
            variants=line.variants,
            overrides={path: row[1] for path, row in rows.items()},
        )
        own = ((f"overrides.{path}", *row[1:]) for path, row in rows.items())
        yield row, _checked([*given.values(), *own], f"students.{row.name}.")


def _stages(entries: Iterable[Stage | SettingRow]) -> Iterator[tuple[Stage, tuple[CitedValue, ...]]]:
    """The stages, each with its rows."""
    for head, rows in _below(entries, Stage):
        cited = _checked(rows, f"stages.{head.name}.")
        values = {path: value for path, value, _ in rows}
        start = values.pop("start", None)
        yield replace(head, start=start, overrides=values), cited


def _variants(entries: Iterable[Variant | SettingRow]) -> Iterator[tuple[Variant, tuple[CitedValue, ...]]]:
    """The variants, each with its rows."""
    for head, rows in _below(entries, Variant):
        cited = _checked(rows, f"variants.{head.name}.")
        yield replace(head, overrides={path: value for path, value, _ in rows}), cited
