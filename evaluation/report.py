"""The report of one run: one HTML file made from the run folder alone, that opens with no network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .dots import Score, dot_plot
from .examples import Example, picture
from .page import count, duration, write_page
from .run_charts import last_evaluation, run_charts, short_name
from .run_record import RunRecord, as_count, as_number, read_run
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
    unreadable = run.of_kind("unreadable")
    return write_page(
        run_dir / "report.html",
        "report.html.j2",
        folder=run_dir.resolve().name,
        headline=_headline(run),
        lede=_lede(run),
        problems=run.problems,
        warnings=run.texts("warnings"),
        figures=_figures(run),
        gaze=run.is_gaze,
        dots=dot_plot(scores(run), "°") if run.is_gaze else dot_plot(scores(run)),
        dots_note=_dots_note(run),
        charts=run_charts(run),
        charts_note=_CHARTS_NOTE,
        pictures=[picture(example) for example in examples],
        pictures_note=pictures_note(examples),
        teachers=[teacher_row(row) for row in run.table("teacher_reports")],
        data=data_rows(run),
        unreadable=unreadable[:_SHOWN_UNREADABLE],
        unreadable_more=max(0, len(unreadable) - _SHOWN_UNREADABLE),
        groups=setting_groups(run, defaults=False),
        default_groups=setting_groups(run, defaults=True),
        notes=run.texts("notes"),
        commands=commands(run),
        sessions=[session_rows(session) for session in run.sessions],
    )


def scores(run: RunRecord) -> list[Score]:
    """The student's last accuracy and what preflight measured of its teachers; of a gaze, the angular errors."""
    if run.is_gaze:
        return _gaze_scores(run)
    found = [
        Score(
            "Ensemble of the teachers"
            if row.get("reference") == "ensemble"
            else f"Teacher {short_name(str(row.get('reference')))}",
            "ensemble" if row.get("reference") == "ensemble" else "teacher",
            as_number(row.get("top1")),
            as_count(row.get("num_images")),
        )
        for row in run.table("teacher_reports")
    ]
    if len(found) == 2 and found[-1].role == "ensemble":  # one teacher is its own ensemble
        found.pop()
    last = _final(run)
    if math.isfinite(as_number(last.get("top1"))):
        name = f"Student {student_name(run)}"
        found.append(Score(name, "student", as_number(last["top1"]), as_count(last.get("num_images"))))
    return found


def _gaze_scores(run: RunRecord) -> list[Score]:
    found = [
        Score(f"Teacher {short_name(str(row.get('reference')))}", "teacher", as_number(row.get("angular_error")), 0)
        for row in run.table("teacher_reports")
        if row.get("reference") != "ensemble"
    ]
    error = as_number(_final(run).get("angular_error"))
    if math.isfinite(error):
        found.append(Score(f"Student {student_name(run)}", "student", error, 0))
    return found


def _final(run: RunRecord) -> dict[str, Any]:
    """The exported weights' accuracy, or the last evaluation of an unfinished run."""
    return run.result or last_evaluation(run) or {}


def _headline(run: RunRecord) -> str:
    student, recipe = student_name(run), run.get("recipe")
    data = run.setting("data.dataset")
    parts = [f"{student} by {recipe}" if recipe else student, f"on {data}" if data else ""]
    return " ".join(part for part in parts if part)


def _lede(run: RunRecord) -> list[str]:
    final, epochs = _final(run), run.setting("training.epochs")
    if run.is_gaze and "angular_error" in final:
        after = f"{_epochs(run.result.get('epochs'))}" if run.result else f"{final.get('epoch')} of {_epochs(epochs)}"
        images = count(as_count(final.get("num_images")))
        error = as_number(final.get("angular_error"))
        return [f"After {after} the student's gaze is off by {error:.2f}° on average, over {images} held-out images."]
    top1 = as_number(final.get("top1"))
    sentences = []
    if math.isfinite(top1):
        right = f"right on {top1:.2f} % of {count(as_count(final.get('num_images')))} held-out images"
        after = (
            f"After {_epochs(run.result.get('epochs'))}"
            if run.result
            else f"After {final.get('epoch')} of {_epochs(epochs)}"
        )
        sentences.append(f"{after} the student is {right}.")
    else:
        sentences.append("The student has not been evaluated yet.")
    ensemble = [row for row in run.table("teacher_reports") if math.isfinite(as_number(row.get("top1")))]
    if ensemble:
        who = "its teachers' ensemble" if len(ensemble) > 2 else "its teacher"
        sentences[0] += f" Before the run {who} was right on {as_number(ensemble[-1]['top1']):.2f} %."
    return sentences


def _epochs(number: object) -> str:
    return f"{number} epoch" if number == 1 else f"{number} epochs"


def _figures(run: RunRecord) -> list[dict[str, str]]:
    final = _final(run)
    shown = []
    kinds = (("top1", "top-1", " %"), ("top5", "top-5", " %"), ("loss", "held-out cross-entropy", ""))
    if run.is_gaze:
        kinds = (
            ("angular_error", "angular error", "°"),
            ("best_angular_error", "smallest angular error of any epoch", "°"),
            ("loss", "held-out squared error, rad²", ""),
        )
    for key, label, unit in kinds:
        value = as_number(final.get(key))
        if math.isfinite(value):
            shown.append((f"{value:.{2 if unit else 4}f}{unit}", label))
    best = as_number(run.result.get("best_top1"))
    if math.isfinite(best) and best > as_number(final.get("top1")):
        shown.append((f"{best:.2f} %", "best top-1 of any epoch"))
    speed = as_number(run.result.get("images_per_s", run.speed[-1].get("images_per_s") if run.speed else None))
    if math.isfinite(speed):
        shown.append((count(round(speed)), "training images/s"))
    if run.result:
        seconds = as_number(run.result.get("seconds"))
        if math.isfinite(seconds):
            shown.append((duration(seconds), "training, evaluations apart"))
    return [{"value": value, "label": label} for value, label in shown]


def _dots_note(run: RunRecord) -> str:
    sizes = {score.num_images for score in scores(run)}
    return "" if len(sizes) < 2 else "Teachers were measured on an even slice of the images that the student was."


def pictures_note(examples: Sequence[Example]) -> str:
    """How the pictures were chosen."""
    mistakes = sum(example.chosen == "mistake" for example in examples)
    even = len(examples) - mistakes
    text = f"{even} spread evenly over the held-out images"
    return f"{text}, then the {mistakes} mistakes that the student was surest of." if mistakes else f"{text}."
