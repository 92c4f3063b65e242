"""Accuracy class by class before and after, and the classes that are taken for each other (Z. Shen et al., MEAL V2,
Table 1 and Fig. 2)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from ...base.errors import UsageError
from ..charts import Points, Scatter
from ..comparison.sides import differing_settings
from ..results import PerClass
from .confusion import ClassPair, confusion_matrix, similar_pairs
from .inputs import Stored
from .section import ReportTable, Section, columns, points, slug

_PAIRS, _CHANGES = 8, 10


def class_sections(stored: Sequence[Stored], missing: list[tuple[str, str]], pair: Sequence[str] = ()) -> list[Section]:
    """A section for each data set on which two models were measured class by class.

    Args:
        stored: Results.
        missing: What could not be shown, and how to get it, is added here.
        pair: Names or references of the model before and the one after; the first and the last measured by default.
            Of each one's results those with the fewest settings that differ are taken.

    Raises:
        UsageError: The pair is no two of the models.
    """
    before, after = _chosen(stored, pair)
    groups: dict[tuple[str, ...], list[Stored]] = {}
    for one in stored:
        result = one.result
        for record in result.per_class[:1]:
            mode, prints = str(result.settings.get("mode", "")), str(result.data_fingerprint)
            key = (result.task, result.dataset, result.split, mode, prints, record.metric, *record.names)
            groups.setdefault(key, []).append(one)
    sections = []
    for members in groups.values():
        first = next((one for one in members if before in (None, one.name)), None)
        others = [one for one in members if first and one.name != first.name and after in (None, one.name)]
        if first is None or not others:
            continue
        ones = [one for one in members if one.name == first.name]
        others = [one for one in others if one.name == others[-1].name]
        chosen = min(product(ones, others), key=lambda pair: len(_differing(*pair)))  # the first of those alike
        doubles = [line for one in chosen if (line := _doubles(one, members)) is not None]
        if doubles:
            missing += doubles
        else:
            sections.append(_section(*chosen, missing))
    return sections


def _differing(before: Stored, after: Stored) -> tuple[tuple[str, str, str], ...]:
    return differing_settings(before.result, after.result)


def _doubles(one: Stored, members: Sequence[Stored]) -> tuple[str, str] | None:
    """What is said of a model that was measured alike with other weights too, as a run trained again in its folder."""
    alike = [other for other in members if other.name == one.name and not _differing(one, other)]
    if len({other.result.model.weights_sha256 for other in alike}) == 1:
        return None
    files = ", ".join(f"{other.result.name}.json" for other in alike)
    what = f"accuracy class by class of {one.result.dataset}: {one.name} was measured with several sets of weights"
    return what, f"delete what is out of date of {files}"


def _chosen(stored: Sequence[Stored], pair: Sequence[str]) -> tuple[str | None, str | None]:
    """The pair's short names; None for any."""
    if not pair:
        return None, None
    names = {name: one.name for one in stored for name in (one.name, one.result.model.reference)}
    unknown = [name for name in pair if name not in names]
    if unknown:
        raise UsageError(
            f"no model {unknown[0]!r} among the results", hint=f"there are {', '.join(dict.fromkeys(names.values()))}"
        )
    chosen = [names[name] for name in pair]
    if len(chosen) != 2 or chosen[0] == chosen[1]:
        raise UsageError(f"{', '.join(pair)} are not two models", hint="--pair BEFORE,AFTER")
    return chosen[0], chosen[1]


def _section(before: Stored, after: Stored, missing: list[tuple[str, str]]) -> Section:
    one, other = before.result.per_class[0], after.result.per_class[0]
    dataset = before.result.dataset
    known = [c for c in range(len(one.names)) if one.values[c] is not None and other.values[c] is not None]
    first = np.array([one.values[c] for c in known], dtype=float)
    second = np.array([other.values[c] for c in known], dtype=float)
    change = dict(zip(known, (second - first).tolist(), strict=True))
    mode = str(before.result.settings.get("mode", ""))
    chart = Scatter(
        name=slug("classes", dataset, *([mode] if mode else [])),
        title=f"{one.metric} of each class",
        groups=(
            Points(
                name=f"a class of {dataset}: above the line it gained",
                points=tuple(zip(first.tolist(), second.tolist(), strict=True)),
                titles=tuple(f"{one.names[c]}: {one.values[c]:.2f} → {other.values[c]:.2f}" for c in known),
            ),
        ),
        x_label=f"{before.name}, %",
        y_label=f"{after.name}, %",
        diagonal=True,
    )
    tables = []
    lede = [_summary(before.name, after.name, list(change.values())), *_measured(before, after)]
    pairs = _pairs(before, after, missing)
    if pairs:
        tables.append(_pair_table(pairs, one, other, before.name, after.name))
        lede += _where(pairs, change)
    tables.append(_change_table(one, other, change, before.name, after.name))
    words = f", {mode}" if mode else ""
    notes = (
        "Similar classes are those that the two models take for each other most often: the share of one class's images "
        "that are given the other class, the mean of both directions and both models.",
        "A class of few images moves by chance alone; see the counts.",
    )
    title = f"Classes of {dataset}{words}: {before.name} and {after.name}"
    return Section(title, lede=tuple(lede), charts=(chart,), tables=tuple(tables), notes=notes if pairs else notes[1:])


def _measured(before: Stored, after: Stored) -> list[str]:
    """How, for a reader who has several measurements of a model; where not alike, in what."""
    rows = _differing(before, after)
    if not rows:
        return [f"Both were measured alike: {before.result.protocol}."]
    changed = "; ".join(f"{name} {one} and {other}" for name, one, other in rows)
    return [f"{before.name} and {after.name} were not measured alike: {changed}."]


def _summary(before: str, after: str, change: Sequence[float]) -> str:
    up, down = sum(value > 0 for value in change), sum(value < 0 for value in change)
    return (
        f"From {before} to {after}, {up} of {len(change)} classes gain, {down} lose and {len(change) - up - down} stay."
    )


def _pairs(before: Stored, after: Stored, missing: list[tuple[str, str]]) -> list[ClassPair]:
    kept = [before.predictions(), after.predictions()]
    matrices = []
    number = len(before.result.per_class[0].names)
    for one in kept:
        if one is None:
            what = f"the most similar classes of {before.result.dataset}: answers image by image are not kept"
            names = " ".join(sorted({before.name, after.name}))
            missing.append((what, f"kdzoo eval {names} --on {before.result.dataset}"))
            return []
        matrices.append(confusion_matrix(one.labels, one.top5[:, 0], number))
    return similar_pairs(matrices, _PAIRS)


def _where(pairs: Sequence[ClassPair], change: dict[int, float]) -> list[str]:
    """Whether the change hinges on the similar classes, as MEAL V2 found (Table 1)."""
    similar = {label for pair in pairs[: _PAIRS // 2] for label in (pair.first, pair.second)}
    inside = [value for label, value in change.items() if label in similar]
    outside = [value for label, value in change.items() if label not in similar]
    if not inside or not outside:
        return []
    return [
        f"The {len(inside)} classes that are most often taken for each other change by "
        f"{points(float(np.mean(inside)), sign=True)} points on average, the other {len(outside)} by "
        f"{points(float(np.mean(outside)), sign=True)}."
    ]


def _pair_table(pairs: Sequence[ClassPair], one: PerClass, other: PerClass, before: str, after: str) -> ReportTable:
    rows = []
    for pair in pairs:
        for label in (pair.first, pair.second):
            partner = pair.second if label == pair.first else pair.first
            confused = points(pair.confusion, unit=" %") if label == pair.first else ""
            values = _row(one, other, label)
            rows.append((f"{one.names[label]}", f"with {one.names[partner]}", confused, *values))
    heads = columns("Class", "taken", "confusion", before, after, "change", "images", text=2)
    return ReportTable(heads, tuple(rows), "The most similar classes")


def _change_table(one: PerClass, other: PerClass, change: dict[int, float], before: str, after: str) -> ReportTable:
    order = sorted(change, key=lambda label: (-abs(change[label]), label))[:_CHANGES]
    order.sort(key=lambda label: -change[label])
    rows = tuple((one.names[label], *_row(one, other, label)) for label in order)
    title = "The largest changes" if len(change) > len(order) else "Every class"
    return ReportTable(columns("Class", before, after, "change", "images"), rows, title)


def _row(one: PerClass, other: PerClass, label: int) -> tuple[str, str, str, str]:
    first, second = one.values[label], other.values[label]
    change = None if first is None or second is None else second - first
    return points(first), points(second), points(change, sign=True), str(one.counts[label])
