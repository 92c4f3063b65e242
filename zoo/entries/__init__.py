"""What the zoo holds: one record a set of weights, one data file a group of families."""

from __future__ import annotations

from ...base.errors import ModelError
from ...base.suggestions import nearest_names
from .entry import PAPERS, Entry, Published
from .read import COSTS, ENTRIES, PROMISED_ON, PROMISED_TOP1, RELEASES


def get_entry(name: str) -> Entry:
    """The entry of this name.

    Raises:
        ModelError: There is none; names the nearest.
    """
    entry = ENTRIES.get(name)
    if entry is None:
        near = nearest_names(name, ENTRIES, most=3)
        hint = f"nearest names: {', '.join(near)}" if near else "'kdzoo pull' alone lists what can be pulled"
        raise ModelError(f"the zoo has no entry {name!r}", hint=hint)
    return entry


def address_at(entry: Entry, mirror: str | None) -> str:
    """Where an entry's file is: its own address, or the same path below a mirror of the release."""
    if mirror is None:
        return entry.address
    for base in RELEASES:
        if entry.address.startswith(base):
            return f"{mirror.rstrip('/')}/{entry.address.removeprefix(base)}"
    return entry.address
