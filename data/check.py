"""`kdzoo data check`: decode every file and compare what is there with what should be."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..base.amounts import first_few
from ..base.errors import DataError
from .expected_counts import EXPECTED_COUNTS
from .folders import compare_splits
from .hub_copy.digests import other_contents
from .hub_files import read_manifest
from .listing import describe_left_out, list_images
from .official_classes import unlike_official
from .overlap import TOLERATED
from .pairs import require_classes, require_split
from .pixel_check import decode_all, describe_facts, image_facts
from .several_labels import accepted_labels
from .shards import splits_there
from .shards.extents import ExtentSource
from .sources import FileSource, ImageSource
from .specs import EVALUATION_ONLY, IMAGENETV2, SHARDED, DataSpec, expand_spec, open_source, parse_data_spec
from .splits import find_split, has_split_folders
from .subset import SubsetSource
from .table import table_splits

ProgressCallback = Callable[[str, int, int], None]


@dataclass(kw_only=True)
class SplitReport:
    """One split.

    Attributes:
        split: ``train``, ``val`` or ``unlabeled``.
        num_images: Files listed, readable or not.
        class_counts: Images of each class, by name, in label order.
        expected: Official (images, classes), or None where none are known.
        unreadable: (identity, reason) of every file that cannot be decoded.
        num_ignored: Files left out because they are no images that are read here.
        left_out: How many of each kind, by extension.
        folder: Where the images lie, or None when embedded.
    """

    split: str
    num_images: int
    class_counts: dict[str, int]
    expected: tuple[int, int] | None
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    num_ignored: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    folder: str | None = None


@dataclass(kw_only=True)
class CheckReport:
    """The whole data set.

    Attributes:
        spec: As it was given.
        path: Where it lies, or None when embedded.
        splits: Those that could be opened.
        problems: What must be repaired; unreadable files are not repeated here.
        warnings: What should be known.
        notes: How the folder was read: which names were taken for splits, what is held out, classes without images.
    """

    spec: str
    path: str | None
    splits: list[SplitReport] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """No problem and no unreadable file."""
        return not self.problems and not any(split.unreadable for split in self.splits)

    def to_json(self) -> dict[str, Any]:
        """JSON-able, with ``ok``."""
        return {**asdict(self), "ok": self.ok}


def check_source(
    spec: str, *, workers: int | None = None, progress: ProgressCallback | None = None, split: str | None = None
) -> CheckReport:
    """Check every split that a spec has.

    Args:
        spec: A data spec.
        workers: Processes that decode; by default one a core.
        progress: Called with (split, images done, images of the split) as it goes on.
        split: Check this one only; ``"unlabeled"`` for a folder of images without labels.

    Raises:
        DataError, UsageError: There is nothing to check: an unknown name, no such folder, or no split at all.
    """
    parsed = parse_data_spec(spec)
    if parsed.name == IMAGENETV2[0]:
        return _check_all(spec, workers, progress)
    path = parsed.resolved_path()
    report = CheckReport(spec=spec, path=None if path is None else str(path))
    splits = (split,) if split is not None else splits_of(parsed)
    facts: dict[str, np.ndarray] = {}
    sources: dict[str, ImageSource] = {}
    errors: list[DataError] = []
    for name in splits:
        try:
            sources[name] = open_source(parsed, name)
            require_classes(sources[name], parsed)
            if name == "train":
                require_split(parsed)
        except DataError as error:
            errors.append(error)
            if error.sentence not in report.problems:
                report.problems.append(error.sentence)
    if not sources and all(error.message.startswith(f"{parsed.name} not found") for error in errors):
        raise errors[0]
    if parsed.name not in SHARDED and path is not None and has_split_folders(path) and parsed.held_out is None:
        try:
            compare_splits(path)
        except DataError as error:
            if not any(problem.startswith(error.message) for problem in report.problems):
                report.problems.append(error.message)
    if path is not None:
        _compare_with_manifest(path, report)
    official = str(parsed) if parsed.name == "digits" else parsed.name  # a drawn split has counts of its own
    for name, source in sources.items():
        split_report, facts[name] = _check_split(official, name, source, workers, progress)
        report.splits.append(split_report)
        _compare_with_official(parsed.name, split_report, source, report.warnings)
        upright, labels = source.reading.upright, source.labels
        report.warnings += describe_facts(name, facts[name], source.identity, upright=upright, labels=labels)
    left_out = {f"{source.path or source.name}: {describe_left_out(_left_out(source))}" for source in sources.values()}
    notes = dict.fromkeys(note for source in sources.values() for note in source.notes)
    report.notes = [note for note in notes if note not in left_out]
    if parsed.name in {"cifar10", "cifar100"}:
        _compare_checksums(parsed.name, sources, report.warnings)
    if parsed.name == "mpiigaze":
        _compare_people(sources, report.warnings)
    _find_duplicates(sources, {name: found["pixels"] for name, found in facts.items()}, report)
    if parsed.is_placed and "train" in sources and "val" not in splits and not report.problems:
        report.warnings.append(f"{spec} has no validation images: train with --val-share 0.1, or with --val-data")
    return report


def _check_all(spec: str, workers: int | None, progress: ProgressCallback | None) -> CheckReport:
    """Several data sets in one report, each as a split of its own name."""
    whole = CheckReport(spec=spec, path=None)
    for one in expand_spec(spec):
        report = check_source(one, workers=workers, progress=progress)
        for split in report.splits:
            split.split = parse_data_spec(one).name
        whole.path = report.path if whole.path is None else whole.path
        whole.splits += report.splits
        whole.problems += report.problems
        whole.warnings += [f"{parse_data_spec(one).name}: {text}" for text in report.warnings]
        whole.notes += report.notes
    return whole


def splits_of(spec: DataSpec) -> tuple[str, ...]:
    """The splits that a data set has."""
    path = spec.resolved_path()
    if spec.name in EVALUATION_ONLY:
        return ("val",)
    if spec.name in SHARDED:
        return splits_there(spec)
    if spec.val_share is not None or spec.name != "folder" or path is None:
        return ("train", "val")
    if spec.is_table:
        return table_splits(path, spec.options)
    if not path.is_dir():
        return ("train", "val")
    if not has_split_folders(path):
        return ("train",)
    val = spec.held_out or "val"
    present = [split for split, name in (("train", "train"), ("val", val)) if find_split(path, name) is not None]
    return (*present, "unlabeled") if (path / "unlabeled").is_dir() else tuple(present)


def _check_split(
    data: str, split: str, source: ImageSource, workers: int | None, progress: ProgressCallback | None
) -> tuple[SplitReport, np.ndarray]:
    """Decode all images of a split; with the report, the `FACTS` of each image."""
    answers = accepted_labels(source)
    counts = np.bincount(answers[answers >= 0], minlength=len(source.class_names)).tolist()
    left_out = _left_out(source)
    report = SplitReport(
        split=split,
        num_images=len(source),
        class_counts=dict(zip(source.class_names, counts, strict=True)),
        expected=EXPECTED_COUNTS.get(data, {}).get(split),
        num_ignored=sum(count for kind, count in left_out.items() if not kind.endswith("/")),
        left_out=left_out,
        folder=None if source.path is None else str(source.path),
    )
    facts, report.unreadable = decode_all(split, source, image_facts, workers, progress)
    return report, facts


def _left_out(source: ImageSource) -> dict[str, int]:
    while isinstance(source, SubsetSource):
        source = source.source
    return source.left_out if isinstance(source, FileSource | ExtentSource) else {}


def _compare_with_official(data: str, report: SplitReport, source: ImageSource, warnings: list[str]) -> None:
    if report.num_ignored:
        warnings.append(
            f"{report.split}: {report.num_ignored:,} files are no images by their extension and are ignored: "
            f"{describe_left_out(report.left_out).partition(': ')[2]}"
        )
    if isinstance(source, FileSource) and source.num_listed not in (None, len(source)):
        warnings.append(
            f"{report.split}: {len(source):,} of the {source.num_listed:,} images that {data}'s own list has are there"
        )
    if report.expected is not None:
        images, classes = report.expected
        if (report.num_images, len(report.class_counts)) != (images, classes):
            warnings.append(
                f"{report.split}: {report.num_images:,} images in {len(report.class_counts):,} classes; "
                f"the official {data} has {images:,} in {classes:,}: numbers on it are not comparable"
            )
    unlike = unlike_official(data, source.class_names)
    if unlike:
        warnings.append(f"{report.split}: these are not the official classes of {data}: {unlike}")
    if data == "imagenet" and report.class_counts:
        from timm.data import ImageNetInfo

        if tuple(ImageNetInfo().label_names()) != source.class_names:
            warnings.append(f"{report.split}: the class folders are not the 1,000 WordNet ids of ImageNet-1k")


def _compare_with_manifest(path: Path, report: CheckReport) -> None:
    """The images of each class that `kdzoo data unpack` wrote, against those that are there: numbers and digests."""
    manifest = read_manifest(path)
    for folder, split in (manifest or {"splits": {}})["splits"].items():
        expected = {str(name): int(count) for name, count in split["class_counts"].items()}
        wrong = []
        differs = other_contents(path / folder, split)
        for name, count in expected.items():
            there = len(list_images(path / folder / name).paths) if (path / folder / name).is_dir() else 0
            if there != count:
                wrong.append(f"{name} has {there:,} of {count:,}")
            elif differs(name):
                wrong.append(f"{name} has other contents")
        if wrong:
            shown = first_few(wrong, 3, "other classes")
            report.problems.append(
                f"{folder}/ is not as it was unpacked: {shown} (remove the folder and unpack it again)"
            )


def _compare_people(sources: dict[str, ImageSource], warnings: list[str]) -> None:
    """MPIIGaze's people and their images, against the evaluation subset of its paper."""
    from .mpiigaze import IMAGES_A_PERSON, NUM_PEOPLE

    counts: Counter[str] = Counter()
    for source in sources.values():
        counts.update(source.identity(index).partition("/")[0] for index in range(len(source)))
    few = [f"{person} has {count:,}" for person, count in sorted(counts.items()) if count != IMAGES_A_PERSON]
    if len(counts) != NUM_PEOPLE or few:
        shown = f" ({', '.join(few[:3])}{' and others' if len(few) > 3 else ''})" if few else ""
        warnings.append(
            f"{len(counts)} people{shown}; the evaluation subset of MPIIGaze has {NUM_PEOPLE} with {IMAGES_A_PERSON:,} "
            "images each: numbers on it are not comparable"
        )


def _compare_checksums(name: str, sources: dict[str, ImageSource], warnings: list[str]) -> None:
    from .cifar import official_md5s

    folders = {source.path for source in sources.values() if source.path is not None and source.native_size is not None}
    for folder in folders:
        for file, md5 in official_md5s(name).items():
            path = folder / file
            if path.is_file() and hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() != md5:
                warnings.append(f"{path} is not the official file: its MD5 differs")


def _find_duplicates(sources: dict[str, ImageSource], hashes: dict[str, np.ndarray], report: CheckReport) -> None:
    for other in ("train", "unlabeled"):
        if "val" not in hashes or other not in hashes:
            continue
        # Hash 0 stands for an unreadable file.
        shared = np.setdiff1d(np.intersect1d(hashes["val"], hashes[other]), np.zeros(1, dtype=np.uint64))
        if not len(shared):
            continue
        in_val = np.flatnonzero(np.isin(hashes["val"], shared))
        first = int(in_val[0])
        twin = int(np.flatnonzero(hashes[other] == hashes["val"][first])[0])
        held_out = other != "train" or len(in_val) <= TOLERATED * len(hashes["val"])
        (report.warnings if held_out else report.problems).append(
            f"{len(in_val):,} of {len(hashes['val']):,} validation images also lie in {other}, pixel for pixel, "
            f"such as {sources['val'].identity(first)} = {sources[other].identity(twin)}"
        )
