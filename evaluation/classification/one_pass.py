"""Several models over the same images: each image is decoded once, each model sees it in its own preprocessing.

A batch holds the same images for any number of processes and after any interruption, and all numbers are made from
one entry an image in the images' order: that is why they are the same to the bit in all these cases.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...base.errors import DataError, Interrupted, ModelError
from ...data import ImageSource
from ...data.eval_views import EvalView, ViewBatch, view_batches
from ...data.several_labels import accepted_labels
from ...engine.class_match import ClassMatch
from ...engine.evaluate import PassSettings
from ...engine.progress import Progress, say
from ...engine.teachers import normalise
from .answers import Answers, judge, judge_several, names_of
from .partial import PartialFile
from .protocol import EvaluatedModel

KEEP_EVERY = 20  # batches


@dataclass(frozen=True)
class PassResult:
    """What a pass gave.

    Attributes:
        answers: For each model its arrays by name, in the order of the source; see `Answers`.
        seconds: What each model's network took for ``num_timed`` images.
        num_timed: Images that this process showed to the networks, with those of the processes before it.
        wall_seconds: What the whole took for them, reading images included.
    """

    answers: list[dict[str, np.ndarray]]
    seconds: list[float]
    num_timed: int
    wall_seconds: float


class OnePass:
    """One data set, several models.

    Args:
        source: Labelled images.
        models: Their networks are moved to the device.
        matches: One a model.
        how: Batches, processes, and the title of the progress.
        teacher: Which model the others are compared with, or None.
        partial: Where to keep what is done; None to keep nothing.
    """

    def __init__(
        self,
        source: ImageSource,
        models: Sequence[EvaluatedModel],
        matches: Sequence[ClassMatch],
        how: PassSettings,
        *,
        teacher: int | None,
        partial: PartialFile | None,
    ) -> None:
        self._source, self._models, self._matches = source, tuple(models), tuple(matches)
        self._teacher, self._partial, self._title = teacher, partial, how.title or source.name
        self._batch_size, self._workers = how.batch_size, how.workers
        self._processes, self._stop = how.processes, how.stop
        self._views = list(dict.fromkeys(model.view for model in self._models))
        # The teacher first: the others are compared with its answers.
        others = [index for index in range(len(self._models)) if index != teacher]
        self._order = others if teacher is None else [teacher, *others]
        self._accepted = accepted_labels(source)
        self._names = names_of(several=source.is_multilabel)
        self._num_batches = math.ceil(len(source) / how.batch_size)
        self._done: dict[int, list[dict[str, np.ndarray]]] = {}
        self._clocks = [_Clock(self._processes.device) for _ in self._models]
        self._earlier = np.zeros(2 + len(self._models))  # images, all seconds, each network's: before this process
        self._seen, self._began = 0, time.perf_counter()

    def run(self) -> PassResult | None:
        """Look at all images.

        Returns:
            On the main process the answers of all processes; None on the others.

        Raises:
            DataError: An image cannot be read.
            ModelError: A model's answers are not numbers.
            Interrupted: A signal came; what is done is kept.
        """
        todo = self._resume()
        share = np.array_split(np.array(todo, dtype=np.int64), self._processes.world_size)[self._processes.rank]
        self._began = time.perf_counter()
        self._look_at(share.tolist())
        timing = self._timing()
        gathered = self._processes.gather_objects(self._done)
        if not self._processes.is_main:
            return None
        done = {number: answers for part in gathered for number, answers in part.items()}
        if sorted(done) != list(range(self._num_batches)):
            raise RuntimeError("batches are missing")  # no signal and no error leads here
        answers = [
            {name: np.concatenate([done[number][index][name] for number in sorted(done)]) for name in self._names}
            for index in range(len(self._models))
        ]
        for model, arrays in zip(self._models, answers, strict=True):
            if not arrays["finite"].all():
                first = self._source.identity(int(np.argmin(arrays["finite"])))
                raise ModelError(
                    f"{model.loaded.reference} gives answers that are no numbers, first for {first}",
                    hint="its weights are damaged, or were trained until they diverged",
                )
        images, wall, *seconds = timing.tolist()
        return PassResult(answers, seconds, int(images), wall)

    def _timing(self) -> np.ndarray:
        """Images timed so far, the seconds of it all, those of each network."""
        now = [self._seen, time.perf_counter() - self._began, *(clock.seconds() for clock in self._clocks)]
        return self._earlier + np.array(now if self._seen else [0.0] * len(now))

    def _look_at(self, numbers: list[int]) -> None:
        device = self._processes.device
        batches = view_batches(
            self._source,
            self._views,
            numbers,
            batch_size=self._batch_size,
            workers=self._workers,
            pin_memory=device.type == "cuda",
        )
        quiet = not self._processes.is_main or not numbers
        progress = Progress(len(numbers), self._title, self._batch_size, quiet=quiet)
        waiting: dict[int, list[Answers]] = {}
        right = seen = 0
        with contextlib.closing(batches), progress as shown:
            for batch in batches:
                waiting[batch.number] = self._answers(batch)
                self._seen += len(batch.ids)
                if len(waiting) == KEEP_EVERY or self._interrupted:
                    self._keep(waiting)
                self._check_stop()
                first = waiting.get(batch.number)
                ahead = first[0].ahead if first is not None else torch.from_numpy(self._done[batch.number][0]["ahead"])
                right, seen = right + int((ahead == 0).sum()), seen + len(batch.ids)
                shown.step({} if self._source.is_multilabel else {"top1": 100 * right / seen})
        self._keep(waiting)

    def _answers(self, batch: ViewBatch) -> list[Answers]:
        """What each model says of a batch, in the order in which they were given."""
        device = self._processes.device
        pixels: dict[EvalView, Tensor] = {}
        for view, images in zip(self._views, batch.images, strict=True):
            moved = images.to(device, non_blocking=True).to(memory_format=torch.channels_last)
            pixels[view] = moved.to(torch.float32).div_(255)
        accepted = torch.from_numpy(self._accepted[batch.ids].astype(np.int64)).to(device)
        found: dict[int, Answers] = {}
        theirs: Tensor | None = None
        for index in self._order:
            model, match = self._models[index], self._matches[index]
            look = model.loaded.preprocessing
            with self._clocks[index]:
                logits = model.loaded.model(normalise(pixels[model.view], look.mean, look.std)).float()
            crops = model.view.crops
            if self._source.is_multilabel:
                found[index], answer = judge_several(logits, accepted, match, crops=crops, teacher_scores=theirs)
            else:
                found[index], answer = judge(logits, accepted, match, crops=crops, teacher_log_p=theirs)
            if index == self._teacher:
                theirs = answer
        return [found[index] for index in range(len(found))]

    def _keep(self, waiting: dict[int, list[Answers]]) -> None:
        """Copy answers to the host and write them to the partial file."""
        if not waiting:
            return
        for number, answers in waiting.items():
            self._done[number] = [one.numpy() for one in answers]
        waiting.clear()
        self._write()

    def _write(self) -> None:
        if self._partial is None:
            return
        numbers = sorted(self._done)
        arrays = {
            f"{index}.{name}": np.concatenate([self._done[number][index][name] for number in numbers])
            for index in range(len(self._models))
            for name in self._names
        }
        self._partial.write(np.array(numbers), self._timing(), arrays)

    def _resume(self) -> list[int]:
        """The batches that are not done, the same list in every process; the main one takes over what was kept."""
        if self._partial is not None and self._processes.is_main:
            for numbers, timing, arrays in self._partial.read_all():
                self._take_over(numbers.tolist(), timing, arrays)
            if self._done:
                kept = sum(map(self._size, self._done))
                say(f"{self._title}: going on after {kept:,} of {len(self._source):,} images (--fresh begins anew)")
                self._write()
                self._partial.delete_all(but_own=True)
        done = self._processes.gather_objects(sorted(self._done))[0]
        return sorted(set(range(self._num_batches)) - set(done))

    def _take_over(self, numbers: list[int], timing: np.ndarray, arrays: dict[str, np.ndarray]) -> None:
        ends = np.cumsum([self._size(number) for number in numbers])
        expected = {f"{index}.{name}" for index in range(len(self._models)) for name in self._names}
        if set(arrays) != expected or any(len(array) != (ends[-1] if len(ends) else 0) for array in arrays.values()):
            return
        if timing.shape == self._earlier.shape and np.isfinite(timing).all():
            self._earlier += timing
        for number, end in zip(numbers, ends.tolist(), strict=True):
            rows = slice(end - self._size(number), end)
            self._done[number] = [
                {name: arrays[f"{index}.{name}"][rows] for name in self._names} for index in range(len(self._models))
            ]

    def _size(self, number: int) -> int:
        return min(self._batch_size, len(self._source) - number * self._batch_size)

    @property
    def _interrupted(self) -> bool:
        return self._stop is not None and self._stop.requested

    def _check_stop(self) -> None:
        signal = None if self._stop is None else self._stop.received
        if signal is not None:
            kept = "" if self._partial is None else "; what was measured so far is kept"
            raise Interrupted(
                f"evaluation interrupted by {signal.name}{kept}",
                hint="run the same command again" + ("" if self._partial is None else " to go on"),
            )


class _Clock:
    """Measures the time spent inside its ``with`` block, on the device."""

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        self._sum = 0.0
        self._began = 0.0
        self._events: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []

    def __enter__(self) -> None:
        if self._cuda:
            pair = (torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True))
            pair[0].record()
            self._events.append(pair)
        else:
            self._began = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        if self._cuda:
            self._events[-1][1].record()
        else:
            self._sum += time.perf_counter() - self._began

    def seconds(self) -> float:
        """Seconds measured so far."""
        if self._cuda:
            torch.cuda.synchronize()
            self._sum = sum(begin.elapsed_time(end) for begin, end in self._events) / 1000
        return self._sum


def require_images(source: ImageSource) -> None:
    """Raises DataError where there is nothing to measure on."""
    if len(source) == 0:
        raise DataError(f"{source.name} ({source.split}) has no image", hint="look at it with 'kdzoo data check'")
    accepted = accepted_labels(source)
    if not (accepted >= 0).any():
        raise DataError(f"{source.name} ({source.split}) has no labels", hint="evaluate on class folders")
