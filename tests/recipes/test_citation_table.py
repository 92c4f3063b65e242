"""Every citation is opened or inferred with a reason, and the page says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from kdzoo.recipes.citation_table import INFERRED, OPENED, page, places, reading, readings
from kdzoo.recipes.registry import get_recipe, recipe_names

PAGE = Path(__file__).parents[2] / "docs" / "citations.md"


def cited(name: str) -> list[str]:
    return list(dict.fromkeys(row.citation for row in get_recipe(name).cited))


@pytest.mark.parametrize("name", recipe_names())
def test_every_place_has_an_entry_and_every_entry_a_place(name: str) -> None:
    named = {place for citation in cited(name) if not citation.startswith("ours:") for place in places(citation)}
    assert named == set(readings(name))


@pytest.mark.parametrize("name", recipe_names())
def test_nothing_is_inferred_without_its_reason(name: str) -> None:
    for citation in cited(name):
        assert places(citation), citation
        known = reading(name, citation)
        assert known.state in (OPENED, INFERRED)
        assert len(known.what) > 5, citation


@pytest.mark.parametrize(
    ("citation", "named"),
    [
        ("§6.3, Table 2", ("§6.3", "Table 2")),
        ("§A.5: from 0.1 to 0.4", ("§A.5",)),
        ("Supp. Table 5: T = 1 gives Table 2's 83.1; §F: XCL is not sensitive", ("Supp. Table 5", "§F")),
        ("code: opts.py, script/train.sh", ("code: opts.py", "code: script/train.sh")),
        ("code: optimizer.py, Momentum", ("code: optimizer.py",)),
        ("§6.1; code: README, their old names", ("§6.1", "code: README")),
        ("§4.2, large students", ("§4.2",)),
        ("ours: not stated", ("ours: not stated",)),
    ],
)
def test_a_citation_names_its_places(citation: str, named: tuple[str, ...]) -> None:
    assert places(citation) == named


def test_a_place_without_an_entry_is_found() -> None:
    with pytest.raises(KeyError, match=r"§9\.9"):
        reading("meal_v2", "§9.9")


def test_the_page_is_what_the_recipes_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m kdzoo.recipes.citation_table > docs/citations.md"
