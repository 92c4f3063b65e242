"""What a plan costs: steps, parameters, arithmetic, disk, memory, and time from a short measurement on this machine.

Networks are built with random weights, so that neither data nor weights need to be here; what is missing is listed. The
time comes from a few real steps of the engine on noise of the right size, and from decoding a few real images.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from ..base.errors import DataError, UsageError
from ..data import ImageSource, apply_view, draw_view, generator, open_source, render_view
from ..data.unlabeled_pair import open_unlabeled_pair
from ..engine.checkpoint import KEPT
from ..engine.distributed import Processes, choose_device, share_batch
from ..engine.precision import deterministic
from ..zoo import LoadedModel, network_output, parse_reference
from ..zoo.cached import cached_weights, is_offline
from ..zoo.features import blank_conditions
from .batch_parts import MemoryNeed, fit_batch
from .bench import StudentBench, bench_teachers, sizes_shown
from .hints import guided_stages
from .labels import open_labels, record_of
from .memory import available_bytes, require_memory
from .models import student_of, teachers_of
from .plan import Plan
from .run_teachers import class_notes, known_matches
from .sources import open_sources
from .teacher_views import require_size, run_size, view_notes

_FLOP_A_MEASURED_STEP = 1e11
_LARGEST_MEASURED_BATCH = 64
_MEASURED_STEPS = 2
_MEASURED_IMAGES = 12
_BYTES = 4
_POSE = 2  # numbers of a head's pose


@dataclass(frozen=True)
class ModelCost:
    """A network's size.

    Attributes:
        reference: The network.
        parameters: Number of them.
        macs: Multiply-accumulates of one image's forward pass, at the size that the run shows it.
        flops: Twice that: a multiplication and an addition each.
    """

    reference: str
    parameters: int
    macs: int
    flops: int


@dataclass(frozen=True)
class Measurement:
    """What was measured, on how much.

    Attributes:
        device: Where.
        batch_size: Images in a measured step.
        step_s: Seconds of one measured step, without reading images.
        images_per_s: Of those steps.
        decode_images_per_s: Reading and augmenting in one process, or None where there is no data.
        memory_bytes: Peak of the accelerator's memory in a measured step, or None on a CPU.
    """

    device: str
    batch_size: int
    step_s: float
    images_per_s: float
    decode_images_per_s: float | None
    memory_bytes: int | None


@dataclass(frozen=True)
class Cost:
    """What a plan costs.

    Attributes:
        num_classes: Of the data; of a regression, the student's outputs; 0 for a backbone without a classifier.
        num_images: Training images, or None where the data is missing and unknown.
        steps_per_epoch: Or None.
        total_steps: Or None.
        student: Its size.
        teachers: Their sizes.
        checkpoint_bytes: One checkpoint, about.
        disk_bytes: The run folder at its fullest, about: the checkpoints that are kept and one being written, the best
            one, and the exported model.
        memory: What a step takes of the device's memory, or None where that is not known.
        measurement: Or None where the measurement failed (say, for want of memory).
        seconds: Training time on this machine, about, or None where it cannot be told.
        missing: What is not here, without which the run cannot start, and how to get it.
        downloads: What the run would download first.
        adapted: What was adapted to the data and to this machine's memory.
        notes: What the figures leave out.
    """

    num_classes: int
    num_images: int | None
    steps_per_epoch: int | None
    total_steps: int | None
    student: ModelCost
    teachers: tuple[ModelCost, ...]
    checkpoint_bytes: int
    disk_bytes: int
    memory: MemoryNeed | None
    measurement: Measurement | None
    seconds: float | None
    missing: tuple[str, ...]
    downloads: tuple[str, ...]
    adapted: tuple[str, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)


def count(loaded: LoadedModel, image_size: int | None = None) -> ModelCost:
    """Parameters and arithmetic of one image's forward pass, at the model's own size or a square's side."""
    network = loaded.model
    was_training = network.training
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        channels, height, width = loaded.preprocessing.input_size
        images = torch.zeros(1, channels, image_size or height, image_size or width)
        network_output(network.eval(), images, blank_conditions(network, 1))
    network.train(was_training)
    flops = int(counter.get_total_flops())
    return ModelCost(loaded.reference, sum(p.numel() for p in network.parameters()), flops // 2, flops)


def missing_of(plan: Plan, *, with_student: bool = True) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Data and weights that are not on this machine: those without which a run cannot start, and those that it would
    download first."""
    found, downloads = [plan.facts.missing] if plan.facts.missing else [], []
    from_stage = plan.stage is not None and plan.stage.start is not None
    starts = with_student and plan.recipe.student.init == "pretrained" and not from_stage
    teachers = plan.teachers if plan.labels is None else ()
    for reference in (*([plan.student] if starts else []), *teachers):
        parsed = parse_reference(reference)
        if cached_weights(parsed) is not None:
            continue
        if parsed.kind == "timm" and not parsed.tag:
            found.append(
                f"{reference} has no published weights: train it (kdzoo train --model {reference}), then --teacher RUN"
            )
        elif parsed.kind == "zoo":
            found.append(f"{reference} is not pulled yet: kdzoo pull {reference}")
        elif is_offline():
            found.append(f"the weights of {reference} are not in the local cache, and HF_HUB_OFFLINE is set")
        else:
            downloads.append(f"the weights of {reference} are not in the local cache: the run downloads them first")
    return tuple(found), tuple(downloads)


def decode_rate(plan: Plan, source: ImageSource, teacher_sizes: Sequence[int] = ()) -> float | None:
    """Images read and augmented a second, in one process; rendered for the teachers, too."""
    augmentation = plan.recipe.data.augmentation
    done, began = 0, time.perf_counter()
    for index in range(min(_MEASURED_IMAGES, len(source))):
        try:
            image = source.load(index * (len(source) // _MEASURED_IMAGES or 1) % len(source))
        except DataError:
            continue
        view = draw_view(augmentation, image.width, image.height, generator(0, "view", 0, index))
        apply_view(image, view, augmentation)
        for side in teacher_sizes:
            render_view(image, view, augmentation, side)
        done += 1
    return done / (time.perf_counter() - began) if done else None


def measured_batch(plan: Plan, device: torch.device, flops_an_image: int) -> int:
    """Images of a measured step: the run's own share on an accelerator, few on a CPU."""
    share = share_batch(plan.recipe.training.batch_size, 1, 1) // plan.recipe.training.accumulate
    if device.type != "cpu":
        return max(2, share)
    return max(2, min(share, _LARGEST_MEASURED_BATCH, int(_FLOP_A_MEASURED_STEP / max(flops_an_image, 1))))


def _measure(
    plan: Plan, student: LoadedModel, teachers: list[LoadedModel], flops_an_image: int, notes: list[str]
) -> Measurement | None:
    device = choose_device(plan.run.device)
    batch_size = measured_batch(plan, device, flops_an_image)
    images = plan.facts.num_images or batch_size
    try:
        require_memory(plan.recipe.objective.memory(images, batch_size, len(plan.teachers)), device)
        with deterministic(plan.recipe.training.deterministic):
            bench = StudentBench(plan, student, teachers, Processes(0, 1, device))
            bench.step(batch_size)  # warms up
            if device.type == "cuda":
                torch.cuda.reset_peak_memory_stats(device)
            step_s = min(bench.step(batch_size) for _ in range(_MEASURED_STEPS))
    except torch.OutOfMemoryError:
        notes.append(f"not measured: a batch of {batch_size} does not fit into this device's memory")
        return None
    except UsageError as error:
        notes.append(f"not measured: {error.message} ({error.hint})")
        return None
    memory = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
    return Measurement(device_name(device), batch_size, step_s, batch_size / step_s, _reading(plan, teachers), memory)


def device_name(device: torch.device) -> str:
    """What a person calls a device."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"cpu, {threads} thread{'s' if threads > 1 else ''}"


def _reading(plan: Plan, teachers: Sequence[LoadedModel]) -> float | None:
    """Training images read and augmented a second, in one process; None where they are not here."""
    if plan.facts.missing is not None:
        return None
    data = plan.recipe.data
    bare = plan.recipe.objective.task == "features"
    source = open_unlabeled_pair(data.dataset, data.val_dataset)[0] if bare else open_source(data.dataset, "train")
    return decode_rate(plan, source, sizes_shown(plan.recipe, teachers))


def _seconds(plan: Plan, measured: Measurement | None, images: int | None, notes: list[str]) -> float | None:
    """Training time: computing and reading run side by side, the slower one counts."""
    if measured is None or images is None:
        return None
    rate = measured.images_per_s
    if measured.decode_images_per_s is not None:
        reading = measured.decode_images_per_s * max(plan.run.workers, 1)
        if reading < rate:
            notes.append(f"reading images is the slower part ({reading:.0f} images/s with {plan.run.workers} workers)")
        rate = min(rate, reading)
    return images / rate


def estimate(plan: Plan, *, measure: bool = True) -> Cost:
    """What a plan costs on this machine.

    Args:
        plan: From ``resolve``.
        measure: Whether to run a few real steps for the time and the memory.

    Raises:
        ModelError: A network cannot be built.
        TeacherError: A teacher cannot see the run's views.
        DataError: The stored labels do not fit.
        UsageError: The device is not there, or the recipe cannot learn from stored labels.
    """
    if plan.labels is not None and plan.facts.missing is None:
        open_labels(plan, open_sources(plan.recipe))
    notes = ["times are for this machine and process, without evaluations and checkpoints"]
    num_classes = plan.recipe.objective.num_outputs(plan.facts.num_targets or plan.facts.num_classes or 1000)
    if plan.facts.num_classes is None and not plan.facts.num_targets and num_classes:
        notes.append("the number of classes is not known: 1000 is assumed")
    training = plan.recipe.training
    device = choose_device(plan.run.device)
    free = available_bytes(device)
    student = student_of(plan, num_classes, weights=False)
    teachers = [] if plan.labels is not None else teachers_of(plan, weights=False)
    student_cost = count(student)
    require_size(teachers, run_size(plan.recipe))
    guided_stages(plan, student, teachers)  # refuses what the run would
    teacher_costs = tuple(count(teacher, run_size(plan.recipe)) for teacher in teachers)
    notes.extend(view_notes(plan.recipe, [record_of(teacher, "") for teacher in teachers]))
    notes.extend(class_notes(known_matches(plan)))
    steps = plan.steps_per_epoch
    total = None if steps is None else steps * training.epochs
    measured, need = None, None
    if measure:
        flops = 3 * student_cost.flops + sum(cost.flops for cost in teacher_costs)
        like_student = bench_teachers(plan, num_classes)
        plan, need = fit_batch(plan, student, like_student, Processes(0, 1, device), free)
        if need is not None and need.images_per_s is not None:
            step_s = need.measured_images / need.images_per_s
            measured = Measurement(
                device_name(device), need.measured_images, step_s, need.images_per_s, _reading(plan, teachers), None
            )
        elif need is None or need.fits:
            measured = _measure(plan, student, like_student, flops, notes)
    missing, downloads = missing_of(plan)
    checkpoint, disk = _disk(plan, student, student_cost)
    images = None if total is None else total * training.batch_size
    return Cost(
        num_classes=num_classes,
        num_images=plan.facts.num_images,
        steps_per_epoch=steps,
        total_steps=total,
        student=student_cost,
        teachers=teacher_costs,
        checkpoint_bytes=checkpoint,
        disk_bytes=disk,
        memory=need,
        measurement=measured,
        seconds=_seconds(plan, measured, images, notes),
        missing=missing,
        downloads=downloads,
        adapted=plan.adapted,
        notes=tuple(notes),
    )


def _disk(plan: Plan, student: LoadedModel, cost: ModelCost) -> tuple[int, int]:
    """Bytes of a checkpoint and of the run folder: weights, moments, the average; buffers; the exported model."""
    optimizer, training = plan.recipe.optimizer, plan.recipe.training
    moments = 2 if optimizer.name != "sgd" else int(optimizer.momentum != 0)
    copies = 1 + moments + int(training.ema_decay is not None)
    buffers = sum(buffer.numel() for buffer in student.model.buffers())
    model = _BYTES * (cost.parameters + buffers)
    memory = plan.recipe.objective.memory(plan.facts.num_images or 0, training.batch_size, len(plan.teachers))
    held = 0 if memory is None else memory.held
    checkpoint = _BYTES * (copies * cost.parameters + buffers) + held
    return checkpoint, (KEPT + 2) * checkpoint + model
