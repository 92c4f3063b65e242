"""What is known of each citation: whether the place that it names was opened and read, or why the value is inferred.

``citations_read.toml`` beside this file lists, for each recipe, the places that were opened, with what they were opened
in, and the inferred ones with their reason. A value that is ``ours:`` is inferred; its comment is the reason.

``python -m kdzoo.recipes.citation_table > docs/citations.md`` writes the page of all recipes.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..base.settings import flatten
from .recipe import CitedValue, Recipe
from .registry import get_recipe, recipe_names

OPENED, INFERRED = "opened and read", "inferred"
_PLACE = re.compile(r"(?:[A-Z]{2,} )?(?:Supp\. )?(?:§[\w.]*\w|(?:Table|Eq\.|Fig\.|App\.) ?\w+)")
_FILE = re.compile(r"[^\s,;:()]+\.(?:py|sh|md|yaml|yml|ipynb|csv)\b")
_RECORD = Path(__file__).with_name("citations_read.toml")
_HEAD = """\
# Citations

Made by `python -m kdzoo.recipes.citation_table`; a test fails where this page differs or a citation has no entry.

Every value of every recipe with the place that says it. **Opened and read**: the place was opened in the source named
below and says the value, or leaves out what is off here. **Inferred**: no place that could be opened says it; the
reason stands beside it. `§`, Table, Fig. and Eq. are the paper's, `Supp.` its supplement's, `code:` a file of its
repository.
"""


@dataclass(frozen=True)
class Reading:
    """What is known of a citation.

    Attributes:
        state: ``opened and read`` or ``inferred``.
        what: What was opened, or the reason.
    """

    state: str
    what: str


def places(citation: str) -> tuple[str, ...]:
    """The places that a citation names, without its remarks; the whole of it where it is ``ours:``."""
    if citation.startswith("ours:"):
        return (citation,)
    found: list[str] = []
    for part in citation.split("; "):
        kind, colon, rest = part.partition(": ")
        if colon and kind in ("code", "timm"):
            head = re.split(r"[,:(]", rest)[0].strip()
            files = [head, *(match for match in _FILE.findall(rest) if match not in head)]
            found.extend(f"{kind}: {file}" for file in files)
        else:
            pieces = (_PLACE.match(piece.strip()) for piece in part.partition(": ")[0].split(", "))
            found.extend(piece.group() for piece in pieces if piece)
    return tuple(dict.fromkeys(found))


@lru_cache
def _record() -> Mapping[str, Any]:
    return tomllib.loads(_RECORD.read_text(encoding="utf-8"))


def readings(recipe: str) -> dict[str, Reading]:
    """``{place: what is known of it}`` of a recipe's places, ``ours:`` left out."""
    entries = _record().get(recipe, {})
    sources = {**_record()["sources"]}
    found = {place: Reading(INFERRED, reason) for place, reason in entries.get("inferred", {}).items()}
    for name, listed in entries.get("opened", {}).items():
        found.update({place: Reading(OPENED, sources[name]) for place in listed})
    return found


def reading(recipe: str, citation: str) -> Reading:
    """What is known of a citation: inferred where one of its places is.

    Raises:
        KeyError: A place has no entry.
    """
    if citation.startswith("ours:"):
        return Reading(INFERRED, citation.removeprefix("ours:").strip())
    known = readings(recipe)
    found = [known[place] for place in places(citation)]
    inferred = [one for one in found if one.state == INFERRED]
    return inferred[0] if inferred else Reading(OPENED, "; ".join(dict.fromkeys(one.what for one in found)))


def _grouped(recipe: Recipe) -> dict[str, list[CitedValue]]:
    """Values of the same citation together: the constants, the settings in the recipe's order, the tables."""
    groups: dict[str, list[CitedValue]] = {}
    order = {path: number for number, path in enumerate(flatten(recipe))}
    rows = sorted(recipe.cited, key=lambda row: -1 if row.path.isupper() else order.get(row.path, len(order)))
    for row in rows:
        groups.setdefault(row.citation, []).append(row)
    return groups


def _section(recipe: Recipe) -> str:
    lines = [f"\n## {recipe.name}\n", "| value | place | state | read in, or reason |", "| --- | --- | --- | --- |"]
    constants = {id(row.value): row.path for row in recipe.cited if row.path.isupper()}
    for citation, rows in _grouped(recipe).items():
        known = reading(recipe.name, citation)
        shown = ", ".join(f"`{row.path}` = `{_text(row, constants)}`" for row in rows)
        place = "" if citation.startswith("ours:") else citation
        cells = (shown, place, known.state, known.what)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _text(row: CitedValue, constants: Mapping[int, str]) -> str:
    """A value, or the name of the constant that it is."""
    name = constants.get(id(row.value), row.path)
    return repr(row.value) if name == row.path else name


def page() -> str:
    """The page of all recipes."""
    counts = {OPENED: 0, INFERRED: 0}
    recipes = [get_recipe(name) for name in recipe_names()]
    for recipe in recipes:
        for citation, rows in _grouped(recipe).items():
            counts[reading(recipe.name, citation).state] += len(rows)
    total = f"\n{sum(counts.values())} values: {counts[OPENED]} opened and read, {counts[INFERRED]} inferred.\n"
    return _HEAD + total + "".join(_section(recipe) for recipe in recipes)


if __name__ == "__main__":
    print(page(), end="")
