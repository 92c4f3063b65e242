"""One page over several runs: their results side by side, their curves, and where their settings differ."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ..base.run_record import RunRecord, read_run
from .charts import Lines, recorded_series
from .dots import Role, Score, dot_plot
from .drawing import draw
from .examples import Example, find_examples, picture, pictures_note
from .page import write_page
from .run_charts import run_charts
from .run_sections import differences

if TYPE_CHECKING:
    from ..base.metrics import Metrics
    from ..engine.distributed import Processes
    from ..engine.signals import StopRequest
    from .draws import PooledGain

_DECIDE_VIEWS = ("run.seed", "data.", "training.", "student.")


@dataclass(frozen=True)
class ComparedModel:
    """A row of the comparison; every number is measured.

    Attributes:
        name: What the reader calls it.
        role: ``teacher``, ``ensemble``, ``baseline``, ``reference`` (what is not compared) or ``student``.
        parameters: Number of weights.
        top1: Percent of the held-out images.
        loss: Cross-entropy on them, nats.
        num_images: How many answers that counts.
        seconds: Training time, or None where nothing was trained.
        run: The run folder, or None.
        labels: How many labels it learned from, in words; empty where that is the same for all.
    """

    name: str
    role: Role
    parameters: int
    top1: float
    loss: float
    num_images: int
    seconds: float | None
    run: str | None
    labels: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)


@dataclass(frozen=True)
class FinishedRun:
    """A run whose student is to be measured.

    Attributes:
        name: What the reader calls its model.
        role: What the model is in the comparison.
        path: The run folder.
        seconds: How long it trained.
        labels: How many labels it learned from, in words.
    """

    name: str
    role: Role
    path: Path
    seconds: float
    labels: str = ""


def evaluate_runs(
    spec: str, runs: Sequence[FinishedRun], *, processes: Processes, stop: StopRequest | None = None
) -> tuple[list[ComparedModel], list[Example]]:
    """Evaluate every run's exported model, and the teachers' ensemble, on all held-out images.

    Args:
        spec: Data spec of the held-out images.
        runs: Teachers first, at least one; the last one is the student whose answers are shown.
        processes: Where to compute.
        stop: Asked between batches.

    Returns:
        A row a model, the ensemble after its teachers; and a few images with the last student's answers.

    Raises:
        ModelError: A run has no readable model.
        Interrupted: A signal came.
    """
    from ..data import open_source
    from ..engine.evaluate import PassSettings, eval_transform, evaluate_ensemble, evaluate_model
    from ..engine.teachers import TeacherEnsemble
    from ..zoo import load_model

    source = open_source(spec, "val")
    models = [load_model(str(run.path)) for run in runs]
    sizes = [sum(p.numel() for p in model.model.parameters()) for model in models]
    num_teachers = sum(run.role == "teacher" for run in runs)
    teachers = TeacherEnsemble(models[:num_teachers], processes.device)
    how = PassSettings(batch_size=64, workers=0, processes=processes, stop=stop)
    *results, together = evaluate_ensemble(teachers, source, eval_transform(models[-1].preprocessing), how)
    results += [evaluate_model(model, source, how) for model in models[num_teachers:]]
    rows = [
        ComparedModel(run.name, run.role, size, *_numbers(metrics), run.seconds, str(run.path), run.labels)
        for run, size, metrics in zip(runs, sizes, results, strict=True)
    ]
    name, size = "Ensemble of the teachers", sum(sizes[:num_teachers])
    rows.insert(num_teachers, ComparedModel(name, "ensemble", size, *_numbers(together), None, None, runs[0].labels))
    return rows, find_examples(models[-1], source, processes.device, teachers=teachers)


def _numbers(metrics: Metrics) -> tuple[float, float, int]:
    return metrics["top1"], metrics["loss"], metrics.num_images


def pool(draws: Sequence[Sequence[ComparedModel]]) -> list[ComparedModel]:
    """One row a model: means over the draws, with the answers to all of them counted and the first draw's run.

    Args:
        draws: The same models in the same order in each.
    """
    return [
        replace(
            rows[0],
            top1=_mean([row.top1 for row in rows]),
            loss=_mean([row.loss for row in rows]),
            num_images=sum(row.num_images for row in rows),
            seconds=None if rows[0].seconds is None else _mean([row.seconds or 0.0 for row in rows]),
        )
        for rows in zip(*draws, strict=True)
    ]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def write_overview(
    path: Path,
    *,
    title: str,
    lede: Sequence[str],
    models: Sequence[ComparedModel],
    compared: tuple[str, str],
    gain: PooledGain | None = None,
    examples: Sequence[Example] = (),
    commands: Sequence[tuple[str, str]] = (),
) -> Path:
    """Write the page.

    Args:
        path: The file; links to the runs' own reports are relative to it.
        title: The headline.
        lede: Sentences under it.
        models: The rows, in reading order.
        compared: Names of the two students whose curves and settings are set side by side.
        gain: What each draw of the data gave, where ``models`` are means over several.
        examples: Held-out images with the last student's answers.
        commands: (what for, command) pairs to go on with.

    Raises:
        RunError: A row's folder holds no run, or the file cannot be written.
    """
    runs = {model.name: read_run(Path(model.run)) for model in models if model.run}
    last = runs[compared[1]]
    slots = _slots(models)
    charts = [
        _curves("Top-1, held-out images", "top1", "%", runs, slots),
        _curves("Held-out cross-entropy", "loss", "nats", runs, slots),
        *(chart for chart in run_charts(last) if chart.title.startswith("Loss term")),
    ]
    return write_page(
        path,
        "overview.html.j2",
        headline=title,
        lede=lede,
        dots=dot_plot([Score(m.name, m.role, m.top1, m.num_images) for m in models]),
        models=[{**m.to_dict(), "report": _link(path, m.run)} for m in models],
        gain=gain,
        charts=[draw(chart) for chart in charts],
        compared=compared,
        differences=(changes := differences(runs[compared[0]], last)),
        same_start=not any(name.startswith(_DECIDE_VIEWS) for name, _, _ in changes),
        pictures=[picture(example) for example in examples],
        pictures_note=pictures_note(examples) if examples else "",
        commands=commands,
    )


def _slots(models: Sequence[ComparedModel]) -> dict[str, int]:
    """Each model's place in the palette: a role has the same colour in the dots and in the curves."""
    teachers = iter((4, 3, 6, 5))
    fixed = {"student": 0, "baseline": 1, "ensemble": 2, "reference": 6}
    return {m.name: fixed[m.role] if m.role in fixed else next(teachers, 5) for m in models}


def _curves(title: str, key: str, unit: str, runs: Mapping[str, RunRecord], slots: Mapping[str, int]) -> Lines:
    series = []
    for name, run in runs.items():
        lines = [line for line in run.lines_of_kind("eval") if line.model == "student"]
        series.append(recorded_series(name, lines, key, slot=slots[name]))
    return Lines(title=title, series=tuple(series), x_label="steps", unit=unit)


def _link(page: Path, run: str | None) -> str | None:
    """A relative link to a run's report, where there is one."""
    if run is None or not (Path(run) / "report.html").exists():
        return None
    relative = os.path.relpath(Path(run) / "report.html", page.parent)
    return "/".join(quote(part) for part in Path(relative).parts)
