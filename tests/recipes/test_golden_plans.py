"""A paper's recipe on the paper's data takes what it always took, setting by setting."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kdzoo.recipes import get_recipe, recipe_names

from . import golden_plans

PAPERS = [name for name in recipe_names() if not get_recipe(name).ours]


@pytest.mark.parametrize("name", PAPERS)
def test_a_papers_recipe_is_what_its_file_says(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KDZOO_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    wanted = json.loads((golden_plans.FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    found = golden_plans.plans(name)
    for what, plan in wanted.items():
        assert found[what] == plan, f"{name}: run python tests/recipes/golden_plans.py {name}"
    assert list(found) == list(wanted)
