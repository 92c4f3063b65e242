"""SIGTERM and SIGINT are answered at the next step of whatever loop is running."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from ..base.errors import Interrupted

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopRequest:
    """Catches SIGTERM and SIGINT while active; loops ask it between steps. A second signal ends the process at once.

    Use as a context manager. Outside the main thread nothing is caught and nothing is ever requested.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    @property
    def requested(self) -> bool:
        """Whether a signal came."""
        return self.received is not None

    def raise_if_requested(self, doing: str) -> None:
        """Raise Interrupted if a signal came.

        Args:
            doing: What is interrupted, such as ``"evaluation"``.
        """
        if self.received is not None:
            raise Interrupted(f"{doing} interrupted by {self.received.name}")

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self.received = signal.Signals(number)
