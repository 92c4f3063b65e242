"""Classes of data sets as their authors list them, against which class folders from other hands are held."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..base.amounts import first_few

# The folders of dtd-r1.0.1.tar.gz; also the authors' own copy on the Hub, mcimpoi/dtd_split_1, README.md.
_DTD = """
banded blotchy braided bubbly bumpy chequered cobwebbed cracked crosshatched crystalline dotted fibrous flecked freckled
frilly gauzy grid grooved honeycombed interlaced knitted lacelike lined marbled matted meshed paisley perforated pitted
pleated polka-dotted porous potholed scaly smeared spiralled sprinkled stained stratified striped studded swirly veined
waffled woven wrinkled zigzagged
"""
OFFICIAL_CLASSES: dict[str, tuple[str, ...]] = {"dtd": tuple(_DTD.split())}


def unlike_official(data: str, class_names: Sequence[str]) -> str | None:
    """How class names differ from the official ones; None where they do not, or where there is no list of these.

    Upper case, punctuation and a number in front (``030.polka_dotted``) make no difference.
    """
    official = OFFICIAL_CLASSES.get(data)
    if official is None or not class_names:
        return None
    here = {_plain(name): name for name in class_names}
    there = {_plain(name): name for name in official}
    missing = [name for key, name in there.items() if key not in here]
    unknown = [name for key, name in here.items() if key not in there]
    parts = [f"{what} {first_few(names, 3)}" for what, names in (("without", missing), ("with", unknown)) if names]
    return ", ".join(parts) or None


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", re.sub(r"^\d+\.", "", name)).casefold()
