"""What a user names as one side of a comparison: a run, a folder of results, one document, or a model in a store."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...base.errors import DataError
from ...base.json_document import as_count
from ...base.run_record import RunRecord, read_run
from ...base.suggestions import suggestion
from ..results import MeasuredModel, Predictions, Result, default_folder, read_predictions, read_results
from ..run_sections import plain


@dataclass(frozen=True)
class ComparedSide:
    """What a user names as one of the two sides: its results, and the run behind them.

    Attributes:
        name: What the reader calls it.
        results: Its results.
        folder: Where their predictions lie.
        run: Its run, where there is one.
    """

    name: str
    results: tuple[Result, ...]
    folder: Path
    run: RunRecord | None

    def predictions(self, result: Result) -> Predictions | None:
        """The answers kept beside one of its results."""
        return read_predictions(self.folder, result)


def open_side(text: str, store: Path | None) -> ComparedSide:
    """Find what a text names.

    Args:
        text: A run, a folder of results of one model, a document, or the reference of a model in the store.
        store: Look for a model of that reference in there, and nowhere else; None to look for a path first, then in
            `default_folder`.

    Raises:
        DataError: Nothing is found, there are several models, or a document is damaged.
    """
    path = Path(text).expanduser()
    if store is None and path.exists():
        folder = path.parent if path.is_file() else path / "results" if (path / "results").is_dir() else path
        kept = [] if _is_run(folder) else read_results([path if path.is_file() else folder])
        results = [*kept, *(own_numbers(path) if _is_run(path) else [])]
    else:
        folder = default_folder() if store is None else store
        everything = read_results([folder]) if folder.is_dir() or store is not None else []
        results = [one for one in everything if one.model.reference.rstrip("/") == text.rstrip("/")]
        if not results:
            raise _nothing(text, folder, everything)
    if not results:
        raise DataError(f"{text} holds no results", hint=f"'kdzoo eval {text} --on DATA' measures and keeps some")
    references = list(dict.fromkeys(one.model.reference for one in results))
    if len(references) > 1 and not _is_run(path):
        raise DataError(
            f"{text} holds results of {len(references)} models: {', '.join(references[:4])}",
            hint=f"kdzoo compare REF REF --results {text}",
        )
    _refuse_doubles(text, results)
    results = _each_once(results)
    runs = [path, *(Path(one.model.run).expanduser() for one in results if one.model.run)]
    run = next((read_run(one) for one in runs if _is_run(one)), None)
    return ComparedSide(text, tuple(results), folder, run)


def _is_run(path: Path) -> bool:
    return (path / "config.json").is_file() and ((path / "metrics.jsonl").is_file() or (path / "result.json").is_file())


def measured_like(result: Result) -> tuple[str, str, str, str]:
    """Task, data set, split, settings: two numbers are comparable where these are equal."""
    settings = json.dumps(dict(result.settings), sort_keys=True)
    return result.task, result.dataset, result.split, settings


def differing_settings(first: Result, second: Result) -> tuple[tuple[str, str, str], ...]:
    """Where two protocols differ: a setting's name and both values."""
    both = first.settings, second.settings
    names = [name for name in dict.fromkeys([*both[0], *both[1]]) if both[0].get(name, ...) != both[1].get(name, ...)]
    one, other = ([plain(of[name]) if name in of else "not there" for name in names] for of in both)
    return tuple(zip(names, one, other, strict=True))


def reading_order(result: Result) -> tuple[str | int, ...]:
    """Sorts results by what was measured and how; file names end in a digest and would sort them by chance."""
    sizes = as_count(result.settings.get("image_size")), as_count(result.settings.get("crops"))
    rest = result.data_fingerprint, result.protocol, result.model.reference, result.model.weights_sha256
    return (*measured_like(result)[:3], *sizes, measured_like(result)[3], *(text or "" for text in rest))


def _each_once(results: Sequence[Result]) -> list[Result]:
    """In reading order; a run that was measured under two spellings of its path counts once."""
    found: dict[tuple[str | None, ...], Result] = {}
    for one in sorted(results, key=reading_order):
        found.setdefault((*measured_like(one), one.data_fingerprint), one)
    return list(found.values())


def _refuse_doubles(text: str, results: Sequence[Result]) -> None:
    """A run that was trained again in its folder leaves numbers of other weights under the same name."""
    seen: dict[tuple[str, str, str, str], Result] = {}
    for one in results:
        other = seen.setdefault(measured_like(one), one)
        if one.model.weights_sha256 != other.model.weights_sha256:
            raise DataError(
                f"{text} was measured on {one.dataset} with two sets of weights: {other.name}.json, {one.name}.json",
                hint="name one of these documents, or delete the one that is out of date",
            )


OWN = "as the run measured its student when it ended"


def own_numbers(path: Path) -> list[Result]:
    """What a finished run measured of its student when it ended; its protocol is `OWN`."""
    run = read_run(path)
    data, fingerprint = run.config.val_data, run.config.fixed.get("data.val_fingerprint")
    if run.result is None or data is None or not data.name:
        return []
    metrics = run.result.metrics
    if not metrics.values or metrics.num_images < 1:
        return []
    reference = str(path)
    return [
        Result(
            task=metrics.primary.task,
            dataset=data.name,
            split=data.split or "val",
            num_images=metrics.num_images,
            model=MeasuredModel(reference=reference, run=reference),
            protocol=OWN,
            metrics=metrics.values,
            settings={"measured_by": "run"},
            data_fingerprint=fingerprint if isinstance(fingerprint, str) else None,
        )
    ]


def _nothing(text: str, folder: Path, results: Sequence[Result]) -> DataError:
    known = list(dict.fromkeys(one.model.reference for one in results))
    if not known:
        what = f"{text} is no run, folder or document, and {folder} holds no results"
        return DataError(what, hint=f"'kdzoo eval {text} --on DATA' measures and keeps some")
    hint = suggestion(text, known, f"there are: {', '.join(known[:6])}")
    return DataError(f"there is no result of {text} in {folder}", hint=hint)
