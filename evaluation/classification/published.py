"""The number that a model's publisher states, where it was measured as ours is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...base.run_documents import read_config
from ...data import ImageSource
from ...data.eval_views import OPENCV
from ...zoo.entries import ENTRIES, Entry, Published
from .protocol import EvaluatedModel

IMAGENET_IMAGES = 50_000
"""Of the validation split, on which entries' numbers were measured."""

OWN_RECORD = "its own model card or run"
"""Where a number is written that no paper states."""


@dataclass(frozen=True)
class PublishedNumber:
    """A publisher's number for the same data.

    Attributes:
        metrics: ``top1`` and, where given, ``top5``; percent.
        source: Where it is written.
        note: What differs or is not said of its protocol, or "".
    """

    metrics: dict[str, float]
    source: str
    note: str = ""


def find_published(model: EvaluatedModel, source: ImageSource) -> PublishedNumber | str | None:
    """The published number of a model for a data set.

    Args:
        model: The model as it is measured.
        source: The data.

    Returns:
        The number; a sentence, where there are only numbers by other protocols; None where there is none.
    """
    loaded, view, own = model.loaded, model.view, model.own
    own_colours = (loaded.preprocessing.mean, loaded.preprocessing.std) == (own.mean, own.std)
    plain = own_colours and view.crops == 1 and source.split == "val"
    entry = _entry(loaded.reference)
    if entry is not None and entry.results and source.name == "imagenet":
        for row in entry.results:
            if plain and len(source) == IMAGENET_IMAGES and not _other(row, model, entry):
                metrics = {"top1": row.top1} | ({} if row.top5 is None else {"top5": row.top5})
                return PublishedNumber(metrics, row.source, _unsaid(row))
        return _elsewhere(model, entry, source, own_colours)
    name, promised, on = "top1", loaded.promised_top1, loaded.promised_on
    if source.is_multilabel:
        name, promised, on = "mAP", loaded.provenance.get("mAP"), loaded.provenance.get("data")
    if promised is None or on != source.name or not plain:
        return None
    if (view.size, view.crop_pct, view.interpolation) != (own.input_size[1:], own.crop_pct, own.interpolation):
        return None
    if _own_images(loaded.reference) not in (None, source.fingerprint()):
        return None
    return PublishedNumber({name: promised}, OWN_RECORD)


def _elsewhere(model: EvaluatedModel, entry: Entry, source: ImageSource, own_colours: bool) -> str:
    """What the nearest published number takes to be measured."""
    row = min(entry.results, key=lambda one: len(_other(one, model, entry)))
    takes = _other(row, model, entry)
    if model.view.crops != 1:
        takes.append("--crops 1")
    if not own_colours:
        takes.append("without --mean and --std")
    if len(source) != IMAGENET_IMAGES:
        takes.append(f"on all {IMAGENET_IMAGES:,} images, not {len(source):,}")
    return f"published: {row.top1:.2f} at another protocol ({', '.join(takes)})"


def _own_images(reference: str) -> str | None:
    """The fingerprint of the images that a run measured its promise on; None where it is no run."""
    try:
        found = read_config(Path(reference).expanduser() / "config.json").fixed.get("data.val_fingerprint")
    except (OSError, ValueError):
        return None
    return found if isinstance(found, str) else None


def _entry(reference: str) -> Entry | None:
    found = ENTRIES.get(reference)
    return found or next((one for one in ENTRIES.values() if one.timm_name and one.timm_name == reference), None)


def _other(row: Published, model: EvaluatedModel, entry: Entry) -> list[str]:
    """The options that would measure a published number, in place of what they are now; none where all is the same."""
    view = model.view
    filters = {view.interpolation}
    if view.interpolation == OPENCV:
        filters = {"bilinear"} if entry.source == "paddleclas" else set()
    options = []
    if view.size != (row.image_size, row.image_size):
        options.append(f"--image-size {row.image_size}")
    if row.crop_pct not in (None, view.crop_pct):
        options.append(f"--crop-pct {row.crop_pct:g}")
    if row.interpolation is not None and row.interpolation not in filters:
        options.append(f"--interpolation {row.interpolation}")
    return options


def _unsaid(row: Published) -> str:
    missing = [name for name, value in (("crop", row.crop_pct), ("interpolation", row.interpolation)) if value is None]
    return f"its source does not say the {' and '.join(missing)}" if missing else ""
