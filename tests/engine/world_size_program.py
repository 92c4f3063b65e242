"""Trains for one epoch and writes down, a file a process, which images the student and its teacher saw at each step.

Run alone or under torchrun:  world_size_program.py FOLDER
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

from torch import Tensor, nn

from kdzoo.data import Augmentation, EvalTransform, Mixing, open_source
from kdzoo.engine.distributed import start_processes
from kdzoo.engine.job import TrainJob
from kdzoo.engine.loop import train
from kdzoo.engine.objective import Objective, Phase, StepView, student_group
from kdzoo.engine.settings import OptimizerSettings, ScheduleSettings, TrainingSettings
from kdzoo.engine.signals import StopRequest
from kdzoo.engine.teachers import TeacherEnsemble
from kdzoo.zoo import load_model


def hashes_of(images: Tensor) -> list[str]:
    """Each image's size and digest."""
    return [f"{images.shape[-1]} {hashlib.sha256(one.contiguous().numpy().tobytes()).hexdigest()}" for one in images]


class Recorder(Objective):
    """Cross-entropy that remembers what it was shown, and what the teacher was.

    Args:
        teacher: It sees views at its own size.
    """

    def __init__(self, teacher: nn.Module) -> None:
        super().__init__()
        self.seen: list[list[tuple[int, str, str]]] = []
        self.shown: list[str] = []
        teacher.conv1.register_forward_pre_hook(lambda _, inputs: self.shown.extend(hashes_of(inputs[0])))

    def phases(self, student: nn.Module) -> tuple[Phase, ...]:
        return (Phase("student", (student_group(student),)),)

    def terms(self, phase: str, step: StepView) -> dict[str, Tensor]:
        self.shown.clear()
        step.teachers()
        self.seen.append(list(zip(step.sample_ids.tolist(), hashes_of(step.images), self.shown, strict=True)))
        return {"hard_label": nn.functional.cross_entropy(step.student().logits, step.labels)}


def main(folder: Path) -> None:
    """Train and write ``seen-RANK.json``."""
    processes = start_processes("cpu")
    teacher = load_model("cifar_resnet8", pretrained=False, num_classes=10, seed=1)
    teacher.preprocessing = replace(teacher.preprocessing, image_size=24)
    recorder = Recorder(teacher.model)
    job = TrainJob(
        student=load_model("cifar_resnet8", pretrained=False, num_classes=10, seed=0),
        objective=recorder,
        teachers=TeacherEnsemble([teacher], processes.device),
        train_source=open_source("digits", "train"),
        val_source=open_source("digits", "val"),
        augmentation=Augmentation(image_size=16, color_jitter=(0.3, 0.3, 0.3), policy="rand-m9-n2", erase_prob=0.5),
        mixing=Mixing(mixup_prob=0.5, cutmix_prob=0.5),
        eval_transform=EvalTransform(image_size=16, crop_pct=1.0, interpolation="bilinear"),
        training=TrainingSettings(epochs=1, batch_size=144),
        optimizer=OptimizerSettings(name="sgd", lr=0.01, momentum=0.9, weight_decay=0.0),
        schedule=ScheduleSettings(name="constant"),
        seed=3,
        workers=1,
        out=folder / "run",
        resume=False,
        config={},
        fixed={},
        teacher_sizes=(24,),
    )
    with StopRequest() as stop:
        result = train(job, processes, stop)
    answer = {"seen": recorder.seen, "num_images": result.metrics.num_images}
    (folder / f"seen-{processes.rank}.json").write_text(json.dumps(answer))
    processes.stop()


if __name__ == "__main__":
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    main(Path(sys.argv[1]))
