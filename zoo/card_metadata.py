"""The YAML head of a model card: what the Hub reads of it, its numbers included."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import groupby
from typing import Any

from timm.models import get_pretrained_cfg, is_model, split_model_name_tag

from .card_subject import CardSubject
from .markdown import one_line
from .run_evidence import Evaluation

_ON_THE_HUB = {"imagenet": "imagenet-1k", "cifar10": "uoft-cs/cifar10", "cifar100": "uoft-cs/cifar100"}
_TASKS = {
    "classification": "image-classification",
    "detection": "object-detection",
    "segmentation": "image-segmentation",
    "regression": "other",
}
_METRICS = {"top1": ("accuracy", "Top-1 accuracy (%)"), "top5": ("top-5-accuracy", "Top-5 accuracy (%)")}


def card_head(subject: CardSubject) -> dict[str, Any]:
    """The head, as plain values. Text in it is one line, so that no reader takes a part of it for the end."""
    evidence, licence = subject.evidence, subject.licence
    distilled = any(source.role == "teacher" for source in evidence.sources)
    head: dict[str, Any] = {"license": licence.identifier}
    if licence.identifier == "other":
        head |= {"license_name": licence.name, "license_link": licence.link}
    base = _base_model(evidence.provenance.get("student_start"))
    if base:
        head["base_model"] = base
    head |= {"library_name": "timm", "pipeline_tag": "image-classification"}
    head["tags"] = ["image-classification", "timm", "kdzoo", *(["knowledge-distillation"] if distilled else [])]
    datasets = sorted({_ON_THE_HUB[one.dataset] for one in evidence.evaluations if one.dataset in _ON_THE_HUB})
    if datasets:
        head["datasets"] = datasets
    head["metrics"] = ["accuracy"]
    name = subject.repository.rpartition("/")[2]
    head["model-index"] = [{"name": name, "results": list(_results(evidence.evaluations))}]
    return head


def _results(evaluations: Iterable[Evaluation]) -> Iterable[dict[str, Any]]:
    """One result for each task, data set, split and protocol, with all its metrics."""
    for (task, dataset, split, protocol, count), group in groupby(evaluations, lambda one: one.measurement):
        yield {
            "task": {"type": _TASKS.get(task, "other"), "name": one_line(task)},
            "dataset": {
                "type": _ON_THE_HUB.get(dataset) or _slug(dataset),
                "name": one_line(dataset),
                "split": one_line(split),
                "args": {"num_images": count, "protocol": one_line(protocol)},
            },
            "metrics": [_metric(one) for one in group],
        }


def _metric(one: Evaluation) -> dict[str, Any]:
    kind, name = _METRICS.get(one.metric, (_slug(one.metric), one_line(one.metric)))
    return {"type": kind, "value": round(one.value, 4), "name": name}


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")[:80] or "unnamed"


def _base_model(start: Any) -> str | None:
    """The Hub's name of what the student started from, where it has one."""
    if not isinstance(start, str):
        return None
    match = re.fullmatch(r"hf-hub:([\w.-]+/[\w.-]+)(@[\w./-]+)?", start)
    if match:
        return match[1]
    name, tag = split_model_name_tag(start)
    if not (tag and re.fullmatch(r"[\w.-]+", start) and is_model(name)):
        return None
    try:
        record = get_pretrained_cfg(start)
    except RuntimeError:
        return None
    repository = record.hf_hub_id if record is not None else None
    return repository.partition("@")[0] if repository else None
