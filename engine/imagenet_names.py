"""What ImageNet's classes are called: WordNet ids (n01440764), or timm's words for them (tench; Tinca tinca)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

_ID = re.compile(r"n\d{8}(?![0-9A-Za-z])")


def imagenet_ids(name: str) -> tuple[str, ...]:
    """The WordNet ids that a class name may mean: none where it is no name of an ImageNet class, several of a "crane".

    A name that begins with an id means it (``n02085620-Chihuahua``). Otherwise the whole name must be a word of one of
    ImageNet-1k's classes, or all of them; case, underscores and hyphens do not count (``English_springer``).
    """
    found = _ID.match(name)
    return (found[0],) if found else _ids_of_words().get(_plain(name), ())


def shown(wordnet_id: str) -> str:
    """An ImageNet-1k class's id and words, for a message."""
    from timm.data import ImageNetInfo

    return f"{wordnet_id} ({ImageNetInfo().label_name_to_description(wordnet_id)})"


@cache
def published_names(num_classes: int) -> tuple[str, ...]:
    """The WordNet ids of published models with so many outputs, in their order; empty where no ImageNet has so many."""
    from timm.data import ImageNetInfo, infer_imagenet_subset

    subset = infer_imagenet_subset({"num_classes": num_classes})
    return tuple(ImageNetInfo(subset).label_names()) if subset else ()


@cache
def _ids_of_words() -> Mapping[str, tuple[str, ...]]:
    """Each word, and each class's words together: the ids of the classes that have it."""
    from timm.data import ImageNetInfo

    info, found = ImageNetInfo(), dict[str, tuple[str, ...]]()
    for index, wordnet_id in enumerate(info.label_names()):
        text = info.index_to_description(index)
        for word in dict.fromkeys(map(_plain, (text, *text.split(",")))):
            found[word] = (*found.get(word, ()), wordnet_id)
    return found


def _plain(name: str) -> str:
    return " ".join(re.split(r"[\s_-]+", name.casefold().strip()))
