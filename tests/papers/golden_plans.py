"""What each row of each table takes, as compact JSON: what decides its runs, as differences to the recipe.

``python tests/papers/golden_plans.py`` writes the files beside it anew; a changed meaning shows in their diff.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

from kdzoo.base.settings import flatten
from kdzoo.papers.choices import Choices
from kdzoo.papers.jobs import Job, Jobs, architecture
from kdzoo.papers.needs import transfer_commands
from kdzoo.papers.tables import PAPERS, Evaluate, PaperTables, RecipeRun, Row, Table, Transfer
from kdzoo.planning import Plan
from kdzoo.recipes import get_recipe

FOLDER = Path(__file__).parent / "golden"
_NAMED = ("student.model", "teachers.models")


def plans(paper: PaperTables) -> dict[str, dict[str, Any]]:
    """``{table: {row: what it takes}}`` at the full size, with nothing on the disk; what is trained first, once."""
    return {table.number: _table(table) for table in paper.tables}


def _table(table: Table) -> dict[str, Any]:
    jobs, first = Jobs(table, Choices()), {}
    rows = {row.label: _row(row, jobs, first) for row in table.rows}
    return {**({"trained first": first} if first else {}), **rows}


def _row(row: Row, jobs: Jobs, first: dict[str, Any]) -> Any:
    takes = row.takes
    if isinstance(takes, RecipeRun):
        (job,) = jobs.of(row)
        first.update({_name(one): _run(one) for one in {_name(one): one for one in job.first()}.values()})
        return {**_run(job), **({"released": takes.released} if takes.released else {})}
    if isinstance(takes, Evaluate):
        return {"evaluates": takes.model, "on": takes.dataset}
    if isinstance(takes, Transfer):
        return {"commands": list(transfer_commands(takes))}
    return {"reference": takes.why}


def _name(job: Job) -> str:
    return " + ".join([architecture(job), *job.variants])


def _run(job: Job) -> dict[str, Any]:
    plan = job.plan(None)
    student = plan.student if isinstance(job.student, str) else _name(job.student)
    pinned = zip(job.teachers, plan.teachers, strict=True)
    teachers = Counter(reference if isinstance(one, str) else _name(one) for one, reference in pinned)
    found: dict[str, Any] = {"recipe": " + ".join([job.recipe, *plan.variants]), "student": student}
    if teachers:
        found["teachers"] = [name if count == 1 else f"{count} × {name}" for name, count in teachers.items()]
    own = flatten(get_recipe(job.recipe))
    changed = _differences(own, plan)
    if not isinstance(job.student, str):  # it goes on with what is trained first
        changed.pop("student.init", None)
    if changed:
        found["settings"] = changed
    shared = plan.settings()
    stages = {one.stage.name: _differences(shared, one) for one in plan.stages if one.stage is not None}
    for changed in stages.values():
        changed.pop("student.init", None)
    return {**found, "stages": stages} if stages else found


def _differences(before: dict[str, Any], plan: Plan) -> dict[str, Any]:
    after = flatten(plan.recipe)
    return {
        path: list(value) if isinstance(value, tuple) else value
        for path, value in after.items()
        if path not in _NAMED and value != before[path]
    }


def text(paper: PaperTables) -> str:
    """The file of a paper: a line a row."""
    tables = []
    for number, rows in plans(paper).items():
        lines = [f"  {_json(label)}: {_json(row)}" for label, row in rows.items()]
        tables.append(f" {_json(number)}: {{\n" + ",\n".join(lines) + "\n }")
    return "{\n" + ",\n".join(tables) + "\n}\n"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    os.environ.pop("KDZOO_DATA", None)
    FOLDER.mkdir(exist_ok=True)
    for key, paper in PAPERS.items():
        (FOLDER / f"{key}.json").write_text(text(paper), encoding="utf-8")
