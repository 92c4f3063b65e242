"""What was asked for: the size, the data, and what replaces the paper's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ..base.errors import UsageError

SMALL_EPOCHS = 8
SMALL_DATA = "digits"


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What decides the results of a reproduction.

    Attributes:
        scale: ``full`` (the paper's settings) or ``small`` (tiny networks, few epochs).
        data: Data spec in place of the rows' own; at a small size, ``digits`` where nothing is given.
        student: In place of the rows' students.
        epochs: In place of the table's usual length; rows of another length keep their proportion.
        unlabeled: Data spec of unlabeled images, for rows that take them.
        seeds: Number of runs a row.
        seed: Of the first of them.
        released: Whether rows whose weights the authors released are evaluated rather than trained.
    """

    scale: Literal["full", "small"] = "full"
    data: str | None = None
    student: str | None = None
    epochs: int | None = None
    unlabeled: str | None = None
    seeds: int = 1
    seed: int = 0
    released: bool = False

    def __post_init__(self) -> None:
        if self.scale == "small" and self.data is None:
            object.__setattr__(self, "data", SMALL_DATA)
        if self.scale == "small" and self.epochs is None:
            object.__setattr__(self, "epochs", SMALL_EPOCHS)
        if self.scale == "small" and self.released:
            raise UsageError(
                "the released weights are not of a small size", hint="leave --released or --scale small out"
            )
        if min(self.seeds, self.epochs or 1) < 1 or self.seed < 0:
            raise UsageError("seeds and epochs are at least 1, the seed at least 0", hint="for example --seeds 3")

    @property
    def run_seeds(self) -> tuple[int, ...]:
        """The seed of each run of a row."""
        return tuple(range(self.seed, self.seed + self.seeds))

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)


def choose(given: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> Choices:
    """What was given; the rest from an earlier call's choices, else the defaults.

    Args:
        given: ``{field of Choices: value}``; None where nothing was given.
        before: The choices that a folder's results were made with.
    """
    return Choices(**{**(before or {}), **{name: value for name, value in given.items() if value is not None}})
