"""Numbers and lists as a person reads them: three digits and a unit; the first few names, and how many more."""

from __future__ import annotations

from collections.abc import Sequence

_UNITS = ((1e21, "Z"), (1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def amount(number: float) -> str:
    """A number with its unit's prefix: ``25.6 M``; whatever is counted comes right behind it."""
    scale, prefix = next(((scale, prefix) for scale, prefix in _UNITS if number >= scale), (1.0, ""))
    return f"{number / scale:.3g} {prefix}"


def readable(num_bytes: int) -> str:
    """Bytes: ``1.31 GB``, ``12 bytes``."""
    return f"{amount(num_bytes)}B" if num_bytes >= 1000 else f"{num_bytes} bytes"


def first_few(names: Sequence[str], most: int = 5, more: str = "more") -> str:
    """The first names of a list, and how many others there are: ``cat, dog and 3 more``."""
    rest = f" and {len(names) - most:,} {more}" if len(names) > most else ""
    return f"{', '.join(names[:most])}{rest}"
