"""A prediction, and files of them: CSV, JSON lines or parquet, whole or not at all; an interrupted one goes on."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ...base.errors import CheckpointError, Interrupted, UsageError
from ...base.holding import hold_folder
from ...base.record_file import RecordFile
from ...base.regular_files import read_json
from ...base.writing import copy_file, open_scratch, remove_folder, remove_leftovers, write_file, write_json

_COMMIT_EVERY = 20  # batches
_ROWS_AT_ONCE = 1000
Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What a model says of an image.

    Attributes:
        path: As it was given; of an image in a given folder, the folder's path and the image's below it.
        classes: Names, the likeliest first; empty for an image that cannot be read.
        probabilities: Of these classes.
        embedding: float32, (D,): the features before the classifier, where they were asked for.
        error: Why the image cannot be read, or None.
    """

    path: str
    classes: tuple[str, ...] = ()
    probabilities: tuple[float, ...] = ()
    embedding: np.ndarray | None = None
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object; what of a file's name is no text is written as an escape."""
        path = self.path.encode("utf-8", "backslashreplace").decode()
        if self.error is not None:
            return {"path": path, "error": self.error}
        return {"path": path, **self.answer()}

    def answer(self) -> dict[str, Any]:
        """The part of `to_dict` that is about what was seen."""
        answers = zip(self.classes, self.probabilities, strict=True)
        top = [{"class": name, "probability": round(share, 6)} for name, share in answers]
        if self.embedding is None:
            return {"top": top}
        return {"top": top, "embedding": [float(f"{value:.7g}") for value in self.embedding.tolist()]}

    def summary(self) -> str:
        """What was seen, or why the image cannot be read, for a line on the terminal."""
        answers = zip(self.classes, self.probabilities, strict=True)
        return self.error or ", ".join(f"{name} {share:.3f}" for name, share in answers)


@dataclass(frozen=True, kw_only=True)
class WrittenPredictions:
    """A finished file, or a folder of masks.

    Attributes:
        path: The file or the folder.
        num_images: Images that were looked at.
        num_unreadable: How many of them could not be read; their rows say why.
    """

    path: str
    num_images: int
    num_unreadable: int


class PredictionTable(Protocol):
    """How predictions of one kind stand in CSV and parquet; a row is what `Prediction.to_dict` makes."""

    def lines(self, rows: Callable[[], Iterator[Row]]) -> Iterator[list[Any]]:
        """The heading and the cells of CSV, a list a line; ``rows`` begins anew at each call."""
        ...

    def columns(self, pyarrow: Any) -> dict[str, Any]:
        """parquet's types by column."""
        ...

    def record(self, row: Row) -> dict[str, Any]:
        """A row's parquet columns."""
        ...


@dataclass(frozen=True)
class ClassTable:
    """The likeliest classes, and embeddings.

    Attributes:
        top_k: Classes a row; two columns of CSV each.
    """

    top_k: int

    def lines(self, rows: Callable[[], Iterator[Row]]) -> Iterator[list[Any]]:
        """The embeddings' numbers are the last columns; see `PredictionTable`."""
        width = next((len(row["embedding"]) for row in rows() if "embedding" in row), 0)
        names = [f"{what}_{rank}" for rank in range(1, self.top_k + 1) for what in ("class", "probability")]
        yield ["path", *names, "error", *(f"embedding_{index}" for index in range(width))]
        for row in rows():
            top = [cell for one in row.get("top", []) for cell in (one["class"], one["probability"])]
            numbers = row.get("embedding", [""] * width)
            yield [row["path"], *top, *[""] * (2 * self.top_k - len(top)), row.get("error", ""), *numbers]

    def columns(self, pyarrow: Any) -> dict[str, Any]:
        """See `PredictionTable`."""
        text, numbers = pyarrow.string(), pyarrow.list_(pyarrow.float32())
        answers = {"classes": pyarrow.list_(text), "probabilities": numbers, "embedding": numbers}
        return {"path": text, **answers, "error": text}

    def record(self, row: Row) -> dict[str, Any]:
        """See `PredictionTable`."""
        top = row.get("top", [])
        answers = {"classes": [one["class"] for one in top], "probabilities": [one["probability"] for one in top]}
        return {"path": row["path"], **answers, "embedding": row.get("embedding"), "error": row.get("error")}


class PredictionFile:
    """A file of predictions in the making: rows are kept in ``FILE.partial`` until all are there.

    Args:
        path: The file; its end (``.csv``, ``.jsonl``, ``.parquet``) decides the form.
        identity: What the rows depend on; rows of something else are thrown away.
        batch_size: Rows are kept in multiples of it.
        table: How rows stand in CSV and parquet; None where only JSON lines are wanted.

    Raises:
        UsageError: The name has another end, or parquet needs a package that is missing.
    """

    def __init__(
        self, path: Path, identity: Mapping[str, Any], *, batch_size: int, table: PredictionTable | None
    ) -> None:
        check_form(path)
        self.path, self._identity = path, dict(identity)
        self._batch_size, self._table = batch_size, table
        self._folder = path.with_name(path.name + ".partial")

    def write(self, predict: Callable[[int], Iterable[Prediction]]) -> WrittenPredictions:
        """Write the file.

        Args:
            predict: Gives the predictions from a row on.

        Raises:
            RunError: It cannot be written, or another process writes it.
            KdzooError: As ``predict``; what it gave until then is kept.
        """
        with hold_folder(self._folder):
            remove_leftovers(self._folder, alone=True)
            done, rows = self._open()
            try:
                for row in predict(done):
                    rows.append((json.dumps(row.to_dict(), ensure_ascii=False) + "\n").encode())
                    done += 1
                    if done % (self._batch_size * _COMMIT_EVERY) == 0:
                        self._commit(done, rows)
                self._commit(done, rows)
            except Interrupted:
                if done % self._batch_size == 0:
                    self._commit(done, rows)
                raise
            finally:
                rows.close()
            counted = self._finish()
        remove_folder(self._folder)
        return WrittenPredictions(path=str(self.path), num_images=done, num_unreadable=counted)

    def _open(self) -> tuple[int, RecordFile]:
        """How many rows are kept, and where they are; begun anew where they are of something else or damaged."""
        head, rows = self._folder / "head.json", self._folder / "rows.jsonl"
        try:
            found = read_json(head) if head.is_file() else {}
            if found["identity"] == self._identity:
                return int(found["rows"]), RecordFile(rows, found["committed"])
        except (CheckpointError, KeyError, TypeError, ValueError):
            pass
        rows.unlink(missing_ok=True)
        return 0, RecordFile(rows)

    def _commit(self, done: int, rows: RecordFile) -> None:
        head = {"identity": self._identity, "rows": done, "committed": rows.commit()}
        write_json(self._folder / "head.json", head)

    def _rows(self) -> Iterator[dict[str, Any]]:
        with open(self._folder / "rows.jsonl", encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)

    def _finish(self) -> int:
        unreadable = sum("error" in row for row in self._rows())
        write = {".csv": self._csv, ".jsonl": self._jsonl, ".parquet": self._parquet}[self.path.suffix]
        write_file(self.path, write)
        return unreadable

    def _csv(self, new: Path) -> None:
        assert self._table is not None
        with io.TextIOWrapper(open_scratch(new), encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(self._table.lines(self._rows))

    def _jsonl(self, new: Path) -> None:
        copy_file(self._folder / "rows.jsonl", new)

    def _parquet(self, new: Path) -> None:
        import pyarrow
        from pyarrow import parquet

        assert self._table is not None
        schema = pyarrow.schema(self._table.columns(pyarrow))
        with parquet.ParquetWriter(new, schema) as writer:
            for part in _parts(self._rows(), _ROWS_AT_ONCE):
                writer.write_table(pyarrow.Table.from_pylist([self._table.record(row) for row in part], schema))


def check_form(path: Path) -> None:
    """Refuse a file name that says no form, and a form that cannot be written here.

    Raises:
        UsageError: The name, or the form.
    """
    if path.suffix not in (".csv", ".jsonl", ".parquet"):
        raise UsageError(f"{path} ends in none of .csv, .jsonl, .parquet", hint=f"--out {path.with_suffix('.csv')}")
    if path.is_dir():
        raise UsageError(f"{path} is a folder", hint="give the name of a file in it")
    if path.suffix == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        raise UsageError("parquet needs pyarrow", hint="pip install 'kdzoo[hub-data]', or write .csv or .jsonl")


def _parts(rows: Iterator[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    part: list[dict[str, Any]] = []
    for row in rows:
        part.append(row)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part
