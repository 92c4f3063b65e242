"""What the paths of a report hold: runs and results, each under a short name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...base.errors import DataError
from ...base.run_record import RunRecord, read_run
from ..comparison.sides import reading_order
from ..results import Predictions, Result, read_predictions, read_results


@dataclass(frozen=True)
class Stored:
    """A result, and where it lies.

    Attributes:
        name: What the reader calls its model.
        result: The document.
        folder: Where its predictions lie.
    """

    name: str
    result: Result
    folder: Path

    def predictions(self) -> Predictions | None:
        """The answers kept beside it."""
        return read_predictions(self.folder, self.result)


@dataclass(frozen=True)
class Inputs:
    """Everything that a report is made from.

    Attributes:
        runs: By short name, in the order of the paths.
        stored: Results, in the order of the paths; each once.
    """

    runs: dict[str, RunRecord] = field(default_factory=dict)
    stored: tuple[Stored, ...] = ()


def read_inputs(paths: Sequence[str | Path]) -> Inputs:
    """Read runs (with the results in them), folders of results and documents.

    Raises:
        DataError: A path is missing, holds nothing, or a document is damaged.
        RunError: A run cannot be read.
    """
    places = [Path(path).expanduser() for path in paths]
    runs = {path: read_run(path) for path in dict.fromkeys(places) if _is_run(path)}
    found: dict[str, tuple[Result, Path]] = {}
    for path in places:
        if not path.exists():
            raise DataError(f"there is nothing at {path}", hint="name runs, folders of results, or documents")
        folder = path.parent if path.is_file() else path / "results" if (path / "results").is_dir() else path
        if path in runs and folder == path:
            continue
        results = sorted(read_results([path if path.is_file() else folder]), key=_order)
        if not results and path not in runs:
            raise DataError(f"there are no results in {path}", hint="'kdzoo eval' and 'kdzoo transfer' write some")
        for result in results:
            found.setdefault(result.name, (result, folder))
    names = short_names([str(path) for path in runs], [result.model.reference for result, _ in found.values()])
    return Inputs(
        {names[str(path)]: run for path, run in runs.items()},
        tuple(Stored(names[result.model.reference], result, folder) for result, folder in found.values()),
    )


def _order(result: Result) -> tuple[str | int, ...]:
    """That of the file names; where these are equal up to their digest, by what was measured and how."""
    return result.name.rpartition("-")[0], result.model.reference, *reading_order(result)


def _is_run(path: Path) -> bool:
    return (path / "config.json").is_file() and not (path / "model.safetensors").is_file()


def short_names(*groups: Sequence[str]) -> dict[str, str]:
    """A name for each reference: the last part of a path, with more of its parts where two would be called the same."""
    references = list(dict.fromkeys(one for group in groups for one in group))
    whole = {one: str(Path(one).resolve()) if Path(one).is_dir() else one for one in references}
    parts = {one: (whole[one],) if ":" in one else Path(whole[one]).parts or (one,) for one in references}
    names: dict[str, str] = {}
    for one in references:
        others = [other for other in references if whole[other] != whole[one]]
        for length in range(1, len(parts[one]) + 1):
            names[one] = "/".join(parts[one][-length:])
            if not any(parts[other][-length:] == parts[one][-length:] for other in others):
                break
    return names
