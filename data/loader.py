"""From a source to batches, in the order and with the views that the seed decides, for any number of workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image

from ..base.errors import DataError
from .batch import Batch
from .images import UnreadableImage
from .label_store import LabelStore
from .order import BatchOrder
from .randomness import generator
from .sources import ImageSource
from .view_sizes import render_view
from .views import Augmentation, EvalTransform, apply_view, draw_view
from .workers import TaskIterator

_MAX_REPLACEMENTS = 100


def train_batches(
    source: ImageSource,
    augmentation: Augmentation,
    order: BatchOrder,
    *,
    steps: Sequence[int] | None = None,
    workers: int,
    pin_memory: bool = False,
    labels: LabelStore | None = None,
    teacher_sizes: Sequence[int] = (),
) -> TaskIterator[Batch]:
    """This rank's batches for all steps of all epochs, or for some of them.

    The workers live to the end of the run, and starting in its middle costs no more than starting at its beginning.
    An image that cannot be decoded is replaced by another one, chosen by (seed, its sample id), label included, and
    listed in `Batch.unreadable`.

    Args:
        source: The training images.
        augmentation: How they are varied; a view depends on (seed, epoch, sample id).
        order: Which images a step takes; made for ``len(source)`` images.
        steps: The steps to give, in this order, counted over all epochs: ``range(start, order.total_steps)`` of a run
            that goes on. All of them by default.
        workers: Processes that decode; 0 for this one. The batches are the same.
        pin_memory: Whether batches come in page-locked memory (with CUDA only).
        labels: Stored labels of these very views, for ``Batch.answers``.
        teacher_sizes: Sides at which each view is rendered too, for ``Batch.teacher_images``, from the same decoding.

    Returns:
        An iterator; its ``close()`` ends the workers at once.

    Raises:
        DataError: From the iterator: so many images in a row are unreadable that no replacement is found, or the labels
            are damaged.
    """
    if order.num_samples != len(source):
        raise ValueError(f"the order is for {order.num_samples} samples, the source has {len(source)}")
    task = _TrainTask(source, augmentation, order, labels, tuple(teacher_sizes))
    indices = range(order.total_steps) if steps is None else steps
    return TaskIterator(task, indices, workers=workers, pin_memory=pin_memory)


def eval_batches(
    source: ImageSource,
    transform: EvalTransform,
    *,
    batch_size: int,
    workers: int,
    rank: int = 0,
    world_size: int = 1,
    limit: Sequence[int] | np.ndarray | None = None,
    pin_memory: bool = False,
    teacher_sizes: Sequence[int] = (),
) -> TaskIterator[Batch]:
    """This rank's share of the images, once each, in order; the last batch may be smaller, none is padded.

    Args:
        batch_size: Images in one of this rank's batches.
        limit: Sample ids to evaluate on; by default all.
        pin_memory: Whether batches come in page-locked memory (with CUDA only).
        teacher_sizes: Sides at which each image is transformed too, for ``Batch.teacher_images``.

    Raises:
        UnreadableImage: From the iterator: an image cannot be decoded. A number over the rest would not be comparable.
    """
    ids = np.arange(len(source)) if limit is None else np.asarray(limit, dtype=np.int64)
    share = np.array_split(ids, world_size)[rank]
    further = (replace(transform, image_size=side, image_width=None) for side in teacher_sizes)
    task = _EvalTask(source, [transform, *further], share, batch_size)
    num_batches = -(-len(share) // batch_size)
    return TaskIterator(task, range(num_batches), workers=workers, pin_memory=pin_memory)


@dataclass(frozen=True)
class _TrainTask:
    source: ImageSource
    augmentation: Augmentation
    order: BatchOrder
    labels: LabelStore | None
    teacher_sizes: tuple[int, ...]

    def __call__(self, index: int) -> Batch:
        epoch, step = divmod(index, self.order.steps_per_epoch)
        ids = self.order.ids(epoch, step)
        images = _empty_images(len(ids), self.augmentation.size)
        teacher_images = [_empty_images(len(ids), (side, side)) for side in self.teacher_sizes]
        pixels, teacher_pixels = images.numpy(), [further.numpy() for further in teacher_images]
        taken = ids.copy()
        last = -1
        shift = np.zeros((len(ids), 3), dtype=np.float32) if self.augmentation.lighting_std > 0 else None
        unreadable = []
        view_epochs = self.order.view_epochs(epoch, step).tolist()
        for row, (sample_id, view_epoch) in enumerate(zip(ids.tolist(), view_epochs, strict=True)):
            if sample_id != last:
                last = shown = sample_id
                try:
                    image = self.source.load(sample_id)
                except UnreadableImage as error:
                    unreadable.append((sample_id, error.reason))
                    shown, image = _replacement(self.source, self.order.seed, sample_id, error)
            taken[row] = shown
            rng = generator(self.order.seed, "view", view_epoch, sample_id)
            view = draw_view(self.augmentation, *image.size, rng, epoch=view_epoch)
            pixels[row] = apply_view(image, view, self.augmentation)
            for side, further in zip(self.teacher_sizes, teacher_pixels, strict=True):
                further[row] = render_view(image, view, self.augmentation, side)
            if shift is not None and view.lighting is not None:
                shift[row] = view.lighting
        return Batch(
            images.permute(0, 3, 1, 2),
            torch.from_numpy(self.source.labels[taken]),
            torch.from_numpy(ids),
            None if shift is None else torch.from_numpy(shift),
            tuple(unreadable),
            _rows(self.source.targets, taken),
            _rows(self.source.conditions, taken),
            None if self.labels is None else self.labels.rows(epoch, self.order.first_row(step), len(ids)),
            tuple(further.permute(0, 3, 1, 2) for further in teacher_images),
        )


def _replacement(source: ImageSource, seed: int, sample_id: int, error: UnreadableImage) -> tuple[int, Image.Image]:
    """The first readable image of a series that depends on (seed, sample id) alone."""
    for attempt in range(_MAX_REPLACEMENTS):
        candidate = int(generator(seed, "replace", sample_id, attempt).integers(len(source)))
        try:
            return candidate, source.load(candidate)
        except UnreadableImage:
            continue
    raise DataError(
        f"no readable image found in place of {error.identity} in {_MAX_REPLACEMENTS} tries ({error.reason})",
        hint="most images of this data set cannot be decoded: run `kdzoo data check SPEC`",
    )


@dataclass(frozen=True)
class _EvalTask:
    source: ImageSource
    transforms: Sequence[EvalTransform]
    ids: np.ndarray
    batch_size: int

    def __call__(self, index: int) -> Batch:
        ids = self.ids[index * self.batch_size : (index + 1) * self.batch_size].copy()
        made = [_empty_images(len(ids), transform.size) for transform in self.transforms]
        pixels = [images.numpy() for images in made]
        for row, sample_id in enumerate(ids.tolist()):
            image = self.source.load(sample_id)
            for transform, table in zip(self.transforms, pixels, strict=True):
                table[row] = transform.apply(image)
        images, *teacher_images = (table.permute(0, 3, 1, 2) for table in made)
        return Batch(
            images,
            torch.from_numpy(self.source.labels[ids]),
            torch.from_numpy(ids),
            targets=_rows(self.source.targets, ids),
            conditions=_rows(self.source.conditions, ids),
            teacher_images=tuple(teacher_images),
        )


def _rows(table: np.ndarray | None, ids: np.ndarray) -> torch.Tensor | None:
    return None if table is None else torch.from_numpy(table[ids])


def _empty_images(count: int, size: tuple[int, int]) -> torch.Tensor:
    # Height, width, channels as decoded: seen as (B, 3, H, W) this is channels_last, and nothing is transposed here.
    return torch.empty((count, *size, 3), dtype=torch.uint8)
