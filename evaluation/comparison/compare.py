"""Bring the results of two models together: what is measured alike, what is not, and what the pairs say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...errors import DataError
from ..overview import differences
from ..results import Result
from ..run_sections import plain
from .numbers import ComparedNumber, model_numbers, shared_numbers
from .paired import PairedTest, paired_test, why_not_paired
from .sides import OWN, Side, measured_like, open_side

LOOK = {"image_size", "image_width", "crop_pct", "interpolation", "mean", "std", "crops", "classes", "num_classes"}
"""Settings in which two measurements may differ and still be set side by side: a model's own preprocessing."""

_TESTED = "top1"


@dataclass(frozen=True)
class ComparedResult:
    """Two results of the same data.

    Attributes:
        first: The first model's.
        second: The second model's.
        numbers: Every number that both have.
        settings: Where their protocols differ: name and both values.
        paired: What their answers image by image say, or None.
        finding: That in words, or why there is none.
    """

    first: Result
    second: Result
    numbers: tuple[ComparedNumber, ...]
    settings: tuple[tuple[str, str, str], ...]
    paired: PairedTest | None
    finding: str

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object."""
        one = self.first
        return {
            **{name: getattr(one, name) for name in ("task", "dataset", "split", "num_images", "data_fingerprint")},
            "models": [self.first.model.reference, self.second.model.reference],
            "protocols": [self.first.protocol, self.second.protocol],
            "numbers": [number.to_dict() for number in self.numbers],
            "settings": [list(row) for row in self.settings],
            "paired": None if self.paired is None else self.paired.to_dict(),
            "finding": self.finding,
        }


@dataclass(frozen=True)
class Comparison:
    """Two models side by side.

    Attributes:
        first: What the first one is called.
        second: What the second one is called.
        results: What both were measured on.
        cost: Parameters and multiply-accumulates of both.
        run_settings: Where the settings of the two runs differ; None unless both sides are runs.
        refused: Why results of the same data cannot be compared, and what only one side has.
    """

    first: str
    second: str
    results: tuple[ComparedResult, ...]
    cost: tuple[ComparedNumber, ...]
    run_settings: tuple[tuple[str, str, str], ...] | None
    refused: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "first": self.first,
            "second": self.second,
            "results": [result.to_dict() for result in self.results],
            "cost": [number.to_dict() for number in self.cost],
            "run_settings": None if self.run_settings is None else [list(row) for row in self.run_settings],
            "not_compared": list(self.refused),
        }


def compare_results(
    first: str | Path, second: str | Path, *, results: str | Path | None = None, seed: int = 0
) -> Comparison:
    """Compare two models by what was measured of them; every difference is the second less the first.

    Args:
        first: A run, a folder of results, one document, or the reference of a model in ``results``.
        second: The other one.
        results: A folder of results in which both are looked for by reference.
        seed: Of the bootstrap.

    Raises:
        DataError: Nothing was measured of one of them, nothing can be compared (the reason is said), or a document is
            damaged.
    """
    store = None if results is None else Path(results).expanduser()
    sides = open_side(str(first), store), open_side(str(second), store)
    return compare_sides(*sides, seed=seed)


def compare_sides(first: Side, second: Side, *, seed: int = 0) -> Comparison:
    """As `compare_results`, of two sides that were found already."""
    names = (first.name, second.name) if first.name != second.name else (f"{first.name} (A)", f"{second.name} (B)")
    first, second = replace(first, name=names[0]), replace(second, name=names[1])
    refused: list[str] = []
    pairs: list[ComparedResult] = []
    for one, other in _pairs(first, second, refused):
        if one.protocol == OWN and any(pair.first.dataset == one.dataset for pair in pairs):
            continue  # kept results say more
        reason = _other_images(one, other)
        if reason is None:
            pairs.append(_compare(first, second, one, other, seed))
        else:
            refused.append(f"{one.dataset} ({one.split}): {reason}")
    if not pairs:
        hint = f"measure both on the same data: kdzoo eval {first.name} {second.name} --on DATA"
        reasons = "; ".join(refused) or "no data set is measured of both"
        raise DataError(f"{first.name} and {second.name} cannot be compared: {reasons}", hint=hint)
    runs = (first.run, second.run)
    changed = tuple(differences(runs[0], runs[1])) if runs[0] is not None and runs[1] is not None else None
    cost = next((found for pair in pairs if (found := model_numbers(pair.first, pair.second))), [])
    return Comparison(first.name, second.name, tuple(pairs), tuple(cost), changed, tuple(refused))


def _pairs(first: Side, second: Side, refused: list[str]) -> Iterator[tuple[Result, Result]]:
    """Results of the same task, data and split, those of equal settings first; then those that differ in the look."""
    rest = list(second.results)
    waiting = []
    for one in sorted(first.results, key=lambda one: one.protocol == OWN):
        same = [other for other in rest if measured_like(other) == measured_like(one)]
        if same:
            rest.remove(same[0])
            yield one, same[0]
        else:
            waiting.append(one)
    for one in waiting:
        alike = [
            other for other in rest if measured_like(other)[:3] == measured_like(one)[:3] and other.protocol != OWN
        ]
        near = [other for other in alike if _changed(one, other) <= LOOK]
        best = min(near, key=lambda other: len(_changed(one, other)), default=None)
        if best is not None:
            rest.remove(best)
            yield one, best
        elif alike:
            names = ", ".join(sorted(_changed(one, alike[0]) - LOOK))
            refused.append(f"{one.dataset} ({one.split}): measured by other protocols (they differ in {names})")
            rest = [other for other in rest if other not in alike]
        elif one.protocol != OWN:
            refused.append(_only(first, one))
    refused += [_only(second, other) for other in rest if other.protocol != OWN]


def _only(side: Side, result: Result) -> str:
    return f"{result.dataset} ({result.split}): by {result.protocol!r}, only {side.name} was measured"


def _changed(one: Result, other: Result) -> set[str]:
    names = {*one.settings, *other.settings}
    return {name for name in names if one.settings.get(name, ...) != other.settings.get(name, ...)}


def _other_images(one: Result, other: Result) -> str | None:
    prints = (one.data_fingerprint, other.data_fingerprint)
    if None not in prints and prints[0] != prints[1]:
        return "measured on other images or labels (the data fingerprints differ): measure again on the same copy"
    if one.num_images != other.num_images:
        return f"measured on {one.num_images:,} and on {other.num_images:,} images"
    return None


def _compare(first: Side, second: Side, one: Result, other: Result, seed: int) -> ComparedResult:
    settings = tuple(
        (name, _value(one, name), _value(other, name))
        for name in dict.fromkeys([*one.settings, *other.settings])
        if name in _changed(one, other)
    )
    numbers = shared_numbers(one, other)
    paired, finding = _pair(first, second, one, other, seed)
    if paired is not None:
        numbers = [_with_interval(number, paired) for number in numbers]
    return ComparedResult(one, other, tuple(numbers), settings, paired, finding)


def _value(result: Result, name: str) -> str:
    return plain(result.settings[name]) if name in result.settings else "not there"


def _pair(first: Side, second: Side, one: Result, other: Result, seed: int) -> tuple[PairedTest | None, str]:
    if one.task == "regression":
        return None, "no paired test: the answers of a run that predicts a gaze are not kept"
    both = first.predictions(one), second.predictions(other)
    if both[0] is None or both[1] is None:
        missing = [side.name for side, kept in zip((first, second), both) if kept is None]
        how = f"'kdzoo eval {' '.join(missing)} --on {one.dataset}' keeps them"
        return None, f"no paired test: the answers of {' and '.join(missing)} are not kept ({how})"
    reason = why_not_paired(both[0], both[1])
    seeds = [result.details.get("predictions_of_seed") for result in (one, other)]
    if reason is None and seeds[0] != seeds[1]:
        reason = f"the answers kept are of seed {seeds[0]} and of seed {seeds[1]}"
    if reason is not None:
        return None, f"no paired test: {reason}"
    paired = paired_test(both[0], both[1], seed=seed)
    sentence = paired.sentence(first.name, second.name)
    return paired, sentence if seeds[0] is None else f"{sentence}; of the models of seed {seeds[0]} alone"


def _with_interval(number: ComparedNumber, paired: PairedTest) -> ComparedNumber:
    """The bootstrap's interval, where it is of this number: answers of one seed say nothing of a mean over several."""
    if number.metric != _TESTED or number.over is not None or abs(number.difference - paired.difference) > 1e-6:
        return number
    return replace(number, low=paired.low, high=paired.high, over="images")
