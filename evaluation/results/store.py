"""The store: a folder of JSON documents, as a pandas table for whoever asks."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError
from safetensors.numpy import load_file

from ...base.errors import DataError
from ...base.redact import redact_values
from ...base.regular_files import read_json
from ...base.writing import write_arrays, write_json
from .document import Result, from_json
from .predictions import Predictions

if TYPE_CHECKING:
    import pandas as pd

_MAX_BYTES = 64 * 2**20
_OPTION = "--results or KDZOO_RESULTS"
_COLUMNS = (
    *("model", "architecture", "task", "dataset", "split", "metric", "value", "published", "low", "high"),
    *("num_images", "parameters", "macs", "protocol"),
)


def default_folder() -> Path:
    """Where results go that belong to no run: ``$KDZOO_RESULTS``, else ``results`` in the current folder."""
    return Path(os.environ.get("KDZOO_RESULTS") or "results").expanduser()


def results_folder(reference: str) -> Path:
    """Where a model's results go: ``RUN/results`` for a run's own student, else `default_folder`."""
    run = Path(reference).expanduser()
    return run / "results" if (run / "result.json").is_file() else default_folder()


def write_result(folder: Path, result: Result, predictions: Predictions | None = None) -> Path:
    """Write a result, its predictions first; an earlier one of the same model, data and protocol is replaced.

    Args:
        folder: The store; made where it is not there.
        result: What to keep. Texts that look like a token are hidden in it.
        predictions: Its answers image by image.

    Returns:
        The JSON document's path.

    Raises:
        RunError: The folder cannot be written; nothing half-written stays.
        ValueError: A metric is not finite.
    """
    for metric, value in result.metrics.items():
        if not math.isfinite(value):
            raise ValueError(f"{metric} of {result.dataset} is {value}: not a number to keep")
    result = from_json(_finite(redact_values(result.to_json())), result.name)  # as a reader will see it, its name too
    path = folder / f"{result.name}.json"
    if predictions is not None:
        write_arrays(path.with_suffix(".predictions"), predictions.arrays(), option=_OPTION)
    write_json(path, result.to_json(), option=_OPTION)
    return path


def read_results(paths: Iterable[str | Path]) -> list[Result]:
    """Every result in some stores, runs or single documents, in the order of the paths, by name within each.

    Args:
        paths: Folders of documents, run folders (their ``results``), or documents.

    Raises:
        DataError: A path is missing, or a document is damaged or of a newer kdzoo.
    """
    return [result for path in paths for result in _read_all(Path(path).expanduser())]


def read_predictions(folder: Path, result: Result) -> Predictions | None:
    """The answers kept beside a result, or None where there are none.

    Args:
        folder: The store or run that holds it.
        result: As it was read from there.

    Raises:
        DataError: The file is damaged.
    """
    for place in (folder, folder / "results"):
        path = place / f"{result.name}.predictions"
        if path.is_file():
            try:
                arrays = load_file(path)
                predictions = Predictions(**arrays)
                if {len(array) for array in arrays.values()} != {len(predictions)}:
                    raise ValueError("its arrays differ in length")
            except (SafetensorError, TypeError, ValueError, OSError) as error:
                raise DataError(f"{path} is damaged ({error})", hint="measure again") from None
            return predictions
    return None


def results_frame(results: Sequence[Result]) -> pd.DataFrame:
    """One row a number; the columns are `_COLUMNS`."""
    import pandas as pd  # takes as long to import as all of kdzoo

    rows: list[dict[str, Any]] = []
    for result in results:
        model = {name: getattr(result.model, name) for name in ("architecture", "parameters", "macs")}
        about = {name: getattr(result, name) for name in ("task", "dataset", "split", "num_images", "protocol")}
        for metric, value in result.metrics.items():
            interval, published = result.intervals.get(metric), result.published.get(metric)
            ends = {"low": interval.low if interval else None, "high": interval.high if interval else None}
            row = {"model": result.model.reference, "metric": metric, "value": value, "published": published}
            rows.append({**row, **ends, **about, **model})
    return pd.DataFrame(rows, columns=list(_COLUMNS) if rows else None)


def _read_all(path: Path) -> list[Result]:
    if path.is_file():
        return [_read(path)]
    if not path.is_dir():
        raise DataError(f"there are no results at {path}", hint="'kdzoo eval' writes some; name its folder or a run")
    folder = path / "results" if (path / "result.json").is_file() else path
    return [_read(file) for file in sorted(folder.glob("*.json"))] if folder.is_dir() else []


def _read(path: Path) -> Result:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise DataError(f"{path} is too large for a result", hint="take it out of the folder")
        document = read_json(path)
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read ({error})", hint="delete it and measure again") from None
    return from_json(document, str(path))


def _finite(value: Any) -> Any:
    """JSON has no number for what is not finite: null stands for it."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list) else value
