"""Planning: from a recipe and what was given to a job that can start.

``resolve`` makes a `Plan`, ``estimate`` what it costs, ``kdzoo.planning.run.run`` carries it out. Names are
imported when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .cost import Cost, estimate
    from .plan import Plan, RunSettings
    from .resolution import resolve

_HOMES = {
    "Cost": "cost",
    "Plan": "plan",
    "RunSettings": "plan",
    "estimate": "cost",
    "resolve": "resolution",
}

__all__ = ["Cost", "Plan", "RunSettings", "estimate", "resolve"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
