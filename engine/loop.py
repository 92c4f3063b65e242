"""The run: steps, evaluations and checkpoints, from any position on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import torch
from torch import nn

from ..base.errors import CheckpointError, Interrupted, RunError
from ..base.metrics import Metrics
from ..base.run_documents import TrainResult
from ..base.writing import write_json
from ..data import Batch, BatchOrder, train_batches
from ..data.randomness import seed_torch
from ..zoo import save_model
from .checkpoint import checkpoint_path, is_good, keep_as_best, newest_good, save_checkpoint
from .distributed import Processes, share_batch
from .evaluate import PassSettings, evaluate
from .job import Position, TrainJob
from .phases import RunningPhase, run_phases, start_phases
from .precision import deterministic
from .progress import Progress, say
from .run_folder import RunFolder
from .run_log import RunLog, Throughput
from .signals import StopRequest
from .state_file import State, read_state
from .step import split_step
from .student import Student

__all__ = ["TrainJob", "TrainResult", "train"]

_EVIDENCE = ("top1", "top5", "angular_error", "num_images")
"""What an exported model says of the metrics of its run."""


def train(job: TrainJob, processes: Processes, stop: StopRequest) -> TrainResult:
    """Run a job to its end, or to the next signal.

    Args:
        job: Built and checked.
        processes: This process among the run's.
        stop: Active; asked between steps.

    Returns:
        The result; of a run that is already finished, what it gave then.

    Raises:
        Interrupted: A signal came; a checkpoint holds every finished step.
        RunError: The folder is taken or cannot be written, a term is not finite, or too many images are unreadable.
        CheckpointError: The run in the folder was another, or none of its checkpoints is good.
    """
    folder = RunFolder(job.out)
    claim = folder.claim(job.config, job.fixed, resume=job.resume) if processes.is_main else contextlib.nullcontext()
    with claim, deterministic(job.training.deterministic):
        processes.barrier()
        finished = folder.train_result() if job.resume else None
        if finished is not None:
            if processes.is_main:
                say(f"the run in {folder.path} is finished; nothing to do")
            return finished
        run = Run(job, processes, stop)
        try:
            run.start()
            run.train()
            if job.teachers is not None:
                job.teachers.verify_unchanged()
            return run.result()
        except Interrupted as interrupted:
            run.save()
            raise Interrupted(
                f"{interrupted.message} after step {run.at.step} of {run.total_steps}; everything so far is saved",
                hint=f"run the same command again with --resume --out {folder.path}",
            ) from None
        finally:
            run.log.close()


class Run:
    """One run of a job in this process.

    Args:
        job: What to do.
        processes: This process among the run's.
        stop: Asked between steps.
    """

    def __init__(self, job: TrainJob, processes: Processes, stop: StopRequest) -> None:
        self.job, self.processes, self.stop = job, processes, stop
        training = job.training
        self.folder = RunFolder(job.out)
        self.share = share_batch(training.batch_size, processes.world_size, training.accumulate)
        self.order = BatchOrder(
            num_samples=len(job.train_source),
            batch_size=training.batch_size,
            epochs=training.epochs,
            seed=job.seed,
            rank=processes.rank,
            world_size=processes.world_size,
            num_unlabeled=0 if job.unlabeled_share is None else int((job.train_source.labels == -1).sum()),
            unlabeled_share=job.unlabeled_share,
        )
        self.total_steps = self.order.steps_per_epoch * training.epochs
        self.layout = torch.channels_last if training.channels_last else torch.contiguous_format
        reads_maps = job.objective.reads_maps
        self.student = Student(job.student, training, processes, reads_maps=reads_maps)
        job.objective.to(processes.device)
        processes.copy_from_main([job.objective])
        self.phases: list[RunningPhase] = start_phases(
            job.objective, self.student.model, job.optimizer, job.schedule, training.precision, processes.device
        )
        self.at = Position()
        self.log = RunLog(self.folder, enabled=processes.is_main)
        self.throughput = Throughput(training.batch_size)

    # -- state ---------------------------------------------------------------------------------------------------

    def state(self) -> State:
        """Everything that what is still to come depends on."""
        return {
            **self.student.state(),
            "objective": self.job.objective.state_dict(),
            "phases": {running.phase.name: running.state() for running in self.phases},
            "position": {**asdict(self.at), **self.log.position()},
        }

    def start(self) -> None:
        """Take up the newest good checkpoint, or begin.

        Raises:
            CheckpointError: None is good, or they belong to another architecture or objective.
        """
        say_main = say if self.processes.is_main else (lambda text: None)
        state = newest_good(self.folder.checkpoints, say_main) if self.job.resume else None
        logged = {} if state is None else self._load(state)
        self.log.open(self.at.step, logged, self.job.trackers, self.job.config)
        if state is None:
            return
        epoch = self.at.step // self.order.steps_per_epoch + 1
        say_main(f"resuming after step {self.at.step} of {self.total_steps} (epoch {epoch})")
        if self.at.best_step == self.at.step and self.processes.is_main:  # killed before it got its second name
            keep_as_best(checkpoint_path(self.folder.checkpoints, self.at.step))

    def _load(self, state: State) -> dict[str, Any]:
        """Go to where a checkpoint was written; returns what it says of metrics.jsonl."""
        try:
            self.student.load(state)
            self.job.objective.load_state_dict(state["objective"])
            for running in self.phases:
                running.load(state["phases"][running.phase.name])
            position = dict(state["position"])
            logged = {name: position.pop(name) for name in list(position) if name.startswith("metrics_")}
            self.at = Position.from_dict(position)
        except (KeyError, ValueError, RuntimeError, TypeError) as error:
            first = " ".join(str(error).strip().splitlines()[:2])
            raise CheckpointError(
                f"the checkpoint in {self.folder.checkpoints} does not fit this run ({first})",
                hint="resume with the student and recipe that the run was started with",
            ) from error
        return logged

    def save(self, *, best: bool = False) -> None:
        """Write a checkpoint of the present position."""
        self.processes.copy_buffers_from_main([self.student.model])
        if self.processes.is_main:
            save_checkpoint(self.folder.checkpoints, self.at.step, self.state(), best=best)
        self.processes.barrier()

    # -- the loop ------------------------------------------------------------------------------------------------

    def train(self) -> None:
        """Run from the present position to the end."""
        if self.at.evaluated == self.total_steps:
            return
        batches = train_batches(
            self.job.train_source,
            self.job.augmentation,
            self.order,
            start_step=self.at.step,
            workers=self.job.workers,
            pin_memory=self.processes.device.type == "cuda",
            labels=self.job.labels,
        )
        size, quiet = self.job.training.batch_size, not self.processes.is_main
        progress = Progress(self.total_steps, "training", size, start=self.at.step, quiet=quiet)
        with contextlib.closing(batches), progress:
            while True:
                self._evaluate_if_due(progress)
                if self.at.step == self.total_steps:
                    return
                self._step(batches, progress)
                self._checkpoint_if_due()

    def _step(self, batches: Iterator[Batch], progress: Progress) -> None:
        self.throughput.begin_step()
        batch = next(batches)
        self.throughput.batch_arrived()
        new = [item for item in batch.unreadable if item[0] not in self.at.unreadable]
        stop, num_new = self.processes.sum([float(self.stop.requested), float(len(new))])
        if stop:
            raise Interrupted("training interrupted")
        if num_new:
            self._count_unreadable(new, progress)
        job, training = self.job, self.job.training
        step, epoch = self.at.step, self.at.step // self.order.steps_per_epoch
        seed_torch(job.seed, "step", step, self.processes.rank)
        self.student.model.train()
        job.objective.train()
        job.objective.set_modes(self.student.model)
        parts = split_step(
            batch,
            parts=training.accumulate,
            mixing=job.mixing,
            seed=job.seed,
            epoch=epoch,
            step=step,
            num_training_images=len(job.train_source),
            processes=self.processes,
            layout=self.layout,
            student=self.student,
            teachers=job.teachers,
            store=job.labels,
            reads_maps=job.objective.reads_maps,
        )
        values, rates = run_phases(
            self.phases, job.objective, parts, training, self.processes, steps_per_epoch=self.order.steps_per_epoch
        )
        self.student.after_step()
        self.at.count_step(values)
        self.throughput.end_step()
        progress.step(values, self.throughput.data_wait)
        if self.at.step % training.log_every_steps == 0 or self.at.step % self.order.steps_per_epoch == 0:
            self._log_terms(epoch, rates)

    def _log_terms(self, epoch: int, rates: dict[str, float]) -> None:
        means = self.at.take_means()
        loss = sum(value for name, value in means.items() if not name.endswith("grad_norm"))
        where = {"epoch": epoch, "step": self.at.step}
        self.log.write({"kind": "train", **where, **rates, "loss": loss, **means})
        speed = {"images_per_s": self.throughput.images_per_s, "data_wait": self.throughput.data_wait}
        self.log.write_speed({"kind": "speed", **where, **speed})

    def _count_unreadable(self, new: list[tuple[int, str]], progress: Progress) -> None:
        source = self.job.train_source
        for found in self.processes.gather_objects(new):
            for sample, reason in found:
                self.at.unreadable[sample] = reason
                name = source.identity(sample)
                progress.say(f"warning: {name} cannot be decoded ({reason}); another image takes its place")
                self.log.write({"kind": "unreadable", "step": self.at.step, "image": name, "reason": reason})
        count, limit = len(self.at.unreadable), self.job.training.max_unreadable_fraction
        if count > limit * len(source):
            raise RunError(
                f"{count} of the {len(source)} training images cannot be decoded, more than {100 * limit:g} %",
                hint="'kdzoo data check' lists them; repair or remove them, or raise training.max_unreadable_fraction",
            )

    # -- evaluations and checkpoints -----------------------------------------------------------------------------

    def _is_evaluated(self, step: int) -> bool:
        """Whether an evaluation belongs after this many steps."""
        if step == 0 or step % self.order.steps_per_epoch:
            return False
        every = self.job.training.evaluate_every_epochs
        return step == self.total_steps or (every > 0 and (step // self.order.steps_per_epoch) % every == 0)

    def _evaluate_if_due(self, progress: Progress) -> None:
        step = self.at.step
        if not self._is_evaluated(step) or self.at.evaluated == step:
            return
        epoch = step // self.order.steps_per_epoch
        results = {name: self.evaluate(model) for name, model in self.student.candidates().items()}
        for name, result in results.items():
            self.log.write({"kind": "eval", "epoch": epoch, "step": step, "model": name, **result.to_dict()})
            progress.say(
                f"epoch {epoch}/{self.job.training.epochs}: {name} {result.summary()} ({result.num_images} images)"
            )
        best = self.at.count_evaluation(results[self.student.exported])
        self.log.write_table()
        self.save(best=best)

    def evaluate(self, model: nn.Module) -> Metrics:
        """Evaluate weights of the student's architecture on the held-out images; its mode comes back afterwards."""
        self.processes.copy_buffers_from_main([model])
        was_training = model.training
        model.eval()
        try:
            how = PassSettings(
                batch_size=self.share,
                workers=self.job.workers,
                processes=self.processes,
                channels_last=self.job.training.channels_last,
                stop=self.stop,
            )
            return evaluate(self.student.predictor(model), self.job.val_source, self.job.eval_transform, how)[0]
        finally:
            model.train(was_training)

    def _checkpoint_if_due(self) -> None:
        step, every = self.at.step, self.job.training.checkpoint_every_steps
        at_end = step % self.order.steps_per_epoch == 0
        # After an epoch that is evaluated the checkpoint follows the evaluation.
        if not self._is_evaluated(step) and (at_end or (every and step % every == 0)):
            self.save()

    # -- the end -------------------------------------------------------------------------------------------------

    def result(self) -> TrainResult:
        """Export the student and write result.json."""
        training, at = self.job.training, self.at
        weights = self.student.candidates()[self.student.exported]
        metrics = Metrics.from_json(at.last if training.export == "last" else self._load_best(weights))
        result = TrainResult(
            run=str(self.folder.path),
            model=str(self.folder.model),
            metrics=metrics,
            best=metrics.value if at.best is None else at.best,
            epochs=training.epochs,
            steps=at.step,
            images_per_s=self.throughput.images_per_s,
            seconds=self.throughput.seconds,
            unreadable=len(at.unreadable),
        )
        if self.processes.is_main:
            evidence = {name: value for name, value in metrics.to_dict().items() if name in _EVIDENCE}
            origin = {"weights": training.export, "seed": self.job.seed}
            provenance: dict[str, Any] = {**self.job.provenance, **evidence, **origin}
            save_model(self.job.student, self.folder.model, provenance=provenance, model=weights)
            self.job.objective.export(self.folder.path)
            write_json(self.folder.result, result.to_dict())
        self.processes.barrier()
        return result

    def _load_best(self, model: nn.Module) -> dict[str, Any]:
        """Put the best evaluation's weights into the model; returns that evaluation."""
        path = self.folder.checkpoints / "best.safetensors"
        if not is_good(path):
            raise CheckpointError(f"{path} is damaged", hint="export the last weights: --set training.export=last")
        state = read_state(path)
        model.load_state_dict(state[self.student.exported])
        last: dict[str, Any] = state["position"]["last"]
        return last
