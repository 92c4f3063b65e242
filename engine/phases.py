"""Running an objective's phases, one after the other at each step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from .distributed import Processes
from .objective import Objective, Phase
from .optim import build_optimizer, phase_parameters
from .schedule import lr_factor
from .settings import OptimizerSettings, ScheduleSettings, TrainingSettings
from .step import Step
from .updater import Updater


@dataclass
class RunningPhase:
    """A phase with what moves its parameters, its base learning rate and its schedule."""

    phase: Phase
    updater: Updater
    base_lr: float
    schedule: ScheduleSettings


def start_phases(
    objective: Objective,
    student: nn.Module,
    optimizer: OptimizerSettings,
    schedule: ScheduleSettings,
    precision: str,
    device: torch.device,
) -> list[RunningPhase]:
    """The objective's phases with their optimisers, in the order in which they run."""
    return [
        RunningPhase(
            phase=phase,
            updater=Updater(
                name=phase.name,
                optimizer=build_optimizer(phase, optimizer),
                parameters=phase_parameters([phase]),
                scaler=torch.amp.GradScaler(device.type, enabled=precision == "fp16"),
            ),
            base_lr=(phase.optimizer or optimizer).lr,
            schedule=phase.schedule or schedule,
        )
        for phase in objective.phases(student)
    ]


def run_phase(
    running: RunningPhase,
    objective: Objective,
    parts: Sequence[Step],
    training: TrainingSettings,
    processes: Processes,
    *,
    lr: float,
) -> dict[str, float]:
    """Run one phase of one step of an objective; see `Updater.update`."""

    def terms(part: Step) -> dict[str, Tensor]:
        part.begin_phase()
        return objective.terms(running.phase.name, part)

    given = [partial(terms, part) for part in parts]
    return running.updater.update(given, processes, lr=lr, clip_norm=training.clip_norm, step=parts[0].step)


def run_phases(
    phases: Sequence[RunningPhase],
    objective: Objective,
    parts: Sequence[Step],
    training: TrainingSettings,
    processes: Processes,
    *,
    steps_per_epoch: int,
) -> tuple[dict[str, float], dict[str, float]]:
    """Run every phase of one step in order.

    Returns:
        The terms by name (``<phase>/<term>`` where there are several phases) and the learning rate of each phase.
    """
    values: dict[str, float] = {}
    rates: dict[str, float] = {}
    for running in phases:
        for other in phases:  # what one phase's loss sent into another's parameters is not that phase's business
            other.updater.optimizer.zero_grad(set_to_none=True)
        lr = running.base_lr * lr_factor(running.schedule, parts[0].step, steps_per_epoch, training.epochs)
        found = run_phase(running, objective, parts, training, processes, lr=lr)
        prefix = f"{running.phase.name}/" if len(phases) > 1 else ""
        values.update({f"{prefix}{term}": value for term, value in found.items()})
        rates[f"{prefix}lr"] = lr
    objective.after_step(parts[-1])
    return values, rates
