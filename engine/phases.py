"""Running an objective's phases: terms, backward, the check that every term is finite, the update."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ..base.errors import DivergedError
from .distributed import Processes
from .objective import Objective, Phase
from .optim import build_optimizer, phase_parameters, set_lr
from .schedule import lr_factor
from .settings import OptimizerSettings, ScheduleSettings, TrainingSettings
from .step import Step


@dataclass
class RunningPhase:
    """A phase with its optimiser and its own loss scaler."""

    phase: Phase
    optimizer: torch.optim.Optimizer
    base_lr: float
    schedule: ScheduleSettings
    scaler: torch.amp.GradScaler
    parameters: list[nn.Parameter] = field(default_factory=list)

    def state(self) -> dict[str, Any]:
        """Everything that the next update depends on."""
        return {"optimizer": self.optimizer.state_dict(), "scaler": self.scaler.state_dict()}

    def load(self, state: dict[str, Any]) -> None:
        """Put back what ``state`` gave."""
        self.optimizer.load_state_dict(state["optimizer"])
        if state["scaler"]:
            self.scaler.load_state_dict(state["scaler"])


def start_phases(
    objective: Objective,
    student: nn.Module,
    optimizer: OptimizerSettings,
    schedule: ScheduleSettings,
    precision: str,
    device: torch.device,
) -> list[RunningPhase]:
    """The objective's phases with their optimisers, in the order in which they run."""
    running = []
    for phase in objective.phases(student):
        settings = phase.optimizer or optimizer
        running.append(
            RunningPhase(
                phase=phase,
                optimizer=build_optimizer(phase, optimizer),
                base_lr=settings.lr,
                schedule=phase.schedule or schedule,
                scaler=torch.amp.GradScaler(device.type, enabled=precision == "fp16"),
                parameters=phase_parameters([phase]),
            )
        )
    return running


def _mean_terms(terms: Sequence[dict[str, Tensor]]) -> Tensor:
    """The means of the terms over the accumulated parts, detached, (number of terms,)."""
    return torch.stack([torch.stack([term.detach().float() for term in part.values()]) for part in terms]).mean(dim=0)


def run_phase(
    running: RunningPhase,
    objective: Objective,
    parts: Sequence[Step],
    training: TrainingSettings,
    processes: Processes,
    *,
    lr: float,
) -> dict[str, float]:
    """Run one phase of one step.

    Args:
        running: The phase.
        objective: Gives the terms.
        parts: The step's accumulated parts.
        training: Clipping and numerics.
        processes: Whose gradients are averaged.
        lr: This step's learning rate.

    Returns:
        Each term's mean over parts and processes.

    Raises:
        DivergedError: A term is not finite; nothing was updated.
    """
    name = running.phase.name
    all_terms = []
    for part in parts:
        part.begin_phase()
        terms = objective.terms(name, part)
        all_terms.append(terms)
        if part is parts[-1]:
            # Begun before the last backward pass is queued, so that an accelerator never idles while the host reads it.
            read = processes.start_mean(_mean_terms(all_terms))
        loss = torch.stack(list(terms.values())).sum() / len(parts)
        running.scaler.scale(loss).backward()
    values = dict(zip(terms, read(), strict=True))
    for term, value in values.items():
        if not math.isfinite(value):
            step = parts[0].step
            raise DivergedError(
                f"the {term!r} term of phase {name!r} became {value} at step {step}; nothing was updated",
                hint="lower optimizer.lr, set training.clip_norm, or use --precision fp32 or bf16",
            )
    processes.average_gradients(running.parameters)
    set_lr(running.optimizer, lr)
    if training.clip_norm is not None:
        running.scaler.unscale_(running.optimizer)
        norm = torch.nn.utils.clip_grad_norm_(running.parameters, training.clip_norm)
        values["grad_norm"] = float(norm)
    running.scaler.step(running.optimizer)
    running.scaler.update()
    return values


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
            other.optimizer.zero_grad(set_to_none=True)
        lr = running.base_lr * lr_factor(running.schedule, parts[0].step, steps_per_epoch, training.epochs)
        found = run_phase(running, objective, parts, training, processes, lr=lr)
        prefix = f"{running.phase.name}/" if len(phases) > 1 else ""
        values.update({f"{prefix}{term}": value for term, value in found.items()})
        rates[f"{prefix}lr"] = lr
    objective.after_step(parts[-1])
    return values, rates
