"""What tests of several rooms share."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.append(str(Path(__file__).parent / "hub"))

if TYPE_CHECKING:
    from hub_server import HubServer


@pytest.fixture
def hub_server() -> Iterator[HubServer]:
    """A Hub on this machine; see ``tests/hub/hub_server.py``."""
    from hub_server import HubServer

    with HubServer() as server:
        yield server
