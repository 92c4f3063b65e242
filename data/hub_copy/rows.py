"""Rows of a copy's parquet files, a few at a time."""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...base.errors import DataError, RunError
from .columns import Columns

_IMAGES_AT_ONCE = 16
_LABELS_AT_ONCE = 65_536
_BUFFER = 1 << 20


def require_pyarrow() -> None:
    """Raises RunError with the line to install it where it is missing."""
    if importlib.util.find_spec("pyarrow") is None:
        raise RunError("'kdzoo data unpack' needs pyarrow", hint="pip install 'kdzoo[hub-data]'")


@contextmanager
def opened(folder: Path, name: str) -> Iterator[Any]:
    """A parquet file of which no more is in memory than a page or two (buffering ahead would hold the whole file).

    Raises:
        DataError: It is damaged, wherever that shows.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(
            folder / name, buffer_size=_BUFFER, pre_buffer=False, page_checksum_verification=True
        ) as file:
            yield file
    except (pa.ArrowException, OSError, MemoryError, ValueError) as error:  # ValueError: names that are not UTF-8
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(
            f"{folder / name} is damaged: {reason}",
            hint="remove it; the same `hf download` fetches it again",
        ) from None


def count_labels(folder: Path, names: Sequence[str], columns: Columns) -> Counter[int | str]:
    """How many images each label has; only the labels are read.

    Raises:
        DataError: A label is missing, out of range, or no text; the file and the row are named.
    """
    counts: Counter[int | str] = Counter()
    for name in names:
        first = 0
        with opened(folder, name) as file:
            for batch in file.iter_batches(_LABELS_AT_ONCE, columns=[columns.label], use_threads=False):
                labels = labels_of(batch.column(columns.label), columns)
                for row, label in enumerate(labels, start=first):
                    _require_label(label, columns, folder / name, row)
                counts.update(labels)
                first += len(labels)
    return counts


def read_images(folder: Path, name: str, columns: Columns) -> Iterator[tuple[int, bytes, int | str]]:
    """(row, encoded image, label) of every row of a file.

    Raises:
        DataError: A row has no image, or the file is damaged.
    """
    row = 0
    with opened(folder, name) as file:
        for batch in file.iter_batches(_IMAGES_AT_ONCE, columns=columns.to_read, use_threads=False):
            images = batch.column(columns.image)
            labels = labels_of(batch.column(columns.label), columns)
            for value, label in zip(images, labels, strict=True):
                image = value.as_py()
                content = image.get("bytes") if isinstance(image, dict) else image
                if content is None:
                    raise DataError(
                        f"{folder / name} row {row} has no image (rows are counted from 0)",
                        hint="the copy names its images without holding them: take another copy of the data set",
                    )
                yield row, content, label
                row += 1
        if row != file.metadata.num_rows:
            raise DataError(
                f"{folder / name} gave {row:,} rows, and says that it has {file.metadata.num_rows:,}",
                hint="remove it; the same `hf download` fetches it again",
            )


def labels_of(column: Any, columns: Columns) -> list[int | str]:
    import pyarrow as pa

    found: list[int | str] = column.cast(pa.int64() if columns.by_number else pa.string()).to_pylist()
    return found


def _require_label(label: int | str | None, columns: Columns, path: Path, row: int) -> None:
    where = f"{path} row {row} (counted from 0)"
    if label is None or label == "":
        raise DataError(
            f"{where} has no {columns.label}", hint="leave its split out: --split train=NAME takes another only"
        )
    if isinstance(label, str):
        return
    if label == -1:
        raise DataError(
            f"{where} has the {columns.label} -1, the Hub's mark for a label that is kept secret",
            hint="leave its split out: --split train=train --split val=validation",
        )
    if label < 0 or (columns.names is not None and label >= len(columns.names)):
        range_of = "no negative ones" if columns.names is None else f"{len(columns.names)} classes"
        raise DataError(
            f"{where} has the {columns.label} {label}; there are {range_of}",
            hint="the copy contradicts itself: download it again, or tell its owner",
        )
