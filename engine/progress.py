"""What a person sees while it runs: a bar on a terminal, plain lines elsewhere; always on stderr."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from types import TracebackType
from typing import Any

from ..base.visible import visible

_LINE_EVERY_S = 10.0


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=int(seconds)))


class Progress:
    """Shows the progress of one loop.

    Args:
        total: Steps of the loop.
        title: What it is, such as ``"training"``.
        unit_size: Images a step, for images/s.
        start: Steps that were finished before this process.
        quiet: Say nothing (every rank but the first).
    """

    def __init__(self, total: int, title: str, unit_size: int, *, start: int = 0, quiet: bool = False) -> None:
        self._total, self._title, self._unit_size, self._quiet = total, title, unit_size, quiet
        self._done = start
        self._first = start
        self._began = time.monotonic()
        self._last_line = self._began
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Progress:
        if not self._quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
            from rich.progress import Progress as Bar

            columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn())
            self._bar = Bar(*columns, TextColumn("{task.fields[state]}"), console=Console(stderr=True))
            self._bar.start()
            self._task = self._bar.add_task(self._title, total=self._total, completed=self._done, state="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Take the bar down while other progress is shown, such as an evaluation's."""
        if self._bar is not None:
            self._bar.stop()
        try:
            yield
        finally:
            if self._bar is not None:
                self._bar.start()

    def step(self, state: Mapping[str, float], data_wait: float = 0.0) -> None:
        """Count a step as done, and show it.

        Args:
            state: Numbers to show, such as the loss terms.
            data_wait: Fraction of the time spent waiting for images, 0 to 1.
        """
        self._done += 1
        if self._quiet:
            return
        now = time.monotonic()
        due = now - self._last_line >= (0.2 if self._bar is not None else _LINE_EVERY_S)
        if not due and self._done != self._total:
            return
        self._last_line = now
        elapsed = max(now - self._began, 1e-9)
        done_here = self._done - self._first
        left = (self._total - self._done) * elapsed / max(done_here, 1)
        rate = done_here * self._unit_size / elapsed
        numbers = " ".join(f"{name} {value:.4g}" for name, value in state.items())
        text = f"{numbers} {rate:.0f} images/s wait {100 * data_wait:.0f} % left {_clock(left)}".strip()
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done, state=text)
        else:
            say(f"{self._title} {self._done}/{self._total} {text}")

    def say(self, text: str) -> None:
        """Print one line above the bar."""
        if self._quiet:
            return
        if self._bar is not None:
            self._bar.console.print(visible(text), markup=False, highlight=False)
        else:
            say(text)


def say(text: str) -> None:
    """Print one line on stderr, outside any loop. A closed stderr does not stop the work."""
    with contextlib.suppress(OSError):
        print(visible(text), file=sys.stderr, flush=True)
