"""Which licence weights may carry, given those of what they were made from.

A student learned from its teachers' outputs, and may have started from somebody's weights. Whether it is legally
derived from them is not settled; this takes the careful side. It is a check against accidents, not legal advice.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..base.errors import ModelError, UsageError

_NAMES = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
PERMISSIVE, SHARE_ALIKE, NON_COMMERCIAL, NO_DERIVATIVES, OWN_TERMS = (
    frozenset(_NAMES[kind].split())
    for kind in ("permissive", "share_alike", "non_commercial", "no_derivatives", "own_terms")
)
ON_THE_HUB = PERMISSIVE | SHARE_ALIKE | NON_COMMERCIAL | NO_DERIVATIVES | OWN_TERMS
"""Names that the Hub knows; another licence is ``other``, with a name and a link of its own."""

_NON_COMMERCIAL_WORDS = re.compile(r"(^|[-_ ])nc([-_ ]|$)|non-?commercial|research|seer-license", re.IGNORECASE)
_SHORT_NAME = re.compile(r"[a-z0-9][a-z0-9.-]*")


@dataclass(frozen=True)
class Source:
    """Something that the weights were made from.

    Attributes:
        name: As shown to readers.
        role: ``teacher``, ``initial weights``, or ``teacher of NAME``.
        licence: As its publisher states it, or None.
    """

    name: str
    role: str
    licence: str | None


@dataclass(frozen=True)
class Licence:
    """The licence of the new weights.

    Attributes:
        identifier: One of the Hub's, or ``other``.
        name: Short name, where it is ``other``.
        link: Address of its text, where it is ``other``.
        inherited: Whether it was taken over from the sources, and not named by the publisher.
    """

    identifier: str
    name: str | None = None
    link: str | None = None
    inherited: bool = False

    @property
    def shown(self) -> str:
        """As a person would name it."""
        return self.name or self.identifier


def is_non_commercial(licence: str) -> bool:
    """Whether a licence allows non-commercial use alone."""
    return licence in NON_COMMERCIAL or bool(_NON_COMMERCIAL_WORDS.search(licence))


def unclear(source: Source) -> bool:
    """Whether nobody but the publisher can say what a source's licence asks: there is none, or it has its own terms."""
    known = source.licence in PERMISSIVE | SHARE_ALIKE | NO_DERIVATIVES
    return source.licence is None or not (known or is_non_commercial(source.licence))


def choose_licence(
    asked: str | None, sources: Sequence[Source], *, name: str | None = None, link: str | None = None
) -> Licence:
    """The licence for weights made from ``sources``.

    Args:
        asked: What the publisher named; None to take over what the sources leave no choice about.
        sources: What the weights were made from.
        name: Short name of a licence that the Hub does not know (``asked`` is ``other``).
        link: Where that licence can be read.

    Raises:
        UsageError: None was named and there is a choice, or an unknown one was.
        ModelError: A source's licence forbids it.
    """
    for source in sources:
        if source.licence in NO_DERIVATIVES:
            raise ModelError(
                f"the {source.role} {source.name} is under {source.licence}, which forbids sharing "
                "what is made from it",
                hint="ask its authors, or distil from another",
            )
    licence = _inherited(sources) if asked is None else _asked(asked, name, link)
    for source in sources:
        reason = _forbids(source.licence, licence) if source.licence else None
        if reason:
            raise ModelError(
                f"the licence {licence.shown} is not possible: the {source.role} {source.name} is under "
                f"{source.licence}, which {reason}",
                hint=f"use --license {source.licence}" if source.licence in ON_THE_HUB else "name a licence that fits",
            )
    return licence


def _forbids(source: str, licence: Licence) -> str | None:
    if source in SHARE_ALIKE and licence.identifier != source:
        return "asks that what is made from it be shared under the same licence"
    if is_non_commercial(source) and not is_non_commercial(licence.shown):
        return "allows non-commercial use alone"
    return None


def _asked(asked: str, name: str | None, link: str | None) -> Licence:
    asked = asked.strip().lower()
    if asked == "other":
        if not (name and link) or not _SHORT_NAME.fullmatch(name):
            raise UsageError(
                "the licence 'other' needs a short name in lower case and the address of its text",
                hint="--license other --license-name acme-research --license-link https://…",
            )
        if not re.fullmatch(r"https://\S+", link):
            raise UsageError(f"{link!r} is not an address", hint="--license-link https://…")
        return Licence("other", name, link)
    if name or link:
        raise UsageError(
            f"{asked} has its name and its text on the Hub",
            hint="--license-name and --license-link belong to --license other",
        )
    if asked not in ON_THE_HUB:
        raise UsageError(
            f"the Hub knows no licence {asked!r}",
            hint="apache-2.0, mit, cc-by-nc-4.0, …; or --license other --license-name NAME --license-link URL",
        )
    return Licence(asked)


def _inherited(sources: Sequence[Source]) -> Licence:
    """What is left where the sources decide: the licence of all of them, or the one strict one among them."""
    named = "name one: --license apache-2.0, --license cc-by-nc-4.0, …"
    if not sources:
        raise UsageError("the weights need a licence, and nothing they were made from decides it", hint=named)
    for source in sources:
        if unclear(source):
            why = (
                "states no licence" if source.licence is None else f"is under {source.licence}, which has its own terms"
            )
            raise UsageError(
                f"the {source.role} {source.name} {why}: the licence of what was made from it must be named",
                hint=f"read its terms, then {named}",
            )
    licences = {source.licence for source in sources if source.licence}
    strict = licences - PERMISSIVE
    left = sorted(strict or licences)
    if len(left) != 1 or left[0] not in ON_THE_HUB:
        raise UsageError(f"what the weights were made from is under {', '.join(left)}", hint=named)
    return Licence(left[0], inherited=True)
