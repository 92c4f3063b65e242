"""The driver of every run: takes the folder, goes on where a run was, steps, evaluates, saves, logs, answers signals.

What is trained is a `Training`: it gives batches, takes a step and evaluates, and knows no folder, log or signal.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from ..base.errors import CheckpointError, Interrupted
from ..data.randomness import seed_torch
from .checkpoint import checkpoint_path, keep_as_best, newest_good, save_checkpoint
from .distributed import Processes
from .position import Cadence, Evaluation, Position
from .precision import deterministic
from .progress import Progress, say
from .run_folder import RunFolder
from .run_log import RunLog, Throughput
from .signals import StopRequest
from .state_file import State
from .unreadable import UnreadableImages

BatchT = TypeVar("BatchT")


@dataclass(frozen=True, kw_only=True)
class RunJob:
    """What every run is given, already built and checked.

    Attributes:
        seed: Of every random choice.
        workers: Loader processes.
        out: The run folder.
        resume: Whether a run there goes on.
        config: Resolved settings with their sources, for config.json.
        fixed: What a resumed run must share with its beginning, flat.
        trackers: Names of extra trackers.
    """

    seed: int
    workers: int
    out: Path
    resume: bool
    config: Mapping[str, Any]
    fixed: Mapping[str, Any]
    trackers: Sequence[str] = ()


class Training(ABC, Generic[BatchT]):
    """What a run trains: its networks, its batches, one step and its evaluation. Built after the folder is taken.

    Attributes:
        cadence: When it is evaluated, saved and logged.
        batch_size: Images of a step, all processes together.
        at: Where it stands.
        title: What progress calls it.
    """

    RESUME_WITH: ClassVar[str]
    """What a checkpoint fits, such as ``"the student and recipe"``."""

    cadence: Cadence
    batch_size: int
    at: Position
    title: str = "training"

    @property
    def unreadable(self) -> UnreadableImages | None:
        """Images that could not be decoded and were replaced; None where such an image ends the run."""
        return None

    @abstractmethod
    def batches(self) -> AbstractContextManager[Iterator[BatchT]]:
        """The batches of the steps from the present one on."""

    @abstractmethod
    def step(self, batch: BatchT) -> tuple[dict[str, float], dict[str, float]]:
        """One update at ``at.step``; returns the loss terms and the learning rates by name."""

    @abstractmethod
    def evaluate(self) -> Mapping[str, Evaluation]:
        """Evaluate the networks by name, all processes together."""

    @abstractmethod
    def count_evaluation(self, found: Mapping[str, Evaluation]) -> bool:
        """Note in ``at`` what an evaluation gave; returns whether it is the best so far."""

    @abstractmethod
    def state(self) -> State:
        """Everything that what is still to come depends on, but the position.

        Every process calls it, and takes the network's buffers from the first one before.
        """

    @abstractmethod
    def load(self, state: State) -> dict[str, Any]:
        """Put back what ``state`` gave; returns the position as it was saved."""

    @abstractmethod
    def finish(self, folder: RunFolder, throughput: Throughput) -> dict[str, Any]:
        """Write what the run leaves behind, ``result.json`` last, on the main process; returns the result."""


def drive(
    job: RunJob,
    build: Callable[[], Training[Any]],
    processes: Processes,
    stop: StopRequest,
    *,
    only_deterministic: bool,
    cudnn_benchmark: bool | None = None,
    command_out: Path,
) -> dict[str, Any]:
    """Run a job to its end, or to the next signal.

    Args:
        job: Built and checked.
        build: Makes what is trained, at its beginning.
        processes: This process among the run's.
        stop: Active; asked between steps.
        only_deterministic: Whether only deterministic kernels are used.
        cudnn_benchmark: See `deterministic`.
        command_out: The ``--out`` of the command that goes on with the run.

    Returns:
        The result; of a run that is already finished, what it gave then.

    Raises:
        Interrupted: A signal came; a checkpoint holds every finished step.
        RunError: The folder is taken or cannot be written, a term is not finite, or too many images are unreadable.
        CheckpointError: The run in the folder was another, or none of its checkpoints is good.
    """
    folder = RunFolder(job.out)
    claim = folder.claim(job.config, job.fixed, resume=job.resume) if processes.is_main else contextlib.nullcontext()
    with claim, deterministic(only_deterministic, benchmark=cudnn_benchmark):
        processes.barrier()
        finished = folder.read_result() if job.resume else None
        if finished is not None:
            if processes.is_main:
                say(f"the run in {folder.path} is finished; nothing to do")
            return finished
        run = _Run(job, folder, build(), processes, stop)
        try:
            run.start()
            run.train()
            result = run.training.finish(folder, run.throughput)
            processes.barrier()
            return result
        except Interrupted as interrupted:
            run.save()
            at, steps = run.training.at, run.training.cadence.steps
            raise Interrupted(
                f"{interrupted.message} after step {at.step} of {steps}; everything so far is saved",
                hint=f"run the same command again with --resume --out {command_out}",
            ) from None
        finally:
            run.log.close()


class _Run:
    """One run in this process."""

    def __init__(
        self, job: RunJob, folder: RunFolder, training: Training[Any], processes: Processes, stop: StopRequest
    ) -> None:
        self.job, self.folder, self.training, self.processes, self.stop = job, folder, training, processes, stop
        self.log = RunLog(folder, enabled=processes.is_main)
        self.throughput = Throughput(training.batch_size)

    # -- state -------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Take up the newest good checkpoint, or begin.

        Raises:
            CheckpointError: None is good, or they belong to other networks.
        """
        say_main = say if self.processes.is_main else (lambda text: None)
        state = newest_good(self.folder.checkpoints, say_main) if self.job.resume else None
        logged = {} if state is None else self._load(state)
        at, cadence = self.training.at, self.training.cadence
        self.log.open(at.step, logged, self.job.trackers, self.job.config)
        if state is None:
            return
        epoch = "".join(f" (epoch {done + 1})" for done in cadence.epochs_before(at.step).values())
        say_main(f"resuming after step {at.step} of {cadence.steps}{epoch}")
        if at.best_step == at.step and self.processes.is_main:  # killed before it got its second name
            keep_as_best(checkpoint_path(self.folder.checkpoints, at.step))

    def _load(self, state: State) -> dict[str, Any]:
        """Go to where a checkpoint was written; returns what it says of metrics.jsonl."""
        try:
            position = self.training.load(state)
            logged = {name: position.pop(name) for name in list(position) if name.startswith("metrics_")}
            self.training.at = Position.from_dict(position)
        except (KeyError, ValueError, RuntimeError, TypeError) as error:
            first = " ".join(str(error).strip().splitlines()[:2])
            raise CheckpointError(
                f"the checkpoint in {self.folder.checkpoints} does not fit this run ({first})",
                hint=f"resume with {self.training.RESUME_WITH} that the run was started with",
            ) from error
        return logged

    def save(self, *, best: bool = False) -> None:
        """Write a checkpoint of the present position."""
        state, at = self.training.state(), self.training.at
        if self.processes.is_main:
            state["position"] = {**asdict(at), **self.log.position()}
            save_checkpoint(self.folder.checkpoints, at.step, state, best=best)
        self.processes.barrier()

    # -- the loop ----------------------------------------------------------------------------------------------------

    def train(self) -> None:
        """Run from the present position to the end."""
        at, cadence = self.training.at, self.training.cadence
        if cadence.is_over(at):
            return
        quiet = not self.processes.is_main
        progress = Progress(cadence.steps, self.training.title, self.training.batch_size, start=at.step, quiet=quiet)
        with self.training.batches() as batches, progress:
            while True:
                self._evaluate_if_due(progress)
                if cadence.is_over(at):
                    break
                self._step(batches, progress)
                if cadence.saves(at.step):
                    self.save()
        if at.step < cadence.steps and not quiet:
            say(
                f"stopped early after step {at.step} of {cadence.steps}: no evaluation since step {at.best_step} was "
                "better"
            )

    def _step(self, batches: Iterator[Any], progress: Progress) -> None:
        training, at, unreadable = self.training, self.training.at, self.training.unreadable
        self.throughput.begin_step()
        batch = next(batches)
        self.throughput.batch_arrived()
        new = [] if unreadable is None else unreadable.new(batch)
        stop, num_new = self.processes.sum([float(self.stop.requested), float(len(new))])
        if stop:
            raise Interrupted("training interrupted")
        if unreadable is not None and num_new:
            for name, reason in unreadable.count(self.processes.gather_objects(new), progress):
                self.log.write({"kind": "unreadable", "step": at.step, "image": name, "reason": reason})
            unreadable.refuse_too_many()
        seed_torch(self.job.seed, "step", at.step, self.processes.rank)
        values, rates = training.step(batch)
        before = training.cadence.epochs_before(at.step)
        at.count_step(values)
        self.throughput.end_step()
        progress.step(values, self.throughput.data_wait)
        if training.cadence.logs(at.step):
            self._log_terms({**before, "step": at.step}, rates)

    def _log_terms(self, where: dict[str, int], rates: dict[str, float]) -> None:
        means = self.training.at.take_means()
        loss = sum(value for name, value in means.items() if not name.endswith("grad_norm"))
        self.log.write({"kind": "train", **where, **rates, "loss": loss, **means})
        speed = {"images_per_s": self.throughput.images_per_s, "data_wait": self.throughput.data_wait}
        self.log.write_speed({"kind": "speed", **where, **speed})

    def _evaluate_if_due(self, progress: Progress) -> None:
        at, cadence = self.training.at, self.training.cadence
        if not cadence.evaluates(at.step) or at.evaluated == at.step:
            return
        where = {**cadence.epochs_before(at.step), "step": at.step}
        name, steps = next(iter(where)), cadence.steps
        shown = f"{name} {where[name]}/{steps // (cadence.epoch or 1)}"
        with progress.paused():
            results = self.training.evaluate()
        for model, result in results.items():
            self.log.write({"kind": "eval", **where, "model": model, **result.to_dict()})
            progress.say(f"{shown}: {model} {result.summary()} ({result.num_images} images)")
        best = self.training.count_evaluation(results)
        self.log.write_table()
        self.save(best=best)
