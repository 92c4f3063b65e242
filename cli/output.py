"""Results on stdout: a table for a person, one JSON document or CSV for a program."""

from __future__ import annotations

import contextlib
import csv
import json
import math
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..base.errors import RunError
from ..base.visible import visible

FORMATS = ("table", "json", "csv")

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


def print_rows(rows: Sequence[Row], columns: Mapping[str, str], form: str, *, title: str | None = None) -> None:
    """A list of records.

    Args:
        rows: The records; JSON gets them whole.
        columns: Which fields the table and the CSV show, and the heading of each.
        form: ``table``, ``json`` or ``csv``.
        title: Above the table.
    """
    if form == "json":
        print_json([dict(row) for row in rows])
    elif form == "csv":
        with _standard_output():
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows([_cell(row.get(key), full=True) for key in columns] for row in rows)
    elif sys.stdout.isatty():
        _print_rich(rows, columns, title)
    else:
        _print_plain(rows, columns, title)


def print_fields(fields: Mapping[str, Any]) -> None:
    """Names and values, a line each."""
    width = max(map(len, fields), default=0)
    for name, value in fields.items():
        echo(f"{name:<{width}}  {_cell(value)}".rstrip())


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


def print_remarks(*groups: tuple[str, Iterable[str]]) -> None:
    """Print ``KIND: TEXT`` lines below what was printed before; nothing where there are none."""
    lines = [f"{kind}: {text}" for kind, texts in groups for text in texts]
    if lines:
        echo()
    for line in lines:
        echo(line)


@contextlib.contextmanager
def work() -> Iterator[None]:
    """While this is open, whatever a library prints goes to stderr: stdout is for the result alone."""
    with contextlib.redirect_stdout(sys.stderr):
        yield


def _print_plain(rows: Sequence[Row], columns: Mapping[str, str], title: str | None) -> None:
    table = [list(columns.values()), *([_cell(row.get(key)) for key in columns] for row in rows)]
    widths = [max(len(line[index]) for line in table) for index in range(len(columns))]
    right = [_is_numeric(rows, key) for key in columns]
    if title:
        echo(title)
    for line in table:
        cells = (text.rjust(w) if r else text.ljust(w) for text, w, r in zip(line, widths, right, strict=True))
        echo("  ".join(cells).rstrip())


def _print_rich(rows: Sequence[Row], columns: Mapping[str, str], title: str | None) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for index, (key, heading) in enumerate(columns.items()):
        table.add_column(
            heading, justify="right" if _is_numeric(rows, key) else "left", overflow="fold", no_wrap=index == 0
        )
    for row in rows:
        table.add_row(*(Text(_cell(row.get(key))) for key in columns))
    with _standard_output():
        Console(highlight=False).print(table)


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
