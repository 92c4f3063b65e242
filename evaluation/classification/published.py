"""The number that a model's publisher states, where it was measured as ours is."""

from __future__ import annotations

from dataclasses import dataclass

from ...data import ImageSource
from ...data.eval_views import OPENCV
from ...zoo import LoadedModel
from ...zoo.entries import ENTRIES, Entry, Published
from .one_pass import Contender


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


def find_published(contender: Contender, original: LoadedModel, source: ImageSource) -> PublishedNumber | str | None:
    """The published number of a model for a data set.

    Args:
        contender: The model as it is measured.
        original: The model as it was loaded, with its own preprocessing.
        source: The data.

    Returns:
        The number; a sentence, where there are only numbers by other protocols; None where there is none.
    """
    loaded, view = contender.loaded, contender.view
    own_colours = loaded.preprocessing.mean == original.preprocessing.mean and (
        loaded.preprocessing.std == original.preprocessing.std
    )
    plain = own_colours and view.crops == 1 and source.split == "val"
    entry = _entry(loaded.reference)
    if entry is not None and entry.results and source.name == "imagenet":
        for row in entry.results:
            if plain and _same(row, contender, entry):
                metrics = {"top1": row.top1} | ({} if row.top5 is None else {"top5": row.top5})
                return PublishedNumber(metrics, row.source, _unsaid(row))
        first = entry.results[0]
        crop = "" if first.crop_pct is None else f" --crop-pct {first.crop_pct:g}"
        return f"published: {first.top1:.2f} at another protocol (--image-size {first.image_size}{crop})"
    promised = original.promised_top1
    if promised is None or original.promised_on != source.name or not plain:
        return None
    look = original.preprocessing
    if (view.image_size, view.crop_pct, view.interpolation) != (look.image_size, look.crop_pct, look.interpolation):
        return None
    return PublishedNumber({"top1": promised}, "its own model card or run")


def _entry(reference: str) -> Entry | None:
    found = ENTRIES.get(reference)
    return found or next((one for one in ENTRIES.values() if one.timm_name and one.timm_name == reference), None)


def _same(row: Published, contender: Contender, entry: Entry) -> bool:
    view = contender.view
    filters = {view.interpolation}
    if view.interpolation == OPENCV:
        filters = {"bilinear"} if entry.source == "paddleclas" else set()
    return (
        row.image_size == view.image_size
        and row.crop_pct in (None, view.crop_pct)
        and (row.interpolation is None or row.interpolation in filters)
    )


def _unsaid(row: Published) -> str:
    missing = [name for name, value in (("crop", row.crop_pct), ("interpolation", row.interpolation)) if value is None]
    return f"its source does not say the {' and '.join(missing)}" if missing else ""
