"""What the engine costs over a bare PyTorch loop, and whether its memory stays flat.

Both train the same ResNet-18 on the same images, views and order, in turns in one process; the ratio is taken round by
round, so that a machine whose speed drifts does not matter.

    python benchmarks/engine_overhead.py --rounds 5 --steps 16
    python benchmarks/engine_overhead.py --memory --epochs 12
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from kdzoo.data import (
    ArraySource,
    Augmentation,
    BatchOrder,
    EvalTransform,
    ImageSource,
    Mixing,
    apply_view,
    draw_view,
    generator,
)
from kdzoo.engine.distributed import Processes
from kdzoo.engine.job import TrainJob
from kdzoo.engine.loop import train
from kdzoo.engine.objective import Objective, Phase, StepView, student_group
from kdzoo.engine.settings import OptimizerSettings, ScheduleSettings, TrainingSettings
from kdzoo.engine.signals import StopRequest
from kdzoo.engine.teachers import normalise
from kdzoo.zoo import LoadedModel, load_model

SIZE, BATCH, CLASSES = 64, 64, 10
OPTIMIZER = OptimizerSettings(name="sgd", lr=0.01, momentum=0.9, weight_decay=1e-4)
AUGMENTATION = Augmentation(image_size=SIZE)


class HardLabels(Objective):
    """Cross-entropy, nothing else."""

    def phases(self, student: nn.Module) -> tuple[Phase, ...]:
        return (Phase("student", [student_group(student)]),)

    def terms(self, phase: str, step: StepView) -> dict[str, Tensor]:
        return {"hard_label": nn.functional.cross_entropy(step.student().logits, step.labels)}


def random_images(count: int, split: str) -> ArraySource:
    """Noise images of the size that is measured."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8)
    names = [str(index) for index in range(count)]
    return ArraySource("noise", split, names[:CLASSES], np.arange(count) % CLASSES, pixels, names)


def student() -> LoadedModel:
    """A ResNet-18 with seeded random weights."""
    return load_model("resnet18", pretrained=False, num_classes=CLASSES, seed=0, image_size=SIZE)


def bare_loop(source: ImageSource, steps: int) -> float:
    """Seconds that a plain loop takes for ``steps`` steps."""
    loaded = student()
    model = loaded.model.to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
    order = BatchOrder(num_samples=len(source), batch_size=BATCH, epochs=1, seed=0)
    look = loaded.preprocessing
    began = time.perf_counter()
    for step in range(steps):
        ids = order.ids(0, step)
        views = []
        for index in ids.tolist():
            image = source.load(index)
            view = draw_view(AUGMENTATION, *image.size, generator(0, "view", 0, index))
            views.append(torch.from_numpy(apply_view(image, view, AUGMENTATION)))
        images = torch.stack(views).permute(0, 3, 1, 2).float().div_(255)
        logits = model(normalise(images, look.mean, look.std))
        loss = nn.functional.cross_entropy(logits, torch.from_numpy(source.labels[ids]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()  # every loop prints its loss
    return time.perf_counter() - began


def engine(source: ImageSource, epochs: int, out: Path) -> float:
    """Seconds that the engine takes for its steps (its last evaluation and checkpoint are not steps)."""
    job = TrainJob(
        student=student(),
        objective=HardLabels(),
        teachers=None,
        train_source=source,
        val_source=random_images(CLASSES, "val"),
        augmentation=AUGMENTATION,
        mixing=Mixing(),
        eval_transform=EvalTransform(image_size=SIZE, crop_pct=1.0, interpolation="bilinear"),
        training=TrainingSettings(epochs=epochs, batch_size=BATCH, evaluate_every_epochs=0, log_every_steps=10),
        optimizer=OPTIMIZER,
        schedule=ScheduleSettings(name="constant"),
        seed=0,
        workers=0,
        out=out,
        resume=False,
        config={},
        fixed={},
    )
    with StopRequest() as stop:
        return train(job, Processes(0, 1, torch.device("cpu")), stop).seconds


def compare(rounds: int, steps: int) -> None:
    """Print the ratio of the engine's time to the bare loop's."""
    source = random_images(steps * BATCH, "train")
    bare_loop(source, min(steps, 4))  # warm-up
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        for index in range(rounds):
            bare = bare_loop(source, steps)
            ours = engine(source, 1, Path(folder) / str(index))
            ratios.append(ours / bare)
            print(f"round {index}: bare {bare / steps:.4f} s/step, engine {ours / steps:.4f}, ratio {ratios[-1]:.3f}")
    print(
        f"engine / bare loop, ResNet-18, {SIZE} px, batch {BATCH}, {torch.get_num_threads()} threads: "
        f"median {statistics.median(ratios):.3f}, min {min(ratios):.3f}, max {max(ratios):.3f} of {rounds} rounds"
    )


def memory(epochs: int) -> None:
    """Print the process's peak resident memory after runs of more and more epochs."""
    source = random_images(4 * BATCH, "train")
    with tempfile.TemporaryDirectory() as folder:
        for index, count in enumerate((1, epochs // 2, epochs)):
            engine(source, count, Path(folder) / str(index))
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"after a run of {count} epochs: peak resident memory {peak:.0f} MiB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--epochs", type=int, default=12)
    arguments = parser.parse_args()
    if arguments.memory:
        memory(arguments.epochs)
    else:
        compare(arguments.rounds, arguments.steps)
