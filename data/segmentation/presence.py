"""Whether every class that is to be learnt and measured has a pixel: one without would be left out of every mean."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ...base.amounts import first_few
from ...base.errors import DataError
from .source import IGNORED, MaskSource, read_indices

_LAST_TRAIN_ID = 18  # of labelIds, sky, vegetation, cars and people are above it


def require_classes(source: MaskSource) -> None:
    """Refuse masks in which a class of own data has no pixel, or in which there are fewer than two classes at all.

    Masks are read until every class was met: of ordinary data a few.

    Raises:
        DataError: A class is missing, there are fewer than two, or a mask cannot be read.
    """
    met = np.zeros(256, dtype=bool)
    wanted = np.isin(source.table, np.arange(source.num_classes))
    for index in range(len(source)):
        met[np.unique(read_indices(source.folder / source.masks[index], source.identity(index)))] = True
        if len(set(source.table[met & wanted].tolist())) == source.num_classes:
            return
    absent = absent_classes(source, set(source.table[met & wanted].tolist()))
    if absent is not None:
        raise absent


def absent_classes(source: MaskSource, present: Iterable[int]) -> DataError | None:
    """The error for classes without a pixel, or None.

    Published data sets may be used in part, so of their classes two must be there; of own data all that are listed.

    Args:
        source: One split.
        present: The labels that have a pixel.
    """
    found = set(present)
    ids = _ids(source, sorted(found))
    if source.name == "cityscapes" and len(found) > 1 and max(ids) <= _LAST_TRAIN_ID:
        return DataError(
            f"the masks of cityscapes {source.split} have the ids {', '.join(map(str, ids))} alone, as trainIds have",
            hint="*_gtFine_labelIds.png hold labelIds (0 to 33): take them from gtFine_trainvaltest.zip",
        )
    absent = [label for label in range(source.num_classes) if label not in found]
    if not absent or (source.is_published and len(found) > 1):
        return None
    shown = first_few([f"{source.class_names[label]!r}" for label in absent])
    there = ", ".join(map(str, ids[:8])) or "none but ignored ones"
    own = "take the class out of classes.txt, or add images that show it to this split"
    way_out = "use more of the data set" if source.is_published else own
    return DataError(
        f"no pixel of {shown} in the {len(source):,} masks of {source.name} {source.split}; ids that count there: "
        f"{there}",
        hint=f"{IGNORED} is ignored: where it stands for a class (masks of 0 and 255), write that class's id in its "
        f"place, such as 1; else {way_out}",
    )


def _ids(source: MaskSource, labels: Sequence[int]) -> list[int]:
    return np.flatnonzero(np.isin(source.table, labels)).tolist()
