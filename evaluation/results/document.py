"""What one measurement says: which model, on which images, by which protocol, and every number that came out."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ...base.errors import DataError
from ...base.json_document import decode

SCHEMA = 1
TASKS = ("classification", "multilabel", "detection", "segmentation", "regression")


@dataclass(frozen=True, kw_only=True)
class MeasuredModel:
    """The model that was measured.

    Attributes:
        reference: Names it, weights included.
        architecture: timm's name.
        weights_sha256: Of its tensors, whatever file they came from; of an ONNX file its own; None where they were not
            digested.
        parameters: Their number; None where not counted.
        macs: Multiply-accumulates of one image at the protocol's size; None where not counted.
        run: Its run folder, where it came from one.
    """

    reference: str
    architecture: str | None = None
    weights_sha256: str | None = None
    parameters: int | None = None
    macs: int | None = None
    run: str | None = None


@dataclass(frozen=True, kw_only=True)
class Interval:
    """One metric over several seeds.

    Attributes:
        seeds: Of the runs, in order.
        values: One a seed.
        low: Lower end of the confidence interval of the mean; None for one seed.
        high: Its upper end.
        confidence: Of the interval.
    """

    seeds: tuple[int, ...]
    values: tuple[float, ...]
    low: float | None = None
    high: float | None = None
    confidence: float = 0.95


@dataclass(frozen=True, kw_only=True)
class PerClass:
    """One metric class by class.

    Attributes:
        metric: Its name, such as ``top1``, ``AP`` or ``IoU``.
        names: Of the classes, in label order.
        values: One a class; None where the class has no image.
        counts: Images (detection: boxes, segmentation: pixels) of each class.
    """

    metric: str
    names: tuple[str, ...]
    values: tuple[float | None, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Result:
    """One model on one data set by one protocol.

    Attributes:
        task: ``classification``, ``multilabel``, ``detection``, ``segmentation`` or ``regression``.
        dataset: Its name, without the machine's folders.
        split: Of the data.
        num_images: Counted, each once.
        model: What was measured.
        protocol: In one line, for a reader: enough to measure the number again.
        metrics: By name; percent for accuracies, AP and IoU.
        settings: Behind the protocol, JSON values; two results are comparable where these are equal.
        data_fingerprint: Of the images and labels, or None.
        published: Numbers that the model's publisher states for the same data, by metric.
        intervals: By metric, where several seeds were run; ``metrics`` then has the mean.
        per_class: Metrics class by class.
        details: Anything else a report shows (calibration bins, agreement with a teacher, throughput), JSON values.
    """

    task: str
    dataset: str
    split: str
    num_images: int
    model: MeasuredModel
    protocol: str
    metrics: Mapping[str, float]
    settings: Mapping[str, Any] = field(default_factory=dict)
    data_fingerprint: str | None = None
    published: Mapping[str, float] = field(default_factory=dict)
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    per_class: tuple[PerClass, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """File name without its ending: readable, and the same for the same model, data and protocol."""
        identity = [self.model.reference, self.model.weights_sha256, self.data_fingerprint, self.protocol]
        text = json.dumps([*identity, dict(self.settings)], sort_keys=True)
        words = [self.task, self.dataset, self.split, self.model.reference.rstrip("/").rpartition("/")[2]]
        slugs = [re.sub(r"[^A-Za-z0-9._]+", "_", word)[:60].strip("._") or "unnamed" for word in words]
        return "-".join([*slugs, hashlib.sha256(text.encode()).hexdigest()[:8]])

    def to_json(self) -> dict[str, Any]:
        """As a JSON object; `from_json` reads it back to an equal result."""
        return {"kdzoo_result": SCHEMA, **asdict(self)}


def from_json(document: Any, source: str) -> Result:
    """Read what `Result.to_json` gave.

    Args:
        document: Decoded JSON.
        source: Where it came from, for errors.

    Raises:
        DataError: It is no result, one of a newer kdzoo, or a field is missing or of the wrong type.
    """
    if not isinstance(document, dict) or "kdzoo_result" not in document:
        raise DataError(f"{source} is no result of kdzoo", hint="take it out of the folder")
    if document["kdzoo_result"] != SCHEMA:
        raise DataError(
            f"{source} was written by another version (form {document['kdzoo_result']!r}; this one reads {SCHEMA})",
            hint="update kdzoo, or measure again",
        )
    try:
        result = decode(Result, document, strict=True)
        _check(result)
    except ValueError as error:
        raise DataError(f"{source} is a damaged result ({error})", hint="delete it and measure again") from None
    return result


def _check(result: Result) -> None:
    """Raise ValueError where the fields, each of its type, make no result together."""
    for name in ("task", "dataset", "split", "protocol"):
        if not getattr(result, name):
            raise ValueError(f"{name} is empty")
    if result.task not in TASKS:
        raise ValueError(f"unknown task {result.task!r}")
    if result.num_images < 1:
        raise ValueError("num_images is not a positive number")
    if any(count is not None and count < 0 for count in (result.model.parameters, result.model.macs)):
        raise ValueError("the model's parameters or MACs are not a count")
    if any(len(one.seeds) != len(one.values) for one in result.intervals.values()):
        raise ValueError("seeds and values of an interval differ in number")
    if any(not len(one.names) == len(one.values) == len(one.counts) for one in result.per_class):
        raise ValueError("names, values and counts of the classes differ in number")
