"""Training a dense network, as the driver runs it: one update of one optimiser a step, counted in iterations."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ...base.writing import write_json
from ...data import TaskIterator
from ...data.workers import Task
from ...engine.distributed import Processes
from ...engine.driver import RunJob, Training, drive
from ...engine.position import Cadence, Evaluation, Position
from ...engine.precision import autocast
from ...engine.progress import say
from ...engine.run_folder import RunFolder
from ...engine.run_log import Throughput
from ...engine.signals import StopRequest
from ...engine.state_file import State
from ...engine.updater import Updater
from .schedule import IterationSchedule


@dataclass(frozen=True)
class DenseEvaluation:
    """What evaluating a dense network gave.

    Attributes:
        primary: Name of the metric by which an evaluation is the best; higher is better.
        metrics: Percent, by name.
        num_images: Images counted.
        details: Values by class and more, for the results.
    """

    primary: str
    metrics: Mapping[str, float]
    num_images: int
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def value(self) -> float:
        """The primary metric, percent."""
        return self.metrics[self.primary]

    def is_better(self, than: float | None) -> bool:
        """Whether the value beats the best one so far, None where this is the first."""
        return than is None or math.isnan(than) or self.value > than

    def to_dict(self) -> dict[str, Any]:
        """The metrics by name, for a line of metrics.jsonl."""
        return dict(self.metrics)

    def summary(self) -> str:
        """Short text for a line on the terminal."""
        return " ".join(f"{name} {value:.2f}" for name, value in self.metrics.items())


@dataclass(frozen=True, kw_only=True)
class DenseJob(RunJob):
    """Everything a dense run needs beside what every run has; ``out`` is a folder in the measurement's.

    Attributes:
        title: What is trained, such as ``"retinanet over resnet50d"``.
        name: What an evaluation calls it: ``"backbone"`` or ``"baseline"``.
        model: The network; moved to the device as the run begins.
        optimizer: Over ``model``'s parameters; each group has an ``lr_scale`` (see `parameter_groups`).
        lr: Base rate.
        schedule: Factors on it; its iterations are the run's.
        load: The batch of an iteration (this rank's part), a pure function of it; runs in the loader's processes.
        losses: Named losses of a batch, in the model's own training mode; their sum is minimised.
        evaluate: Measures the model in evaluation mode; every process calls it.
        batch_size: Images an iteration, all processes together.
        precision: ``fp32``, ``bf16`` or ``fp16``, of training; boxes and masks are measured in fp32.
        max_grad_norm: Gradients are scaled down to this norm; None to leave them.
        deterministic: Whether only deterministic kernels are used.
        cudnn_benchmark: Whether cuDNN times its algorithms for each new shape, where they are not.
        log_every: Iterations between two lines of metrics.
        checkpoint_every: Iterations between two checkpoints.
        evaluate_every: Iterations between two evaluations; 0 for one at the end.
        extra_state: What else the run's future depends on in this process, and how to set it again.
    """

    title: str
    name: str
    model: nn.Module
    optimizer: torch.optim.Optimizer
    lr: float
    schedule: IterationSchedule
    load: Task[Any]
    losses: Callable[[nn.Module, Any, torch.device], dict[str, Tensor]]
    evaluate: Callable[[nn.Module], DenseEvaluation]
    batch_size: int
    precision: str = "fp32"
    max_grad_norm: float | None = None
    deterministic: bool = True
    cudnn_benchmark: bool = False
    log_every: int = 20
    checkpoint_every: int = 5000
    evaluate_every: int = 0
    extra_state: tuple[Callable[[], Any], Callable[[Any], None]] | None = None


def train_dense(job: DenseJob, processes: Processes, stop: StopRequest) -> dict[str, Any]:
    """Run a job to its end, or to the next signal.

    Returns:
        The last evaluation's ``metrics`` and details, with ``iterations``, ``images_per_s``, ``seconds`` and ``best``,
        the step of ``checkpoints/best.safetensors`` and its value of the primary metric (the last step where that is
        the only one evaluated); also ``result.json``. Of a run that is already finished, what it gave then.

    Raises:
        KdzooError: As `drive`.
    """
    return drive(
        job,
        lambda: DenseTraining(job, processes),
        processes,
        stop,
        only_deterministic=job.deterministic,
        cudnn_benchmark=job.cudnn_benchmark,
        command_out=job.out.parent,
    )


class DenseTraining(Training[Any]):
    """A network over a backbone that is trained as a whole.

    Args:
        job: What to do.
        processes: This process among the run's.
    """

    RESUME_WITH: ClassVar[str] = "the model and settings"

    def __init__(self, job: DenseJob, processes: Processes) -> None:
        self.job, self.processes = job, processes
        self.title, self.batch_size = job.title, job.batch_size
        self.cadence = Cadence(
            steps=job.schedule.iterations,
            epoch=None,
            evaluate_every=job.evaluate_every,
            checkpoint_every=job.checkpoint_every,
            log_every=job.log_every,
            saves_before_evaluating=True,
        )
        self.at = Position()
        job.model.to(processes.device)
        processes.copy_from_main([job.model])
        self.updater = Updater(
            name=job.name,
            optimizer=job.optimizer,
            parameters=[parameter for group in job.optimizer.param_groups for parameter in group["params"]],
            scaler=torch.amp.GradScaler(processes.device.type, enabled=job.precision == "fp16"),
            every_gradient=True,
            if_diverged="use a lower --lr, a longer warm-up, or --precision fp32 or bf16",
        )

    def state(self) -> State:
        self.processes.copy_buffers_from_main([self.job.model])
        keep = self.job.extra_state
        extras = self.processes.gather_objects(keep[0]() if keep else None)
        return {"model": dict(self.job.model.state_dict()), **self.updater.state(), "extra": extras}

    def load(self, state: State) -> dict[str, Any]:
        self.job.model.load_state_dict(state["model"])
        self.updater.load({"scaler": {}, **state})
        if self.job.extra_state is not None:
            extras = state["extra"]
            self.job.extra_state[1](extras[self.processes.rank] if self.processes.rank < len(extras) else extras[0])
        if "position" in state:
            return dict(state["position"])
        # A run that was begun before dense runs kept a position.
        logged = {name: value for name, value in state.items() if name.startswith("metrics_")}
        return {"step": state["step"], "sums": state["sums"]["total"], "count": state["sums"]["count"], **logged}

    def batches(self) -> AbstractContextManager[TaskIterator[Any]]:
        return TaskIterator(self.job.load, range(self.at.step, self.cadence.steps), workers=self.job.workers)

    def step(self, batch: Any) -> tuple[dict[str, float], dict[str, float]]:
        job, device = self.job, self.processes.device

        def losses() -> dict[str, Tensor]:
            with autocast(device, job.precision):
                return {name: loss.float() for name, loss in job.losses(job.model, batch, device).items()}

        job.model.train()
        job.optimizer.zero_grad(set_to_none=True)
        rate = job.lr * job.schedule.factor(self.at.step)
        values = self.updater.update([losses], self.processes, lr=rate, clip_norm=job.max_grad_norm, step=self.at.step)
        return values, {"lr": rate}

    def evaluate(self) -> dict[str, DenseEvaluation]:
        self.processes.copy_buffers_from_main([self.job.model])
        self.job.model.eval()
        return {self.job.name: self.job.evaluate(self.job.model)}

    def count_evaluation(self, found: Mapping[str, Evaluation]) -> bool:
        result = found[self.job.name]
        assert isinstance(result, DenseEvaluation)
        is_best = self.at.count_evaluation(result)
        self.at.last = {"metrics": dict(result.metrics), **result.details}
        return is_best

    def finish(self, folder: RunFolder, throughput: Throughput) -> dict[str, Any]:
        at = self.at
        result = {
            **at.last,
            "iterations": at.step,
            "best": {"step": at.best_step, "value": at.best},
            "images_per_s": throughput.images_per_s,
            "seconds": throughput.seconds,
        }
        if self.processes.is_main:
            if self.job.evaluate_every:
                say(f"checkpoints/best is step {at.best_step} of {at.step}; the result is the last step's")
            write_json(folder.result, result)
        return result
