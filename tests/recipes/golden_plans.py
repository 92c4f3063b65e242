"""What each recipe's own commands and students resolve to on the paper's data, setting by setting.

``python tests/recipes/golden_plans.py`` writes ``golden_plans`` anew; a changed meaning shows in its diff.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from PIL import Image

from kdzoo import PlannedRun
from kdzoo.cli.main import main
from kdzoo.planning import Plan
from kdzoo.recipes import get_recipe, recipe_names
from kdzoo.recipes.description import commands

FOLDER = Path(__file__).with_name("golden_plans")
_PLACES = ("run.workers", "run.budget", "run.exact")
_ANY_TEACHER = "resnet101.a1_in1k"


def plan_of(command: str) -> Plan:
    """What a command line would run, in a folder that holds the images ``UNLABELED``."""
    Path("UNLABELED").mkdir(exist_ok=True)
    Image.new("RGB", (8, 8)).save("UNLABELED/0.png")
    found: list[Plan] = []

    def show(planned: PlannedRun, **_: object) -> bool:
        found.append(planned.to_run)
        return True

    with mock.patch("kdzoo.cli.start.show", show):
        code = main([*shlex.split(command)[1:], "--dry-run"])
    assert code == 0, command
    return found[0]


def calls(name: str) -> Iterator[tuple[str, str]]:
    """(what it is, command line) of a recipe: its own run, its head's commands, each student of its table."""
    recipe = get_recipe(name)
    verb = "distill" if recipe.objective.uses_teachers else "train"
    own = f"kdzoo {verb} --recipe {name}"
    teacher = f" --teacher {_ANY_TEACHER}" if recipe.objective.uses_teachers and not recipe.teachers.models else ""
    model = "student" if verb == "distill" else "model"
    yield "its own run", f"{own} --{model} {recipe.student.model}{teacher}"
    trained = dict(_trained(commands(recipe)))
    for command in commands(recipe):
        if command.split()[1] in ("train", "distill"):
            words = [
                trained.get(word, "resnet50") if before in ("--teacher", "--model", "--student") else word
                for before, word in zip(["", *command.split()], command.split(), strict=False)
            ]
            yield command, " ".join(words)
    for row in recipe.students:
        yield f"student {row.name}", f"{own} --{model} {row.name}{'' if row.teachers else teacher}"


def _trained(lines: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """What each run's folder holds: the model that its command trains; any other reference stands for itself."""
    for line in lines:
        words = line.split()
        for option in ("--model", "--student"):
            if option in words:
                model = words[words.index(option) + 1]
                yield model, model if not model.startswith("runs/") else "resnet50"
                if "--out" in words:
                    yield words[words.index("--out") + 1], model


def plans(name: str) -> dict[str, Any]:
    """``{what it is: what it takes}``: the recipe's own run whole, the others as differences to it."""
    found: dict[str, Any] = {}
    own: dict[str, Any] = {}
    for what, command in calls(name):
        plan = plan_of(command)
        values = _settings(plan)
        found[what] = _described(plan, values if not own else _changed(own, values))
        own = own or values
        if plan.stages:
            found[what]["stages"] = {
                one.stage.name: _described(one, _changed(values, _settings(one))) for one in plan.stages if one.stage
            }
    return found


def _settings(plan: Plan) -> dict[str, Any]:
    """The plan's settings but for those that change no result, as the teachers' view does that is the student's."""
    values = json.loads(json.dumps(plan.settings()))
    if values["teachers.view"] == "student":
        del values["teachers.view"]
    return {path: value for path, value in values.items() if path not in _PLACES}


def _changed(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    return {path: value for path, value in after.items() if path not in before or before[path] != value}


def _described(plan: Plan, settings: dict[str, Any]) -> dict[str, Any]:
    """A plan's settings and remarks, without the one that says why this recipe where the command names none."""
    notes = [note for note in plan.notes if not note.startswith(f"recipe {plan.recipe.name}:")]
    said = {"notes": notes, "warnings": list(plan.warnings), "adapted": list(plan.adapted)}
    return {"settings": settings, **{name: lines for name, lines in said.items() if lines}}


if __name__ == "__main__":
    os.environ.pop("KDZOO_DATA", None)
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for recipe_name in sys.argv[1:] or recipe_names():
            text = json.dumps(plans(recipe_name), ensure_ascii=False, indent=1)
            (FOLDER / f"{recipe_name}.json").write_text(text + "\n", encoding="utf-8")
