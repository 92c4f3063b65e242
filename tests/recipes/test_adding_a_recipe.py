"""The recipe that docs/adding-a-recipe.md writes: its code is taken from there and runs."""

from __future__ import annotations

import importlib
import json
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

import kdzoo.recipes
from kdzoo.base.errors import UsageError
from kdzoo.planning.run import run
from kdzoo.recipes.citation_table import places, readings
from kdzoo.recipes.citations import DEFAULT, citations
from kdzoo.recipes.description import commands, describe_recipe, numbered
from kdzoo.recipes.document import section
from kdzoo.recipes.objectives.divergences import forward_kl
from kdzoo.recipes.recipe import Shapes
from kdzoo.recipes.recipe_file import export_recipe, load_recipe

from .conftest import small_plan

PAGE = (Path(__file__).parents[2] / "docs" / "adding-a-recipe.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    """The page's only block of a language, without its indentation."""
    (found,) = re.findall(rf"^ *```{language}\n(.*?)^ *```$", PAGE, re.DOTALL | re.MULTILINE)
    return re.sub(r"^   ", "", found, flags=re.MULTILINE) if language == "toml" else found


@pytest.fixture
def dkd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The page's file in a folder that lies beside kdzoo's own recipes."""
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "dkd.py").write_text(block("python"), encoding="utf-8")
    monkeypatch.setattr(kdzoo.recipes, "__path__", [*kdzoo.recipes.__path__, str(tmp_path / "recipes")])
    yield importlib.import_module("kdzoo.recipes.dkd")
    del sys.modules["kdzoo.recipes.dkd"]


def test_the_file_is_all_that_a_recipe_takes(dkd: ModuleType, stored_teacher: str, tmp_path: Path) -> None:
    plan = small_plan("dkd", teachers__models=(stored_teacher,))
    folder = Path(run(plan, out=tmp_path / "run").run)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    steps = [line for line in lines if line["kind"] == "train"]
    assert len(steps) == 1437 // 256
    assert all({"hard_label", "target", "others"} <= set(step) for step in steps)
    assert all(step["others"] > 0 for step in steps)


def test_it_is_shown_copied_and_cited_as_the_others_are(dkd: ModuleType, tmp_path: Path) -> None:
    recipe = load_recipe("dkd").recipe
    assert recipe is dkd.RECIPE
    assert len(numbered(recipe, "Deviations")) == 5
    assert len(numbered(recipe, "Conflicts")) == 1
    assert all(command.startswith("kdzoo ") for command in commands(recipe))
    described = describe_recipe(recipe)
    assert described["settings"]["objective.temperature"]["citation"] == "code: mdistiller/engine/cfg.py, T"
    assert described["students"][1]["overrides"]["objective.others_weight"]["value"] == 6.0
    assert "| `objective.others_weight` | `8.0` |" in section(recipe)
    (tmp_path / "mine.yaml").write_text(export_recipe(recipe), encoding="utf-8")
    assert load_recipe(str(tmp_path / "mine.yaml")).recipe == recipe
    cited = citations(recipe)
    assert [
        path for path in cited if path.startswith(("student.", "teachers.", "objective.")) and cited[path] == DEFAULT
    ] == []


def test_its_record_names_the_places_that_it_cites(dkd: ModuleType) -> None:
    record = tomllib.loads(block("toml"))
    listed = [place for found in record["dkd"]["opened"].values() for place in found]
    cited = {
        place for row in dkd.RECIPE.cited if not row.citation.startswith("ours:") for place in places(row.citation)
    }
    assert sorted(listed) == sorted(cited)
    assert readings("dkd") == {}, "the recipe is kdzoo's own now: the page wants another example"


def test_its_two_parts_make_up_hintons_divergence(dkd: ModuleType) -> None:
    torch.manual_seed(0)
    student, teacher = torch.randn(2, 32, 7, dtype=torch.float64) * 3
    labels = torch.randint(7, (32,))
    for row in range(32):
        own, theirs = (dkd.decoupled(side[row : row + 1], labels[row : row + 1], 4.0) for side in (student, teacher))
        rest = 1 - (teacher[row] / 4).softmax(dim=0)[labels[row]]
        parts = forward_kl(own[0], theirs[0], 4.0) + rest * forward_kl(own[1], theirs[1], 4.0)
        assert parts.item() == pytest.approx(forward_kl(student[row : row + 1], teacher[row : row + 1], 4.0).item())


def test_two_teachers_are_refused(dkd: ModuleType) -> None:
    shapes = Shapes(10, 2, 64, (64, 64), 100)
    with pytest.raises(UsageError, match="one teacher"):
        dkd.RECIPE.objective.build(shapes)
