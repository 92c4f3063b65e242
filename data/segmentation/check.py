"""``kdzoo data check cityscapes:PATH``: every image and every mask."""

from __future__ import annotations

import numpy as np

from ...base.amounts import first_few
from ...base.errors import DataError
from ...base.setting_values import MOST_WORKERS, default_workers
from ..check import CheckReport, ProgressCallback, SplitReport
from ..images import UnreadableImage
from ..pixel_check import FACTS, describe_facts, pixel_facts
from ..workers import TaskIterator
from .presence import absent_classes
from .source import BadMask, MaskSource
from .specs import EXPECTED, open_segmentation, parse_segmentation_spec

_CHUNK = 16


def check_segmentation(
    spec: str, *, workers: int | None = None, progress: ProgressCallback | None = None
) -> CheckReport:
    """Check both splits of segmentation data. Class counts are images that have a pixel of the class.

    Args:
        spec: ``cityscapes[:PATH]``, ``voc2012[:PATH]``, ``ade20k[:PATH]`` or ``masks:PATH``.
        workers: Processes that decode; by default one a core.
        progress: Called with (split, images done, images of the split).

    Raises:
        DataError, UsageError: There is nothing to check.
    """
    parsed = parse_segmentation_spec(spec)
    report = CheckReport(spec=spec, path=str(parsed.locate()))
    for split in ("train", "val"):
        try:
            source = open_segmentation(parsed, split)
        except DataError as error:
            if error.sentence not in report.problems:
                report.problems.append(error.sentence)
            continue
        found, facts = _check(source, EXPECTED.get(parsed.name, {}).get(split), workers, progress)
        report.splits.append(found)
        report.warnings += [f"{split}: {note}" for note in source.notes]
        report.warnings += describe_facts(split, facts, source.identity, upright=source.reading.upright)
        _compare_classes(source, list(found.class_counts.values()), report)
        expected = report.splits[-1].expected
        if expected is not None and (len(source), source.num_classes) != expected:
            report.warnings.append(
                f"{split}: {len(source):,} images; the official {parsed.name} has {expected[0]:,}: numbers on it are "
                "not comparable"
            )
    return report


def _compare_classes(source: MaskSource, counts: list[int], report: CheckReport) -> None:
    """Classes without a pixel: a problem of own data, worth knowing of a published set."""
    absent = absent_classes(source, [label for label, count in enumerate(counts) if count])
    if absent is not None:
        report.problems.append(absent.sentence)
    elif not all(counts):
        names = [name for name, count in zip(source.class_names, counts, strict=True) if not count]
        report.warnings.append(f"{source.split}: no pixel of {first_few(names)}: they are not measured")


def _check(
    source: MaskSource, expected: tuple[int, int] | None, workers: int | None, progress: ProgressCallback | None
) -> tuple[SplitReport, np.ndarray]:
    facts = np.zeros(len(source), dtype=FACTS)
    counts = np.zeros(source.num_classes, dtype=np.int64)
    wrong: list[tuple[str, str]] = []
    processes = default_workers(workers, MOST_WORKERS)
    with TaskIterator(_CheckTask(source), range(-(-len(source) // _CHUNK)), workers=processes) as parts:
        for number, (present, found, wrong_ones) in enumerate(parts):
            facts[number * _CHUNK : number * _CHUNK + len(found)] = found
            counts += present
            wrong += wrong_ones
            if progress is not None:
                progress(source.split, min(len(source), (number + 1) * _CHUNK), len(source))
    report = SplitReport(
        split=source.split,
        num_images=len(source),
        class_counts=dict(zip(source.class_names, counts.tolist(), strict=True)),
        expected=expected,
        unreadable=wrong,
    )
    return report, facts


class _CheckTask:
    def __init__(self, source: MaskSource) -> None:
        self.source = source

    def __call__(self, index: int) -> tuple[np.ndarray, np.ndarray, list[tuple[str, str]]]:
        indices = range(index * _CHUNK, min((index + 1) * _CHUNK, len(self.source)))
        counts, facts = np.zeros(self.source.num_classes, dtype=np.int64), np.zeros(len(indices), dtype=FACTS)
        wrong = []
        for row, image in enumerate(indices):
            try:
                pixels = self.source.load(image)
                facts[row] = (*pixel_facts(pixels), self.source.orientation(image) != 1)
                mask = self.source.load_mask(image, pixels.size)
            except UnreadableImage as error:
                wrong.append((self.source.identity(image), error.reason))
            except BadMask as error:
                wrong.append((self.source.identity(image), f"its mask: {error.reason}"))
            else:
                counts += np.bincount(mask.ravel(), minlength=256)[: len(counts)] > 0
        return counts, facts, wrong
