"""Names of a package that are imported when they are first used, so that asking for one does not load the others."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_names(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """A package's ``__getattr__``; the package's ``__all__`` is set to these names.

    Args:
        package: Its ``__name__``.
        homes: The names that each of its modules gives it, by module, with spaces between them: ``{".views": "View
            Augmentation"}``.
    """
    home_of = {name: module for module, names in homes.items() for name in names.split()}
    vars(sys.modules[package])["__all__"] = sorted(home_of)

    def get(name: str) -> Any:
        if name not in home_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(home_of[name], package), name)
        setattr(sys.modules[package], name, value)
        return value

    return get
