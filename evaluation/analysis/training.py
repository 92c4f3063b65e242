"""Training curves of several runs, one over the other: accuracy, held-out loss, every loss term."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from ..curves import Series
from ..run_charts import steps_per_epoch
from ..run_record import RunRecord, as_number
from .charts import MOST, Chart, Lines
from .section import Section, slug

_NOT_TERMS = {"kind", "epoch", "step", "loss", "lr", "grad_norm"}


def training_section(runs: Mapping[str, RunRecord]) -> Section | None:
    """The curves of up to seven runs; None where no run has any."""
    shown = dict(list(runs.items())[:MOST])
    charts = [chart for chart in _charts(shown) if chart is not None]
    if not charts:
        return None
    notes = ["Loss terms are as they were minimised, weights included; runs with other weights have other scales."]
    if len(runs) > MOST:
        notes.append(f"The first {MOST} of {len(runs)} runs.")
    if any(steps_per_epoch(run) is None for run in shown.values()):
        notes.append("The horizontal axis counts steps: a run has not finished an epoch.")
    return Section("Training", charts=tuple(charts), notes=tuple(notes))


def _charts(runs: Mapping[str, RunRecord]) -> Iterator[Chart | None]:
    yield _chart(runs, "eval", "top1", "Top-1, held-out images", "%")
    yield _chart(runs, "eval", "loss", "Held-out cross-entropy", "nats")
    yield _chart(runs, "train", "loss", "Training loss, all terms", "nats")
    terms: dict[str, int] = {}
    for run in runs.values():
        for term in dict.fromkeys(key for line in run.of_kind("train") for key in line):
            if not {term, *term.split("/")} & _NOT_TERMS:
                terms[term] = terms.get(term, 0) + 1
    for term in terms:
        yield _chart(runs, "train", term, f"Loss term {term}", "nats")


def _chart(runs: Mapping[str, RunRecord], kind: str, key: str, title: str, unit: str) -> Chart | None:
    in_epochs = all(steps_per_epoch(run) for run in runs.values())
    series = []
    for slot, (name, run) in enumerate(runs.items()):
        scale = (steps_per_epoch(run) or 1.0) if in_epochs else 1.0
        lines = [line for line in run.of_kind(kind) if key in line and _of_student(line)]
        found = tuple((as_number(line.get("step")) / scale, as_number(line[key])) for line in lines)
        found = tuple(point for point in found if math.isfinite(point[0]))
        if any(math.isfinite(y) for _, y in found):
            series.append(Series(name, found, slot))
    if not series:
        return None
    where = "held-out" if kind == "eval" else "train"
    axis = "epochs" if in_epochs else "steps"
    return Lines(name=slug("curve", where, key), title=title, series=tuple(series), x_label=axis, unit=unit)


def _of_student(line: Mapping[str, Any]) -> bool:
    return line.get("model", "student") == "student"
