"""Accuracy against what it costs, with the Pareto front (C. Cui et al., SSLD, Fig. 1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ...base.json_document import as_count, as_number, as_object
from ..charts import Chart, Points, Scatter
from ..comparison.sides import differing_settings
from ..page import count
from ..run_sections import plain
from .inputs import Stored
from .section import ReportTable, Section, columns, points, slug

_METRICS = ("top1", "mAP11", "AP", "mIoU")


def pareto_front(found: Sequence[tuple[float, float]], *, less_is_better: bool = True) -> list[int]:
    """Which (cost, gain) points no other one beats: none has at most the cost and at least the gain, and one of them
    better.

    Args:
        found: The points.
        less_is_better: Of the cost; False for a speed.

    Returns:
        Their positions, the cheapest first.
    """
    sign = 1 if less_is_better else -1
    order = sorted(range(len(found)), key=lambda i: (sign * found[i][0], -found[i][1], i))
    front: list[int] = []
    for i in order:
        if not front or found[i][1] > found[front[-1]][1] or found[i] == found[front[-1]]:
            front.append(i)
    return front


def trade_off_sections(stored: Sequence[Stored]) -> list[Section]:
    """A section for each data set on which at least two models were measured alike."""
    groups: dict[tuple[Any, ...], list[Stored]] = {}
    for one in stored:
        result = one.result
        if _metric(one) is not None and result.settings.get("mode") is None:
            key = (result.task, result.dataset, result.split, result.data_fingerprint)
            groups.setdefault(key, []).append(one)
    sections = []
    for members in groups.values():
        charts = [chart for cost in _COSTS if (chart := _chart(members, cost)) is not None]
        if len(members) > 1 and charts:
            sections.append(_section(members, charts))
    return sections


def _metric(one: Stored) -> str | None:
    return next((name for name in _METRICS if name in one.result.metrics), None)


def _speed(one: Stored) -> float | None:
    speed = as_number(as_object(one.result.details.get("throughput")).get("network_images_per_s"))
    return speed if speed > 0 else None


_MACHINE = ("device", "threads", "batch_size", "machine")


def _machine(one: Stored) -> tuple[str | None, ...]:
    """On what a speed was measured, as texts; None for what a result does not say."""
    known = as_object(one.result.details.get("throughput"))
    return tuple(None if known.get(name) is None else str(known[name]) for name in _MACHINE)


def _macs(one: Stored) -> int | None:
    """Multiply-accumulates of an image, of all the crops that its answer is the mean of."""
    macs = one.result.model.macs
    return None if macs is None else macs * (as_count(one.result.settings.get("crops", 1)) or 1)


@dataclass(frozen=True)
class _Cost:
    """What accuracy is drawn against.

    Attributes:
        name: In the file's name.
        words: In the chart's title.
        label: Of the axis.
        value: Of a result, in the label's unit; None where it is not known.
        less_is_better: False for a speed.
    """

    name: str
    words: str
    label: str
    value: Callable[[Stored], float | None]
    less_is_better: bool = True


_COSTS = (
    _Cost(
        "parameters",
        "parameters",
        "millions of parameters",
        lambda one: (one.result.model.parameters or 0) / 1e6 or None,
    ),
    _Cost(
        "macs",
        "multiply-accumulates",
        "10⁹ multiply-accumulates an image",  # of all its crops, as the speed is
        lambda one: (_macs(one) or 0) / 1e9 or None,
    ),
    _Cost("images_per_s", "throughput", "images/s of the network", _speed, less_is_better=False),
)


def _chart(members: Sequence[Stored], cost: _Cost) -> Chart | None:
    known = [(i, x) for i, one in enumerate(members) if (x := cost.value(one)) is not None]
    if len({x for _, x in known}) < 2:
        return None  # all cost the same: there is nothing to trade
    if not cost.less_is_better and len({_machine(members[i]) for i, _ in known}) > 1:
        return None  # speeds of several machines say nothing of the models
    metric, dataset = str(_metric(members[0])), members[0].result.dataset
    found = [(x, float(members[i].result.metrics[metric])) for i, x in known]
    front = pareto_front(found, less_is_better=cost.less_is_better)
    best = tuple(found[i] for i in front)
    groups = []
    for name, slot, chosen in (("on the front", 0, True), ("beaten by another", 1, False)):
        rows = [k for k in range(len(found)) if (k in front) == chosen]
        if rows:
            numbers = tuple(str(known[k][0] + 1) for k in rows)
            titles = tuple(f"{members[known[k][0]].name}: {found[k][1]:.2f} at {found[k][0]:.4g}" for k in rows)
            group = Points(name=name, points=tuple(found[k] for k in rows), labels=numbers, titles=titles, slot=slot)
            groups.append(group)
    return Scatter(
        name=slug("trade-off", dataset, cost.name),
        title=f"{metric} against {cost.words}",
        groups=tuple(groups),
        x_label=cost.label,
        y_label="%",
        log_x=cost.less_is_better,
        front=tuple(sorted(best)) if cost.less_is_better else (),
    )


def _section(members: Sequence[Stored], charts: Sequence[Chart]) -> Section:
    metric = str(_metric(members[0]))
    result = members[0].result
    rows = []
    for i, one in enumerate(members):
        speed, macs, parameters = _speed(one), _macs(one), one.result.model.parameters
        published = one.result.published.get(metric)
        rows.append(
            (
                f"{i + 1}. {_label(one, members)}",
                points(one.result.metrics[metric], unit=" %"),
                points(published, unit=" %"),
                count(parameters) if parameters else "",
                count(macs) if macs else "",
                "" if speed is None else count(round(speed)),
            )
        )
    table = ReportTable(columns("Model", metric, "published", "parameters", "MACs", "images/s"), tuple(rows))
    notes = [
        "The line joins the models that no other one beats in both; a model between two of its corners is behind it.",
        "Each model is measured in its own preprocessing unless its result says otherwise.",
    ]
    machines = {_machine(one) for one in members if _speed(one) is not None}
    if len(machines) > 1:
        notes.append("Throughputs are of several machines, threads or batch sizes, so they are not drawn.")
    elif machines and None not in (where := machines.pop()):
        device, threads, batch_size, machine = where
        place = machine if device == "cpu" else device
        notes.append(f"Throughput of the network alone, on {place}, {threads} threads, batches of {batch_size}.")
    title = f"Accuracy against cost on {result.dataset} ({result.split}, {count(result.num_images)} images)"
    return Section(title, charts=tuple(charts), tables=(table,), notes=tuple(notes))


def _label(one: Stored, members: Sequence[Stored]) -> str:
    """The model's name; with what tells its measurements apart where there are several."""
    same = [other.result for other in members if other.name == one.name]
    differing = {name for other in same for name, *_ in differing_settings(one.result, other)}
    words = [
        f"{plain(value)} px" if name == "image_size" else f"{name} {plain(value)}"
        for name, value in one.result.settings.items()
        if name in differing
    ]
    if len({other.model.weights_sha256 for other in same}) > 1:
        words.append(f"weights {(one.result.model.weights_sha256 or 'unknown')[:8]}")
    return ", ".join([one.name, *words])
