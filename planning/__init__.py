"""Planning: from a recipe and what was given to a job that can start.

``resolve`` makes a `Plan`, ``estimate`` what it costs, ``kdzoo.planning.run.run`` carries it out. Names are
imported when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.lazy import lazy_names

if TYPE_CHECKING:
    from .cost import Cost, estimate
    from .plan import Plan, RunSettings
    from .resolution import resolve

__getattr__ = lazy_names(
    __name__,
    {
        ".cost": "Cost estimate",
        ".plan": "Plan RunSettings",
        ".resolution": "resolve",
    },
)
