"""The loop of a dense task: iterations, checkpoints, one evaluation at the end; the same run after any interruption."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...base.errors import CheckpointError, Interrupted, RunError
from ...base.writing import write_json
from ...data import TaskIterator
from ...data.randomness import seed_torch
from ...data.workers import Task
from ...engine.checkpoint import newest_good, save_checkpoint
from ...engine.distributed import Processes
from ...engine.optim import set_lr
from ...engine.precision import deterministic
from ...engine.progress import Progress, say
from ...engine.run_folder import RunFolder
from ...engine.run_log import RunLog, Throughput
from ...engine.signals import StopRequest
from ...engine.state_file import State
from .schedule import IterationSchedule


@dataclass(frozen=True, kw_only=True)
class DenseJob:
    """Everything that a run needs, already built and checked.

    Attributes:
        title: What the progress says is trained, such as ``"retinanet over resnet50d"``.
        model: The network; moved to the device by the loop.
        optimizer: Over ``model``'s parameters; each group has an ``lr_scale`` (see `parameter_groups`).
        lr: Base rate.
        schedule: Factors on it; its iterations are the run's.
        load: The batch of an iteration (this rank's part), a pure function of it; runs in the loader's processes.
        losses: Named losses of a batch, in the model's own training mode; their sum is minimised.
        evaluate: Measures the trained model; every process calls it, and what it gives is kept as the result.
        batch_size: Images an iteration, all processes together.
        seed: Of the random choices inside ``losses`` (sampled proposals, dropout).
        workers: Loader processes.
        out: The run folder.
        resume: Whether a run there goes on.
        config: Resolved settings, for config.json.
        fixed: What a resumed run must share with its beginning, flat.
        max_grad_norm: Gradients are scaled down to this norm; None to leave them.
        log_every: Iterations between two lines of metrics.
        checkpoint_every: Iterations between two checkpoints.
        extra_state: What else the run's future depends on in this process, and how to set it again.
    """

    title: str
    model: nn.Module
    optimizer: torch.optim.Optimizer
    lr: float
    schedule: IterationSchedule
    load: Task[Any]
    losses: Callable[[nn.Module, Any, torch.device], dict[str, Tensor]]
    evaluate: Callable[[nn.Module], Mapping[str, Any]]
    batch_size: int
    seed: int
    workers: int
    out: Path
    resume: bool
    config: Mapping[str, Any]
    fixed: Mapping[str, Any]
    max_grad_norm: float | None = None
    log_every: int = 20
    checkpoint_every: int = 5000
    extra_state: tuple[Callable[[], Any], Callable[[Any], None]] | None = None


def train_dense(job: DenseJob, processes: Processes, stop: StopRequest) -> dict[str, Any]:
    """Run a job to its end, or to the next signal.

    Args:
        job: Built and checked.
        processes: This process among the run's.
        stop: Active; asked between iterations.

    Returns:
        What ``evaluate`` gave, with ``iterations``, ``images_per_s`` and ``seconds``; also ``result.json``. Of a run
        that is already finished, what it gave then.

    Raises:
        Interrupted: A signal came; a checkpoint holds every finished iteration.
        RunError: The folder is taken or cannot be written, or a loss is not finite.
        CheckpointError: The run in the folder was another, or none of its checkpoints is good.
    """
    folder = RunFolder(job.out)
    claim = folder.claim(job.config, job.fixed, resume=job.resume) if processes.is_main else contextlib.nullcontext()
    with claim, deterministic(True):
        processes.barrier()
        finished = folder.read_result() if job.resume else None
        if finished is not None:
            if processes.is_main:
                say(f"the run in {folder.path} is finished; nothing to do")
            return finished
        run = _Run(job, folder, processes, stop)
        try:
            run.start()
            run.train()
            return run.finish()
        except Interrupted as interrupted:
            run.save()
            raise Interrupted(
                f"{interrupted.message} after iteration {run.step} of {job.schedule.iterations}; "
                "everything so far is saved",
                hint="run the same command again with --resume",
            ) from None
        finally:
            run.log.close()


@dataclass
class _Sums:
    """Losses since the last line of metrics."""

    total: dict[str, float] = field(default_factory=dict)
    count: int = 0

    def add(self, values: Mapping[str, float]) -> None:
        self.count += 1
        for name, value in values.items():
            self.total[name] = self.total.get(name, 0.0) + value

    def take(self) -> dict[str, float]:
        means = {name: total / self.count for name, total in self.total.items()}
        self.total, self.count = {}, 0
        return means


class _Run:
    def __init__(self, job: DenseJob, folder: RunFolder, processes: Processes, stop: StopRequest) -> None:
        self.job, self.folder, self.processes, self.stop = job, folder, processes, stop
        self.step = 0
        self.sums = _Sums()
        self.log = RunLog(folder, enabled=processes.is_main)
        self.throughput = Throughput(job.batch_size)
        job.model.to(processes.device)
        processes.copy_from_main([job.model])

    def start(self) -> None:
        """Take up the newest good checkpoint, or begin."""
        say_main = say if self.processes.is_main else (lambda text: None)
        state = newest_good(self.folder.checkpoints, say_main) if self.job.resume else None
        logged = {} if state is None else self._load(state)
        self.log.open(self.step, logged, (), self.job.config)
        if state is not None:
            say_main(f"resuming after iteration {self.step} of {self.job.schedule.iterations}")

    def _load(self, state: State) -> dict[str, Any]:
        try:
            self.job.model.load_state_dict(state["model"])
            self.job.optimizer.load_state_dict(state["optimizer"])
            self.step = int(state["step"])
            self.sums = _Sums(dict(state["sums"]["total"]), int(state["sums"]["count"]))
            if self.job.extra_state is not None:
                extras = state["extra"]
                self.job.extra_state[1](extras[self.processes.rank] if self.processes.rank < len(extras) else extras[0])
            return {name: value for name, value in state.items() if name.startswith("metrics_")}
        except (KeyError, ValueError, RuntimeError, TypeError) as error:
            first = " ".join(str(error).strip().splitlines()[:2])
            raise CheckpointError(
                f"the checkpoint in {self.folder.checkpoints} does not fit this run ({first})",
                hint="resume with the model and settings that the run was started with",
            ) from error

    def save(self) -> None:
        """Write a checkpoint of the present position."""
        self.processes.copy_buffers_from_main([self.job.model])
        extras = self.processes.gather_objects(self.job.extra_state[0]() if self.job.extra_state else None)
        if self.processes.is_main:
            state: State = {
                "model": dict(self.job.model.state_dict()),
                "optimizer": self.job.optimizer.state_dict(),
                "step": self.step,
                "sums": {"total": self.sums.total, "count": self.sums.count},
                "extra": extras,
                **self.log.position(),
            }
            save_checkpoint(self.folder.checkpoints, self.step, state)
        self.processes.barrier()

    def train(self) -> None:
        """Run from the present position to the last iteration."""
        job, total = self.job, self.job.schedule.iterations
        if self.step == total:
            return
        batches: TaskIterator[Any] = TaskIterator(job.load, range(self.step, total), workers=job.workers)
        quiet = not self.processes.is_main
        progress = Progress(total, job.title, job.batch_size, start=self.step, quiet=quiet)
        with batches, progress:
            while self.step < total:
                values = self._iterate(batches)
                progress.step(values, self.throughput.data_wait)
                if self.step == total or self.step % job.checkpoint_every == 0:
                    self.save()

    def _iterate(self, batches: TaskIterator[Any]) -> dict[str, float]:
        job, device = self.job, self.processes.device
        self.throughput.begin_step()
        batch = next(batches)
        self.throughput.batch_arrived()
        if self.processes.sum([float(self.stop.requested)])[0]:
            raise Interrupted("training interrupted")
        seed_torch(job.seed, "step", self.step, self.processes.rank)
        job.model.train()
        losses = job.losses(job.model, batch, device)
        means = self.processes.start_mean(torch.stack([loss.detach() for loss in losses.values()]))()
        values = dict(zip(losses, means, strict=True))
        for name, value in values.items():
            if not math.isfinite(value):
                raise RunError(
                    f"{name} is {value} at iteration {self.step + 1}", hint="use a lower --lr, or a longer warm-up"
                )
        job.optimizer.zero_grad(set_to_none=True)
        torch.stack(list(losses.values())).sum().backward()
        parameters = [p for group in job.optimizer.param_groups for p in group["params"]]
        for parameter in parameters:  # so that every process has the same gradients to average
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        self.processes.average_gradients(parameters)
        if job.max_grad_norm is not None:
            torch.nn.utils.clip_grad_norm_(parameters, job.max_grad_norm)
        rate = job.lr * job.schedule.factor(self.step)
        set_lr(job.optimizer, rate)
        job.optimizer.step()
        self.step += 1
        self.sums.add(values)
        self.throughput.end_step()
        if self.step % job.log_every == 0 or self.step == job.schedule.iterations:
            terms = self.sums.take()
            self.log.write({"kind": "train", "step": self.step, "lr": rate, "loss": sum(terms.values()), **terms})
            speed = {"images_per_s": self.throughput.images_per_s, "data_wait": self.throughput.data_wait}
            self.log.write_speed({"kind": "speed", "step": self.step, **speed})
        return values

    def finish(self) -> dict[str, Any]:
        """Evaluate, and write the result."""
        self.processes.copy_buffers_from_main([self.job.model])
        self.job.model.eval()
        measured = dict(self.job.evaluate(self.job.model))
        result = {
            **measured,
            "iterations": self.step,
            "images_per_s": self.throughput.images_per_s,
            "seconds": self.throughput.seconds,
        }
        if self.processes.is_main:
            self.log.write_table()
            write_json(self.folder.result, result)
        self.processes.barrier()
        return result
