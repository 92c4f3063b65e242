"""The student of a run: its network, the average of its weights, and how images go through them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ..base.errors import UsageError
from ..zoo import LoadedModel, network_output
from ..zoo.features import Maps, forward_keeping
from .distributed import Processes, convert_sync_batchnorm
from .ema import WeightAverage
from .precision import autocast
from .settings import TrainingSettings
from .teachers import normalise

FullAnswer = tuple[Tensor, Tensor, tuple[Tensor, ...]]
"""Logits, pooled features and maps."""


class Student:
    """The network that is trained, on its device and in its layout.

    Args:
        loaded: The network with the preprocessing that it is trained and evaluated with.
        training: Numerics and averaging.
        processes: Where it computes; every process starts from rank 0's weights.
        reads_maps: What its answers hold beside logits and pooled features.

    Raises:
        UsageError: Stage outputs are wanted of a compiled network.
    """

    def __init__(
        self, loaded: LoadedModel, training: TrainingSettings, processes: Processes, *, reads_maps: Maps = ""
    ) -> None:
        if "stages" in reads_maps and training.compile:
            raise UsageError(
                "this recipe reads the outputs of the student's stages, which torch.compile hides",
                hint="--set training.compile=false",
            )
        layout = torch.channels_last if training.channels_last else torch.contiguous_format
        model = loaded.model.to(processes.device).to(memory_format=layout)
        if training.sync_batchnorm:
            model = convert_sync_batchnorm(model, processes)
        processes.copy_from_main([model])
        self.model: nn.Module = model
        self.average = WeightAverage(model, training.ema_decay) if training.ema_decay is not None else None
        self._look, self._precision, self._device = loaded.preprocessing, training.precision, processes.device
        self._forward = partial(forward_keeping, reads_maps)
        through = partial(self._forward, model)
        self._answer = self._answers(torch.compile(through) if training.compile else through)

    def __call__(self, images: Tensor, conditions: Tensor | None = None) -> FullAnswer:
        """Images in [0, 1] to float32 logits (B, C), pooled features (B, D) and the maps that are wanted."""
        return self._answer(images, conditions)

    def answers(self, model: nn.Module) -> Callable[..., FullAnswer]:
        """As calling it, through ``model``, which is the network or its average."""
        return self._answers(partial(self._forward, model))

    def _answers(self, forward: Callable[..., FullAnswer]) -> Callable[..., FullAnswer]:
        def answer(images: Tensor, conditions: Tensor | None = None) -> FullAnswer:
            with autocast(self._device, self._precision):
                logits, features, maps = forward(normalise(images, self._look.mean, self._look.std), conditions)
            return logits.float(), features.float(), tuple(item.float() for item in maps)

        return answer

    def predictor(self, model: nn.Module) -> Callable[..., tuple[Tensor]]:
        """Images in [0, 1] (and conditions) to logits, through ``model``, which is the network or its average."""

        def predict(images: Tensor, conditions: Tensor | None = None) -> tuple[Tensor]:
            with autocast(self._device, self._precision):
                return (network_output(model, normalise(images, self._look.mean, self._look.std), conditions),)

        return predict

    def candidates(self) -> dict[str, nn.Module]:
        """What is evaluated, by name: ``student``, and ``ema`` where there is an average."""
        return {"student": self.model} if self.average is None else {"student": self.model, "ema": self.average.model}

    @property
    def exported(self) -> str:
        """Which of the candidates the run is about: the average where there is one."""
        return "student" if self.average is None else "ema"

    def after_step(self) -> None:
        """Update the EMA weights."""
        if self.average is not None:
            self.average.update(self.model)

    def state(self) -> dict[str, Any]:
        """The weights and buffers of the network and of its average."""
        return {"student": self.model.state_dict(), "ema": self.average.state() if self.average else {}}

    def load(self, state: dict[str, Any]) -> None:
        """Put back what ``state`` gave."""
        self.model.load_state_dict(state["student"])
        if self.average is not None:
            self.average.load(state["ema"])
