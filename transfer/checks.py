"""Checks that every transfer task makes of what it is asked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..base.errors import UsageError
from ..base.setting_values import Seed, check_value
from ..base.suggestions import unknown


def one_of(what: str, name: str, known: Iterable[str]) -> None:
    """Refuse a name that is not known.

    Raises:
        UsageError: It is none of them.
    """
    if name not in known:
        raise unknown(name, known, what=what, where=f"there are {', '.join(known)}")


def check_seeds(seeds: Sequence[int]) -> None:
    """Refuse none, twice the same, and what is no seed.

    Raises:
        UsageError: The seeds cannot be run.
    """
    for seed in seeds:
        check_value(seed, Seed, "a seed")
    if not seeds or len(set(seeds)) != len(seeds):
        raise UsageError(f"the seeds {list(seeds)} are none, or not all different", hint="--seeds 3, or --seeds 0,1,2")
