"""What a finished run can show for its model: read from the run's folder, and refused where it would mislead."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from timm.models import get_pretrained_cfg, is_model, split_model_name_tag

from ..base.errors import ModelError, RunError
from ..base.json_document import as_number, as_object
from ..base.metrics import FEATURE_COSINE, MEAN_AP, TOP1
from ..base.redact import redact_values
from ..base.run_documents import RunConfig, Session, TrainResult, sessions_from_json
from .json_file import read_json
from .licences import Source
from .preprocessing import CENTRE_CROP, describe_view

_DEPTH = 8  # teachers of teachers of …


@dataclass(frozen=True)
class Evaluation:
    """One measured number, with what is needed to measure it again.

    Attributes:
        task: ``classification``, or another one of the transfer evaluations.
        dataset: Its name.
        split: Of the data.
        metric: ``top1``, ``top5``, ``mIoU``, …
        value: As the protocol defines it; percent for accuracies.
        num_images: Counted.
        protocol: In words.
    """

    task: str
    dataset: str
    split: str
    metric: str
    value: float
    num_images: int
    protocol: str

    @property
    def measurement(self) -> tuple[str, str, str, str, int]:
        """What all the metrics of one measurement share."""
        return self.task, self.dataset, self.split, self.protocol, self.num_images


@dataclass(frozen=True, kw_only=True)
class ResultsChoice:
    """Which results are published beside the run's own evaluation.

    Attributes:
        which: ``official``: those on as many images as the official data set has; ``all``; ``own``: none.
        official: Images by data set and split, of the official data sets.
    """

    which: Literal["official", "all", "own"] = "official"
    official: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def official_count(self, one: Evaluation) -> int | None:
        """The official number of images where the evaluation has fewer; None where it is whole or nothing is known."""
        known = self.official.get(one.dataset, {})
        count = known.get(one.split, known.get("val"))
        return count if count is not None and one.num_images < count else None

    def marked(self, one: Evaluation) -> Evaluation:
        """The evaluation; one on fewer images than the official says so in its protocol."""
        count = self.official_count(one)
        if count is None or "the official" in one.protocol:
            return one
        words = f"{one.num_images:,} images, the official {one.dataset} has {count:,}"
        return replace(one, protocol=f"{one.protocol}, {words}")

    def keeps(self, one: Evaluation) -> bool:
        """Whether a result is published."""
        return self.which == "all" or (self.which == "official" and self.official_count(one) is None)


@dataclass(frozen=True)
class Evidence:
    """A finished run.

    Attributes:
        run: The folder.
        name: Its name.
        model_config: model/config.json.
        config: The run's config.json; empty where the run has none.
        result: result.json.
        sessions: One entry a process that worked on the run, the first one first.
        evaluations: Every number once, the run's own first, those of one measurement together.
        left_out: Measurements that were not chosen.
        sources: What the weights were made from.
    """

    run: Path
    name: str
    model_config: dict[str, Any]
    config: RunConfig
    result: TrainResult
    sessions: tuple[Session, ...]
    evaluations: tuple[Evaluation, ...]
    sources: tuple[Source, ...]
    provenance: Mapping[str, Any] = field(default_factory=dict)
    left_out: int = 0


def read_evidence(run: Path, choice: ResultsChoice | None = None) -> Evidence:
    """Read a run.

    Args:
        run: Its folder.
        choice: Which results count.

    Raises:
        RunError: The folder holds no finished run.
        ModelError: The run was not evaluated, its documents are damaged, or they speak of another model.
    """
    if not run.is_dir():
        raise RunError(f"there is no run {run}", hint="name the --out folder of 'kdzoo train' or 'kdzoo distill'")
    if not (run / "result.json").is_file():
        begun = (run / "checkpoints").is_dir() or (run / "config.json").is_file()
        what = "is not finished: it has no result.json" if begun else "holds no run"
        hint = "go on with --resume, then publish" if begun else "name the --out folder of a finished run"
        raise RunError(f"{run} {what}", hint=hint)
    result = TrainResult.from_json(_object(run / "result.json"), run)
    model = _object(run / "model" / "config.json")
    config = RunConfig.from_json(_object(run / "config.json") if (run / "config.json").is_file() else {})
    environment = _object(run / "environment.json") if (run / "environment.json").is_file() else {}
    provenance = as_object(model.get("kdzoo"))
    choice = choice or ResultsChoice()
    own = _own_evaluations(run, result, model, config, provenance)
    further = _further_evaluations(run / "results")
    kept = [one for one in further if choice.keeps(one)]
    left_out = {one.measurement for one in further} - {one.measurement for one in kept}
    return Evidence(
        run=run,
        name=run.resolve().name,
        model_config=model,
        config=config,
        result=result,
        sessions=sessions_from_json(environment),
        evaluations=_each_once([choice.marked(one) for one in (*own, *kept)]),
        sources=tuple(model_sources(provenance)),
        provenance=provenance,
        left_out=len(left_out),
    )


def _each_once(evaluations: list[Evaluation]) -> tuple[Evaluation, ...]:
    """Without numbers that are there twice; those of one measurement stand together, where its first one stood."""
    groups: dict[tuple[str, str, str, str, int], dict[tuple[str, float], Evaluation]] = {}
    for one in evaluations:
        groups.setdefault(one.measurement, {}).setdefault((one.metric, round(one.value, 6)), one)
    return tuple(one for group in groups.values() for one in group.values())


def public_name(reference: str) -> str:
    """A model reference or data spec without the folders of the machine it was used on."""
    if reference.startswith("hf-hub:"):
        return reference
    named = re.fullmatch(r"(?P<name>[\w.-]+)(?P<mark>[:=])(?P<path>.+)", reference, re.DOTALL)
    if named and named["name"] == "local-dir":
        return public_name(named["path"])
    if named and named["mark"] == ":":
        return named["name"]
    if named:
        return f"{named['name']}={public_name(named['path'])}"
    return Path(reference).name if "/" in reference else reference


def model_sources(provenance: Mapping[str, Any], *, of: str = "", depth: int = 0) -> list[Source]:
    """What a model was made from, teachers of teachers included where these are runs that are still there.

    Args:
        provenance: kdzoo's block of the model's config.json.
        of: The model, where it is itself a teacher.
        depth: Of the search.
    """
    found: list[Source] = []
    teachers = provenance.get("teachers")
    named = [("teacher", one) for one in teachers] if isinstance(teachers, list) else []
    start = provenance.get("student_start")
    if isinstance(start, str) and start not in ("", "random"):
        named.append(("initial weights", {"reference": start, "license": stated_licence(start)}))
    for role, teacher in named:
        entry = teacher if isinstance(teacher, Mapping) else {"reference": teacher}
        reference, licence = str(entry.get("reference")), entry.get("license")
        licence = licence if isinstance(licence, str) and licence.strip() not in ("", "unknown") else None
        found.append(Source(public_name(reference), f"{role} of {of}" if of else role, licence))
        inner = _local_config(reference)
        if inner and depth < _DEPTH:
            found += model_sources(as_object(inner.get("kdzoo")), of=public_name(reference), depth=depth + 1)
    return list(dict.fromkeys(found))


def stated_licence(reference: str) -> str | None:
    """The licence that a model's publisher states, as far as this machine knows without asking anybody."""
    name, _ = split_model_name_tag(reference)
    if re.fullmatch(r"[\w.-]+", reference) and is_model(name):
        try:
            record = get_pretrained_cfg(reference)
        except RuntimeError:
            return None
        return record.license if record is not None else None
    licence = as_object((_local_config(reference) or {}).get("pretrained_cfg")).get("license")
    return licence if isinstance(licence, str) else None


def _local_config(reference: str) -> dict[str, Any] | None:
    folder = Path(reference.removeprefix("local-dir:")).expanduser()
    for path in (folder / "model" / "config.json", folder / "config.json"):
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(document, dict) and "architecture" in document:
            return document
    return None


def _object(path: Path) -> dict[str, Any]:
    document = read_json(path)
    if not isinstance(document, dict):
        raise ModelError(f"{path} holds no JSON object", hint="the run is damaged: make it again")
    return as_object(redact_values(document))


def _own_evaluations(
    run: Path, result: TrainResult, model: Mapping[str, Any], config: RunConfig, provenance: Mapping[str, Any]
) -> list[Evaluation]:
    metrics = result.metrics
    if metrics.primary is not TOP1:
        kinds = {FEATURE_COSINE.name: "has no classifier", MEAN_AP.name: "learnt several classes an image"}
        what = kinds.get(metrics.primary.name, "predicts a gaze")
        raise ModelError(
            f"{run} {what}: model cards are written for classifiers so far",
            hint="its model folder can be shared as it is: its README.md has its numbers",
        )
    if not metrics.is_measured or metrics.num_images < 1 or not 0 <= metrics.value <= 100:
        raise ModelError(
            f"{run} was not evaluated: result.json has no top1 and num_images",
            hint="a model is published with its numbers: train it with validation data",
        )
    top1, promised = metrics.value, as_number(provenance.get("top1"))
    if not abs(promised - top1) <= 1e-6:
        there = None if math.isnan(promised) else promised
        raise ModelError(
            f"{run / 'model'} is not the model that result.json speaks of: top-1 {there} there, {top1} here",
            hint="publish a run as it was finished",
        )
    data, look = config.val_data, as_object(model.get("pretrained_cfg"))
    size, crop_pct = (look.get("input_size") or [None])[-1], as_number(look.get("crop_pct"))
    shown_crop = None if math.isnan(crop_pct) else crop_pct
    protocol = describe_view(size, shown_crop, str(look.get("interpolation")), *CENTRE_CROP)
    dataset = (data and data.name) or str(provenance.get("data") or "unknown data")
    split = (data and data.split) or "val"
    return [
        Evaluation("classification", public_name(dataset), split, name, metrics[name], metrics.num_images, protocol)
        for name in ("top1", "top5")
        if name in metrics.values
    ]


def _further_evaluations(folder: Path) -> list[Evaluation]:
    found: list[Evaluation] = []
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        document = redact_values(read_json(path))
        for entry in document if isinstance(document, list) else [document]:
            for record in _records(as_object(entry)):
                value, count = as_number(record.get("value")), as_number(record.get("num_images"))
                texts = [record.get(key) for key in ("task", "dataset", "split", "metric")]
                if (
                    math.isnan(value)
                    or math.isnan(count)
                    or not all(isinstance(text, str) and text.strip() for text in texts)
                ):
                    raise ModelError(
                        f"{path} is not an evaluation: "
                        "it needs task, dataset, split, metric, value, num_images, protocol",
                        hint="repair it, or take it out of the run",
                    )
                task, dataset, split, metric = map(str, texts)
                protocol = str(record.get("protocol") or "not stated")
                found.append(Evaluation(task, public_name(dataset), split, metric, value, int(count), protocol))
    return found


def _records(document: dict[str, Any]) -> list[dict[str, Any]]:
    """One record a number: a result of ``kdzoo eval`` or ``kdzoo transfer`` taken apart, any other as it is."""
    metrics = document.get("metrics")
    if "kdzoo_result" not in document or not isinstance(metrics, dict):
        return [document]
    return [{**document, "metric": metric, "value": value} for metric, value in metrics.items()]
