"""The papers that the entries come from."""

from __future__ import annotations

import tomllib
from pathlib import Path

from ...base.paper import Paper

PAPERS = {
    key: Paper(**values)
    for key, values in tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")).items()
}
"""By the key that an entry's ``paper`` names."""
