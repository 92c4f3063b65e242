"""Real steps of a plan on noise: how long one takes, and in a process of their own how much memory.

Networks have random weights, so that neither data nor weights need to be here.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..base.errors import KdzooError
from ..base.setting_values import convert
from ..base.settings import flatten, replace_settings, setting_types
from ..data import Batch
from ..engine.distributed import Processes
from ..engine.phases import run_phases, start_phases
from ..engine.precision import deterministic
from ..engine.step import StepContext, mix_batch, split_step
from ..engine.student import Student
from ..engine.teachers import TeacherEnsemble
from ..recipes.hints import Hinted
from ..recipes.recipe import Recipe
from ..recipes.recipe_file import load_recipe
from ..zoo import LoadedModel, seeded
from .hints import guided_stages
from .labels import record_of, stored_labels
from .models import shapes_of, student_of, teachers_of
from .plan import DataFacts, Plan, RunSettings, StageStep
from .teacher_views import further_sizes, run_size, sides_seen

_POSE = 2  # numbers of a head's pose


class StudentBench:
    """The engine's own step on noise.

    Args:
        plan: The run.
        student: Random weights will do.
        teachers: Random weights will do.
        processes: This process alone.
    """

    def __init__(self, plan: Plan, student: LoadedModel, teachers: list[LoadedModel], processes: Processes) -> None:
        self.plan, self.processes = plan, processes
        training = plan.recipe.training
        num_images = plan.facts.num_images or training.batch_size
        labels = np.arange(num_images) % max(1, student.num_classes)
        labels[num_images - plan.facts.num_unlabeled :] = -1
        self.store = stored_labels(plan)
        records = [record_of(teacher, "") for teacher in teachers] if self.store is None else self.store.head.teachers
        networks = teachers if plan.recipe.objective.reads.dense else ()
        shapes = shapes_of(student, records, num_images, labels, plan.facts.num_targets, networks)
        with seeded(plan.run.seed):
            objective, guided = plan.recipe.objective.build(shapes), guided_stages(plan, student, teachers)
            objective = objective if guided is None else Hinted(objective, guided)
        self.objective = objective.to(processes.device)
        self.student = Student(student, training, processes, reads_maps=self.objective.reads_maps)
        self.student.model.train()
        self.objective.set_modes(self.student.model)
        self.teachers = None
        if teachers:
            self.teachers = _ensemble(plan, teachers, processes.device)
        self.sizes = sizes_shown(plan.recipe, teachers)
        self.phases = start_phases(
            self.objective,
            self.student.model,
            plan.recipe.optimizer,
            plan.recipe.schedule,
            training.precision,
            processes.device,
        )
        self.num_classes = student.num_classes

    def step(self, batch_size: int, parts: int = 1) -> float:
        """Seconds of one step of a batch, run in some parts."""
        training = self.plan.recipe.training
        batch = _noise(self.plan, batch_size, self.num_classes, self.sizes)
        if self.store is not None:
            batch = replace(batch, answers=torch.rand((batch_size, sum(self.store.head.layout.widths))))
        _wait(self.processes.device)
        began = time.perf_counter()
        context = StepContext(
            student=self.student,
            teachers=self.teachers,
            num_training_images=self.plan.facts.num_images or batch_size,
            processes=self.processes,
            reads_maps=self.objective.reads_maps,
            mixing=self.plan.recipe.data.mixing,
            parts=parts,
            layout=torch.channels_last if training.channels_last else torch.contiguous_format,
            store=self.store,
        )
        split = split_step(batch, context, epoch=0, step=0)
        run_phases(self.phases, self.objective, split, training, self.processes, steps_per_epoch=1)
        self.student.after_step()
        _wait(self.processes.device)
        return time.perf_counter() - began


class LabelBench:
    """The teachers' answers to noise, as labels are made.

    Args:
        plan: Whose labels.
        teachers: Random weights will do.
        processes: This process alone.
    """

    def __init__(self, plan: Plan, teachers: list[LoadedModel], processes: Processes) -> None:
        self.plan, self.processes = plan, processes
        training = plan.recipe.training
        self.teachers = _ensemble(plan, teachers, processes.device)
        self.sizes = sizes_shown(plan.recipe, teachers)
        self.layout = torch.channels_last if training.channels_last else torch.contiguous_format

    @torch.no_grad()
    def step(self, batch_size: int, parts: int = 1) -> float:
        """Seconds of answering one batch, in some parts."""
        _wait(self.processes.device)
        began = time.perf_counter()
        batch, mixing = _noise(self.plan, batch_size, 2, self.sizes), self.plan.recipe.data.mixing
        mixed = mix_batch(batch, mixing, self.processes, self.layout, seed=0, epoch=0, step=0)
        size = batch_size // parts
        for first in range(0, batch_size, size):
            part = mixed.part(slice(first, first + size))
            self.teachers(part.images, part.conditions, renderings=part.teacher_images).logits[-1].cpu()
        return time.perf_counter() - began


def bench_teachers(plan: Plan, num_classes: int) -> list[LoadedModel]:
    """A plan's teachers with random weights and the student's classes; none where their labels are stored."""
    if plan.labels is not None:
        return []
    return teachers_of(plan, weights=False, num_classes=None if plan.facts.num_targets else num_classes)


def _ensemble(plan: Plan, teachers: list[LoadedModel], device: torch.device) -> TeacherEnsemble:
    """The teachers as the run has them."""
    training = plan.recipe.training
    return TeacherEnsemble(
        teachers,
        device,
        precision=training.precision,
        channels_last=training.channels_last,
        image_size=run_size(plan.recipe),
    )


def sizes_shown(recipe: Recipe, teachers: Sequence[LoadedModel]) -> tuple[int, ...]:
    """The sides at which views are rendered for teachers beside the student's own."""
    return further_sizes(recipe, sides_seen(recipe, [record_of(teacher, "") for teacher in teachers]))


def _noise(plan: Plan, batch_size: int, num_classes: int, sides: Sequence[int]) -> Batch:
    """A batch of the plan's shape, rendered at further sides for the teachers."""
    rng, several = torch.Generator().manual_seed(0), plan.facts.multilabel
    targets = num_classes if several else plan.facts.num_targets
    size = plan.recipe.data.augmentation.size
    return Batch(
        images=torch.randint(0, 256, (batch_size, 3, *size), dtype=torch.uint8, generator=rng),
        labels=torch.randint(0, max(1, num_classes), (batch_size,), generator=rng),
        sample_ids=torch.arange(batch_size),
        targets=torch.rand((batch_size, targets), generator=rng) if targets else None,
        conditions=torch.rand((batch_size, _POSE), generator=rng) if targets and not several else None,
        teacher_images=tuple(
            torch.randint(0, 256, (batch_size, 3, side, side), dtype=torch.uint8, generator=rng) for side in sides
        ),
    )


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@dataclass(frozen=True, kw_only=True)
class MeasuredStep:
    """One step in a process of its own.

    Attributes:
        batch_size: Images.
        parts: Accumulated parts.
        seconds: Of this step.
        bytes: Most memory that the networks and all steps so far took, on the device where they computed.
    """

    batch_size: int
    parts: int
    seconds: float
    bytes: int


class ChildFailedError(Exception):
    """The measuring process ended early; its last words.

    Args:
        words: On stderr.
        for_want_of_memory: Whether the memory was too small, and not something else wrong.
    """

    def __init__(self, words: str, *, for_want_of_memory: bool) -> None:
        super().__init__(words)
        self.for_want_of_memory = for_want_of_memory


def measure_in_child(
    plan: Plan, num_classes: int, device: torch.device, steps: Sequence[tuple[int, int]], *, labels_only: bool = False
) -> list[MeasuredStep]:
    """Take steps in a new process, so that their peak of memory is theirs alone and nothing of it stays.

    Args:
        plan: The run.
        num_classes: The student's outputs.
        device: Where to compute.
        steps: (images, accumulated parts) of each step, smaller ones first: a peak never falls.
        labels_only: Whether the teachers answer alone, as `label` has it.

    Raises:
        ChildFailedError: It ended before its last step.
    """
    asked = {
        "plan": _document(plan),
        "num_classes": num_classes,
        "device": str(device),
        "steps": list(steps),
        "labels_only": labels_only,
        "threads": torch.get_num_threads(),
    }
    command, text = [sys.executable, "-m", __name__], json.dumps(asked).encode()
    done = subprocess.run(command, input=text, capture_output=True, check=False)
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise ChildFailedError(words[0], for_want_of_memory=done.returncode in _OUT_OF_MEMORY)
    return [MeasuredStep(**step) for step in json.loads(done.stdout)]


_MEMORY_EXIT = 99
_OUT_OF_MEMORY = (_MEMORY_EXIT, -9)
"""How a measuring process ends for want of memory: by itself, or by the kernel's SIGKILL."""


def _resident(field: str) -> int:
    """Bytes of this process's memory: ``VmRSS`` now, ``VmHWM`` at most; 0 where the system does not say."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        return 1024 * int(lines[field].split()[0])
    return 0


def _document(plan: Plan) -> dict[str, Any]:
    """What of a plan its steps depend on, as a JSON object."""
    stage = None if plan.stage is None else asdict(plan.stage)
    return {
        "origin": plan.origin,
        "settings": flatten(plan.recipe),
        "run": asdict(plan.run),
        "facts": asdict(plan.facts),
        "stage": stage,
    }


def _plan_of(document: dict[str, Any]) -> Plan:
    """The plan of a `_document`."""
    base, facts = load_recipe(document["origin"]).recipe, document["facts"]
    types = setting_types(base)
    values = {path: convert(value, types[path], path) for path, value in document["settings"].items()}
    size, stage = facts["native_size"], document["stage"]
    return Plan(
        recipe=replace_settings(base, values),
        origin=document["origin"],
        variants=(),
        run=RunSettings(**document["run"]),
        facts=DataFacts(**{**facts, "native_size": None if size is None else tuple(size)}),
        sources={},
        stage=None if stage is None else StageStep(**stage),
    )


def _child() -> None:
    asked = json.load(sys.stdin)
    plan, num_classes, labels_only = _plan_of(asked["plan"]), asked["num_classes"], asked["labels_only"]
    torch.set_num_threads(asked["threads"])
    device, before, found = torch.device(asked["device"]), _resident("VmRSS"), []
    with contextlib.redirect_stdout(sys.stderr), deterministic(plan.recipe.training.deterministic):
        teachers = bench_teachers(plan, num_classes)
        alone = Processes(0, 1, device)
        if labels_only:
            bench: LabelBench | StudentBench = LabelBench(plan, teachers, alone)
        else:
            bench = StudentBench(plan, student_of(plan, num_classes, weights=False), teachers, alone)
        for size, parts in asked["steps"]:
            seconds = bench.step(size, parts)
            peak = torch.cuda.max_memory_reserved(device) if device.type == "cuda" else _resident("VmHWM") - before
            found.append(asdict(MeasuredStep(batch_size=size, parts=parts, seconds=seconds, bytes=max(0, peak))))
    print(json.dumps(found))


if __name__ == "__main__":
    try:
        _child()
    except (MemoryError, torch.OutOfMemoryError):
        sys.exit(_MEMORY_EXIT)
    except RuntimeError as error:
        sys.exit(_MEMORY_EXIT if "allocate" in str(error) else f"{type(error).__name__}: {error}")
    except KdzooError as error:
        sys.exit(error.message)
