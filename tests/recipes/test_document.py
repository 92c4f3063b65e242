"""docs/recipes.md cannot drift from the recipes."""

from pathlib import Path

from kdzoo.recipes.document import render

PAGE = Path(__file__).parents[2] / "docs" / "recipes.md"


def test_the_generated_parts_are_what_the_recipes_say():
    text = PAGE.read_text(encoding="utf-8")
    assert "| `optimizer.lr` | `0.01` | §6.1 |" in text
    assert render(text) == text, "run: python -m kdzoo.recipes.document docs/recipes.md"


def test_a_drifted_page_is_found():
    text = PAGE.read_text(encoding="utf-8")
    assert render(text.replace("| `optimizer.lr` | `0.01` | §6.1 |", "| `optimizer.lr` | `0.02` | §6.1 |")) == text
