"""What one measurement says: which model, on which images, by which protocol, and every number that came out."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ...base.errors import DataError

SCHEMA = 1
TASKS = ("classification", "multilabel", "detection", "segmentation", "regression")


@dataclass(frozen=True, kw_only=True)
class MeasuredModel:
    """The model that was measured.

    Attributes:
        reference: Names it, weights included.
        architecture: timm's name.
        weights_sha256: Of its tensors, whatever file they came from; None where they were not digested.
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
    known = {item.name for item in fields(Result)}
    values = {key: value for key, value in document.items() if key in known}
    try:
        result = Result(
            **{
                **values,
                "model": MeasuredModel(**values["model"]),
                "intervals": {name: _interval(value) for name, value in values.get("intervals", {}).items()},
                "per_class": tuple(_per_class(value) for value in values.get("per_class", [])),
            }
        )
        _check(result)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{source} is a damaged result ({error})", hint="delete it and measure again") from None
    return result


def _interval(value: Mapping[str, Any]) -> Interval:
    record = Interval(**{**value, "seeds": tuple(value["seeds"]), "values": tuple(value["values"])})
    if len(record.seeds) != len(record.values):
        raise ValueError("seeds and values of an interval differ in number")
    ends = [end for end in (record.low, record.high) if end is not None]
    if not all(map(_is_number, (*record.values, *ends))):
        raise ValueError("a value of an interval is not a number")
    return record


def _per_class(value: Mapping[str, Any]) -> PerClass:
    values: dict[str, Any] = {key: tuple(item) if isinstance(item, list) else item for key, item in value.items()}
    record = PerClass(**values)
    if not len(record.names) == len(record.values) == len(record.counts):
        raise ValueError("names, values and counts of the classes differ in number")
    if not all(isinstance(name, str) for name in (record.metric, *record.names)):
        raise ValueError("a class's name is not a text")
    if not all(value is None or _is_number(value) for value in (*record.values, *record.counts)):
        raise ValueError("a value or count of a class is not a number")
    return record


def _check(result: Result) -> None:
    for name in ("task", "dataset", "split", "protocol"):
        if not isinstance(getattr(result, name), str) or not getattr(result, name):
            raise ValueError(f"{name} is not a text")
    if result.task not in TASKS:
        raise ValueError(f"unknown task {result.task!r}")
    if isinstance(result.num_images, bool) or not isinstance(result.num_images, int) or result.num_images < 1:
        raise ValueError("num_images is not a positive number")
    for name in ("settings", "details"):
        if not isinstance(getattr(result, name), Mapping):
            raise ValueError(f"{name} is no JSON object")
    if not isinstance(result.data_fingerprint, str | None):
        raise ValueError("data_fingerprint is not a text")
    _check_model(result.model)
    for group in (result.metrics, result.published):
        for metric, value in group.items():
            if not _is_number(value):
                raise ValueError(f"{metric} is not a number")


def _check_model(model: MeasuredModel) -> None:
    if not isinstance(model.reference, str):
        raise ValueError("the model's reference is not a text")
    for name in ("architecture", "weights_sha256", "run"):
        if not isinstance(getattr(model, name), str | None):
            raise ValueError(f"the model's {name} is not a text")
    for name in ("parameters", "macs"):
        value = getattr(model, name)
        if value is not None and not (isinstance(value, int) and _is_number(value) and value >= 0):
            raise ValueError(f"the model's {name} are not a count")


def _is_number(value: Any) -> bool:
    """Whether a JSON value is a number that a float can hold; JSON's readers also give NaN and infinities."""
    return not isinstance(value, bool) and isinstance(value, int | float) and abs(value) <= sys.float_info.max
