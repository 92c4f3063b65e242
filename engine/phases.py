"""Running an objective's phases, one after the other at each step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ..base.errors import RunError
from .distributed import Processes
from .objective import Objective, Phase
from .optim import build_optimizer, layer_scales, phase_parameters
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
    scales = layer_scales(student, optimizer)
    return [
        RunningPhase(
            phase=phase,
            updater=Updater(
                name=phase.name,
                optimizer=build_optimizer(phase, optimizer, scales),
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
        return check_terms(objective.terms(running.phase.name, part), type(objective).__name__)

    given = [partial(terms, part) for part in parts]
    return running.updater.update(given, processes, lr=lr, clip_norm=training.clip_norm, step=parts[0].step)


def check_terms(terms: Any, loss: str) -> dict[str, Tensor]:
    """Refuse what cannot be minimised.

    Args:
        terms: What an objective gave.
        loss: Its name.

    Raises:
        RunError: It is no mapping of names to tensors of one number, or no gradient comes of it.
    """
    if not isinstance(terms, dict) or not terms:
        raise RunError(
            f"{loss}.terms gave {'no term' if isinstance(terms, dict) else type(terms).__name__}",
            hint='return {"name": tensor of one number}',
        )
    for name, term in terms.items():
        if not isinstance(term, Tensor) or term.ndim:
            shape = f"a tensor of shape {tuple(term.shape)}" if isinstance(term, Tensor) else type(term).__name__
            raise RunError(
                f"the term {name!r} of {loss} is {shape}, not a tensor of one number", hint="its mean over the batch"
            )
    if not any(term.requires_grad for term in terms.values()):
        raise RunError(
            f"no term of {loss} depends on what is trained", hint="compute one from step.student(), without no_grad"
        )
    return terms


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
