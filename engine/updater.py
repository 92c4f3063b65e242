"""One update of parameters: backward, the check that every loss term is finite, averaged gradients, the optimiser."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ..base.errors import DivergedError
from .distributed import Processes
from .gradients import GradientAverage
from .optim import load_optimizer, set_lr


@dataclass(kw_only=True)
class Updater:
    """An optimiser with its loss scaler.

    Attributes:
        name: Of the phase, for errors.
        optimizer: Its groups carry ``lr_scale``.
        parameters: What it moves, each once.
        scaler: Of the loss, for fp16; does nothing at other precisions.
        every_gradient: Whether a parameter that the loss does not reach has a gradient of zero, so that its decay goes
            on and all processes average the same ones.
        if_diverged: What to do about a term that is not finite.
    """

    name: str
    optimizer: torch.optim.Optimizer
    parameters: list[nn.Parameter]
    scaler: torch.amp.GradScaler
    every_gradient: bool = False
    if_diverged: str = "lower optimizer.lr, set training.clip_norm, or use --precision fp32 or bf16"
    average: GradientAverage | None = field(default=None, init=False, repr=False)

    def state(self) -> dict[str, Any]:
        """Everything that the next update depends on."""
        return {"optimizer": self.optimizer.state_dict(), "scaler": self.scaler.state_dict()}

    def load(self, state: dict[str, Any]) -> None:
        """Put back what ``state`` gave."""
        load_optimizer(self.optimizer, state["optimizer"])
        if state["scaler"]:
            self.scaler.load_state_dict(state["scaler"])

    def update(
        self,
        parts: Sequence[Callable[[], dict[str, Tensor]]],
        processes: Processes,
        *,
        lr: float,
        clip_norm: float | None,
        step: int,
    ) -> dict[str, float]:
        """Add up the gradients of the parts of a batch and move the parameters once.

        Args:
            parts: Each gives the loss terms of one accumulated part.
            processes: Whose gradients are averaged.
            lr: This step's learning rate.
            clip_norm: Largest gradient norm, or None.
            step: 0-based, for errors.

        Returns:
            Each term's mean over parts and processes; ``grad_norm`` where it is clipped.

        Raises:
            DivergedError: A term is not finite; nothing was updated.
        """
        if self.average is None:
            self.average = GradientAverage(self.parameters, processes)
        all_terms = []
        for number, part in enumerate(parts, start=1):
            terms = part()
            all_terms.append(terms)
            if number == len(parts):
                # Begun before the last backward pass is queued: an accelerator never idles while the host reads it.
                read = processes.start_mean(_mean_terms(all_terms))
            loss = torch.stack(list(terms.values())).sum() / len(parts)
            with self.average.during() if number == len(parts) else contextlib.nullcontext():
                self.scaler.scale(loss).backward()
        values = dict(zip(terms, read(), strict=True))
        for term, value in values.items():
            if not math.isfinite(value):
                raise DivergedError(
                    f"the {term!r} term of phase {self.name!r} became {value} at step {step}; nothing was updated",
                    hint=self.if_diverged,
                )
        if self.every_gradient:
            for parameter in self.parameters:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
        set_lr(self.optimizer, lr)
        norm: Tensor | None = None
        if clip_norm is not None:
            self.scaler.unscale_(self.optimizer)
            norm = torch.nn.utils.clip_grad_norm_(self.parameters, clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if norm is not None:  # read when the optimiser is queued: it does not wait for the host
            values["grad_norm"] = float(norm)
        return values


def _mean_terms(terms: Sequence[dict[str, Tensor]]) -> Tensor:
    """The means of the terms over the accumulated parts, detached, (number of terms,)."""
    return torch.stack([torch.stack([term.detach().float() for term in part.values()]) for part in terms]).mean(dim=0)
