"""Where each value of a recipe comes from.

A citation begins with a place in the paper (``§``, ``Table``, ``Eq.``, ``Fig.``, ``App.``, ``Supp.``; the name of
another paper may stand before it), with ``code:``, ``timm:`` or ``ours:``. Settings that a recipe leaves to their class
are ``kdzoo default``.
"""

from __future__ import annotations

import re

from ..base.settings import flatten
from .recipe import Recipe

DEFAULT = "kdzoo default"
_PAPER, _PLACE = r"(?:[A-Z][\w.-]*(?: [a-zA-Z]\w*)* )?", r"(?:§|(?:Table|Eq\.|Fig\.|App\.|Supp\.) ?\w)"
_FORM = re.compile(rf"^{_PAPER}{_PLACE}|^(?:code|timm|ours): \S")


def is_citation(text: object) -> bool:
    """Whether a text names a place."""
    return isinstance(text, str) and _FORM.match(text) is not None


def citations(recipe: Recipe) -> dict[str, str]:
    """The citation of every setting, by its dotted path, of every row (``students.NAME.FIELD``), of every variant's
    change (``variants.NAME.SETTING``) and of every stage's (``stages.NAME.SETTING``)."""
    cited = {value.path: value.citation for value in recipe.cited}
    settings = {path: cited.get(path, DEFAULT) for path in flatten(recipe)}
    tables = {path: text for path, text in cited.items() if path.startswith(("students.", "variants.", "stages."))}
    return {**settings, **tables}
