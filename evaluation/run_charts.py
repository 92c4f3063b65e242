"""The charts of one run: accuracy, each loss term, learning rates, speed."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from markupsafe import Markup

from .curves import Level, Series, line_chart
from .run_record import RunRecord, as_number

_NOT_TERMS = {"kind", "epoch", "step", "loss"}


def last_evaluation(run: RunRecord) -> dict[str, Any] | None:
    """The newest evaluation of the weights that the run exports: the averaged ones where there are any."""
    evaluations = run.of_kind("eval")
    averaged = [line for line in evaluations if line.get("model") == "ema"]
    return next(reversed(averaged or evaluations), None)


def steps_per_epoch(run: RunRecord) -> float | None:
    """Steps in an epoch, from the evaluations (made at an epoch's end) or the first line of the second epoch."""
    for line in run.of_kind("eval"):
        epoch, step = as_number(line.get("epoch")), as_number(line.get("step"))
        if epoch > 0 and step > 0:
            return step / epoch
    total, epochs = as_number(run.result.get("steps")), as_number(run.result.get("epochs"))
    return total / epochs if total > 0 and epochs > 0 else None


def run_charts(run: RunRecord) -> list[Markup]:
    """Every chart that the run's lines allow, in reading order."""
    scale = steps_per_epoch(run)
    axis = _Axis(run, scale)
    train, evaluations = run.of_kind("train"), run.of_kind("eval")
    models = list(dict.fromkeys(str(line.get("model", "student")) for line in evaluations))
    by_model = {name: [line for line in evaluations if str(line.get("model", "student")) == name] for name in models}
    charts = []
    title, unit, key = ("Top-1, held-out images", "%", "top1")
    if run.is_gaze:
        title, unit, key = ("Angular error, held-out images", "°", "angular_error")
    levels = [Level(_level_name(row), as_number(row.get(key))) for row in run.table("teacher_reports")]
    levels = [level for level in levels if math.isfinite(level.y)]
    charts.append(axis.chart(title, unit, by_model, key, levels=levels[-1:]))
    if any(as_number(line.get("top5")) < 100 for line in evaluations):
        charts.append(axis.chart("Top-5, held-out images", "%", by_model, "top5"))
    terms = _terms(train)
    if len(terms) > 1:
        charts.append(axis.chart("Training loss, sum of its terms", "nats", {"loss": train}, "loss"))
    charts += [
        axis.chart(f"Loss term {term}", "rad²" if term == "mse" else "nats", {term: train}, term) for term in terms
    ]
    charts += [axis.chart(f"Gradient norm {name}", "", {name: train}, name) for name in _keys(train, "grad_norm")]
    title, unit = ("Held-out squared error", "rad²") if run.is_gaze else ("Held-out cross-entropy", "nats")
    charts.append(axis.chart(title, unit, by_model, "loss"))
    rates = _keys(train, "lr")
    stepwise = run.setting("schedule.name") != "cosine"  # a cosine's end would fill a logarithmic axis
    charts.append(
        axis.lines("Learning rate", "", [(name, train, name) for name in rates], log_if_wide=stepwise, from_zero=True)
    )
    speed = list(run.speed)
    charts.append(axis.chart("Throughput", "images/s", {"training": speed}, "images_per_s", from_zero=True))
    waits = [{**line, "data_wait": 100 * as_number(line.get("data_wait"))} for line in speed]
    charts.append(axis.chart("Waiting for images", "%", {"share of a step": waits}, "data_wait", from_zero=True))
    return charts


def _terms(train: Iterable[dict[str, Any]]) -> list[str]:
    keys = list(dict.fromkeys(key for line in train for key in line))
    return [key for key in keys if key not in _NOT_TERMS and key.rsplit("/", 1)[-1] not in ("lr", "grad_norm")]


def _keys(train: Iterable[dict[str, Any]], name: str) -> list[str]:
    """``lr`` or ``<phase>/lr``; ``lr/<group>`` as well."""
    keys = dict.fromkeys(key for line in train for key in line)
    return [key for key in keys if name in (key.rsplit("/", 1)[-1], key.split("/", 1)[0])]


def _level_name(row: dict[str, Any]) -> str:
    return "teachers' ensemble" if row.get("reference") == "ensemble" else short_name(str(row.get("reference")))


def short_name(reference: str) -> str:
    """A run folder by its last part; other references as they are."""
    return reference if ":" in reference else reference.rstrip("/").rpartition("/")[2] or reference


class _Axis:
    """The horizontal axis that all charts of a run share: epochs where their length is known, else steps."""

    def __init__(self, run: RunRecord, scale: float | None) -> None:
        self.scale = scale or 1.0
        self.label = "epochs" if scale else "steps"
        planned = as_number(run.setting("training.epochs"))
        self.end = planned if scale and math.isfinite(planned) else None

    def chart(
        self,
        title: str,
        unit: str,
        lines: dict[str, list[dict[str, Any]]],
        key: str,
        levels: Iterable[Level] = (),
        from_zero: bool = False,
    ) -> Markup:
        named = [(name, of, key) for name, of in lines.items()]
        return self.lines(title, unit, named, levels=levels, from_zero=from_zero)

    def lines(
        self,
        title: str,
        unit: str,
        lines: list[tuple[str, list[dict[str, Any]], str]],
        *,
        levels: Iterable[Level] = (),
        log_if_wide: bool = False,
        from_zero: bool = False,
    ) -> Markup:
        series = [
            Series(
                name,
                tuple(
                    (as_number(line["step"]) / self.scale, as_number(line[key]))
                    for line in of
                    if key in line and math.isfinite(as_number(line.get("step")))
                ),
            )
            for name, of, key in lines
        ]
        return line_chart(
            title,
            series,
            x_label=self.label,
            unit=unit,
            levels=tuple(levels),
            log_if_wide=log_if_wide,
            from_zero=from_zero,
            x_end=self.end,
        )
