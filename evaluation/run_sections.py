"""The tables of a run's report: teachers, data, settings, environment, and what to type next."""

from __future__ import annotations

import math
import shlex
from pathlib import Path
from typing import Any

from .page import count
from .run_record import RunRecord, as_count, as_number

DEFAULT = "kdzoo default"  # how a plan names the source of a setting that nobody set


def student_name(run: RunRecord) -> str:
    """What the student is called: its architecture, or the reference it started from."""
    return str(run.model.get("architecture") or run.setting("student.model") or "student")


def teacher_row(row: dict[str, Any]) -> dict[str, str]:
    """What preflight found of one teacher."""
    gaze = "angular_error" in row
    names, unit = (("angular_error", "promised_error"), "°") if gaze else (("top1", "promised_top1"), " %")
    measured, promised = (as_number(row.get(name)) for name in names)
    return {
        "name": str(row.get("reference")),
        "measured": f"{measured:.2f}{unit}" if math.isfinite(measured) else "not measured",
        "promised": f"{promised:.2f}{unit}" if math.isfinite(promised) else "",
        "images": count(as_count(row.get("num_images")) or ""),
        "licence": "" if row.get("reference") == "ensemble" else str(row.get("licence") or "not stated"),
    }


def data_rows(run: RunRecord) -> list[tuple[str, str]]:
    """What the run was trained and evaluated on."""
    rows = []
    for key, title in (("train_data", "Training"), ("val_data", "Held out")):
        entry = run.get(key)
        if isinstance(entry, dict):
            where = f", in {entry['path']}" if entry.get("path") else ", embedded"
            targets = entry.get("targets")
            what = (
                f"{' and '.join(map(str, targets))} of each"
                if isinstance(targets, list) and targets
                else f"{entry.get('num_classes')} classes"
            )
            size = f"{count(as_count(entry.get('num_images')))} images, {what}"
            rows.append((title, f"{entry.get('name')}: {size}{where}"))
    names = run.get("class_names")
    if isinstance(names, list) and names:
        shown = ", ".join(str(name) for name in names[:20])
        rows.append(("Classes, in order", shown + (f" and {len(names) - 20} more" if len(names) > 20 else "")))
    replaced = len(run.of_kind("unreadable"))
    if rows or replaced:
        rows.append(("Unreadable training images", count(replaced) if run.lines else "not known"))
    return rows


def setting_groups(run: RunRecord, *, defaults: bool) -> list[tuple[str, list[dict[str, str]]]]:
    """Settings with their values and where these come from, by section.

    Args:
        run: The run.
        defaults: Those that nobody set, in place of those that a recipe, the data or the user set.
    """
    settings = run.get("settings")
    groups: dict[str, list[dict[str, str]]] = {}
    for name, entry in (settings if isinstance(settings, dict) else {}).items():
        value, source = (entry.get("value"), entry.get("source")) if isinstance(entry, dict) else (entry, "")
        if (source == DEFAULT) != defaults:
            continue
        group, _, rest = str(name).partition(".")
        groups.setdefault(group, []).append({"name": rest or group, "value": plain(value), "source": str(source or "")})
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
    model = shlex.quote(f"{folder}/model")
    found = []
    if not run.result:
        found.append(("Resume", resume_command(run)))
    if run.model:
        data = shlex.quote(str(run.setting("data.val_dataset") or run.setting("data.dataset") or "DATA"))
        found.append(("Evaluate", f"kdzoo eval {model} --on {data}"))
        register = "import kdzoo.zoo  # registers the networks for small images\n" if _is_own(run) else ""
        load = f"model = timm.create_model({'local-dir:' + folder + '/model'!r}, pretrained=True)"
        found.append(("Load in Python", f"import timm\n{register}\n{load}"))
    if run.result:
        found.append(("Run it again", _last_command(run)))
    return [(title, code) for title, code in found if code]


def _is_own(run: RunRecord) -> bool:
    return student_name(run).startswith("cifar_")


def resume_command(run: RunRecord) -> str:
    """The command that goes on with an unfinished run, from the one that started it."""
    command = _last_command(run)
    if not command:
        return ""
    return command if "--resume" in command.split() or " demo" in command else f"{command} --resume"


def _last_command(run: RunRecord) -> str:
    command = run.sessions[-1].get("command") if run.sessions else None
    if not isinstance(command, list) or not command:
        return ""
    program = Path(str(command[0])).name
    program = "python -m kdzoo" if program == "__main__.py" else program
    return " ".join([program, *(shlex.quote(str(part)) for part in command[1:])])


def session_rows(session: dict[str, Any]) -> list[tuple[str, str]]:
    """What one process ran on."""
    command = session.get("command")
    rows = [("Command", " ".join(map(str, command)) if isinstance(command, list) else "")]
    versions = session.get("versions")
    if isinstance(versions, dict):
        rows.append(("Versions", ", ".join(f"{name} {version}" for name, version in versions.items())))
    rows.append(("Python", f"{session.get('python')} on {session.get('platform')}"))
    devices = session.get("devices")
    accelerators = ", ".join(map(str, devices)) if isinstance(devices, list) and devices else "no CUDA device"
    cores = f"{session.get('cpu_cores')} CPU cores, {session.get('torch_threads')} torch threads"
    rows.append(("Device", f"{accelerators}; {cores}; {session.get('world_size')} process(es)"))
    rows.append(("Revision", str(session.get("git_revision") or "installed package")))
    rows.append(("Started", str(session.get("started") or "")))
    return rows
