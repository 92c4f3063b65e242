"""How many parts a batch is run in so that a run fits into its device's memory: measured, and only where it matters.

Accumulated parts give the batch's own update; only BatchNorm's statistics are those of a part.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ..base.amounts import readable
from ..base.errors import RunError
from ..base.run_documents import read_config
from ..engine.distributed import Processes, share_batch
from ..engine.progress import say
from ..engine.run_folder import RunFolder
from ..zoo import LoadedModel, network_output
from ..zoo.features import blank_conditions
from .bench import ChildFailedError, MeasuredStep, measure_in_child, sizes_shown
from .plan import Plan
from .run_teachers import RunTeachers
from .teacher_views import run_size

ACCUMULATE = "training.accumulate"
FOR_MEMORY = "memory"
"""How the source of a number of parts begins that was chosen here."""

_NOTHING_TO_FEAR = 0.6  # of the free memory; a bound below it needs no measurement
_BOUND_FACTOR = 3  # a step's activations, gradients and what its losses add, over one forward pass's outputs
_COPIES = 6  # weights, gradients, two moments, the average, one more while a checkpoint is written
_FLOAT = 4
_MARGIN = 1.1  # thousands of steps leave gaps between what they allocate, a few do not
_MEASURED_ACTIVATIONS = 1e8  # bytes of the smallest measured step: well above what an allocator rounds
_LARGEST_MEASURED = 64
_PREFETCHED = 2  # batches that torch's loader keeps ready for each worker
_WORKER_BYTES = 60_000_000  # what a loader process takes of its own: measured on JPEGs
_FEW = 8  # images: below it, a part's BatchNorm statistics are poor


@dataclass(frozen=True, kw_only=True)
class MemoryNeed:
    """What a run takes of its device's memory, about.

    Attributes:
        bytes: Networks, optimiser, one part of a batch forward and back, and the loader's batches.
        free: That the process could take when it was asked.
        whole_batch: What it would take if the batch were run at once.
        parts: A process's share of a batch is run in so many.
        part_images: Images of one.
        measured: From real steps in a process of their own; False for a bound from one image's forward pass, which is
            several times too high.
        measured_images: Of the largest measured step; 0 where none was.
        images_per_s: Of that step, or None.
        fits: Whether it is less than what is free.
    """

    bytes: int
    free: int
    whole_batch: int
    parts: int
    part_images: int
    measured: bool
    measured_images: int = 0
    images_per_s: float | None = None
    fits: bool = True

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)

    def line(self) -> str:
        """Short text for a person."""
        how = "about" if self.measured else "less than"
        return f"{how} {readable(self.bytes)} of memory ({readable(self.free)} are free)"


class _OutputBytes(TorchDispatchMode):
    """Adds up the bytes of everything that operators give."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        self.total += sum(one.numel() * one.element_size() for one in tree_leaves(out) if isinstance(one, torch.Tensor))
        return out


def output_bytes(loaded: LoadedModel, size: tuple[int, int]) -> int:
    """Bytes that all operators of one image's forward pass give: no less than what a training step keeps of it."""
    network = loaded.model
    was_training, device = network.training, next(network.parameters()).device
    channels, conditions = loaded.preprocessing.input_size[0], blank_conditions(network, 1)
    counter = _OutputBytes()
    network.eval()
    try:
        with torch.no_grad(), counter:
            network_output(
                network,
                torch.zeros(1, channels, *size, device=device),
                None if conditions is None else conditions.to(device),
            )
    finally:
        network.train(was_training)
    return counter.total


def with_recorded_parts(plan: Plan, folder: Path) -> Plan:
    """A plan with the parts that its run in a folder was begun with, where memory decided them then."""
    run = RunFolder(folder)
    if not run.has_progress():
        return plan
    try:
        entry = read_config(run.config).settings.get(ACCUMULATE)
    except (OSError, ValueError):
        return plan
    own = plan.recipe.training.accumulate
    if entry is None or not entry.source.startswith(FOR_MEMORY) or not isinstance(entry.value, int):
        return plan
    return plan if entry.value % own else in_parts(plan, entry.value, entry.source)


def in_parts(plan: Plan, parts: int, source: str, *lines: str) -> Plan:
    """A plan whose batches are run in so many parts; ``lines`` say why."""
    recipe = replace(plan.recipe, training=replace(plan.recipe.training, accumulate=parts))
    return replace(plan, recipe=recipe, sources={**plan.sources, ACCUMULATE: source}, adapted=(*plan.adapted, *lines))


def fit_batch(
    plan: Plan,
    student: LoadedModel | None,
    teachers: Sequence[LoadedModel],
    processes: Processes,
    free: int | None,
) -> tuple[Plan, MemoryNeed | None]:
    """The plan with its batch in so many parts that a run fits into memory.

    Args:
        plan: The run.
        student: Its network; None where teachers alone answer, to be stored.
        teachers: Those that are run.
        processes: This process among the run's; the first one decides for all.
        free: Bytes that this process could take before the networks were built, or None where that is not known.

    Returns:
        The plan, its parts changed where they must be; and what it takes, None where nothing is known. Where not even
        the smallest part fits, the need does not, and the plan is unchanged; see `too_large`.
    """
    if free is None:
        return plan, None
    if processes.device.type == "cpu":
        free //= int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    fit = _Fit(plan, student, teachers, processes, free)
    need = processes.gather_objects(fit.need() if processes.is_main else None)[0]
    if need is None or not need.fits or need.parts == fit.own_parts:
        return plan, need
    batch, part = plan.recipe.training.batch_size, fit.share // need.parts
    why = f"a batch of {batch:,} takes about {readable(need.whole_batch)}, {readable(free)} are free"
    line = f"{why}: it is run in {need.parts} parts of {part:,} images ({ACCUMULATE}), to the same update"
    if student is not None and has_batchnorm(student.model):
        line += "; BatchNorm's statistics are those of a part"
        if part < _FEW:
            line += f", which has few images: a smaller --batch-size in larger parts may do better than {part}"
    return in_parts(plan, need.parts, f"{FOR_MEMORY}: {why}", line), need


def fitted(
    plan: Plan, student: LoadedModel | None, teachers: RunTeachers, processes: Processes, free: int | None
) -> Plan:
    """As `fit_batch`, for a run that is about to start: what was changed is said, what does not fit is refused.

    Raises:
        RunError: Not even the smallest part of a batch fits.
    """
    members = [] if teachers.ensemble is None else teachers.ensemble.members
    found, need = fit_batch(plan, student, members, processes, free)
    if need is not None and not need.fits:
        raise too_large(plan, need)
    if processes.is_main:
        for line in found.adapted[len(plan.adapted) :]:
            say(line)
    return found


def too_large(plan: Plan, need: MemoryNeed) -> RunError:
    """The error of a run of which not even the smallest part of a batch fits."""
    part = need.part_images
    images = "one image" if part == 1 else f"{part} images"
    ways = f"use a smaller --image-size (now {plan.image_size}) or a smaller network"
    if plan.run.workers > 1:
        ways += f", fewer --workers (now {plan.run.workers})"
    if part > 1:
        ways += ", or a --batch-size that can be divided further, such as a power of two"
    return RunError(
        f"a step of {images} takes about {readable(need.bytes)} of memory, {readable(need.free)} are free",
        hint=ways,
    )


def has_batchnorm(network: nn.Module) -> bool:
    """Whether a network normalises over the batch."""
    return any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in network.modules())


class _Fit:
    """Looks for the fewest parts that fit.

    Args:
        plan: The run.
        student: Its network, or None.
        teachers: Those that are run.
        processes: This process.
        free: Bytes.
    """

    def __init__(
        self,
        plan: Plan,
        student: LoadedModel | None,
        teachers: Sequence[LoadedModel],
        processes: Processes,
        free: int,
    ) -> None:
        self.plan, self.student, self.teachers, self.processes, self.free = plan, student, teachers, processes, free
        training, size = plan.recipe.training, plan.recipe.data.augmentation.size
        self.own_parts = training.accumulate
        self.share = training.batch_size  # of labels, a process takes whole steps
        if student is not None:
            self.share = share_batch(training.batch_size, processes.world_size, self.own_parts)
        shown = sizes_shown(plan.recipe, teachers)
        pixels = 3 * (size[0] * size[1] + sum(side * side for side in shown))
        mixing = plan.recipe.data.mixing
        copies = 3 if mixing.mixup_prob > 0 or mixing.cutmix_prob > 0 else 1  # the images, their partners, the mixture
        self.image_bytes = pixels * (1 + copies * _FLOAT)
        self.loader_bytes = plan.run.workers * (_WORKER_BYTES + _PREFETCHED * self.share * pixels)
        if processes.device.type != "cpu":
            self.loader_bytes = 0

    def need(self) -> MemoryNeed | None:
        """What the run takes in the fewest parts that fit; None where it could not be measured."""
        networks = [one for one in (self.student, *self.teachers) if one is not None]
        size = self.plan.recipe.data.augmentation.size
        side = run_size(self.plan.recipe)
        each = [
            output_bytes(
                one, size if one is self.student else (side, side) if side else one.preprocessing.input_size[1:]
            )
            for one in networks
        ]
        kept = [_BOUND_FACTOR * one if net is self.student else one for one, net in zip(each, networks, strict=True)]
        weights = [sum(p.numel() for p in one.model.parameters()) * _FLOAT for one in networks]
        copies = [_COPIES if one is self.student else 1 for one in networks]
        fixed = sum(size * number for size, number in zip(weights, copies, strict=True)) + self._objective(self.share)
        bound = int(fixed + sum(kept) * self.share // self.own_parts + self._images(self.share))
        if bound <= _NOTHING_TO_FEAR * self.free:
            return self._need(bound, bound, self.own_parts, measured=False)
        smallest = int(_MEASURED_ACTIVATIONS / max(sum(each), 1))
        return self._measured(min(max(smallest, 2), _LARGEST_MEASURED, max(self.share // 3, 2)))

    def _objective(self, images: int) -> int:
        """What the objective keeps beside the networks."""
        plan = self.plan
        if self.student is None:
            return 0
        found = plan.recipe.objective.memory(plan.facts.num_images or 0, images, len(plan.teachers))
        return 0 if found is None else found.held + found.step

    def _images(self, images: int) -> int:
        return self.loader_bytes + images * self.image_bytes

    def _measured(self, few: int) -> MemoryNeed | None:
        """From steps of few images, of as many again in two parts, and of three times as many at once."""
        plan, device = self.plan, self.processes.device
        num_classes = 2 if self.student is None else self.student.num_classes
        steps = [(few, 1), (few, 1), (2 * few, 2), (3 * few, 1)]
        try:
            found = measure_in_child(plan, num_classes, device, steps, labels_only=self.student is None)
        except ChildFailedError as error:
            if not error.for_want_of_memory:
                return None
            return self._need(self.free, self.free, self._divisors()[-1], fits=False)
        return self._fitted(found[1:])

    def _fitted(self, found: Sequence[MeasuredStep]) -> MemoryNeed:
        once, in_parts, thrice = found
        few = once.batch_size
        an_image = max((thrice.bytes - once.bytes) / (2 * few), 1.0)
        # Some objectives keep the graphs of all parts to the step's end: then parts save nothing.
        keeps_all = in_parts.bytes - once.bytes > 0.5 * few * an_image + few * self.image_bytes

        def at(parts: int) -> int:
            counted = self.share if keeps_all else self.share // parts
            grown = once.bytes + an_image * (counted - few)
            return int(_MARGIN * (grown + self._images(self.share)))

        parts = next((n for n in self._divisors() if at(n) <= self.free), self._divisors()[-1])
        need = self._need(at(parts), at(self.own_parts), parts, fits=at(parts) <= self.free)
        return replace(need, measured_images=3 * few, images_per_s=3 * few / thrice.seconds)

    def _need(
        self, needed: int, whole_batch: int, parts: int, *, fits: bool = True, measured: bool = True
    ) -> MemoryNeed:
        return MemoryNeed(
            bytes=needed,
            free=self.free,
            whole_batch=whole_batch,
            parts=parts,
            part_images=self.share // parts,
            measured=measured,
            fits=fits,
        )

    def _divisors(self) -> list[int]:
        """Numbers of parts, the fewest first; a part keeps two images where it can: BatchNorm has no use for one."""
        numbers = [n for n in range(1, self.share + 1) if self.share % n == 0 and n % self.own_parts == 0]
        return [n for n in numbers if self.share // n > 1] or numbers
