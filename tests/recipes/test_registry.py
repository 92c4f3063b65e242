"""The recipes by name: listed without torch, and found where their files are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import kdzoo.recipes
from kdzoo.recipes.registry import get_recipe, index_text, list_recipes, recipe_names

INDEX = Path(kdzoo.recipes.__file__).with_name("index.json")


def test_the_index_is_what_the_recipes_say() -> None:
    assert INDEX.read_text(encoding="utf-8") == index_text(), "run: python -m kdzoo.recipes.document recipes/index.json"


def test_listing_imports_no_torch() -> None:
    program = "import sys; from kdzoo.recipes import list_recipes; list_recipes(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "kdzoo.recipes.registry" in loaded
    assert {"torch", "kdzoo.recipes.meal_v2", "kdzoo.recipes.recipe"} & loaded == set()


def test_a_file_beside_the_others_is_a_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "from dataclasses import replace\nfrom kdzoo.recipes.hinton_kd import RECIPE as BASE\n\n"
    (tmp_path / "brand_new.py").write_text(text + "RECIPE = replace(BASE, name='brand_new', summary='New.')\n")
    (tmp_path / "not_one.py").write_text("RECIPES = 3\n")
    monkeypatch.setattr(kdzoo.recipes, "__path__", [*kdzoo.recipes.__path__, str(tmp_path)])
    monkeypatch.delitem(sys.modules, "kdzoo.recipes.brand_new", raising=False)
    try:
        assert recipe_names()[-1] == "brand_new"
        assert "not_one" not in recipe_names()
        assert get_recipe("brand_new").summary == "New."
        assert list_recipes()[-1].summary == "New."
    finally:
        sys.modules.pop("kdzoo.recipes.brand_new", None)
