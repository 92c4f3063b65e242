"""The papers that the entries come from."""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Paper:
    """One publication. `arxiv` is empty where there is none."""

    title: str
    authors: str
    year: int
    arxiv: str = ""
    url: str = ""

    @property
    def address(self) -> str:
        """Where to read it."""
        return f"https://arxiv.org/abs/{self.arxiv}" if self.arxiv else self.url

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object."""
        return {**asdict(self), "url": self.address}


PAPERS = {
    key: Paper(**values)
    for key, values in tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")).items()
}
"""By the key that an entry's ``paper`` names."""
