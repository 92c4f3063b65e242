"""Unpacks a copy and kills itself: ``FOLDER OUT replace N`` before the Nth renaming, ``write N`` amid the Nth image."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from kdzoo.data.hub_copy import unpack


def main() -> None:
    folder, out, where, text = sys.argv[1:5]
    left = int(text)
    replace, write_bytes = os.replace, Path.write_bytes

    def die_at_zero() -> bool:
        nonlocal left
        left -= 1
        return left == 0

    def replacing(source: Any, target: Any) -> None:
        if where == "replace" and die_at_zero():
            os.kill(os.getpid(), signal.SIGKILL)
        replace(source, target)

    def writing(path: Path, content: bytes) -> int:
        if where == "write" and die_at_zero():
            write_bytes(path, content[: len(content) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return write_bytes(path, content)

    os.replace, Path.write_bytes = replacing, writing  # type: ignore[assignment,method-assign]
    unpack(Path(folder), Path(out))


main()
