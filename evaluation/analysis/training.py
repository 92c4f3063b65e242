"""Training curves of several runs, one over the other: accuracy, held-out loss, every loss term."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ...base.run_record import RunRecord
from ..charts import MOST, Chart, Lines, recorded_series
from ..run_charts import loss_terms, steps_per_epoch, term_unit
from .section import Section, slug


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
    primaries = list(dict.fromkeys(run.primary for run in runs.values()))
    for primary in primaries:
        yield _chart(runs, "eval", primary.name, f"{primary.title.capitalize()}, held-out images", primary.unit)
    for primary in primaries:
        alike = {name: run for name, run in runs.items() if run.primary is primary}
        yield _chart(alike, "eval", "loss", f"Held-out {primary.loss}", primary.loss_unit)
    yield _chart(runs, "train", "loss", "Training loss, all terms", "nats")
    for term in loss_terms(line for run in runs.values() for line in run.lines_of_kind("train")):
        yield _chart(runs, "train", term, f"Loss term {term}", term_unit(term))


def _chart(runs: Mapping[str, RunRecord], kind: str, key: str, title: str, unit: str) -> Chart | None:
    in_epochs = all(steps_per_epoch(run) for run in runs.values())
    series = []
    for slot, (name, run) in enumerate(runs.items()):
        steps = (steps_per_epoch(run) or 1.0) if in_epochs else 1.0
        lines = [line for line in run.lines_of_kind(kind) if line.model == "student"]
        line = recorded_series(name, lines, key, steps=steps, slot=slot)
        if line.last is not None:
            series.append(line)
    if not series:
        return None
    where = "held-out" if kind == "eval" else "train"
    axis = "epochs" if in_epochs else "steps"
    return Lines(name=slug("curve", where, key), title=title, series=tuple(series), x_label=axis, unit=unit)
