"""What is to be measured, settled before anything is computed: data, backbones, protocol, each value's source."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

from ...base.errors import DataError, KdzooError, ModelError, UsageError
from ...base.setting_values import value_types
from ...base.settings import ResolvedSettings, SettingsBuilder, Values
from ...data import DataSpec, ImageSource, parse_data_spec
from ...data.contents import file_stats
from ...data.overlap import find_overlap, refuse_overlap
from ...data.pairs import open_pair
from ...data.transfer_sets import TRANSFER_SETS, parse_partition
from ...zoo import load_model
from ..checks import check_seeds, one_of
from ..sides import RANDOM, missing_weights
from .protocols import LINEAR_LR, MODES, PROTOCOLS, QUICK_EPOCHS, SOLVERS, Mode, Protocol
from .search import SearchSpace, parse_search
from .stages import stage_multipliers

_SMALL = 64  # pixels: images this small, shown at their own size, get CIFAR's padded crop
_UNMIRRORED = ("digits",)
_TITLES = {"meal_v2": "MEAL V2 App. A", "ssld": "SSLD §4.6"}
Solver = Literal["sgd", "lbfgs", "views"]


@dataclass(frozen=True, kw_only=True)
class TransferRequest:
    """What is asked of a measurement.

    Attributes:
        task: A data spec.
        backbone: A model reference.
        baseline: Another one, or ``random``.
        mode: ``finetune``, ``linear`` or ``knn``.
        protocol: ``meal_v2`` or ``ssld``.
        solver: Of linear mode: ``sgd`` or ``lbfgs`` on features, ``views`` on random views.
        seeds: One run each; three by default.
        given: Value and source of the protocol's settings by name.
        quick: A fast look: few epochs, one seed.
        partition: Of data that has official partitions.
        search: See `parse_search`.
        precision: ``fp32``, ``bf16`` or ``fp16``.
        workers: Loader processes.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    """

    task: str
    backbone: str
    baseline: str | None = None
    mode: str = "finetune"
    protocol: str = "meal_v2"
    solver: str = "sgd"
    seeds: Sequence[int] | None = None
    given: Values = field(default_factory=dict)
    quick: bool = False
    partition: int | None = None
    search: str | None = None
    precision: str = "fp32"
    workers: int = 2
    device: str = "auto"


@dataclass(frozen=True, kw_only=True)
class TransferPlan:
    """One measurement.

    Attributes:
        spec: The data.
        mode: ``finetune``, ``linear`` or ``knn``.
        protocol_name: ``meal_v2`` or ``ssld``.
        resolved: The protocol's values after every change, and where each is from.
        solver: Of linear mode.
        backbone: A model reference.
        baseline: Another one, `RANDOM`, or None.
        seeds: One run each.
        search: What is searched first, or None.
        precision: ``fp32``, ``bf16`` or ``fp16``.
        workers: Loader processes.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        train: The training images; None where they are missing.
        test: The test images; None where they are missing.
        notes: What the user should know.
        problems: What must be got or put right before it can start.
    """

    spec: DataSpec
    mode: Mode
    protocol_name: str
    resolved: ResolvedSettings[Protocol]
    solver: Solver
    backbone: str
    baseline: str | None
    seeds: tuple[int, ...]
    search: SearchSpace | None
    precision: str
    workers: int
    device: str
    train: ImageSource | None = field(compare=False, default=None)
    test: ImageSource | None = field(compare=False, default=None)
    notes: tuple[str, ...] = ()
    problems: tuple[KdzooError, ...] = ()

    @property
    def protocol(self) -> Protocol:
        """The protocol's values after every change."""
        return self.resolved.settings

    @property
    def task(self) -> str:
        """The data's name without its place."""
        if self.spec.is_placed:
            return str(self.spec.path if self.spec.name == "folder" else self.spec)
        return str(replace(self.spec, path=None))

    @property
    def dataset(self) -> str:
        """As results name it: no folder of this machine but its last part."""
        if self.spec.is_placed and self.spec.path is not None:
            return os.path.basename(os.path.realpath(self.spec.path))
        return self.task

    @property
    def trains_network(self) -> bool:
        """Whether runs of the engine are needed, rather than features alone."""
        return self.mode == "finetune" or (self.mode == "linear" and self.solver == "views")

    @property
    def references(self) -> tuple[str, ...]:
        """The backbone, and the baseline where there is one."""
        return (self.backbone,) if self.baseline is None else (self.backbone, self.baseline)

    def seeds_of(self, reference: str) -> tuple[int, ...]:
        """The seeds that one of them is measured with; there is no chance in the neighbours of given weights."""
        return (0,) if self.mode == "knn" and reference != RANDOM else self.seeds

    def line(self) -> str:
        """The protocol in one line, for a reader."""
        look = self.protocol
        size = f"{look.image_size} px, test crop {look.crop_pct:g}"
        if self.mode == "knn":
            weights = f"weights exp(cosine/{look.temperature:g})"
            return f"kNN on features of the test view, k {look.neighbours}, {weights}, {size}"
        title = _TITLES[self.protocol_name]
        if self.mode == "linear" and self.solver == "lbfgs":
            return (
                f"linear classifier on fixed features by L-BFGS, L2 strength chosen on held-out training images, {size}"
            )
        sgd = f"{look.epochs} epochs, batch {look.batch_size}, SGD lr {look.lr:g}, wd {look.weight_decay:g}"
        if self.mode == "linear":
            what = "random views, frozen backbone" if self.solver == "views" else "features of the test view"
            return f"linear classifier by {title} on {what}: {sgd}, {size}"
        return f"fine-tuned by {title}: {sgd}, {size}"

    def settings(self) -> dict[str, Any]:
        """What two results must share to be compared: JSON values."""
        kept = {name: entry["value"] for name, entry in self.resolved.to_dict().items()}
        knn = ("neighbours", "temperature")
        view = ("image_size", "crop_pct", "interpolation")
        if self.mode == "knn":
            kept = {name: kept[name] for name in (*view, *knn)}
        elif self.mode == "linear" and self.solver == "lbfgs":
            kept = {name: kept[name] for name in view}
        else:
            kept = {name: value for name, value in kept.items() if name not in knn}
        found = {"mode": self.mode, "protocol": self.protocol_name, **kept, "precision": self.precision}
        if self.mode == "linear":
            found["solver"] = self.solver
        if self.search is not None:
            found["search"] = self.search.to_dict()
        if self.spec.name in TRANSFER_SETS and TRANSFER_SETS[self.spec.name].partitions:
            found["partition"] = parse_partition(self.spec.name, self.spec.held_out)
        return found

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object, with where each value is from."""
        return {
            "task": self.task,
            "mode": self.mode,
            "solver": self.solver if self.mode == "linear" else None,
            "protocol": self.protocol_name,
            "line": self.line(),
            "backbone": self.backbone,
            "baseline": self.baseline,
            "seeds": list(self.seeds),
            "settings": self.resolved.to_dict(),
            "search": None if self.search is None else self.search.to_dict(),
            "notes": list(self.notes),
            "missing": [problem.message for problem in self.problems],
        }


def make_plan(request: TransferRequest) -> TransferPlan:
    """Settle what is to be measured.

    Raises:
        UsageError: A value makes no sense, or two do not go together.
        DataError: The task is neither known nor a folder.
        ModelError: A reference has no form of the grammar.
    """
    mode, backbone, baseline = request.mode, request.backbone, request.baseline
    one_of("mode", mode, MODES)
    one_of("protocol", request.protocol, PROTOCOLS)
    one_of("solver", request.solver, SOLVERS)
    if request.search is not None and mode != "finetune":
        raise UsageError("--search goes with --mode finetune", hint="leave --search out")
    spec = _spec(request)
    problems: list[KdzooError] = []
    train, test = _open(spec, problems)
    own = _own_sizes([backbone] if baseline is None or baseline == RANDOM else [backbone, baseline], problems)
    resolved = _resolve(request, own, train, spec)
    look, notes = resolved.settings, list(resolved.notes)
    _check(look, train, in_batches=mode == "finetune" or (mode == "linear" and request.solver != "lbfgs"))
    for _, architecture in own:
        stage_multipliers(look.stage_lr, architecture)
    if len(own) == 2 and own[0][0] != own[1][0]:
        notes.append(
            f"the backbone's own size is {own[0][0]} px, the baseline's {own[1][0]}: both see {look.image_size}"
        )
    if spec.name == "birdsnap" and train is not None and test is not None:
        notes.append(f"birdsnap: {len(train):,} and {len(test):,} images are there; the paper had 47,386 and 2,443")
    multi = train is not None and train.targets is not None
    if multi and look.label_smoothing > 0:
        raise UsageError(
            f"label smoothing needs one class an image; {spec} has several", hint="leave --label-smoothing out"
        )
    seeds, more = _seeds(request)
    notes += [*more, *dict.fromkeys(note for part in (train, test) if part is not None for note in part.notes)]
    return TransferPlan(
        spec=spec,
        mode=cast("Mode", mode),
        protocol_name=request.protocol,
        resolved=resolved,
        solver=cast("Solver", request.solver),
        backbone=backbone,
        baseline=baseline,
        seeds=seeds,
        search=None if request.search is None else parse_search(request.search, multilabel=multi),
        precision=request.precision,
        workers=request.workers,
        device=request.device,
        train=train,
        test=test,
        notes=tuple(notes),
        problems=tuple(problems),
    )


def _spec(request: TransferRequest) -> DataSpec:
    """The data, in the partition that was asked for."""
    spec = parse_data_spec(request.task)
    if request.partition is None:
        return spec
    if spec.name not in TRANSFER_SETS or not TRANSFER_SETS[spec.name].partitions:
        raise UsageError(f"{spec} has no official partitions", hint="leave --partition out")
    parse_partition(spec.name, str(request.partition))
    return replace(spec, held_out=str(request.partition))


def _open(spec: DataSpec, problems: list[KdzooError]) -> tuple[ImageSource | None, ImageSource | None]:
    try:
        train, test = open_pair(spec)
        overlap = find_overlap(train, test, file_stats(train), file_stats(test))
        test.notes += refuse_overlap(overlap)
    except DataError as error:
        problems.append(error)
        return None, None
    if not train.class_names or (train.targets is None and (train.labels < 0).any()):
        problems.append(DataError(f"{spec} has no classes to learn", hint="give labelled images in class folders"))
        return None, None
    if train.class_names != test.class_names:
        problems.append(
            DataError(
                f"the training and test images of {spec} have other classes", hint="'kdzoo data check' compares them"
            )
        )
        return None, None
    if any(part.targets is not None and not (part.targets == 1).any() for part in (train, test)):
        problems.append(
            DataError(f"no image of {spec} shows any of its classes", hint="'kdzoo data check' counts them")
        )
        return None, None
    return train, test


def _own_sizes(references: Sequence[str], problems: list[KdzooError]) -> list[tuple[int, str]]:
    """Each model's own image size and architecture; what is missing of it goes to the problems."""
    found = []
    for reference in references:
        try:
            loaded = load_model(reference, pretrained=False)
            missing = missing_weights(reference)
        except ModelError as error:
            problems.append(error)
            continue
        found.append((loaded.preprocessing.image_size, loaded.architecture))
        if missing is not None:
            problems.append(missing)
    return found


def _resolve(
    request: TransferRequest, own: Sequence[tuple[int, str]], train: ImageSource | None, spec: DataSpec
) -> ResolvedSettings[Protocol]:
    """The protocol, over it what follows from mode, backbones and ``quick``, then what was given and the data."""
    name, given = request.protocol, request.given
    base = PROTOCOLS[name]
    rows = {field_name: (value, f"{name}: {base.sources[field_name]}") for field_name, value in base.values().items()}
    builder = SettingsBuilder(value_types(Protocol), rows)
    notes: list[str] = []
    if request.mode == "linear" and name == "meal_v2":
        builder.put("lr", LINEAR_LR, "meal_v2: App. A, linear mode")
    size = max((size for size, _ in own), default=base.settings.image_size)
    if size < base.settings.image_size and "image_size" not in given:
        builder.put("image_size", size, "ours: the backbones' own size, smaller than the protocol's")
        notes.append(
            f"the backbones were made for {size} px: they are measured there, not at {base.settings.image_size}"
        )
    if request.quick:
        builder.put("epochs", min(QUICK_EPOCHS, base.settings.epochs), "--quick")
        notes.append("--quick: few epochs and one seed; no number to compare with a paper's")
    builder.put_all(given)
    side = builder.values["image_size"]
    of_the_data: dict[str, tuple[Any, str]] = {}
    if train is not None and train.native_size == (side, side) and side <= _SMALL:
        why = "ours: small images at their own size, as CIFAR is trained on"
        of_the_data |= {"crop": ("pad4", why), "crop_pct": (1.0, why)}
    if spec.name in _UNMIRRORED:
        of_the_data["hflip_prob"] = (0.0, "ours: a mirrored digit is another sign")
    builder.put_all({name: entry for name, entry in of_the_data.items() if name not in given})
    return builder.resolve(Protocol, notes)


def _check(look: Protocol, train: ImageSource | None, *, in_batches: bool) -> None:
    """Refuse values that make no sense; a batch that nothing is trained in may be any."""
    if train is not None and in_batches and look.batch_size > len(train):
        raise UsageError(
            f"a batch of {look.batch_size} images cannot be made of {len(train):,}",
            hint=f"use a --batch-size from 1 to {len(train):,}",
        )
    if train is not None and len(train.class_names) < 2:
        raise UsageError(
            f"{train.name} has one class: every answer would be right", hint="give data of two or more classes"
        )


def _seeds(request: TransferRequest) -> tuple[tuple[int, ...], list[str]]:
    seeds = request.seeds
    if seeds is not None:
        check_seeds(seeds)
    if request.mode == "knn" and request.baseline != RANDOM:
        return (0,), [] if seeds is None else ["kNN has no chance in it: one measurement stands for all seeds"]
    chosen = tuple(seeds) if seeds is not None else (0,) if request.quick else (0, 1, 2)
    if request.mode == "knn" and len(chosen) > 1:
        return chosen, ["kNN has no chance in it: the seeds are of the baseline's random weights alone"]
    return chosen, []
