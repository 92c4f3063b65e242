"""Parts of the model card that take a judgement: what was changed, what it cost, what it is not good for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..base.run_documents import Session
from .licences import Licence, Source, is_non_commercial, unclear
from .markdown import Markdown, cell, code, link, plain
from .run_evidence import Evidence, public_name

_FEW_IMAGES = 1000
_NOT_CHANGES = ("kdzoo default", "data:")
_OF_NO_EFFECT = ("run.", "training.log_every", "training.evaluate_every", "training.checkpoint_every")


def setting_rows(evidence: Evidence) -> list[dict[str, Any]]:
    """Every setting of the run, with where it came from."""
    return [
        {
            "key": name,
            "origin": setting.source,
            "name": cell(name),
            "value": cell(public_value(setting.value)),
            "source": cell(setting.source),
        }
        for name, setting in evidence.config.settings.items()
    ]


def changed_settings(rows: Sequence[dict[str, Any]], evidence: Evidence) -> list[dict[str, Any]]:
    """The settings that neither the recipe nor the data decided."""
    recipes = tuple(f"{name}:" for name in {evidence.config.origin, evidence.config.recipe} if name)
    decided = (*recipes, *_NOT_CHANGES)
    return [row for row in rows if not (row["origin"].startswith(decided) or row["key"].startswith(_OF_NO_EFFECT))]


def public_value(value: Any) -> Any:
    """A setting's value without the folders of the machine it was used on."""
    if isinstance(value, str):
        return public_name(value) if "/" in value else value
    if isinstance(value, list):
        return [public_value(one) for one in value]
    return value


def licence_lines(licence: Licence, sources: Sequence[Source]) -> list[Markdown]:
    """Lines on the licence of the weights, and of what they were made from."""
    text = f"{code(licence.shown)} ({link(licence.link)})" if licence.link else str(code(licence.shown))
    lines = [f"These weights are published under {text}."]
    if licence.inherited:
        lines[0] += " It is that of what they were made from."
    unknown = [source for source in sources if source.licence is None]
    if unknown:
        named = ", ".join(f"the {plain(source.role)} {code(source.name)}" for source in unknown)
        lines.append(
            f"No licence is known of {named}: whether their authors' terms reach these weights, and what they ask, is "
            "for the user to find out."
        )
    for source in sources:
        if source.licence is not None and unclear(source):
            lines.append(
                f"The {plain(source.role)} {code(source.name)} is under {code(source.licence)}, which has its own "
                "terms: read them before use."
            )
    return [Markdown(line) for line in lines]


def limit_lines(licence: Licence, evidence: Evidence) -> list[Markdown]:
    """Lines on the limits of the model: classes, data it was measured on, licence."""
    first = evidence.evaluations[0]
    lines = [
        f"It knows the {evidence.model_config.get('num_classes')} classes of {code(first.dataset)} and gives one of "
        "them for any image; it has no way to say that it does not know."
    ]
    others = {one.dataset for one in evidence.evaluations} - {first.dataset}
    if not others:
        lines.append(
            f"It was measured on {code(first.dataset)} alone. Other cameras, places or subjects, corrupted images and "
            "attacks were not tried."
        )
    if first.num_images < _FEW_IMAGES:
        lines.append(f"{first.num_images} held-out images are few: differences of a few points mean little.")
    if any("teacher" in source.role for source in evidence.sources):
        lines.append("What its teachers get wrong, it learned from them; biases of their training data included.")
    if is_non_commercial(licence.shown):
        lines.append("Its licence allows non-commercial use alone.")
    lines.append("Fairness across groups of people was not measured.")
    return [Markdown(line) for line in lines]


def cost_line(evidence: Evidence) -> Markdown:
    """Training time, device and speed, as a sentence."""
    result, sessions = evidence.result, evidence.sessions
    last = sessions[-1] if sessions else Session()
    if last.devices and (evidence.config.setting("run.device") or "auto") != "cpu":
        where = f"{last.world_size or 1} × {plain(last.devices[0])}"
    else:
        where = f"a CPU with {last.cpu_cores or '?'} cores"
    if math.isnan(result.seconds):
        return Markdown(f"Not recorded; on {where}.")
    parts = [f"{_duration(result.seconds)} on {where}"]
    if math.isfinite(result.images_per_s):
        parts.append(f"{result.images_per_s:.0f} training images a second")
    text = ", ".join(parts) + "."
    if len(sessions) > 1:
        text += f" The run was interrupted {len(sessions) - 1} times; this is the time of its last part."
    return Markdown(text + " Energy was not measured.")


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} hours"
