"""Changes to a recipe by dotted path, which may be for one student of its table, one stage or one data set alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from ..base.setting_values import convert
from ..base.settings import replace_settings, setting_types
from ..base.suggestions import unknown
from .recipe import Recipe

Settings = TypeVar("Settings")


@dataclass(frozen=True)
class Place:
    """What a dotted path of an override reaches: ``[datasets.NAME.][students.STUDENT.][stages.STAGE.]SETTING``.

    Attributes:
        setting: The dotted setting.
        student: The row of the table that it is for, or None for all.
        stage: The stage that it is for, or None for all.
        dataset: The data set that it is for, or None for all.
    """

    setting: str
    student: str | None = None
    stage: str | None = None
    dataset: str | None = None

    @staticmethod
    def parse(path: str) -> Place:
        """Take a path apart; nothing is checked."""
        found: dict[str, str] = {}
        for kind in ("datasets", "students", "stages"):
            parts = path.split(".", 2)
            if parts[0] == kind and len(parts) == 3:
                found[kind], path = parts[1], parts[2]
        return Place(path, found.get("students"), found.get("stages"), found.get("datasets"))


def typed(
    settings: Any, values: Mapping[str, Any], *, where: str = "'kdzoo recipes show NAME' lists them all"
) -> dict[str, Any]:
    """Values by dotted path, converted to the types of ``settings``. Of a recipe, a path may name a stage or a student.

    Args:
        settings: A recipe, or another dataclass of settings.
        values: Text or values by path.
        where: How to see all settings.

    Raises:
        UsageError: An unknown path (the nearest one is named) or a value of the wrong type.
    """
    known = setting_types(settings)
    rows = {row.name for row in settings.students} if isinstance(settings, Recipe) else set()
    stages = {stage.name for stage in settings.stages} if isinstance(settings, Recipe) else set()
    read = {}
    for path, value in values.items():
        place = Place.parse(path) if isinstance(settings, Recipe) else Place(path)
        for what, name, names in (("student", place.student, rows), ("stage", place.stage, stages)):
            if name is not None and name not in names:
                raise unknown(name, names, what=what, where=f"there are {', '.join(sorted(names)) or 'none'}")
        if place.setting not in known:
            raise unknown(place.setting, known, what="setting", where=where)
        read[path] = convert(value, known[place.setting], path)
    return read


def override(settings: Settings, values: Mapping[str, Any]) -> Settings:
    """``replace_settings`` after ``typed``: what ``--set`` does."""
    return replace_settings(settings, typed(settings, values))
