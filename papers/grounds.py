"""What a row rests on: how many of its settings a source says, which ones are inferred, what is missing here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..planning import Plan

WIDTH = 80
_OF_NO_EFFECT = re.compile(r"of (no )?use|of no effect|labels alone|the data set's own|to be named")
_LEAD = re.compile(r"^(?:variant \w+|stage \w+|\w+): (?:students\.[\w.]+, )?")


@dataclass(frozen=True)
class Grounds:
    """What a row rests on.

    Attributes:
        exact: Settings that a place says which was opened and read, or the table itself.
        inferred: Settings for which no such place was found, that matter.
        missing: What is not on this machine, a few words each.
        otherwise: In place of all that, where the row trains nothing.
    """

    exact: int = 0
    inferred: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    otherwise: str = ""

    def line(self, width: int = WIDTH) -> str:
        """On one line; inferred settings that do not fit are counted."""
        tail = f"; missing: {', '.join(self.missing)}" if self.missing else ""
        if self.otherwise:
            return _cut(self.otherwise + tail, width)
        for shown in range(len(self.inferred), -1, -1):
            text = f"{self.exact} exact; {_inferred(self.inferred, shown)}{tail}"
            if len(text) <= width:
                return text
        return _cut(text, width)


def _inferred(names: Sequence[str], shown: int) -> str:
    if not names:
        return "none inferred"
    more = f" +{len(names) - shown}" if 0 < shown < len(names) else ""
    return f"{len(names)} inferred" + (f": {', '.join(names[:shown])}{more}" if shown else "")


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def grounds_of(plan: Plan, missing: Sequence[str]) -> Grounds:
    """What a plan rests on.

    Args:
        plan: A row's; its stages are looked at one by one.
        missing: What is not here, in short.
    """
    exact: set[tuple[str, str]] = set()
    inferred: dict[str, None] = {}
    for one in plan.stages or (plan,):
        for path in one.sources:
            state = _state(one, path)
            if state == "exact":
                exact.add((path, one.sources[path]))
            elif state == "inferred":
                inferred[_short_name(one, path)] = None
    return Grounds(len({path for path, _ in exact}), tuple(inferred), tuple(missing))


def _short_name(plan: Plan, path: str) -> str:
    """The setting's last word, after its stage where it is the stage's own."""
    name = path.rpartition(".")[2]
    if plan.stage is not None and plan.sources[path].startswith("stage "):
        return f"{plan.stage.name}.{name}"
    return name


def _state(plan: Plan, path: str) -> str:
    """``exact``, ``inferred``, or an empty string for what no source is asked for or what has no effect."""
    from ..recipes.citation_table import INFERRED, reading

    source = plan.sources[path].split("; scaled from")[0]
    if source == "kdzoo reproduce":
        return "" if path.startswith("run.") else "exact"
    citation = _LEAD.sub("", source)
    if citation == source or citation == "" or path.startswith("run."):
        return ""
    try:
        known = reading(plan.recipe.name, citation.split(f"; {plan.recipe.name}: ")[0])
    except KeyError:  # a recipe of the user's own, or the data's word
        return ""
    if known.state != INFERRED:
        return "exact"
    return "" if _OF_NO_EFFECT.match(known.what) else "inferred"
