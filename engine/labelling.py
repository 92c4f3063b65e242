"""Storing labels: the run's own batches and mixing, the teachers' answers, and no student.

Whole steps are shared among processes, not slices of one: the labels are then the same for any number of them.
"""

from __future__ import annotations

import contextlib
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..base.errors import Interrupted, RunError
from ..data import Augmentation, Batch, BatchOrder, ImageSource, LabelHead, Mixing, WholeEpochs, train_batches
from .distributed import Processes
from .label_folder import LabelFolder
from .precision import deterministic
from .progress import Progress, say
from .settings import TrainingSettings
from .signals import StopRequest
from .step import mix_batch
from .teachers import TeacherEnsemble
from .unreadable import UnreadableImages

_COMMIT_EVERY_S = 30.0


@dataclass(frozen=True, kw_only=True)
class LabelJob:
    """Everything that labelling needs, already built and checked.

    Attributes:
        head: What the store is.
        teachers: Frozen.
        source: Training images.
        augmentation: How views are drawn.
        mixing: MixUp and CutMix.
        order: Which images a step takes, for one process.
        training: Length, batch size and numerics of the run whose views these are.
        seed: Of every random choice.
        workers: Loader processes.
        out: The store's folder.
        resume: Whether labels in ``out`` are gone on with.
        teacher_sizes: Sides at which each view is rendered for the teachers beside the student's own, pixels.
    """

    head: LabelHead
    teachers: TeacherEnsemble
    source: ImageSource
    augmentation: Augmentation
    mixing: Mixing
    order: BatchOrder | WholeEpochs
    training: TrainingSettings
    seed: int
    workers: int
    out: Path
    resume: bool
    teacher_sizes: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class LabelResult:
    """What a labelling gave.

    Attributes:
        labels: The store's folder.
        epochs: That are stored.
        num_labels: Labels in all of them.
        bytes: Of all of them.
        bytes_per_label: Of one, its checksum included.
        images_per_s: Labelled by this process; 0 where there was nothing to do.
        seconds: That this process worked.
        unreadable: Images that could not be decoded and were replaced.
    """

    labels: str
    epochs: int
    num_labels: int
    bytes: int
    bytes_per_label: int
    images_per_s: float
    seconds: float
    unreadable: int

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)


def store_labels(job: LabelJob, processes: Processes, stop: StopRequest) -> LabelResult:
    """Store the teachers' labels that are still missing, to the end or to the next signal.

    Raises:
        Interrupted: A signal came; every finished step is stored.
        RunError: The folder is taken or cannot be written, a teacher's answer is not finite, or too many images are
            unreadable.
        CheckpointError: The labels in the folder were begun otherwise, or are damaged.
        DataError: The form cannot hold a teacher's answers.
    """
    folder = LabelFolder(job.out, job.head)
    claim = folder.claim(resume=job.resume, epochs=job.training.epochs)
    with claim if processes.is_main else contextlib.nullcontext(), deterministic(job.training.deterministic):
        labelling = _Labelling(job, folder, processes, stop)
        try:
            labelling.run()
        except Interrupted as interrupted:
            raise Interrupted(
                f"{interrupted.message} after step {labelling.done} of {labelling.total}; everything so far is stored",
                hint=f"run the same command again with --resume --out {job.out}",
            ) from None
        job.teachers.verify_unchanged()
        return labelling.result()


class _Labelling:
    """One labelling in this process; rank 0 writes."""

    def __init__(self, job: LabelJob, folder: LabelFolder, processes: Processes, stop: StopRequest) -> None:
        self.job, self.folder, self.processes, self.stop = job, folder, processes, stop
        self.size = job.training.batch_size
        self.per_epoch = job.order.steps_per_epoch
        self.total = self.per_epoch * job.training.epochs
        done = folder.num_epochs * self.per_epoch + math.ceil(folder.num_rows / self.size)
        self.done, folder.unreadable = processes.gather_objects((done, folder.unreadable))[0]
        self.unreadable = UnreadableImages(job.source, job.training.max_unreadable_fraction, folder.unreadable)
        self.layout = torch.channels_last if job.training.channels_last else torch.contiguous_format
        self._alone = Processes(0, 1, processes.device)
        self._labelled, self._began, self._committed = 0, time.monotonic(), time.monotonic()

    def run(self) -> None:
        """From the present step to the end."""
        job, world, main = self.job, self.processes.world_size, self.processes.is_main
        if self.done >= self.total:
            if main:
                say(f"the labels of {self.folder.num_epochs} epochs are in {job.out}; nothing to do")
            return
        if self.done and main:
            epoch, step = divmod(self.done, self.per_epoch)
            say(f"going on after step {step} of epoch {epoch + 1}")
        batches = train_batches(
            job.source,
            job.augmentation,
            job.order,
            steps=range(self.done + self.processes.rank, self.total, world),
            workers=job.workers,
            pin_memory=self.processes.device.type == "cuda",
            teacher_sizes=job.teacher_sizes,
        )
        progress = Progress(self.total, "labelling", self.size, start=self.done, quiet=not main)
        with contextlib.closing(batches), progress:
            while self.done < self.total:
                mine = self.done + self.processes.rank
                batch = next(batches) if mine < self.total else None
                self._answer_signals()
                new = self.unreadable.new(batch)
                if self.processes.sum([float(len(new))])[0]:
                    self.unreadable.count(self.processes.gather_objects(new), progress)
                    self.unreadable.refuse_too_many()
                values = torch.zeros(self.size, sum(job.head.layout.widths), device=self.processes.device)
                if batch is not None:
                    values[: len(batch)] = self._ask(batch, mine)
                gathered = self.processes.gather_batch(values).cpu().numpy()
                for rank in range(min(world, self.total - self.done)):
                    if main:
                        self._write(gathered[rank * self.size : (rank + 1) * self.size])
                    self.done += 1
                    progress.step({})

    @torch.no_grad()
    def _ask(self, batch: Batch, index: int) -> Tensor:
        """What the teachers answer to a step's images: float32, (B, sum of the widths)."""
        job, epoch = self.job, index // self.per_epoch
        mixed = mix_batch(batch, job.mixing, self._alone, self.layout, seed=job.seed, epoch=epoch, step=index)
        at_once = self.size // job.training.accumulate
        parts = []
        for first in range(0, len(batch), at_once):
            part = mixed.part(slice(first, first + at_once))
            answers = job.teachers(part.images, part.conditions, renderings=part.teacher_images)
            told = (*answers.logits, *answers.features) if job.head.holds_features else answers.logits
            parts.append(torch.cat(told, dim=1))
        return torch.cat(parts)

    def _write(self, values: np.ndarray) -> None:
        """Rank 0 stores a step's labels."""
        epoch, step = divmod(self.done, self.per_epoch)
        first = step * self.size
        rows = values[: min(self.size, self.job.head.rows - first)]
        if not np.isfinite(rows).all():
            raise RunError(
                f"a teacher's answer is not a finite number at step {step + 1} of epoch {epoch + 1}",
                hint="use --precision fp32, or another teacher",
            )
        self.folder.append(self.job.head.layout.pack(rows, epoch, first))
        self._labelled += len(rows)
        if step + 1 == self.per_epoch or time.monotonic() - self._committed >= _COMMIT_EVERY_S:
            self._commit()

    def _commit(self) -> None:
        self.folder.commit()
        self._committed = time.monotonic()

    def _answer_signals(self) -> None:
        if self.processes.sum([float(self.stop.requested)])[0]:
            if self.processes.is_main:
                self._commit()
            raise Interrupted("labelling interrupted")

    def result(self) -> LabelResult:
        """What is stored now."""
        head, seconds = self.job.head, time.monotonic() - self._began
        epochs = self.folder.num_epochs
        return LabelResult(
            labels=str(self.job.out),
            epochs=epochs,
            num_labels=epochs * head.rows,
            bytes=epochs * head.epoch_bytes,
            bytes_per_label=head.layout.num_bytes,
            images_per_s=self._labelled / seconds if self._labelled else 0.0,
            seconds=seconds,
            unreadable=len(self.folder.unreadable),
        )
