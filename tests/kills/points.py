"""The moments at which a process changes a folder: counted, and one of them its last.

An audit hook sees every file that is opened to be written, every folder made, every renaming, link and removal below a
folder, whoever asks for it; so a new place that writes is counted without anyone remembering. Appended bytes raise no
event: they all go through ``RecordFile.append``.
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdzoo.base.record_file import RecordFile

BEFORE, HALF, AFTER = "before", "half-written", "after"
_ONE_PATH = {"os.mkdir": 2, "os.remove": 1, "os.rmdir": 1, "os.truncate": -1}
"""Where the descriptor of the folder stands among an event's arguments."""
_TWO_PATHS = ("os.rename", "os.link", "os.symlink")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


@dataclass(frozen=True)
class Point:
    """One moment.

    Attributes:
        number: From 1.
        how: Before it, or with half of what was being written; after the last one.
    """

    number: int
    how: str


class Points:
    """Counts the moments of this process below a folder; at one of them the process kills itself.

    Args:
        root: The folder.
        last: The moment that is its last; None to count only.
    """

    def __init__(self, root: Path, last: Point | None = None) -> None:
        self.root, self.last = os.path.realpath(root), last
        self.seen: list[tuple[str, bool]] = []
        """Each moment in words, and whether something can be half-written then."""
        self._fresh: str | None = None
        self._busy = False

    def watch(self) -> None:
        """Begin; there is no way to end."""
        sys.addaudithook(self._hook)
        append = RecordFile.append

        def counted(file: RecordFile, data: bytes) -> None:
            def half() -> None:
                append(file, data[: len(data) // 2])

            self._count("append", str(file.path), half if len(data) > 1 else None)
            append(file, data)

        RecordFile.append = counted  # type: ignore[method-assign]

    def end(self) -> None:
        """Everything is done."""
        if self.last is not None and self.last.how == AFTER:
            os.kill(os.getpid(), signal.SIGKILL)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._busy or not (event == "open" or event in _ONE_PATH or event in _TWO_PATHS):
            return
        if event == "open":
            path, mode, flags = arguments
            if isinstance(path, int) or not flags & _WRITING:
                return
            self._event(event, _absolute(path, -1), fresh=mode is not None and mode[:1] in "wx")
        elif event in _ONE_PATH:
            place = _ONE_PATH[event]
            self._event(event, _absolute(arguments[0], arguments[place] if place > 0 else -1))
        else:
            self._event(event, _absolute(arguments[1], -1), source=_absolute(arguments[0], -1))

    def _event(self, event: str, path: str, *, fresh: bool = False, source: str | None = None) -> None:
        if not path.startswith(self.root + os.sep):
            return
        self._busy = True
        try:
            victim = self._half_written(event, source)
            half = None if victim is None else lambda: os.truncate(victim, os.path.getsize(victim) // 2)
            self._count(event, path, half)
            self._fresh = path if fresh else None
        finally:
            self._busy = False

    def _half_written(self, event: str, source: str | None) -> str | None:
        """The file that was being written just before this moment, if any."""
        if event == "os.rename" and source is not None and ".kdzoo-" in source:
            inside = [str(path) for path in Path(source).rglob("*") if path.is_file()] or [source]
            victim: str | None = max(inside, key=os.path.getsize)
        else:
            victim = self._fresh
        if victim is None or not os.path.isfile(victim) or os.stat(victim).st_nlink > 1:  # a link is not written
            return None
        return victim if os.path.getsize(victim) > 1 else None

    def _count(self, event: str, path: str, half: Any) -> None:
        self._busy, busy = True, self._busy
        self.seen.append((f"{event} {os.path.relpath(path, self.root)}", half is not None))
        if self.last is not None and self.last.number == len(self.seen) and self.last.how != AFTER:
            if self.last.how == HALF:
                half()
            os.kill(os.getpid(), signal.SIGKILL)
        self._busy = busy

    def all(self) -> list[Point]:
        """Every moment of what was counted."""
        before = [Point(number, BEFORE) for number in range(1, len(self.seen) + 1)]
        halves = [Point(number, HALF) for number, (_, half) in enumerate(self.seen, start=1) if half]
        return [*sorted([*before, *halves], key=lambda one: one.number), Point(len(self.seen) + 1, AFTER)]


def _absolute(path: Any, folder: int) -> str:
    text = os.fsdecode(path)
    if folder is not None and folder >= 0:
        return os.path.join(os.readlink(f"/proc/self/fd/{folder}"), text)
    return os.path.abspath(text)
