"""Text that others wrote, inside Markdown: it comes out as it is, never as Markdown, HTML, a link or a table border."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from .readme import literal

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#!~^$&])")
_TURNED = re.compile(r"://|www\.|@|\||:[\w+-]+:")
"""What readers of Markdown turn into links, table borders or pictures without being asked."""
_WEB = re.compile(r"https://[A-Za-z0-9][A-Za-z0-9.-]*(/[A-Za-z0-9._~%/?=&#+-]*)?")
_SHOWN = 2000


class Markdown(str):
    """Text that is already Markdown: everything foreign in it was made literal."""

    __slots__ = ()


def one_line(text: str) -> str:
    """``text`` with unprintable characters, line breaks included, as their code points."""
    shown = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)
    return shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "…"


def plain(value: Any) -> Markdown:
    """A value inside a sentence or a table's cell; as code where a reader of Markdown would make more of it."""
    if isinstance(value, Markdown):
        return value
    text = value if isinstance(value, str) else str(value)
    if _TURNED.search(text):
        return cell(text)
    return Markdown(_SPECIAL.sub(r"\\\1", one_line(text)).strip())


def code(value: Any) -> Markdown:
    """A value as a code span."""
    return Markdown(literal(value))


def cell(value: Any) -> Markdown:
    """A value as code in a table's cell. A code span cannot hold a table's border, HTML's code element can."""
    text = value if isinstance(value, str) else str(literal(value)).strip("`").strip()
    if "|" not in text:
        return code(text)
    escaped = "".join(c if c.isalnum() or c == " " else f"&#{ord(c)};" for c in one_line(text))
    return Markdown(f"<code>{escaped}</code>")


def link(address: str, text: str | None = None) -> Markdown:
    """A link, where the address is a plain one of the web; else the address as code."""
    if not _WEB.fullmatch(address):
        return code(address)
    return Markdown(f"[{plain(text)}]({address})" if text else f"<{address}>")


def block(lines: str | Iterable[str], language: str = "") -> Markdown:
    """Lines as a code block that nothing in them ends."""
    texts = lines.splitlines() if isinstance(lines, str) else list(lines)
    texts = [one_line(line) for line in texts]
    longest = max((len(run) for line in texts for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return Markdown("\n".join([f"{fence}{language}", *texts, fence]))


def prose(text: str) -> Markdown:
    """Sentences in which ``double backticks`` mark code, as docstrings have it; the rest is literal."""
    parts = re.split("``(.+?)``", text)
    return Markdown("".join(code(part) if index % 2 else plain_part(part) for index, part in enumerate(parts)))


def plain_part(text: str) -> str:
    """As ``plain``, keeping the spaces around."""
    lead, trail = text[: len(text) - len(text.lstrip(" "))], text[len(text.rstrip(" ")) :]
    return f"{lead}{plain(text)}{trail}" if text.strip() else text
