"""What a conversion is: a network of PaddleClas, its timm twin, and a table for each generation of key names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .rows import LEGENDARY, PLAIN, Naming, Row, TensorRow


@dataclass(frozen=True)
class Dialect:
    """One generation of key names: its rows, its naming, and the source keys that are left out on purpose."""

    rows: tuple[Row, ...]
    naming: Naming
    dropped: tuple[str, ...] = ()


def plain(*rows: Row | tuple[Row, ...], naming: Naming = PLAIN) -> Dialect:
    """The keys of PaddleClas release/2.0 and release/2.1 (and of the networks that kept them)."""
    return Dialect(_flat(rows), naming)


def legendary(*rows: Row | tuple[Row, ...]) -> Dialect:
    """The keys of PaddleClas' `legendary_models`, release/2.2 and later."""
    return Dialect(_flat(rows), LEGENDARY)


def _flat(rows: tuple[Row | tuple[Row, ...], ...]) -> tuple[Row, ...]:
    return tuple(one for row in rows for one in (row if isinstance(row, tuple) else (row,)))


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """How one network's weights become its twin's.

    Attributes:
        network: PaddleClas' name of the network.
        architecture: timm's name of the twin (names in `_paddle` are registered by `kdzoo.zoo.networks`).
        dialects: The tables, by the name of the generation of keys ("plain", "legendary").
        model_args: Arguments that make timm's architecture the twin.
        classifier_scale: Factor on the classifier's weight (not its bias): Paddle's dropout in mode
            `downscale_in_infer` multiplies by 1 - p at inference, which torch's does not.
    """

    network: str
    architecture: str
    dialects: Mapping[str, Dialect]
    model_args: Mapping[str, Any] = field(default_factory=dict)
    classifier_scale: float = 1.0

    def tensor_rows(self, dialect: str, target_names: frozenset[str]) -> list[TensorRow]:
        """The tensors of one dialect, optional rows without a place among `target_names` left out."""
        table = self.dialects[dialect]
        rows: list[TensorRow] = []
        for row in table.rows:
            tensors = list(row.tensors(table.naming))
            if not row.optional or tensors[0].target in target_names:
                rows.extend(tensors)
        return rows
