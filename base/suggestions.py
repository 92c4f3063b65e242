"""The one 'did you mean': what a name that is not known was probably meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from .errors import UsageError

_LEAST_LIKENESS = 0.6


def nearest_names(name: str, known: Iterable[str], most: int = 1) -> list[str]:
    """The known names that ``name`` is closest to: by spelling, else by the last part of a dotted name.

    Capitals and the two ways of joining words, ``-`` and ``_``, make no difference.

    Args:
        name: What was written.
        known: What could have been written.
        most: How many at most.
    """
    known = list(known)
    by_spelling = {_plain(one): one for one in reversed(known)}
    close = _closest(_plain(name), by_spelling, most)
    if close:
        return close
    by_last_part = {_plain(one).rpartition(".")[2]: one for one in reversed(known)}
    return _closest(_plain(name).rpartition(".")[2], by_last_part, most)


def suggestion(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """A hint for a name that is not known: the nearest one, then ``otherwise``."""
    close = nearest_names(name, known)
    return f"did you mean {close[0]!r}? {otherwise}".strip() if close else otherwise


def unknown(name: str, known: Iterable[str], *, what: str, where: str) -> UsageError:
    """The error for a name that is not known.

    Args:
        name: What was written.
        known: What could have been written.
        what: The kind of thing, such as ``setting``.
        where: How to see them all.
    """
    return UsageError(f"there is no {what} {name!r}", hint=suggestion(name, known, where))


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")


def _closest(name: str, known: dict[str, str], most: int) -> list[str]:
    return [known[one] for one in difflib.get_close_matches(name, known, n=most, cutoff=_LEAST_LIKENESS)]
