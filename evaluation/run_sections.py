"""The tables of a run's report: teachers, data, settings, environment, and what to type next."""

from __future__ import annotations

import math
import shlex
from pathlib import Path

from ..base.amounts import first_few
from ..base.metrics import FEATURE_COSINE, MEAN_AP, TOP1
from ..base.run_documents import Session, TeacherSummary
from ..base.run_record import RunRecord
from .page import count

DEFAULT = "kdzoo default"  # how a plan names the source of a setting that nobody set


def student_name(run: RunRecord) -> str:
    """What the student is called: its architecture, or the reference it started from."""
    return str(run.model.get("architecture") or run.config.setting("student.model") or "student")


def teacher_row(row: TeacherSummary) -> dict[str, str]:
    """A teacher's row: measured and promised value, images, licence."""
    return {
        "name": row.reference,
        "measured": row.primary.text(row.value) if math.isfinite(row.value) else "not measured",
        "promised": row.primary.text(row.promised) if math.isfinite(row.promised) else "",
        "images": count(row.num_images) if row.num_images else "",
        "licence": "" if row.is_ensemble else row.licence or "not stated",
    }


def data_rows(run: RunRecord) -> list[tuple[str, str]]:
    """Rows on the training and held-out images, the classes, and the unreadable images."""
    rows = []
    for data, title in ((run.config.train_data, "Training"), (run.config.val_data, "Held out")):
        if data is not None:
            where = f", in {data.path}" if data.path else ", embedded"
            what = f"{data.num_classes} classes" if data.num_classes else "no labels read"
            what = f"{' and '.join(data.targets)} of each" if data.targets else what
            rows.append((title, f"{data.name}: {count(data.num_images)} images, {what}{where}"))
    names = run.config.class_names
    if names:
        rows.append(("Classes, in order", first_few(names, 20)))
    replaced = len(run.lines_of_kind("unreadable"))
    if rows or replaced:
        rows.append(("Unreadable training images", count(replaced) if run.lines else "not known"))
    return rows


def setting_groups(run: RunRecord, *, defaults: bool) -> list[tuple[str, list[dict[str, str]]]]:
    """Settings with their values and where these come from, by section.

    Args:
        run: The run.
        defaults: Those that nobody set, in place of those that a recipe, the data or the user set.
    """
    groups: dict[str, list[dict[str, str]]] = {}
    for name, setting in run.config.settings.items():
        if (setting.source == DEFAULT) == defaults:
            group, _, rest = name.partition(".")
            row = {"name": rest or group, "value": plain(setting.value), "source": setting.source}
            groups.setdefault(group, []).append(row)
    return list(groups.items())


def plain(value: object) -> str:
    """A setting's value for a reader."""
    if value is None or value == [] or value == "":
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(plain(item) for item in value) if isinstance(value, list) else str(value)


def commands(run: RunRecord) -> list[tuple[str, str]]:
    """What to type next: (what for, command) pairs."""
    folder = str(run.path)
    found = []
    if run.result is None:
        found.append(("Resume", resume_command(run)))
    if run.model:
        if run.primary in (TOP1, MEAN_AP):
            title = "Name the classes of new images (docs/predicting.md: files, embeddings)"
            found.append((title, f"kdzoo predict {shlex.quote(folder)} photos/"))
        data = str(run.config.setting("data.val_dataset") or run.config.setting("data.dataset") or "DATA")
        if run.primary is FEATURE_COSINE:
            transfer = f"kdzoo transfer cifar10 --backbone {shlex.quote(folder)} --baseline random --mode linear"
            found.append(("Measure the backbone on labelled data (docs/transfer.md)", transfer))
        else:
            found.append(("Evaluate", f"kdzoo eval {shlex.quote(f'{folder}/model')} --on {shlex.quote(data)}"))
        own = student_name(run).startswith("cifar_")
        register = "import kdzoo.zoo  # registers the networks for small images\n" if own else ""
        load = f"model = timm.create_model({'local-dir:' + folder + '/model'!r}, pretrained=True)"
        found.append(("Load in Python with timm", f"import timm\n{register}\n{load}"))
    if run.result is not None:
        found.append(("Run it again", _last_command(run)))
    return [(title, code) for title, code in found if code]


def resume_command(run: RunRecord) -> str:
    """The command that goes on with an unfinished run, from the one that started it."""
    command = _last_command(run)
    if not command:
        return ""
    return command if "--resume" in command.split() or " demo" in command else f"{command} --resume"


def _last_command(run: RunRecord) -> str:
    command = run.sessions[-1].command if run.sessions else ()
    if not command:
        return ""
    program = Path(command[0]).name
    program = "python -m kdzoo" if program == "__main__.py" else program
    return " ".join([program, *map(shlex.quote, command[1:])])


def session_rows(session: Session) -> list[tuple[str, str]]:
    """Rows on the command, versions, device and code revision of one process."""
    versions = ", ".join(f"{name} {version}" for name, version in session.versions.items())
    accelerators = ", ".join(session.devices) or "no CUDA device"
    cores = f"{session.cpu_cores} CPU cores, {session.torch_threads} torch threads"
    return [
        ("Command", " ".join(session.command)),
        *([("Versions", versions)] if versions else []),
        ("Python", f"{session.python} on {session.platform}"),
        ("Device", f"{accelerators}; {cores}; {session.world_size} process(es)"),
        ("Revision", session.git_revision or "installed package"),
        ("Started", session.started),
    ]


def differences(first: RunRecord, second: RunRecord) -> list[tuple[str, str, str]]:
    """The settings in which two runs differ: name and both values."""
    both = first.config.settings, second.config.settings
    rows = []
    for name in dict.fromkeys([*both[0], *both[1]]):
        one, other = (plain(of[name].value) if name in of else "not there" for of in both)
        if one != other:
            rows.append((name, one, other))
    return rows
