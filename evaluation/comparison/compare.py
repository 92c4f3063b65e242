"""Bring the results of two models together: what is measured alike, what is not, and what the pairs say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...base.errors import DataError
from ..results import Result
from ..run_sections import differences
from .numbers import ComparedNumber, model_numbers, shared_numbers
from .paired import PairedTest, paired_test, why_not_paired
from .sides import OWN, ComparedSide, differing_settings, measured_like, open_side

LOOK = {"image_size", "image_width", "crop_pct", "interpolation", "mean", "std", "crops", "classes", "num_classes"}
"""A model's own preprocessing and classes."""
MAY_DIFFER = LOOK | {"seeds"}
"""Settings in which two measurements may differ and still be set side by side."""

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
class ModelComparison:
    """Two models side by side, by what was measured of both.

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
) -> ModelComparison:
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


def compare_sides(first: ComparedSide, second: ComparedSide, *, seed: int = 0) -> ModelComparison:
    """As `compare_results`, of two sides that were found already."""
    names = (first.name, second.name) if first.name != second.name else (f"{first.name} (A)", f"{second.name} (B)")
    first, second = replace(first, name=names[0]), replace(second, name=names[1])
    together, refused = _pairs(first, second)
    pairs = [_compare(first, second, one, other, seed) for one, other in together]
    if not pairs:
        hint = f"measure both on the same data: kdzoo eval {first.name} {second.name} --on DATA"
        reasons = "; ".join(refused) or "no data set is measured of both"
        raise DataError(f"{first.name} and {second.name} cannot be compared: {reasons}", hint=hint)
    runs = (first.run, second.run)
    changed = tuple(differences(runs[0], runs[1])) if runs[0] is not None and runs[1] is not None else None
    cost = next((found for pair in pairs if (found := model_numbers(pair.first, pair.second))), [])
    return ModelComparison(first.name, second.name, tuple(pairs), tuple(cost), changed, tuple(refused))


def _pairs(first: ComparedSide, second: ComparedSide) -> tuple[list[tuple[Result, Result]], list[str]]:
    """Results of the same task, split and images, those of equal settings first; and why the others stay alone."""
    ranked = sorted(
        (rank, i, j)
        for i, one in enumerate(first.results)
        for j, other in enumerate(second.results)
        if (rank := _rank(one, other)) is not None
    )
    partners: dict[int, int] = {}
    pairs: list[tuple[Result, Result]] = []
    for _, i, j in ranked:
        if i in partners or j in partners.values():
            continue
        partners[i] = j
        one = first.results[i]
        if one.protocol != OWN or all(pair[0].dataset != one.dataset for pair in pairs):  # kept results say more
            pairs.append((one, second.results[j]))
    alone = [one for i, one in enumerate(first.results) if i not in partners]
    others = [other for j, other in enumerate(second.results) if j not in partners.values()]
    compared = {pair[0].dataset for pair in pairs}
    alone = [one for one in alone if one.protocol != OWN or one.dataset not in compared]
    return pairs, _why_alone(first, second, alone, others)


def _rank(one: Result, other: Result) -> tuple[bool, bool, int, bool] | None:
    """The least for the best partner; None where the two cannot be set side by side."""
    if measured_like(one)[:3] != measured_like(other)[:3] or _other_images(one, other) is not None:
        return None
    changed = _changed(one, other)
    if not changed <= MAY_DIFFER:
        return None
    return bool(changed), one.protocol == OWN, len(changed), one.data_fingerprint != other.data_fingerprint


def _why_alone(
    first: ComparedSide, second: ComparedSide, ones: Sequence[Result], others: Sequence[Result]
) -> list[str]:
    """A line for each result without a partner; two that stand in each other's way have one together."""
    reasons = []
    for one in ones:
        reason = _on_other_images((one, other) for other in second.results)
        alike = [other for other in others if measured_like(other)[:3] == measured_like(one)[:3]]
        protocols = [other for other in alike if other.protocol != OWN]
        if reason is not None:
            others = [other for other in others if _on_other_images([(one, other)]) is None]
            reasons.append(f"{one.dataset} ({one.split}): {reason}")
        elif protocols:
            names = ", ".join(sorted(_changed(one, protocols[0]) - MAY_DIFFER))
            reasons.append(f"{one.dataset} ({one.split}): measured by other protocols (they differ in {names})")
            others = [other for other in others if other not in protocols]
        elif one.protocol != OWN:
            reasons.append(_only(first, one))
    for other in others:
        if other.protocol != OWN:
            reason = _on_other_images((one, other) for one in first.results)
            reasons.append(_only(second, other) if reason is None else f"{other.dataset} ({other.split}): {reason}")
    return reasons


def _on_other_images(pairs: Iterable[tuple[Result, Result]]) -> str | None:
    """Why results that were measured alike are not comparable, of the first such pair; None where there is none."""
    for one, other in pairs:
        if measured_like(one)[:3] == measured_like(other)[:3] and _changed(one, other) <= MAY_DIFFER:
            reason = _other_images(one, other)
            if reason is not None:
                return reason
    return None


def _only(side: ComparedSide, result: Result) -> str:
    return f"{result.dataset} ({result.split}): by {result.protocol!r}, only {side.name} was measured"


def _changed(one: Result, other: Result) -> set[str]:
    return {name for name, *_ in differing_settings(one, other)}


def _other_images(one: Result, other: Result) -> str | None:
    prints = (one.data_fingerprint, other.data_fingerprint)
    if None not in prints and prints[0] != prints[1]:
        return "measured on other images or labels (the data fingerprints differ): measure again on the same copy"
    if one.num_images != other.num_images:
        return f"measured on {one.num_images:,} and on {other.num_images:,} images"
    return None


def _compare(first: ComparedSide, second: ComparedSide, one: Result, other: Result, seed: int) -> ComparedResult:
    numbers = shared_numbers(one, other)
    paired, finding = _pair(first, second, one, other, seed)
    if paired is not None:
        numbers = [_with_interval(number, paired) for number in numbers]
    return ComparedResult(one, other, tuple(numbers), differing_settings(one, other), paired, finding)


def _pair(
    first: ComparedSide, second: ComparedSide, one: Result, other: Result, seed: int
) -> tuple[PairedTest | None, str]:
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
