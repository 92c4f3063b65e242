"""Text as a terminal may have it: what could steer the terminal, or forge a line, becomes a visible escape.

File names, class names and settings come from others. This module imports nothing of the project, so that every room
may use it.
"""

from __future__ import annotations

import re

_STEERING = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # C0 and C1: escape sequences, bells, newlines
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # what reorders the text around it
    "\u2028\u2029"  # further ends of a line
    "\ud800-\udfff]"  # bytes of a file name that are no text
)


def visible(text: str, *, lines: bool = False) -> str:
    """``text`` with each character that could steer a terminal as ``\\u001b``, the escape that JSON has too.

    Args:
        text: Anything.
        lines: Whether its line ends are meant.
    """
    return _STEERING.sub(lambda found: "\n" if lines and found[0] == "\n" else f"\\u{ord(found[0]):04x}", text)
