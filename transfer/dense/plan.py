"""What every dense measurement settles before anything is computed: data, backbones, engine, settings with sources."""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import torch

from ...base.errors import DataError, KdzooError, UsageError
from ...base.settings import ResolvedSettings, Values
from ...data.places import PlacedSpec
from ...data.randomness import epoch_order
from ..checks import check_seeds
from ..sides import RANDOM, Side, settle_sides
from .engines import EngineChoice


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
Plan = TypeVar("Plan", bound="DensePlan[Any, Any, Any]")


@dataclass(frozen=True, kw_only=True)
class DenseRequest:
    """What is asked of a dense measurement.

    Attributes:
        task: A data spec, such as ``coco[:PATH]`` or ``masks:PATH``.
        backbone: A model reference; a bare name takes timm's default weights.
        baseline: Another one, `RANDOM`, or None.
        schedule: The framework's, by name; the kind's or the data set's own by default.
        engine: ``auto``, or the framework's name.
        given: Value and source of settings by name. ``epochs``, passes over the training images, may stand in place of
            ``iterations``.
        subset: So many images only.
        seeds: One run each.
        workers: Loader processes.
        device: Where to compute.
        precision: ``fp32``, ``bf16`` or ``fp16``, of training; what is found is measured in fp32.
        trackers: Names of extra trackers.
        evaluate_every: Iterations between two evaluations; 0 for one at the end.
    """

    task: str
    backbone: str
    baseline: str | None = None
    schedule: str | None = None
    engine: str = "auto"
    given: Values = field(default_factory=dict)
    subset: int | None = None
    seeds: Sequence[int] = (0,)
    workers: int = 2
    device: str = "auto"
    precision: str = "fp32"
    trackers: Sequence[str] = ()
    evaluate_every: int = 0

    def __post_init__(self) -> None:
        if {"iterations", "epochs"} <= set(self.given):
            raise UsageError("--iterations and --epochs both set the length", hint="give one of them")
        check_seeds(self.seeds)


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

    CUDNN_BENCHMARK: ClassVar[bool]
    """Whether cuDNN times its algorithms for each new shape, as in the framework's own configurations."""

    spec: Spec
    sides: tuple[Side, ...]
    resolved: ResolvedSettings[Settings]
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

    def data_line(self) -> str:
        """What is there of the data, in one line."""
        if self.train is None or self.val is None:
            return f"missing; {self.num_classes} classes expected"
        images = f"{len(self.train):,} training images{self.annotated()}, {len(self.val):,} evaluation images"
        return f"{images}, {self.num_classes} classes"

    def annotated(self) -> str:
        """How much is annotated in the training images, where it is counted: `` with 12 boxes``."""
        return ""

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

    def is_deterministic(self, device: torch.device) -> bool:
        """Whether only deterministic kernels are used: as set, and always on a CPU, where they are the native ones."""
        return bool(self.settings.deterministic) or device.type == "cpu"

    def values(self) -> dict[str, Any]:
        """The settings' values, flat; precision and determinism among them where they are not the default."""
        values = self.resolved.values()
        if not self.settings.deterministic:
            del values["deterministic"]
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


def settle_plan(
    kind: type[Plan],
    request: DenseRequest,
    resolved: ResolvedSettings[Any],
    *,
    spec: PlacedSpec,
    engine: EngineChoice,
    data: tuple[Any, Any],
    notes: list[str],
    problems: list[KdzooError],
) -> Plan:
    """The plan of a request whose settings are resolved; what is missing of its backbones goes to the problems."""
    if request.baseline == RANDOM and resolved.settings.batchnorm == "frozen":
        what = (
            "random weights do not learn under frozen BatchNorm, which normalises by statistics that nothing measured"
        )
        problems.append(UsageError(what, hint="--batchnorm train, for both sides"))
    return kind(
        spec=spec,
        sides=settle_sides(request.backbone, request.baseline, problems),
        resolved=resolved,
        engine=engine,
        seeds=tuple(request.seeds),
        subset=request.subset,
        workers=request.workers,
        device=request.device,
        precision=request.precision,
        trackers=tuple(request.trackers),
        evaluate_every=request.evaluate_every,
        train=data[0],
        val=data[1],
        notes=(*notes, *resolved.notes),
        problems=tuple(problems),
    )


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
