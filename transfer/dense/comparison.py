"""What a dense measurement came to: a result a side, their differences, and both as rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ...evaluation.results import Interval, MeasuredModel, PerClass, Result, results_folder, write_result
from ..sides import RANDOM, Side
from ..statistics import Difference, mean_interval, paired_difference
from .plan import DensePlan

Plan = DensePlan[Any, Any, Any]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What a plan's runs gave.

    Attributes:
        plan: What was run.
        out: Holds the runs, ``results/`` and ``report.html``.
        results: A document a side, the backbone's first.
        differences: Backbone less baseline, metric by metric; empty without a baseline.
        report: The page.
    """

    plan: Plan
    out: str
    results: tuple[Result, ...]
    differences: tuple[Difference, ...] = ()
    report: str | None = None

    def rows(self) -> list[dict[str, Any]]:
        """A row a metric: ``metric``, ``backbone`` and, with a baseline, ``baseline`` and ``difference``, percent."""
        by_name = {difference.metric: difference for difference in self.differences}
        rows = []
        for metric, value in self.results[0].metrics.items():
            row: dict[str, Any] = {"metric": metric, "backbone": value}
            if len(self.results) > 1:
                difference = by_name.get(metric)
                row["baseline"] = self.results[1].metrics.get(metric)
                row["difference"] = None if difference is None else difference.mean
                row["low"] = None if difference is None else difference.low
                row["high"] = None if difference is None else difference.high
            rows.append(row)
        return rows

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "out": self.out,
            "protocol": self.plan.line(),
            "engine": self.plan.engine.name,
            "models": [result.model.reference for result in self.results],
            "metrics": self.rows(),
            "differences": [difference.to_dict() for difference in self.differences],
            "results": [result.to_json() for result in self.results],
            "report": self.report,
        }


@dataclass
class SideRuns:
    """One side's runs.

    Attributes:
        side: Which.
        model: Described before the engine took it apart.
        engine_version: Of the framework.
        unused: Weights of the backbone that the network does without.
        notes: How the network was built.
        runs: What the evaluation gave, a seed each: ``metrics``, ``per_class``, ``images_per_s`` and more.
    """

    side: Side
    model: MeasuredModel
    engine_version: str
    unused: tuple[str, ...]
    notes: tuple[str, ...]
    runs: list[dict[str, Any]] = field(default_factory=list)

    def values(self, metric: str) -> list[float]:
        """Of each seed."""
        return [float(run["metrics"][metric]) for run in self.runs]

    def has(self, metric: str) -> bool:
        """Whether every run has it; APs does not exist where no object is small."""
        return all(metric in run["metrics"] for run in self.runs)

    def class_means(self, num_classes: int) -> tuple[float | None, ...]:
        """Of each class over the seeds; None where no run has a value."""
        return tuple(_mean([run["per_class"][label] for run in self.runs]) for label in range(num_classes))


def compare(
    plan: Plan,
    measured: Sequence[SideRuns],
    *,
    task: str,
    metrics: Sequence[str],
    per_class: Sequence[PerClass],
    out: Path,
) -> Comparison:
    """The results of the sides and, of two, their differences.

    Args:
        plan: What was run.
        measured: A side each.
        task: As results name it.
        metrics: In the order they are shown; those that no run has are left out.
        per_class: A side each.
        out: The measurement's folder.
    """
    results = tuple(
        _result(plan, one, task, [name for name in metrics if one.has(name)], classes)
        for one, classes in zip(measured, per_class, strict=True)
    )
    differences: tuple[Difference, ...] = ()
    if len(measured) == 2:
        one, other = measured
        names = (one.side.reference, other.side.reference)
        shared = [name for name in metrics if one.has(name) and other.has(name)]
        differences = tuple(
            paired_difference(name, name, names, one.values(name), other.values(name)) for name in shared
        )
    return Comparison(plan=plan, out=str(out), results=results, differences=differences)


def keep(comparison: Comparison) -> None:
    """Write the results, in the measurement's folder and in each model's own store."""
    folder = Path(comparison.out) / "results"
    for result, side in zip(comparison.results, comparison.plan.sides, strict=True):
        write_result(folder, result)
        own = results_folder(side.reference)
        if own.resolve() != folder.resolve():
            write_result(own, result)


def _result(plan: Plan, measured: SideRuns, task: str, metrics: Sequence[str], per_class: PerClass) -> Result:
    train, val = plan.data
    found: dict[str, float] = {}
    intervals: dict[str, Interval] = {}
    for name in metrics:
        values = measured.values(name)
        interval = mean_interval(values)
        found[name] = float(np.mean(values))
        if interval is not None:
            intervals[name] = Interval(seeds=plan.seeds, values=tuple(values), low=interval[1], high=interval[2])
    settings = {
        **plan.values(),
        "engine": plan.engine.name,
        "engine_version": measured.engine_version,
        "subset": plan.subset,
        "seeds": list(plan.seeds),
    }
    random = measured.side.reference == RANDOM
    return Result(
        task=task,
        dataset=plan.dataset,
        split="val",
        num_images=len(val),
        model=dataclasses.replace(measured.model, reference=RANDOM) if random else measured.model,
        protocol=plan.line(),
        metrics=found,
        settings={key: list(value) if isinstance(value, tuple) else value for key, value in settings.items()},
        data_fingerprint=plan.data_fingerprint(),
        intervals=intervals,
        per_class=(per_class,),
        details={
            "runs": [f"{measured.side.role}-seed{seed}" for seed in plan.seeds],
            "training_images": len(train),
            "unused_weights": list(measured.unused),
            "built": list(measured.notes),
            "images_per_s": [run["images_per_s"] for run in measured.runs],
        },
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
