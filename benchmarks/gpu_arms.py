"""The arms of benchmarks/gpu.py: one step of kdzoo, of timm's train.py and of a bare loop, on the same batches."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from kdzoo.base.settings import Given
from kdzoo.data import Batch
from kdzoo.engine.distributed import Processes
from kdzoo.engine.loop import StudentTraining
from kdzoo.engine.precision import autocast, deterministic
from kdzoo.engine.signals import StopRequest
from kdzoo.engine.teachers import freeze, normalise
from kdzoo.planning.label_run import label
from kdzoo.planning.plan import Plan
from kdzoo.planning.resolution import resolve
from kdzoo.planning.run import build_job
from kdzoo.zoo import load_model, save_model

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
KD, HARD, TEMPERATURE, LR, MOMENTUM = 0.9, 0.1, 4.0, 1e-4, 0.9
CLASSES = 10


@dataclass(frozen=True, kw_only=True)
class Task:
    """What every arm trains.

    Attributes:
        student: timm's name.
        teacher: timm's name.
        data: Class folders in train/ and val/.
        folder: For the teacher's weights, labels and runs.
        size: Side of the images, pixels.
        batch_size: Images a step.
        workers: Loader processes, where images come from files.
        device: Where it computes.
    """

    student: str
    teacher: str
    data: Path
    folder: Path
    size: int
    batch_size: int
    workers: int
    device: torch.device

    def teacher_folder(self) -> str:
        """The teacher with seeded random weights, written once."""
        place = self.folder / f"teacher-{self.teacher}"
        if not place.exists():
            loaded = load_model(self.teacher, pretrained=False, num_classes=CLASSES, seed=1, image_size=self.size)
            loaded.class_names = tuple(f"class_{index}" for index in range(CLASSES))
            save_model(loaded, place, provenance={})
        return str(place)


@dataclass(frozen=True, kw_only=True)
class How:
    """How an arm computes.

    Attributes:
        precision: ``bf16`` or ``fp32``.
        only_deterministic: Whether only deterministic kernels run; otherwise cuDNN looks for the fastest.
        compile: Whether the student runs through torch.compile (of timm, as its train.py does, the teacher too).
        fused: Whether the optimiser has one kernel for all parameters.
        tf32: ``off``, ``convolutions`` (torch's default) or ``all``.
        stored: Whether the teacher's answers were stored beforehand.
    """

    precision: str = "bf16"
    only_deterministic: bool = False
    compile: bool = False
    fused: bool = True
    tf32: str = "convolutions"
    stored: bool = False

    @contextlib.contextmanager
    def modes(self) -> Iterator[None]:
        """torch's own switches, which come back afterwards."""
        before = torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()
        torch.backends.cudnn.allow_tf32 = self.tf32 != "off"
        torch.set_float32_matmul_precision("high" if self.tf32 == "all" else "highest")
        try:
            with deterministic(self.only_deterministic):
                yield
        finally:
            torch.backends.cudnn.allow_tf32 = before[0]
            torch.set_float32_matmul_precision(before[1])


@dataclass
class Arm:
    """One way to take the step.

    Attributes:
        name: For the table.
        how: Its modes.
        step: Takes a step on what a loader gives; returns the loss, read or not.
        from_memory: Batches to that, from batches that all arms share, over and over.
        from_files: Batches from JPEG files, over and over, and what ends their loader.
        first_loss: Of its first step.
    """

    name: str
    how: How
    step: Callable[[Any], float | Tensor]
    from_memory: Callable[[list[Batch]], Iterator[Any]]
    from_files: Callable[[], tuple[Iterator[Any], Callable[[], None]]]
    first_loss: float = field(default=float("nan"))


# -- kdzoo -------------------------------------------------------------------------------------------------------------


def plan_of(task: Task, how: How, *, epochs: int = 1000, labels: str | None = None) -> Plan:
    """kdzoo's plan: Hinton's distillation on the folders, at ImageNet's crops."""
    settings: dict[str, Any] = {
        "student.model": task.student,
        "data.dataset": str(task.data),
        "data.mean": MEAN,
        "data.std": STD,
        "data.augmentation.image_size": task.size,
        "data.augmentation.crop": "random_resized",
        "data.augmentation.hflip_prob": 0.5,
        "training.epochs": epochs,
        "training.batch_size": task.batch_size,
        "training.precision": how.precision,
        "training.compile": how.compile,
        "training.deterministic": how.only_deterministic,
        "optimizer.lr": LR,
        "optimizer.momentum": MOMENTUM,
        "optimizer.weight_decay": 0.0,
        "objective.temperature": TEMPERATURE,
        "objective.kd_weight": KD,
        "objective.label_weight": HARD,
        "run.device": str(task.device),
        "run.workers": task.workers,
        "run.exact": True,
        **({"run.labels": labels} if labels else {"teachers.models": (task.teacher_folder(),)}),
    }
    return resolve("hinton_kd", given={path: Given(value, "benchmark") for path, value in settings.items()})


def store_labels(task: Task, how: How, epochs: int) -> str:
    """Store the teacher's answers to the first epochs; returns their folder."""
    out = task.folder / f"labels-{task.student}"
    label(plan_of(task, how, epochs=epochs), out=out, trust_teacher=True)
    return str(out)


def kdzoo_arm(task: Task, how: How, name: str, stop: StopRequest, labels: str | None = None, epochs: int = 1000) -> Arm:
    """kdzoo's own step, as its engine takes it."""
    out = task.folder / f"run-{task.student}-{name.replace(' ', '-').replace(',', '')}"
    processes = Processes(0, 1, task.device)
    plan = plan_of(task, how, labels=labels, epochs=epochs)
    job = build_job(plan, out=out, resume=False, trust_teacher=True, processes=processes, stop=stop)
    training = StudentTraining(job, processes, stop)
    if not how.fused:
        for running in training.phases:
            for group in running.updater.optimizer.param_groups:
                group["fused"] = None

    def from_files() -> tuple[Iterator[Any], Callable[[], None]]:
        batches: Any = training.batches().__enter__()
        return batches, batches.close

    return Arm(
        name=name,
        how=how,
        step=lambda batch: sum(training.step(batch)[0].values()),
        from_memory=itertools.cycle,
        from_files=from_files,
    )


def shared_batches(task: Task, stop: StopRequest, labels: str | None, count: int, epochs: int) -> list[Batch]:
    """The first batches of kdzoo's own loader, page-locked with CUDA, with their stored answers."""
    processes = Processes(0, 1, task.device)
    plan = plan_of(task, How(), labels=labels, epochs=epochs)
    out = task.folder / f"run-{task.student}-batches"
    job = build_job(plan, out=out, resume=False, trust_teacher=True, processes=processes, stop=stop)
    with StudentTraining(job, processes, stop).batches() as batches:
        return list(itertools.islice(batches, count))


# -- a bare loop -------------------------------------------------------------------------------------------------------


def networks(task: Task) -> tuple[nn.Module, nn.Module]:
    """The student and the teacher that kdzoo's run has, on the device, channels_last."""
    student = load_model(task.student, pretrained=False, num_classes=CLASSES, seed=0, image_size=task.size).model
    teacher = load_model(task.teacher_folder()).model
    both = [one.to(task.device).to(memory_format=torch.channels_last) for one in (student, teacher)]
    return both[0].train(), freeze(both[1])


def distillation_loss(logits: Tensor, target: Tensor, labels: Tensor) -> Tensor:
    """0.9 of Hinton's term and 0.1 of the labels', as all arms have them."""
    log_p, log_q = (functional.log_softmax(one / TEMPERATURE, dim=1) for one in (logits, target))
    kd = functional.kl_div(log_p, log_q, reduction="batchmean", log_target=True) * TEMPERATURE**2
    return KD * kd + HARD * functional.cross_entropy(logits, labels)


def bare_arm(task: Task, how: How, name: str) -> Arm:
    """What one writes without a framework: every line that makes it fast, and the loss read at each step."""
    student, teacher = networks(task)
    fused = how.fused and task.device.type == "cuda"
    optimizer = torch.optim.SGD(student.parameters(), lr=LR, momentum=MOMENTUM, fused=fused or None)

    def step(batch: tuple[Tensor, Tensor]) -> float:
        images, labels = (one.to(task.device, non_blocking=True) for one in batch)
        pixels = images.contiguous(memory_format=torch.channels_last).float().div_(255)
        with autocast(task.device, how.precision):
            seen = normalise(pixels, MEAN, STD)
            logits = student(seen)
            with torch.no_grad():
                target = teacher(seen)
        loss = distillation_loss(logits.float(), target.float(), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss.item()

    def from_files() -> tuple[Iterator[Any], Callable[[], None]]:
        look = [transforms.RandomResizedCrop(task.size), transforms.RandomHorizontalFlip(), transforms.PILToTensor()]
        dataset = datasets.ImageFolder(str(task.data / "train"), transforms.Compose(look))
        loader: DataLoader[Any] = DataLoader(
            dataset,
            batch_size=task.batch_size,
            shuffle=True,
            num_workers=task.workers,
            pin_memory=task.device.type == "cuda",
            drop_last=True,
            persistent_workers=task.workers > 0,
        )
        return endless(loader), lambda: None

    return Arm(
        name=name,
        how=how,
        step=step,
        from_memory=lambda batches: itertools.cycle([(batch.images, batch.labels) for batch in batches]),
        from_files=from_files,
    )


def endless(loader: Iterable[Any]) -> Iterator[Any]:
    """A loader's epochs, one after the other."""
    while True:
        yield from loader


# -- timm --------------------------------------------------------------------------------------------------------------


def timm_arm(task: Task, how: How, name: str) -> Arm:
    """timm's train.py with --kd-model-name: its task, its loader, its optimiser; the loss is read each 50 steps there,
    and so it is here.

    Raises:
        ImportError: This timm has no distillation task.
    """
    from timm.data import create_dataset, create_loader
    from timm.data.loader import PrefetchLoader
    from timm.optim import create_optimizer_v2
    from timm.task import LogitDistillationTask

    student, teacher = networks(task)
    both = LogitDistillationTask(
        student_model=student,
        teacher_model=teacher,
        criterion=nn.CrossEntropyLoss().to(task.device),
        distill_loss_weight=KD,
        task_loss_weight=HARD,
        temperature=TEMPERATURE,
        device=task.device,
        verbose=False,
    )
    both.to(task.device)
    optimizer = create_optimizer_v2(student, opt="momentum", lr=LR, momentum=MOMENTUM, weight_decay=0.0)
    if how.compile:
        both.compile()
    both.train()
    taken = itertools.count()

    def step(batch: tuple[Tensor, Tensor]) -> Tensor:
        images, labels = batch
        images = images.contiguous(memory_format=torch.channels_last)
        with autocast(task.device, how.precision):
            loss: Tensor = both(images, labels)["loss"]
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if next(taken) % 50 == 49:
            loss.item()
        return loss.detach()

    def from_memory(batches: list[Batch]) -> Iterator[Any]:
        def again() -> Iterator[tuple[Tensor, Tensor]]:
            for batch in itertools.cycle(batches):
                yield batch.images, batch.labels

        return iter(PrefetchLoader(again(), mean=MEAN, std=STD, device=task.device))  # type: ignore[arg-type]

    def from_files() -> tuple[Iterator[Any], Callable[[], None]]:
        dataset = create_dataset("", root=str(task.data), split="train", is_training=True)
        loader = create_loader(
            dataset,
            input_size=(3, task.size, task.size),
            batch_size=task.batch_size,
            is_training=True,
            color_jitter=0.0,
            interpolation="bilinear",
            mean=MEAN,
            std=STD,
            num_workers=task.workers,
            pin_memory=task.device.type == "cuda",
            device=task.device,
            persistent_workers=task.workers > 0,
        )
        return endless(loader), lambda: None

    return Arm(name=name, how=how, step=step, from_memory=from_memory, from_files=from_files)


def write_images(root: Path, count: int, size: tuple[int, int]) -> None:
    """Class folders in train/ with JPEG images as detailed as photographs are, and a few in val/."""
    generator = torch.Generator().manual_seed(0)
    width, height = size
    for index in range(count + 2 * CLASSES):
        split = "train" if index < count else "val"
        place = root / split / f"class_{index % CLASSES}"
        place.mkdir(parents=True, exist_ok=True)
        coarse = torch.randint(0, 256, (1, 3, height // 12 + 2, width // 12 + 2), generator=generator).float()
        smooth = functional.interpolate(coarse, (height, width), mode="bicubic", align_corners=False)[0]
        noisy = smooth + torch.randint(-10, 11, (3, height, width), generator=generator)
        pixels = noisy.clamp_(0, 255).to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
        Image.fromarray(pixels).save(place / f"{index:05d}.jpg", quality=90)
