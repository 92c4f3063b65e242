"""``results.json``: what was asked for, and of each row the paper's numbers, ours, and what was scaled down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base.errors import CheckpointError, RunError
from ..base.regular_files import read_json

if TYPE_CHECKING:
    from .choices import Choices
    from .tables import PaperTables, Row, Table

FILE = "results.json"
PENDING, LEFT_OUT, DONE, MISSING = "pending", "left out", "done", "missing"
TRANSFER, REFERENCE = "transfer", "reference"


class Record:
    """The results of one reproduction.

    Args:
        out: Its folder.
        document: As in the file.
    """

    def __init__(self, out: Path, document: dict[str, Any]) -> None:
        self.out, self.document = out, document

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows, in the table's order."""
        rows: list[dict[str, Any]] = self.document["rows"]
        return rows

    def row(self, label: str) -> dict[str, Any]:
        """One row."""
        return next(row for row in self.rows if row["label"] == label)

    def update(self, label: str, **values: Any) -> None:
        """Change a row and write the file whole."""
        self.row(label).update(values)
        self.write()

    def write(self) -> None:
        """Write the file whole or not at all."""
        from ..base.writing import write_json

        write_json(self.out / FILE, self.document)


def begin(out: Path, paper: PaperTables, table: Table, choices: Choices, *, own: Sequence[str] = ()) -> Record:
    """The record of a reproduction that has not begun.

    Args:
        out: Its folder.
        paper: The table's.
        table: The table.
        choices: What was asked for.
        own: Names that may stand in the folder already: runs of a reproduction whose ``results.json`` is gone.

    Raises:
        RunError: The folder holds something else, or cannot be written.
    """
    from importlib import metadata

    from ..base.writing import clear_errors

    with clear_errors(out):
        found = sorted(entry.name for entry in out.iterdir() if not entry.name.startswith(".")) if out.exists() else []
    strangers = [name for name in found if name not in own]
    if strangers:
        raise RunError(
            f"{out} is not empty and holds no reproduction (it has {strangers[0]})",
            hint="use another --out; where only results.json was removed, --resume goes on",
        )
    return Record(out, new_document(paper, table, choices, metadata.version("kdzoo")))


def new_document(paper: PaperTables, table: Table, choices: Choices, version: str) -> dict[str, Any]:
    """A document with every row left out."""
    return {
        "paper": paper.key,
        "table": table.number,
        "title": table.title,
        "citation": table.citation,
        "url": paper.url,
        "kdzoo_version": version,
        "choices": choices.to_dict(),
        "columns": [asdict(column) for column in table.columns],
        "notes": [*table.notes, *paper.notes],
        "rows": [_empty(row) for row in table.rows],
    }


def _empty(row: Row) -> dict[str, Any]:
    return {
        "label": row.label,
        "kind": row.takes.kind,
        "status": LEFT_OUT,
        "paper": dict(row.numbers),
        "ours": {},
        "spread": {},
        "difference": {},
        "num_runs": 0,
        "scaled_down": [],
        "runs": [],
        "commands": [],
        "why": "",
        "note": row.note,
    }


def read(out: Path) -> Record | None:
    """The record in a folder, or None where there is none.

    Raises:
        CheckpointError: It is damaged.
    """
    path = out / FILE
    try:
        document = read_json(path)
        _check(document)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{path} cannot be read ({error})",
            hint="remove it and give the same command with --resume: finished runs are kept",
        ) from error
    return Record(out, document)


def _check(document: Any) -> None:
    """Raise what a document of another form would raise later."""
    for name in ("paper", "table", "title", "citation", "url"):
        if not isinstance(document[name], str):
            raise TypeError(f"{name} is no text")
    from .choices import Choices

    Choices(**document["choices"])
    for row in document["rows"]:
        for name, kind in (("label", str), ("status", str), ("paper", dict), ("ours", dict), ("scaled_down", list)):
            if not isinstance(row[name], kind):
                raise TypeError(f"a row's {name} is of another type")
    if not all(isinstance(column["key"], str) for column in document["columns"]):
        raise TypeError("a column has no key")


def refuse_other(record: Record, paper: str, table: str, choices: Choices) -> None:
    """Refuse to mix two reproductions in one folder.

    Raises:
        RunError: The folder holds another table, or one that was made otherwise.
    """
    document = record.document
    if (document["paper"], document["table"]) != (paper, table):
        raise RunError(f"{record.out} holds {document['paper']} table {document['table']}", hint="use another --out")
    before, now = document["choices"], choices.to_dict()
    changed = [f"{name} was {before.get(name)!r}, is {value!r}" for name, value in now.items() if before[name] != value]
    if changed:
        raise RunError(f"{record.out} was made otherwise: {'; '.join(changed)}", hint="use another --out")


def difference(paper: Mapping[str, Any], ours: Mapping[str, float]) -> dict[str, float]:
    """Ours less the paper's, where both are numbers."""
    return {key: value - paper[key] for key, value in ours.items() if isinstance(paper.get(key), int | float)}
