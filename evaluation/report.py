"""The report of one run: one HTML file made from the run folder alone, that opens with no network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..base.metrics import ANGULAR_ERROR, FEATURE_COSINE, MEAN_AP, TOP1, Metrics
from ..base.run_record import RunRecord, read_run
from .dots import Score, dot_plot
from .drawing import draw
from .examples import Example, picture, pictures_note
from .page import count, duration, write_page
from .run_charts import last_evaluation, run_charts, short_name
from .run_sections import commands, data_rows, session_rows, setting_groups, student_name, teacher_row

_SHOWN_UNREADABLE = 20
_CHARTS_NOTE = (
    "Loss terms are as they were minimised, weights included; each point is the mean of the steps since the one before."
)


def write_report(run_dir: Path, *, examples: Sequence[Example] = ()) -> Path:
    """Write ``report.html`` into a run folder; what is missing there is named in it rather than an error.

    Args:
        run_dir: The run folder, finished or not.
        examples: Held-out images with the student's answers, from ``find_examples``.

    Returns:
        The file.

    Raises:
        RunError: The folder holds no run, or the file cannot be written.
    """
    run = read_run(run_dir)
    unreadable = run.lines_of_kind("unreadable")
    return write_page(
        run_dir / "report.html",
        "report.html.j2",
        folder=run_dir.resolve().name,
        headline=_headline(run),
        lede=_lede(run),
        problems=run.problems,
        warnings=(*run.config.warnings, *(run.result.warnings if run.result else ())),
        figures=_figures(run),
        metric=run.primary,
        dots=dot_plot(scores(run), run.primary),
        dots_note=_dots_note(run),
        charts=[draw(chart) for chart in run_charts(run)],
        charts_note=_CHARTS_NOTE,
        pictures=[picture(example) for example in examples],
        pictures_note=pictures_note(examples),
        teachers=[teacher_row(row) for row in run.config.teacher_reports],
        data=data_rows(run),
        unreadable=[
            {name: line.texts.get(name, "") for name in ("image", "reason")} for line in unreadable[:_SHOWN_UNREADABLE]
        ],
        unreadable_more=max(0, len(unreadable) - _SHOWN_UNREADABLE),
        groups=setting_groups(run, defaults=False),
        default_groups=setting_groups(run, defaults=True),
        notes=run.config.notes,
        commands=commands(run),
        sessions=[session_rows(session) for session in run.sessions],
    )


def scores(run: RunRecord) -> list[Score]:
    """The student's last accuracy (of a gaze, its angular error) and what preflight measured of its teachers."""
    found = [
        Score("Ensemble of the teachers", "ensemble", row.value, row.num_images)
        if row.is_ensemble
        else Score(f"Teacher {short_name(row.reference)}", "teacher", row.value, row.num_images)
        for row in run.config.teacher_reports
    ]
    if len(found) == 2 and found[-1].role == "ensemble":  # one teacher is its own ensemble
        found.pop()
    final = _final(run)
    if final is not None and final.is_measured:
        found.append(Score(f"Student {student_name(run)}", "student", final.value, final.num_images))
    return found if run.primary is TOP1 else [replace(score, num_images=0) for score in found]


def _final(run: RunRecord) -> Metrics | None:
    """The exported weights' metrics, or those of the last evaluation of an unfinished run."""
    if run.result is not None:
        return run.result.metrics
    line = last_evaluation(run)
    return None if line is None else Metrics.from_json(line.values)


def _headline(run: RunRecord) -> str:
    student, recipe = student_name(run), run.config.recipe
    data = run.config.setting("data.dataset")
    parts = [f"{student} by {recipe}" if recipe else student, f"on {data}" if data else ""]
    return " ".join(part for part in parts if part)


_FINDINGS = {
    TOP1.name: ("the student is right on {} of {} held-out images", "was right on"),
    ANGULAR_ERROR.name: ("the student's gaze is off by {} on average, over {} held-out images", "was off by"),
    MEAN_AP.name: ("the student has an mAP of {} on {} held-out images", "had an mAP of"),
    FEATURE_COSINE.name: ("the student's features have a cosine of {} with its teachers', over {} held-out images", ""),
}
"""What the metric that decides says of the student, and what it says of its teachers."""


def _lede(run: RunRecord) -> list[str]:
    final, line = _final(run), last_evaluation(run)
    if final is None or not final.is_measured:
        sentence = "The student has not been evaluated yet."
    else:
        finding = _FINDINGS[final.primary.name][0].format(final.primary.text(final.value), count(final.num_images))
        planned = _epochs(run.config.setting("training.epochs"))
        epoch = "some" if line is None or math.isnan(line.epoch) else f"{line.epoch:.0f}"
        sentence = f"After {_epochs(run.result.epochs) if run.result else f'{epoch} of {planned}'} {finding}."
    teachers = [row for row in run.config.teacher_reports if math.isfinite(row.value)]
    if teachers:
        who, last = "its teachers' ensemble" if len(teachers) > 2 else "its teacher", teachers[-1]
        was = _FINDINGS[last.primary.name][1]
        sentence += f" Before the run {who} {was} {last.primary.text(last.value)}."
    return [sentence]


def _epochs(number: object) -> str:
    return f"{number} epoch" if number == 1 else f"{number} epochs"


def _figures(run: RunRecord) -> list[dict[str, str]]:
    final, result = _final(run), run.result
    shown = []
    if final is not None:
        primary = final.primary
        labels = {primary.name: primary.title, "top5": "top-5", "pooled_cosine": "pooled", "dense_cosine": "dense"}
        shown = [(primary.text(final[name]), label) for name, label in labels.items() if name in final.values]
        if "loss" in final.values:
            unit = f", {primary.loss_unit}" if primary.loss_unit else ""
            shown.append((f"{final['loss']:.4f}", f"held-out {primary.loss}{unit}"))
        if result and final.is_measured and math.isfinite(result.best) and primary.is_better(result.best, final.value):
            shown.append((primary.text(result.best), f"best {primary.title} of any epoch"))
    speed = math.nan if result is None else result.images_per_s
    if math.isnan(speed) and run.speed:
        speed = run.speed[-1].values.get("images_per_s", math.nan)
    if math.isfinite(speed):
        shown.append((count(round(speed)), "training images/s"))
    if result is not None and math.isfinite(result.seconds):
        shown.append((duration(result.seconds), "training, evaluations apart"))
    return [{"value": value, "label": label} for value, label in shown]


def _dots_note(run: RunRecord) -> str:
    sizes = {score.num_images for score in scores(run)}
    return "" if len(sizes) < 2 else "Teachers were measured on an even slice of the images that the student was."
