"""SSLD's search: one set of hyper-parameters, chosen on held-out training images, then used for every backbone."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from ...base.errors import UsageError
from ...base.setting_values import convert, value_types
from .protocols import SEARCH_LABEL_SMOOTHING, SEARCH_LR, SEARCH_MIXUP, SEARCH_WEIGHT_DECAY, Protocol

_NAMES = {"lr": "lr", "weight-decay": "weight_decay", "label-smoothing": "label_smoothing", "mixup": "mixup_alpha"}


@dataclass(frozen=True, kw_only=True)
class SearchSpace:
    """The values that are tried, all combinations.

    Attributes:
        lr: Base learning rates.
        weight_decay: Weight decays.
        label_smoothing: Label smoothings.
        mixup_alpha: MixUp's α; 0 for none.
    """

    lr: tuple[float, ...] = ()
    weight_decay: tuple[float, ...] = ()
    label_smoothing: tuple[float, ...] = ()
    mixup_alpha: tuple[float, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object, without what keeps the protocol's value."""
        return {name: list(values) for name, values in asdict(self).items() if values}

    def combinations(self, protocol: Protocol) -> Iterator[Protocol]:
        """The protocol with every combination of the values, in a fixed order."""
        searched = {name: tuple(values) for name, values in self.to_dict().items()}
        for chosen in itertools.product(*searched.values()):
            yield replace(protocol, **dict(zip(searched, chosen, strict=True)))


def parse_search(text: str, *, multilabel: bool = False) -> SearchSpace:
    """Read what is to be searched.

    Args:
        text: ``full`` for SSLD's 196 combinations, or some values: ``lr=0.1,0.01 weight-decay=1e-4,1e-5``; what is not
            named keeps the protocol's value.
        multilabel: Whether the images have several classes, which leaves label smoothing out.

    Raises:
        UsageError: It has another form, or a value lies outside its range.
    """
    if text == "full":
        single = () if multilabel else SEARCH_LABEL_SMOOTHING
        return SearchSpace(
            lr=SEARCH_LR, weight_decay=SEARCH_WEIGHT_DECAY, label_smoothing=single, mixup_alpha=SEARCH_MIXUP
        )
    found: dict[str, tuple[float, ...]] = {}
    for part in text.split():
        name, equals, values = part.partition("=")
        if not equals or name not in _NAMES:
            raise UsageError(
                f"--search has {part!r}",
                hint=f"write full, or NAME=VALUE,VALUE with NAME one of {', '.join(_NAMES)}: 'lr=0.1,0.01 mixup=0,0.2'",
            )
        kind = value_types(Protocol)[_NAMES[name]]
        found[_NAMES[name]] = tuple(convert(value, kind, f"--search {name}") for value in values.split(","))
    if multilabel and max(found.get("label_smoothing", (0.0,))) > 0:
        raise UsageError("label smoothing needs one class an image", hint="search lr, weight-decay and mixup")
    if not found:
        raise UsageError("--search names nothing", hint="write full, or lr=0.1,0.01")
    return SearchSpace(**found)
