"""Results on stdout: a table for a person, one JSON document or CSV for a program."""

from __future__ import annotations

import contextlib
import csv
import json
import math
import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from ..base.errors import RunError
from ..base.visible import visible

FORMATS = ("table", "json", "csv")
_GAP, _NARROWEST = 2, 12

Row = Mapping[str, Any]


def echo(text: object = "", *, err: bool = False, lines: bool = False) -> None:
    """One line on stdout, or on stderr; nothing in it can steer the terminal.

    Args:
        text: What to print; line ends before it are empty lines.
        err: Whether it goes to stderr.
        lines: Whether it is several lines on purpose.
    """
    whole = str(text)
    rest = whole.lstrip("\n")
    shown = whole[: len(whole) - len(rest)] + visible(rest, lines=lines)
    if err:
        with contextlib.suppress(OSError):
            print(shown, file=sys.stderr)
    else:
        with _standard_output():
            print(shown)


def is_main() -> bool:
    """Whether this process prints: under torchrun, the first one."""
    return os.environ.get("RANK", "0") == "0"


def flush_output() -> None:
    """Write what is still buffered for stdout.

    Raises:
        RunError: It cannot be written.
    """
    with _standard_output():
        sys.stdout.flush()


@contextlib.contextmanager
def _standard_output() -> Iterator[None]:
    """Say of what could not be written that it was the result on stdout; a reader who left is no error."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise RunError(
            f"the result could not be written to standard output: {error.strerror}",
            hint="make room where it goes, or send it elsewhere",
        ) from error


def print_json(document: Any) -> None:
    """One JSON document. What is not a finite number becomes null."""
    echo(json.dumps(_plain(document), indent=2, ensure_ascii=False, allow_nan=False), lines=True)


def print_rows(
    rows: Sequence[Row],
    columns: Mapping[str, str],
    form: str,
    *,
    title: str | None = None,
    spare: Sequence[str] = (),
) -> None:
    """A list of records.

    Args:
        rows: The records; JSON gets them whole.
        columns: Which fields the table and the CSV show, and the heading of each.
        form: ``table``, ``json`` or ``csv``.
        title: Above the table.
        spare: Fields that a table leaves out, the first first, where it would be wider than the terminal.
    """
    if form == "json":
        print_json([dict(row) for row in rows])
    elif form == "csv":
        with _standard_output():
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows([_cell(row.get(key), full=True) for key in columns] for row in rows)
    else:
        shown = dict(columns)
        for name in spare:
            if not _fits(rows, shown):
                shown.pop(name, None)
        _print_table(rows, shown, title)
        left = [heading for name, heading in columns.items() if name not in shown]
        if left:
            print_paragraph(f"left out for want of width: {', '.join(left)} (--format csv has them)")


def print_fields(fields: Mapping[str, Any]) -> None:
    """Names and values, a line each; a long value goes on below itself."""
    width = max(map(len, fields), default=0)
    for name, value in fields.items():
        first, *more = _wrapped(_cell(value), terminal_width() - width - _GAP)
        echo(f"{name:<{width}}  {first}".rstrip())
        for line in more:
            echo(f"{'':<{width}}  {line}")


def literal(value: Any) -> str:
    """A setting's value as ``--set`` would take it."""
    if isinstance(value, list | tuple):
        return ",".join(map(literal, value)) or "[]"
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def print_settings(settings: Mapping[str, Mapping[str, Any]]) -> None:
    """Print ``{setting: {"value", "source"}}`` as a table."""
    rows = [{"setting": name, "value": literal(one["value"]), "from": one["source"]} for name, one in settings.items()]
    print_rows(rows, {name: name for name in ("setting", "value", "from")}, "table")


def print_remarks(*groups: tuple[str, Iterable[str]]) -> bool:
    """Print ``KIND: TEXT`` lines below what was printed before; returns whether there are any."""
    lines = [f"{kind}: {text}" for kind, texts in groups for text in texts]
    if lines:
        echo()
    for line in lines:
        print_paragraph(line)
    return bool(lines)


def print_paragraph(text: str) -> None:
    """A line as long as it may be, whose rest goes on below it, indented."""
    for line in _wrapped(text, terminal_width(), indent="  "):
        echo(line)


@contextlib.contextmanager
def work() -> Iterator[None]:
    """While this is open, whatever a library prints goes to stderr: stdout is for the result alone."""
    with contextlib.redirect_stdout(sys.stderr):
        yield


def _print_table(rows: Sequence[Row], columns: Mapping[str, str], title: str | None) -> None:
    """Columns side by side in the width of the terminal, 80 for a pipe; long texts go on below in their column."""
    right = [_is_numeric(rows, key) for key in columns]
    table = _table(rows, columns)
    limit = terminal_width()
    widths = _column_widths(table, right, limit)
    if _total(widths) > limit:  # by its words: then a path may be broken
        widths = min(widths, _column_widths(table, right, limit, longest=limit // 3), key=_total)
    if title:
        print_paragraph(title)
    for number, line in enumerate(table):
        cells = [_wrapped(text, width, whole=False) for text, width in zip(line, widths, strict=True)]
        for below in zip_longest(*cells, fillvalue=""):
            aligned = (t.rjust(w) if r else t.ljust(w) for t, w, r in zip(below, widths, right, strict=True))
            text = "  ".join(aligned).rstrip()
            if number == 0 and sys.stdout.isatty() and not os.environ.get("NO_COLOR"):
                with _standard_output():
                    print(f"\x1b[1m{visible(text)}\x1b[0m")
            else:
                echo(text)


def _table(rows: Sequence[Row], columns: Mapping[str, str]) -> list[list[str]]:
    """The headings, then the cells of each row."""
    return [list(columns.values()), *([_cell(row.get(key)) for key in columns] for row in rows)]


def _fits(rows: Sequence[Row], columns: Mapping[str, str]) -> bool:
    """Whether a table, its texts narrowed, is no wider than the terminal."""
    limit = terminal_width()
    return _total(_column_widths(_table(rows, columns), [_is_numeric(rows, key) for key in columns], limit)) <= limit


def _total(widths: Sequence[int]) -> int:
    """Width of a table of such columns."""
    return sum(widths) + _GAP * (len(widths) - 1)


def terminal_width() -> int:
    """Columns of the terminal, or of ``COLUMNS``; 80 where there is none."""
    return shutil.get_terminal_size().columns


def _column_widths(
    table: Sequence[Sequence[str]], right: Sequence[bool], limit: int, longest: int | None = None
) -> list[int]:
    """The columns' natural widths, the widest texts narrowed until the table fits, none below its longest word.

    Args:
        table: Headings and cells.
        right: Which columns are of numbers; they are never narrowed.
        limit: Of the whole table.
        longest: A word counts as no longer than this, but for the first column's; None: every word stays whole.
    """
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    words = [max((len(w) for text in column for w in text.split()), default=0) for column in zip(*table, strict=True)]
    words = [*words[:1], *(min(word, longest or word) for word in words[1:])]
    least = [
        width if number else max(word, min(width, _NARROWEST))
        for width, word, number in zip(widths, words, right, strict=True)
    ]
    while _total(widths) > limit:
        index = max(range(len(widths)), key=lambda i: (widths[i] > least[i], widths[i]))
        if widths[index] <= least[index]:
            break
        widths[index] -= 1
    return widths


def _wrapped(text: str, width: int, indent: str = "", *, whole: bool = True) -> list[str]:
    """Lines of at most ``width``, broken at blanks alone where words stay ``whole``, as a path or a name should."""
    if len(text) <= width:
        return [text]
    wrapper = textwrap.TextWrapper(
        max(width, 1), subsequent_indent=indent, break_long_words=not whole, break_on_hyphens=False
    )
    return wrapper.wrap(text) or [""]


def _is_numeric(rows: Sequence[Row], key: str) -> bool:
    values = [row.get(key) for row in rows if row.get(key) is not None]
    return bool(values) and all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _cell(value: Any, *, full: bool = False) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return repr(value) if full else f"{value:.2f}"
    if isinstance(value, list | tuple):
        return ", ".join(_cell(item, full=full) for item in value)
    return visible(str(value))


def _plain(value: Any) -> Any:
    """``value`` as JSON has it: NumPy's scalars become Python's, tuples lists, NaN null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "item") and not isinstance(value, str | bytes):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, str | bool | int | float):
        return value
    return str(value)
