"""The charts of one run: accuracy, each loss term, learning rates, speed."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from ..base.json_document import as_number
from ..base.run_documents import MetricLine, TeacherSummary
from ..base.run_record import RunRecord
from .charts import Level, Lines, recorded_series

_NOT_TERMS = {"loss", "lr", "grad_norm"}


def last_evaluation(run: RunRecord) -> MetricLine | None:
    """The newest evaluation of the weights that the run exports: the averaged ones where there are any."""
    evaluations = run.lines_of_kind("eval")
    averaged = [line for line in evaluations if line.model == "ema"]
    return next(reversed(averaged or evaluations), None)


def steps_per_epoch(run: RunRecord) -> float | None:
    """Steps in an epoch, from the evaluations (made at an epoch's end) or the finished run's result."""
    for line in run.lines_of_kind("eval"):
        if line.epoch > 0 and line.step > 0:
            return line.step / line.epoch
    result = run.result
    return result.steps / result.epochs if result and result.steps > 0 and result.epochs > 0 else None


def loss_terms(lines: Iterable[MetricLine]) -> list[str]:
    """The loss terms of training lines: what is no sum, no rate and no norm."""
    keys = dict.fromkeys(key for line in lines for key in line.values)
    return [key for key in keys if not {key, *key.split("/")} & _NOT_TERMS]


def term_unit(term: str) -> str:
    """The unit of a loss term."""
    if term.startswith(("pooled_", "dense_")):
        return ""
    return "rad²" if term == "mse" else "nats"


def run_charts(run: RunRecord) -> list[Lines]:
    """Every chart that the run's lines allow, in reading order."""
    steps, planned = steps_per_epoch(run), as_number(run.config.setting("training.epochs"))
    end = planned if steps and math.isfinite(planned) else None
    train, evaluations, primary = run.lines_of_kind("train"), run.lines_of_kind("eval"), run.primary
    by_model: dict[str, list[MetricLine]] = {}
    for line in evaluations:
        by_model.setdefault(line.model, []).append(line)

    def chart(title: str, unit: str, named: Iterable[tuple[str, Iterable[MetricLine], str]]) -> Lines:
        series = tuple(recorded_series(name, lines, key, steps=steps or 1.0) for name, lines, key in named)
        return Lines(title=title, unit=unit, series=series, x_label="epochs" if steps else "steps", x_end=end)

    def held_out(title: str, unit: str, key: str) -> Lines:
        return chart(title, unit, ((name, lines, key) for name, lines in by_model.items()))

    levels = [Level(_level_name(row), row.value) for row in run.config.teacher_reports if math.isfinite(row.value)]
    title = f"{primary.title.capitalize()}, held-out images"
    charts = [replace(held_out(title, primary.unit, primary.name), levels=tuple(levels[-1:]))]
    if any(line.values.get("top5", math.nan) < 100 for line in evaluations):
        charts.append(held_out("Top-5, held-out images", "%", "top5"))
    terms = loss_terms(train)
    if len(terms) > 1:
        charts.append(chart("Training loss, sum of its terms", term_unit(terms[0]), [("loss", train, "loss")]))
    charts += [chart(f"Loss term {term}", term_unit(term), [(term, train, term)]) for term in terms]
    charts += [chart(f"Gradient norm {name}", "", [(name, train, name)]) for name in _keys(train, "grad_norm")]
    charts.append(held_out(f"Held-out {primary.loss}", primary.loss_unit, "loss"))
    rates = chart("Learning rate", "", [(name, train, name) for name in _keys(train, "lr")])
    stepwise = run.config.setting("schedule.name") != "cosine"  # a cosine's end would fill a logarithmic axis
    charts.append(replace(rates, log_if_wide=stepwise, from_zero=True))
    speed = chart("Throughput", "images/s", [("training", run.speed, "images_per_s")])
    charts.append(replace(speed, from_zero=True))
    waits = [replace(line, values={"wait": 100 * line.values.get("data_wait", math.nan)}) for line in run.speed]
    charts.append(replace(chart("Waiting for images", "%", [("share of a step", waits, "wait")]), from_zero=True))
    return charts


def _keys(train: Iterable[MetricLine], name: str) -> list[str]:
    """The keys that hold a number of this name: ``lr``, ``<phase>/lr``, ``lr/<group>``."""
    keys = dict.fromkeys(key for line in train for key in line.values)
    return [key for key in keys if name in (key.rsplit("/", 1)[-1], key.split("/", 1)[0])]


def _level_name(row: TeacherSummary) -> str:
    return "teachers' ensemble" if row.is_ensemble else short_name(row.reference)


def short_name(reference: str) -> str:
    """A run folder by its last part; other references as they are."""
    return reference if ":" in reference else reference.rstrip("/").rpartition("/")[2] or reference
