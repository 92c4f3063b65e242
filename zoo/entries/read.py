"""Reads the entries' data files: a value stands with the file, the family or the entry, and the nearest one counts.

Notes are the exception: an entry has its own, then its family's, then its file's.
"""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .entry import Entry, Published

_FOLDER = Path(__file__).parent
_FILES = ("meal_v2", "ssld", "timm_hosted", "distilled", "teachers", "references")
DOCUMENTS = [tomllib.loads((_FOLDER / f"{name}.toml").read_text(encoding="utf-8")) for name in _FILES]


def _entries() -> Iterator[Entry]:
    for document in DOCUMENTS:
        for family in document["family"]:
            for row in family["entries"]:
                notes = tuple(note for level in (row, family, document) for note in level.get("notes", ()))
                yield _entry({**document, **family, **row, "notes": notes})


def _entry(values: Mapping[str, Any]) -> Entry:
    name, form = values["name"], values["format"]
    timm_name = values.get("timm_name", name) if form == "timm" else ""
    address = {"timm": f"hf-hub:timm/{timm_name}", "none": ""}.get(form, f"{values.get('base')}{values.get('file')}")
    protocol = {key: value for key, value in values.items() if key not in ("top1", "top5")}
    first = [values] if "top1" in values else []
    optional: dict[str, Any] = {key: tuple(values[key]) for key in ("mean", "std") if key in values}
    return Entry(
        name=name,
        group=values["group"],
        architecture=values.get("architecture", timm_name.split(".")[0]),
        model_args=values.get("model_args", {}),
        format=form,
        address=address,
        network=values.get("network", ""),
        timm_name=timm_name,
        licence=values["licence"] or None,
        image_size=values["image_size"],
        interpolation=values["interpolation"],
        crop_pct=values["crop_pct"],
        results=tuple(
            _published({**protocol, **result})
            for result in [*first, *values.get("results", ()), *values.get("more", ())]
        ),
        paper=values["paper"],
        teachers=tuple(values.get("teachers", ())),
        notes=values["notes"],
        **optional,
    )


def _published(values: Mapping[str, Any]) -> Published:
    """A number without weights to evaluate has a protocol that nobody stated."""
    alone = values["format"] == "none"
    return Published(
        top1=values["top1"],
        top5=values.get("top5"),
        image_size=values["image_size"],
        crop_pct=None if alone else values["crop_pct"],
        interpolation=None if alone else values["interpolation"],
        source=values["source"],
    )


def _costs() -> dict[str, tuple[int, int]]:
    with open(_FOLDER / "costs.csv", encoding="utf-8", newline="") as file:
        return {row["name"]: (int(row["parameters"]), int(row["macs"])) for row in csv.DictReader(file)}


ENTRIES: dict[str, Entry] = {entry.name: entry for entry in _entries()}
"""By name, in the order of the tables."""

PROMISED_ON = "imagenet"
PROMISED_TOP1: dict[str, float] = {
    entry.timm_name: entry.promised_top1
    for entry in ENTRIES.values()
    if entry.timm_name and entry.promised_top1 is not None
}
"""What published weights promise on ImageNet's validation images, percent, by timm's name of them.

A number counts where it was measured at the preprocessing that the model is loaded with; a teacher's is checked before
a run.
"""

RELEASES: tuple[str, ...] = tuple(document["base"] for document in DOCUMENTS if "base" in document)
"""The addresses below which authors released their files."""

COSTS: dict[str, tuple[int, int]] = _costs()
"""Parameters and multiply-adds (MACs) of each entry's network at its image size, for one image.

``python benchmarks/entry_costs.py > zoo/entries/costs.csv`` makes the file; the tests count again.
"""
