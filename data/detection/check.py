"""``kdzoo data check coco:PATH``: every entry of the annotations and every image."""

from __future__ import annotations

from ...base.errors import DataError
from ..check import CheckReport, ProgressCallback, SplitReport
from ..pixel_check import decode_all, describe_facts, pixel_facts
from .source import BoxSource
from .specs import EXPECTED, parse_detection_spec, read_detection


def check_detection(spec: str, *, workers: int | None = None, progress: ProgressCallback | None = None) -> CheckReport:
    """Check both splits of detection data. Class counts are boxes.

    Args:
        spec: ``coco[:PATH]`` or ``voc2007-detection[:PATH]``.
        workers: Processes that decode; by default one a core.
        progress: Called with (split, images done, images of the split).

    Raises:
        DataError, UsageError: There is nothing to check.
    """
    parsed = parse_detection_spec(spec)
    report = CheckReport(spec=spec, path=str(parsed.locate()))
    sources: dict[str, BoxSource] = {}
    for split in ("train", "val"):
        try:
            sources[split] = read_detection(parsed, split, report.problems.append)
        except DataError as error:
            report.problems.append(error.sentence)
    for split, source in sources.items():
        facts, unreadable = decode_all(split, source, _facts, workers, progress)
        expected = EXPECTED[parsed.name][split] if parsed.is_official else None
        found = SplitReport(
            split=split,
            num_images=len(source),
            class_counts=dict(zip(source.class_names, source.boxes_per_class().tolist(), strict=True)),
            expected=expected,
            unreadable=unreadable,
        )
        report.splits.append(found)
        report.warnings += [f"{split}: {note}" for note in source.notes]
        report.warnings += describe_facts(split, facts, source.identity, upright=source.reading.upright)
        if expected is not None and (found.num_images, len(found.class_counts)) != expected:
            report.warnings.append(
                f"{split}: {found.num_images:,} images in {len(found.class_counts)} classes; the official "
                f"{parsed.name} has {expected[0]:,} in {expected[1]}: numbers on it are not comparable"
            )
    if len(sources) == 2:
        _compare(sources["train"], sources["val"], report)
    return report


def _compare(train: BoxSource, val: BoxSource, report: CheckReport) -> None:
    if train.class_names != val.class_names:
        odd = sorted(set(train.class_names) ^ set(val.class_names))[:3] or ["the order"]
        report.problems.append(f"train and val have other classes ({', '.join(odd)})")


def _facts(source: BoxSource, index: int) -> tuple[int, bool, bool]:
    """An image's `FACTS`; of turned ones those count whose size does not tell how."""
    return (*pixel_facts(source.load(index)), source.is_open(index))
