"""A publication that something is cited from."""

from __future__ import annotations

from dataclasses import dataclass

_ARXIV = "https://arxiv.org/abs/"


@dataclass(frozen=True, kw_only=True)
class Paper:
    """A publication.

    Attributes:
        title: As printed.
        authors: As printed.
        year: Of the version that was read.
        url: Where to read it.
        code: The official repository and the commit that was read, or an empty string.
    """

    title: str
    authors: str
    year: int
    url: str
    code: str = ""

    @property
    def arxiv(self) -> str:
        """Its number at arXiv, or an empty string."""
        return self.url.removeprefix(_ARXIV) if self.url.startswith(_ARXIV) else ""
