"""Choosing unlabeled images with a teacher, in four stages that each stream: index, score, confirm, choose.

Index: the evaluation images become vectors. Score: each unlabeled image gets the teacher's class and probability, and
the evaluation images that it resembles. Confirm: those pairs are compared closely. Choose: confirmed copies out, the
best of each class in. What a stage has done lies on disk, with its position and digest: after a kill it goes on from
there, and ends with the same bytes. Memory depends on the evaluation set and the classes, not on the number of
unlabeled images.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..base.record_file import RecordFile
from ..base.setting_values import Count, Fraction, check_values
from ..base.writing import open_scratch, write_file, write_json
from ..data import EvalTransform, ImageSource, TaskIterator
from ..data.curation import (
    DIMENSIONS,
    PAIR,
    BestPerClass,
    ConfirmTask,
    DescribeTask,
    EvaluationIndex,
    EvaluationTask,
    ListedImages,
    Thresholds,
    read_pairs,
)
from ..data.manifest import write_manifest
from .curation_state import CurationState
from .progress import Progress
from .signals import StopRequest
from .teachers import TeacherEnsemble

SCORE = np.dtype([("class", "<i4"), ("score", "<f4")])
"""How an image's class and the teacher's probability of it lie in a file; class -1 where it cannot be decoded."""

UNREADABLE = -1
_COMMIT_EVERY_S = 5.0
_PAIRS_A_STEP = 16
_READ = 65_536


@dataclass(frozen=True, kw_only=True)
class CurationSettings:
    """The settings of a curation.

    Attributes:
        top: Images kept a class (SSLD, §3.3.4: 4,000).
        similarity: Least similarity of two images' vectors for a close comparison; ours: in docs/curation.md.
        thresholds: Of the close comparison.
        batch_size: Images a step.
    """

    top: Count = 4000
    similarity: Fraction = 0.7
    thresholds: Thresholds = field(default_factory=Thresholds)
    batch_size: Count = 64

    def __post_init__(self) -> None:
        check_values(self)


@dataclass(frozen=True, kw_only=True)
class CurationResult:
    """What a curation chose and left out.

    Attributes:
        manifest: The chosen images.
        num_images: Images looked at.
        num_chosen: Images in the manifest.
        num_duplicates: Images left out as copies of evaluation images.
        num_pairs: Pairs of such an image and its original.
        num_compared: Pairs compared closely.
        num_unreadable: Files that could not be decoded.
        class_counts: Images chosen of each class.
    """

    manifest: str
    num_images: int
    num_chosen: int
    num_duplicates: int
    num_pairs: int
    num_compared: int
    num_unreadable: int
    class_counts: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Curation:
    """One curation, ready to run or to go on.

    Attributes:
        images: The unlabeled images.
        evaluation: The images whose copies are left out.
        teachers: One teacher.
        transform: How an image becomes the teacher's input.
        class_names: The teacher's classes, or () where their names are not known.
        settings: What to do.
        state: Where it stands.
        workers: Loader processes; no result depends on them.
        device: Where the teacher computes.
        stop: Asked between steps.
    """

    images: ListedImages
    evaluation: ImageSource
    teachers: TeacherEnsemble
    transform: EvalTransform
    class_names: tuple[str, ...]
    settings: CurationSettings
    state: CurationState
    workers: int
    device: torch.device
    stop: StopRequest

    @property
    def out(self) -> Path:
        """The folder for the manifest and the pairs."""
        return self.state.out

    def run(self) -> CurationResult:
        """Run the stages that are not done yet.

        Raises:
            Interrupted: A signal came; what was done is kept.
        """
        if self.state.stage == "score":
            self._score(EvaluationIndex(self._vectors()))
        if self.state.stage == "confirm":
            self._confirm()
        return self._choose()

    def _vectors(self) -> np.ndarray:
        name = "evaluation.bin"
        if not self.state.has(name):
            size = self.settings.batch_size
            steps = -(-len(self.evaluation) // size)
            (file,) = self.state.open_files(name)
            tasks = TaskIterator(EvaluationTask(self.evaluation, size), range(steps), workers=self.workers)
            with tasks, Progress(steps, "evaluation images", size) as shown:
                for part in tasks:
                    self.stop.raise_if_requested("curation")
                    file.append(part.tobytes())
                    shown.step({})
            self.state.commit(self.state.position, [file])
            file.close()
        return np.fromfile(self.state.folder / name, dtype=np.float32).reshape(-1, DIMENSIONS)

    def _score(self, index: EvaluationIndex) -> None:
        size, start = self.settings.batch_size, self.state.position
        steps = -(-len(self.images) // size)
        files = self.state.open_files("scores.bin", "pairs.bin", "unreadable.jsonl")
        scores, pairs, unreadable = files
        steps_left = range(start, steps)
        tasks = TaskIterator(DescribeTask(self.images, self.transform, size), steps_left, workers=self.workers)
        with tasks, Progress(steps, "scoring", size, start=start) as shown:
            for step, described in zip(steps_left, self._committing(tasks, files, start)):
                batch = described.batch
                first, last = step * size, min((step + 1) * size, len(self.images))
                rows = np.full(last - first, UNREADABLE, dtype=SCORE)
                ids = batch.sample_ids.numpy()
                if len(ids):
                    rows["class"][ids - first], rows["score"][ids - first] = self._answers(batch.images)
                    found = index.search(described.vectors, self.settings.similarity)
                    lines = [(ids[one.row], one.evaluation, one.mirrored, one.similarity) for one in found]
                    pairs.append(np.array(lines, dtype=PAIR).tobytes())
                scores.append(rows.tobytes())
                for sample_id, reason in batch.unreadable:
                    unreadable.append(_line({"id": self.images.identity(sample_id), "reason": reason}))
                shown.step({})
        self.state.finish("confirm", files)

    def _answers(self, images: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        """The class and its probability, for uint8 images (B, 3, H, W)."""
        pixels = images.to(self.device).to(memory_format=torch.channels_last).to(torch.float32).div_(255)
        probabilities, classes = self.teachers.one(0, pixels)[0].softmax(dim=1).max(dim=1)
        return classes.cpu().numpy().astype("<i4"), probabilities.cpu().numpy()

    def _confirm(self) -> None:
        path, start = self.state.folder / "pairs.bin", self.state.position
        steps = -(-(path.stat().st_size // PAIR.itemsize) // _PAIRS_A_STEP)
        files = self.state.open_files("confirmed.jsonl")
        task = ConfirmTask(self.images, self.evaluation, path, self.settings.thresholds, _PAIRS_A_STEP)
        steps_left = range(start, steps)
        tasks = TaskIterator(task, steps_left, workers=self.workers)
        with tasks, Progress(steps, "comparing pairs", _PAIRS_A_STEP, start=start) as shown:
            for step, answers in zip(steps_left, self._committing(tasks, files, start)):
                rows = read_pairs(path, step * _PAIRS_A_STEP, _PAIRS_A_STEP).tolist()
                for (image, evaluation, mirrored, similarity), answer in zip(rows, answers, strict=True):
                    if answer is None or answer.method is None:
                        continue
                    record = {
                        "image": image,
                        "id": self.images.identity(image),
                        "evaluation": evaluation,
                        "evaluation_id": self.evaluation.identity(evaluation),
                        "mirrored": bool(mirrored),
                        "similarity": round(similarity, 4),
                        "method": answer.method,
                        "inliers": answer.inliers,
                        "correlation": round(answer.correlation, 4),
                        "detail": round(answer.detail, 4),
                    }
                    files[0].append(_line(record))
                shown.step({})
        self.state.finish("choose", files)

    def _committing(self, items: Iterator[Any], files: Sequence[RecordFile], start: int) -> Iterator[Any]:
        """The items; between two of them, now and then, the files are committed, and a signal is answered."""
        last = time.monotonic()
        for done, item in enumerate(items, start=start):
            # What was written for the items before this one is whole.
            asked = self.stop.requested
            if asked or time.monotonic() - last >= _COMMIT_EVERY_S:
                self.state.commit(done, files)
                last = time.monotonic()
            self.stop.raise_if_requested("curation")
            yield item

    def _choose(self) -> CurationResult:
        duplicates, num_pairs = self._duplicates()
        num_classes = self.teachers.members[0].num_classes
        best = BestPerClass(num_classes, self.settings.top)
        unreadable = 0
        with open(self.state.folder / "scores.bin", "rb") as file:
            for start in range(0, len(self.images), _READ):
                self.stop.raise_if_requested("curation")
                rows = np.frombuffer(file.read(_READ * SCORE.itemsize), dtype=SCORE)
                ids = np.arange(start, start + len(rows))
                unreadable += int((rows["class"] == UNREADABLE).sum())
                kept = (rows["class"] != UNREADABLE) & ~np.isin(ids, duplicates)
                best.add(ids[kept], rows["class"][kept], rows["score"][kept])
        counts = [len(best.ranked(label)[0]) for label in range(num_classes)]
        names = self.class_names or tuple(map(str, range(num_classes)))
        manifest = self.out / "manifest.jsonl"

        def rows_of() -> Iterator[tuple[str, int, float]]:
            for label in range(num_classes):
                for sample_id, score in zip(*(part.tolist() for part in best.ranked(label))):
                    yield self.images.identity(sample_id), label, round(score, 6)

        def write(new: Path) -> None:
            with io.TextIOWrapper(open_scratch(new), encoding="utf-8") as file:
                write_manifest(file, self.images, sum(counts), self.class_names, rows_of())

        write_file(manifest, write)
        for name, source in (("near_duplicates.jsonl", "confirmed.jsonl"), ("unreadable.jsonl", "unreadable.jsonl")):
            write_file(self.out / name, self.state.folder / source)
        result = CurationResult(
            manifest=str(manifest),
            num_images=len(self.images),
            num_chosen=sum(counts),
            num_duplicates=len(duplicates),
            num_pairs=num_pairs,
            num_compared=(self.state.folder / "pairs.bin").stat().st_size // PAIR.itemsize,
            num_unreadable=unreadable,
            class_counts=dict(zip(names, counts)),
        )
        document = {**self.state.settings, "top": self.settings.top, **result.to_dict()}
        write_json(self.out / "curation.json", document)
        return result

    def _duplicates(self) -> tuple[np.ndarray, int]:
        """The images that are copies, ascending, and the number of pairs."""
        found: list[int] = []
        num_pairs = 0
        with open(self.state.folder / "confirmed.jsonl", encoding="utf-8") as file:
            for line in file:
                image = json.loads(line)["image"]
                num_pairs += 1
                if not found or found[-1] != image:
                    found.append(image)
        return np.array(found, dtype=np.int64), num_pairs


def _line(record: dict[str, Any]) -> bytes:
    return (json.dumps(record) + "\n").encode()
