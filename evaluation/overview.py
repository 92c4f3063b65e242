"""One page over several runs: their results side by side, their curves, and where their settings differ."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..engine.metrics.intervals import Z
from .curves import Series, line_chart
from .dots import Role, Score, dot_plot
from .examples import Example, picture
from .page import write_page
from .report import pictures_note
from .run_charts import run_charts, steps_per_epoch
from .run_record import RunRecord, as_number, read_run
from .run_sections import plain

_DECIDE_VIEWS = ("run.seed", "data.", "training.", "student.")


@dataclass(frozen=True)
class ComparedModel:
    """A row of the comparison; every number is measured.

    Attributes:
        name: What the reader calls it.
        role: ``teacher``, ``ensemble``, ``baseline`` or ``student``.
        parameters: Number of weights.
        top1: Percent of the held-out images.
        loss: Cross-entropy on them, nats.
        num_images: How many they are.
        seconds: Training time, or None where nothing was trained.
        run: The run folder, or None.
    """

    name: str
    role: Role
    parameters: int
    top1: float
    loss: float
    num_images: int
    seconds: float | None
    run: str | None

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)


def verdict(baseline: ComparedModel, distilled: ComparedModel) -> str:
    """What the comparison of two students shows, in plain words, whichever of them is ahead.

    The margin is that of two independent samples. Both are measured on the same images, which makes the true margin
    of sampling smaller; the margin of another seed is not in it.
    """
    gain = distilled.top1 - baseline.top1
    shares = [(model.top1 / 100, model.num_images) for model in (baseline, distilled)]
    margin = 100 * Z * math.sqrt(sum(p * (1 - p) / n for p, n in shares))
    change = "lower" if distilled.loss < baseline.loss else "higher" if distilled.loss > baseline.loss else "no other"
    loss = f"Its cross-entropy is {change}: {distilled.loss:.3f} against {baseline.loss:.3f} nats."
    points = f"{abs(gain):.2f} points {'above' if gain > 0 else 'below'}"
    against = f"({distilled.top1:.2f} % against {baseline.top1:.2f} %)"
    if gain == 0:
        return f"The distilled student is as often right as the one trained on labels ({distilled.top1:.2f} %). {loss}"
    first = f"The distilled student is {points} the one trained on labels {against}"
    if abs(gain) <= margin:
        why = f"{distilled.num_images} images leave ±{margin:.1f} points open, so this run alone does not decide"
        return f"{first}: {why}. {loss}"
    helped = "distillation helped" if gain > 0 else "distillation did harm"
    return f"{first}, beyond the ±{margin:.1f} points that {distilled.num_images} images leave open: {helped}. {loss}"


def write_overview(
    path: Path,
    *,
    title: str,
    lede: Sequence[str],
    models: Sequence[ComparedModel],
    compared: tuple[str, str],
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
        examples: Held-out images with the last student's answers.
        commands: (what for, command) pairs to go on with.

    Raises:
        RunError: A row's folder holds no run, or the file cannot be written.
    """
    runs = {model.name: read_run(Path(model.run)) for model in models if model.run}
    last = runs[compared[1]]
    slots = _slots(models)
    charts = [_curves(title, key, unit, runs, slots) for title, key, unit in _CURVES]
    charts += [chart for chart in run_charts(last) if "Loss term" in chart]
    return write_page(
        path,
        "overview.html.j2",
        headline=title,
        lede=lede,
        dots=dot_plot([Score(m.name, m.role, m.top1, m.num_images) for m in models]),
        models=[{**m.to_dict(), "report": _link(path, m.run)} for m in models],
        charts=charts,
        compared=compared,
        differences=(changes := differences(runs[compared[0]], last)),
        same_start=not any(name.startswith(_DECIDE_VIEWS) for name, _, _ in changes),
        pictures=[picture(example) for example in examples],
        pictures_note=pictures_note(examples) if examples else "",
        commands=commands,
    )


_CURVES = (("Top-1, held-out images", "top1", "%"), ("Held-out cross-entropy", "loss", "nats"))


def _slots(models: Sequence[ComparedModel]) -> dict[str, int]:
    """Each model's place in the palette: a role has the same colour in the dots and in the curves."""
    teachers = iter((4, 3, 6, 5))
    fixed = {"student": 0, "baseline": 1, "ensemble": 2}
    return {m.name: fixed[m.role] if m.role in fixed else next(teachers, 5) for m in models}


def _curves(title: str, key: str, unit: str, runs: dict[str, RunRecord], slots: dict[str, int]) -> Any:
    series = []
    for name, run in runs.items():
        scale = steps_per_epoch(run) or 1.0
        lines = [line for line in run.of_kind("eval") if line.get("model", "student") == "student"]
        points = tuple((as_number(line.get("step")) / scale, as_number(line.get(key))) for line in lines)
        series.append(Series(name, points, slots[name]))
    return line_chart(title, series, x_label="epochs", unit=unit)


def differences(first: RunRecord, second: RunRecord) -> list[tuple[str, str, str]]:
    """The settings in which two runs differ: name and both values."""
    both = [run.get("settings") if isinstance(run.get("settings"), dict) else {} for run in (first, second)]
    rows = []
    for name in dict.fromkeys([*both[0], *both[1]]):
        values = [plain(run.setting(name)) if name in of else "not there" for run, of in zip((first, second), both)]
        if values[0] != values[1]:
            rows.append((str(name), values[0], values[1]))
    return rows


def _link(page: Path, run: str | None) -> str | None:
    """A relative link to a run's report, where there is one."""
    if run is None or not (Path(run) / "report.html").exists():
        return None
    relative = os.path.relpath(Path(run) / "report.html", page.parent)
    return "/".join(_quote(part) for part in Path(relative).parts)


def _quote(part: str) -> str:
    from urllib.parse import quote

    return quote(part)
