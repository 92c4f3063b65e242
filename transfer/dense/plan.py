"""What every dense measurement settles before anything is computed: data, backbones, engine, settings with sources."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from ...base.errors import DataError, KdzooError, UsageError
from ...data.places import PlacedSpec
from ...data.randomness import epoch_order
from ..checks import check_seeds
from ..sides import Side
from .engines import EngineChoice
from .settings import Resolved


class DenseSource(Protocol):
    """One split of a data set, as boxes' and masks' sources are."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """By label."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What the reader should know of it."""
        ...

    @property
    def num_classes(self) -> int:
        """C."""
        ...

    def __len__(self) -> int: ...

    def fingerprint(self) -> str:
        """A digest of what is annotated."""
        ...

    def take(self: Source, indices: Sequence[int]) -> Source:
        """The same split with some of its images only."""
        ...


Source = TypeVar("Source", bound=DenseSource)
Spec = TypeVar("Spec", bound=PlacedSpec)
Settings = TypeVar("Settings", bound=Any)


@dataclass(frozen=True, kw_only=True)
class DensePlan(ABC, Generic[Spec, Settings, Source]):
    """One measurement.

    Attributes:
        spec: The data.
        sides: The backbone, and the baseline where there is one.
        resolved: The settings and where each is from.
        engine: Which framework runs, for both sides.
        seeds: One run each a side.
        subset: So many training and at most so many evaluation images; None for all.
        workers: Loader processes.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``fp32``, ``bf16`` or ``fp16``, of training.
        trackers: Names of extra trackers.
        evaluate_every: Iterations between two evaluations; 0 for one at the end.
        train: The training images; None where the data is missing.
        val: The evaluation images; None where the data is missing.
        notes: What the reader should know.
        problems: What must be got or put right before it can start.
    """

    OWN_DATA: ClassVar[str]
    """The name under which a user's own data goes."""

    spec: Spec
    sides: tuple[Side, ...]
    resolved: Resolved[Settings]
    engine: EngineChoice
    seeds: tuple[int, ...]
    subset: int | None
    workers: int
    device: str
    precision: str = "fp32"
    trackers: tuple[str, ...] = ()
    evaluate_every: int = 0
    train: Source | None = field(compare=False, default=None)
    val: Source | None = field(compare=False, default=None)
    notes: tuple[str, ...] = ()
    problems: tuple[KdzooError, ...] = ()

    @property
    def settings(self) -> Settings:
        """The settings' values."""
        return self.resolved.settings

    @property
    @abstractmethod
    def num_classes(self) -> int:
        """Of the data; of the published set where the data is missing."""

    @property
    @abstractmethod
    def network(self) -> str:
        """What is built over the backbone: the detector's name, or the head's."""

    @abstractmethod
    def line(self) -> str:
        """The protocol in one line, for a reader."""

    @property
    def precision_note(self) -> str:
        """The end of the protocol's line; empty for fp32."""
        return "" if self.precision == "fp32" else f", trained in {self.precision}"

    @property
    def dataset(self) -> str:
        """As results name it: no folder of this machine but, for own data, its last part."""
        if self.spec.path is None or self.spec.name != self.OWN_DATA:
            return self.spec.name
        return f"{self.spec.name}:{os.path.basename(os.path.realpath(self.spec.path))}"

    @property
    def data(self) -> tuple[Source, Source]:
        """The training and the evaluation images of a plan without problems."""
        assert self.train is not None
        assert self.val is not None
        return self.train, self.val

    def data_fingerprint(self) -> str:
        """One digest of both splits."""
        train, val = self.data
        return hashlib.sha256(f"{train.fingerprint()} {val.fingerprint()}".encode()).hexdigest()

    def values(self) -> dict[str, Any]:
        """The settings' values, flat; the precision among them where it is not fp32."""
        values = dataclasses.asdict(self.settings)
        return values if self.precision == "fp32" else {**values, "precision": self.precision}

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "task": str(self.spec),
            "sides": [{"role": side.role, "reference": side.reference} for side in self.sides],
            "engine": {"name": self.engine.name, "note": self.engine.note, "install": list(self.engine.install)},
            "settings": self.resolved.to_dict(),
            "seeds": list(self.seeds),
            "subset": self.subset,
            "protocol": self.line(),
            "data": None
            if self.train is None or self.val is None
            else {"train": len(self.train), "val": len(self.val), "classes": list(self.train.class_names)},
            "notes": list(self.notes),
            "missing": [{"what": problem.message, "hint": problem.hint} for problem in self.problems],
        }


def check_length(iterations: int | None, epochs: float | None, seeds: Sequence[int]) -> None:
    """Refuse two lengths, and none or twice the same seeds.

    Raises:
        UsageError: Both lengths are given, or the seeds are none or not distinct.
    """
    if iterations is not None and epochs is not None:
        raise UsageError("--iterations and --epochs both set the length", hint="give one of them")
    check_seeds(seeds)


def open_splits(
    open_split: Callable[[str], Source], problems: list[KdzooError], notes: list[str]
) -> tuple[Source, Source] | None:
    """The training and the evaluation images; None where one is missing, which goes to the problems.

    Args:
        open_split: Opens ``"train"`` or ``"val"``.
        problems: Gets what is missing, once.
        notes: Gets what the sources have to say.
    """
    sources = []
    for split in ("train", "val"):
        try:
            source = open_split(split)
        except DataError as error:
            if not any(problem.message == error.message for problem in problems):
                problems.append(error)
            continue
        notes += [f"{split}: {note}" for note in source.notes]
        sources.append(source)
    return (sources[0], sources[1]) if len(sources) == 2 else None


def take_part(source: Source, subset: int | None) -> Source:
    """The source with so many of its images, the same ones whatever the seed."""
    if subset is None or subset >= len(source):
        return source
    return source.take(sorted(epoch_order(len(source), 0, 0, "subset")[:subset].tolist()))


def passes_to_iterations(epochs: float, num_images: int, batch_size: int) -> int:
    """How many iterations so many passes over the images take; at least one."""
    return max(1, round(epochs * num_images / batch_size))
