"""kdzoo's home in a folder of its own, and mirrors of the releases."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from release_mirror import ReleaseMirror


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """kdzoo's home, empty."""
    monkeypatch.setenv("KDZOO_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("KDZOO_MIRROR", raising=False)
    return tmp_path / "home"


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[dict[str, bytes]], ReleaseMirror]]:
    """Makes a mirror of some files."""
    from release_mirror import ReleaseMirror

    from kdzoo.zoo import fetching

    monkeypatch.setattr(fetching, "PAUSE_S", 0.0)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with contextlib.ExitStack() as stack:
        yield lambda files: stack.enter_context(ReleaseMirror(files))
