"""Data sets of the Hugging Face Hub, or a folder of parquet, through the ``datasets`` library.

It finds splits, names and columns, downloads, and writes uncompressed Arrow files into its own cache, once. Where the
images lie in these is read off the addresses of the mapped files.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from ...base.errors import DataError, KdzooError, RunError, UsageError
from ..hub_copy.columns import Columns, choose_columns, own_features
from ..hub_copy.files import list_parquet, require_whole
from ..hub_copy.rows import labels_of
from ..listing import class_order
from .index import Found

HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
OPTIONS = ("config", "revision", "image", "label")
"""Parts of a data spec that choose: the configuration, the revision on the Hub, the columns."""


@dataclass
class _Rows:
    """What the Arrow files of a split hold, in their order."""

    files: list[str]
    extents: list[np.ndarray] = field(default_factory=list)  # int64, (rows, 3): number of the file, offset, size
    labels: list[Any] = field(default_factory=list)
    paths: list[str | None] = field(default_factory=list)


def load_arrow(place: Path, options: Mapping[str, str]) -> tuple[dict[str, Found], tuple[str, ...]]:
    """Where the images of each split lie, and the class names.

    Args:
        place: A folder of parquet files, or ORG/NAME on the Hub.
        options: By `OPTIONS`.

    Raises:
        DataError: There is no such data set, the Hub cannot be reached, or the files are damaged or hold no images.
        UsageError: A configuration or a column has to be chosen.
        RunError: The library is missing.
    """
    splits: dict[str, _Rows] = {}
    for name, dataset in _load(place, options).items():
        schema, what = dataset.data.schema, f"{place} ({name})"
        try:
            columns = choose_columns(schema, own_features(schema), what, options.get("image"), options.get("label"))
        except KdzooError as error:  # its ways out are options of `kdzoo data unpack`
            hint = re.sub("--(image|label)-column", lambda one: f"hf:{place}@{one[1]}=COLUMN", error.hint or "")
            raise type(error)(error.message, hint=hint) from None
        splits[str(name)] = _read(what, [file["filename"] for file in dataset.cache_files], columns)
    class_names = _class_names(columns, splits.values())
    return {name: _found(rows, class_names, columns) for name, rows in splits.items()}, class_names


def _load(place: Path, options: Mapping[str, str]) -> Mapping[str, Any]:
    if importlib.util.find_spec("datasets") is None:
        raise RunError("'hf:' needs the datasets library", hint="pip install 'kdzoo[datasets]'")
    if place.is_dir():
        require_whole(place, list_parquet(place))
    import datasets

    datasets.logging.set_verbosity(datasets.logging.CRITICAL)  # what goes wrong is said below, once
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    try:
        loaded: Mapping[str, Any] = datasets.load_dataset(
            str(place), options.get("config"), revision=options.get("revision")
        )
    except Exception as error:  # pyarrow, the Hub's client and the library each have exceptions of their own
        raise _explained(place, error) from error
    if not any(len(dataset) for dataset in loaded.values()):
        raise DataError(f"{place} has no rows", hint="download it again")
    return loaded


def _explained(place: Path, error: Exception) -> KdzooError:
    from datasets.exceptions import DatasetNotFoundError

    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    reason = " ".join(str(cause).split())[:200] or type(cause).__name__
    if isinstance(error, DatasetNotFoundError):
        return DataError(
            f"the Hub has no data set {place} for you to read",
            hint="look at the name; of a private or gated one ask for access, then `hf auth login`",
        )
    if isinstance(error, ConnectionError):
        return DataError(
            f"the Hub cannot be reached for {place}, and no copy of it is here: {reason}",
            hint="load it once where there is a network, or give a folder of its parquet files: hf:FOLDER",
        )
    if "Config name is missing" in str(error) or "BuilderConfig" in str(error):
        return UsageError(f"a configuration of {place} is to be chosen: {reason}", hint=f"write hf:{place}@config=NAME")
    return DataError(
        f"{place} cannot be read: {reason}",
        hint="a folder: download it again; on the Hub, its own conversion may: "
        f"hf:{place}@revision=refs/convert/parquet",
    )


def _read(what: str, files: list[str], columns: Columns) -> _Rows:
    import pyarrow as pa

    rows = _Rows(files)
    for number, path in enumerate(files):
        with pa.memory_map(path) as mapped:
            base = mapped.read_buffer(1).address
            mapped.seek(0)
            for batch in pa.ipc.open_stream(mapped):
                image = batch.column(columns.image)
                held = image.field("bytes") if columns.in_struct else image
                if image.null_count or held.null_count:
                    raise DataError(
                        f"{what} names images without holding them",
                        hint="take the Hub's own conversion: add @revision=refs/convert/parquet",
                    )
                _, places, content = held.buffers()
                kind = np.int64 if pa.types.is_large_binary(held.type) else np.int32
                ends = np.frombuffer(places, dtype=kind)[held.offset :][: len(held) + 1].astype(np.int64)
                start = 0 if content is None else content.address - base
                rows.extents.append(np.stack([np.full(len(held), number), start + ends[:-1], np.diff(ends)], axis=1))
                rows.labels += labels_of(batch.column(columns.label), columns)
                named = columns.in_struct and image.type.get_field_index("path") >= 0
                rows.paths += image.field("path").to_pylist() if named else [None] * len(image)
    return rows


def _class_names(columns: Columns, splits: Iterable[_Rows]) -> tuple[str, ...]:
    if columns.names is not None:
        return columns.names
    labels = {label for rows in splits for label in rows.labels if label is not None}
    if columns.by_number:
        return tuple(map(str, range(max(labels, default=-1) + 1)))
    return tuple(class_order(sorted(labels)))


def _found(rows: _Rows, class_names: Sequence[str], columns: Columns) -> Found:
    """The rows under names as class folders would give them: ``CLASS/FILE``, where each row has a file name of its own.

    Where one has none, or two have the same, all are called ``CLASS/ROW``.
    """
    found = Found(rows.files)
    number = {name: label for label, name in enumerate(class_names)}
    labels = [-1 if label is None else label if columns.by_number else number[label] for label in rows.labels]
    folders = [class_names[label] if 0 <= label < len(class_names) else str(label) for label in labels]
    files = [PurePosixPath(path or "").name for path in rows.paths]
    names = [f"{folder}/{file}" for folder, file in zip(folders, files, strict=True)]
    if len({*names}) < len(names) or not all(file.isprintable() and file for file in files):
        names = [f"{folder}/{row:07d}" for row, folder in enumerate(folders)]
    extents = np.concatenate([np.empty((0, 3), dtype=np.int64), *rows.extents]).tolist()
    for name, label, extent in zip(names, labels, extents, strict=True):
        found.add(name, label, *extent)
    return found
