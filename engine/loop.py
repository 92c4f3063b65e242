"""The run: steps, evaluations and checkpoints, from any position on."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn

from ..data import Batch, BatchOrder, train_batches
from ..data.randomness import seed_torch
from ..errors import CheckpointError, Interrupted, RunError
from ..zoo import forward_with_features, save_model
from .checkpoint import checkpoint_path, is_good, keep_as_best, newest_good, save_checkpoint
from .distributed import Processes, convert_sync_batchnorm, share_batch
from .ema import WeightAverage
from .evaluate import EvalResult, evaluate
from .files import write_json
from .job import Position, TrainJob, TrainResult
from .metrics import JsonLines, length_until, write_csv
from .phases import RunningPhase, run_phases, start_phases
from .precision import autocast, deterministic
from .progress import Progress, say
from .run_folder import RunFolder
from .signals import StopRequest
from .state_file import State, read_state
from .step import split_step
from .teachers import normalise
from .trackers import Tracker, open_trackers


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
        )
        if self.order.steps_per_epoch == 0:
            raise RunError(
                f"{job.train_source.name} has {len(job.train_source)} training images, less than one batch of "
                f"{training.batch_size}",
                hint="use a smaller --batch-size",
            )
        self.total_steps = self.order.steps_per_epoch * training.epochs
        self.layout = torch.channels_last if training.channels_last else torch.contiguous_format
        device = processes.device
        model = job.student.model.to(device=device, memory_format=self.layout)
        if training.sync_batchnorm:
            model = convert_sync_batchnorm(model, processes)
        self.model: nn.Module = model
        job.objective.to(device)
        processes.copy_from_main([model, job.objective])
        self._forward = self._build_forward()
        self.average = WeightAverage(model, training.ema_decay) if training.ema_decay is not None else None
        self.phases: list[RunningPhase] = start_phases(
            job.objective, model, job.optimizer, job.schedule, training.precision, device
        )
        self.at = Position()
        self.metrics: JsonLines | None = None
        self.speed: JsonLines | None = None
        self.trackers: list[Tracker] = []
        self._trained_s = 0.0
        self._waited_s = 0.0
        self._trained_steps = 0

    # -- forward passes ------------------------------------------------------------------------------------------

    def _build_forward(self) -> Any:
        model = self.model

        def forward(images: Tensor) -> tuple[Tensor, Tensor]:
            return forward_with_features(model, images)

        return torch.compile(forward) if self.job.training.compile else forward

    def student_forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images in [0, 1] to float32 logits and features, through the student in its training mode."""
        look = self.job.student.preprocessing
        with autocast(self.processes.device, self.job.training.precision):
            logits, features = self._forward(normalise(images, look.mean, look.std))
        return logits.float(), features.float()

    # -- state ---------------------------------------------------------------------------------------------------

    def state(self) -> State:
        """Everything that what is still to come depends on."""
        position = asdict(self.at)
        position["metrics_bytes"] = self.metrics.length() if self.metrics else 0
        return {
            "student": self.model.state_dict(),
            "ema": self.average.state() if self.average else {},
            "objective": self.job.objective.state_dict(),
            "phases": {running.phase.name: running.state() for running in self.phases},
            "position": position,
        }

    def load(self, state: State) -> None:
        """Go to where a checkpoint was written.

        Raises:
            CheckpointError: It belongs to another architecture or another objective.
        """
        try:
            self.model.load_state_dict(state["student"])
            if self.average:
                self.average.load(state["ema"])
            self.job.objective.load_state_dict(state["objective"])
            for running in self.phases:
                running.load(state["phases"][running.phase.name])
            position = dict(state["position"])
            metrics_bytes = position.pop("metrics_bytes")
            self.at = Position(**position)
        except (KeyError, ValueError, RuntimeError, TypeError) as error:
            first = str(error).strip().splitlines()
            raise CheckpointError(
                f"the checkpoint in {self.folder.checkpoints} does not fit this run ({' '.join(first[:2])})",
                hint="resume with the student and recipe that the run was started with",
            ) from error
        self._open_logs(metrics_bytes)

    def save(self, *, best: bool = False) -> None:
        """Write a checkpoint of the present position."""
        self.processes.copy_buffers_from_main([self.model])
        if self.processes.is_main:
            save_checkpoint(self.folder.checkpoints, self.at.step, self.state(), best=best)
        self.processes.barrier()

    def _open_logs(self, metrics_bytes: int = 0) -> None:
        if self.processes.is_main:
            self.metrics = JsonLines(self.folder.metrics, metrics_bytes)
            self.speed = JsonLines(self.folder.speed, length_until(self.folder.speed, self.at.step))
            self.trackers = open_trackers(self.job.trackers, self.folder.path, dict(self.job.config))

    def _log(self, line: dict[str, Any], *, speed: bool = False) -> None:
        target = self.speed if speed else self.metrics
        if target is not None:
            target.write(line)
            for tracker in self.trackers:
                tracker.log(line, self.at.step)

    # -- the loop ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Take up the newest good checkpoint, or begin."""
        say_main = say if self.processes.is_main else (lambda text: None)
        state = newest_good(self.folder.checkpoints, say_main) if self.job.resume else None
        if state is None:
            self._open_logs()
            return
        self.load(state)
        at = self.at
        say_main(
            f"resuming after step {at.step} of {self.total_steps} (epoch {at.step // self.order.steps_per_epoch + 1})"
        )
        if at.best_step == at.step and self.processes.is_main:  # killed between the checkpoint and its second name
            keep_as_best(checkpoint_path(self.folder.checkpoints, at.step))

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
        )
        progress = Progress(
            self.total_steps,
            "training",
            self.job.training.batch_size,
            start=self.at.step,
            quiet=not self.processes.is_main,
        )
        with contextlib.closing(batches), progress:
            waiting = iter(batches)
            while True:
                self._evaluate_if_due(progress)
                if self.at.step == self.total_steps:
                    return
                self._step(waiting, progress)
                self._checkpoint_if_due()

    def _step(self, batches: Iterator[Batch], progress: Progress) -> None:
        job, training = self.job, self.job.training
        began = time.perf_counter()
        batch = next(batches)
        waited = time.perf_counter() - began
        new = [item for item in batch.unreadable if item[0] not in self.at.unreadable]
        stop, num_new = self.processes.sum([float(self.stop.requested), float(len(new))])
        if stop:
            raise Interrupted("training interrupted")
        if num_new:
            self._count_unreadable(new, progress)
        step, epoch = self.at.step, self.at.step // self.order.steps_per_epoch
        seed_torch(job.seed, "step", step, self.processes.rank)
        self.model.train()
        job.objective.train()
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
            student=self.student_forward,
            teachers=job.teachers,
        )
        values, rates = run_phases(
            self.phases, job.objective, parts, training, self.processes, steps_per_epoch=self.order.steps_per_epoch
        )
        if self.average:
            self.average.update(self.model)
        self.at.step += 1
        for name, value in values.items():
            self.at.sums[name] = self.at.sums.get(name, 0.0) + value
        self.at.count += 1
        self._trained_s += time.perf_counter() - began
        self._waited_s += waited
        self._trained_steps += 1
        progress.step(values, self._waited_s / self._trained_s)
        if self.at.step % training.log_every_steps == 0 or self.at.step % self.order.steps_per_epoch == 0:
            self._log_terms(epoch, rates)

    def _log_terms(self, epoch: int, rates: dict[str, float]) -> None:
        means = {name: total / self.at.count for name, total in self.at.sums.items()}
        losses = [value for name, value in means.items() if name.rsplit("/", 1)[-1] != "grad_norm"]
        self._log({"kind": "train", "epoch": epoch, "step": self.at.step, **rates, "loss": sum(losses), **means})
        self._log(
            {
                "kind": "speed",
                "epoch": epoch,
                "step": self.at.step,
                "images_per_s": self.images_per_s(),
                "data_wait": self._waited_s / max(self._trained_s, 1e-9),
            },
            speed=True,
        )
        self.at.sums, self.at.count = {}, 0

    def images_per_s(self) -> float:
        """Training throughput of this process so far, all ranks together, evaluations and checkpoints left out."""
        return self._trained_steps * self.job.training.batch_size / max(self._trained_s, 1e-9)

    def _count_unreadable(self, new: list[tuple[int, str]], progress: Progress) -> None:
        source = self.job.train_source
        for found in self.processes.gather_objects(new):
            for sample, reason in found:
                self.at.unreadable[sample] = reason
                name = source.identity(sample)
                progress.say(f"warning: {name} cannot be decoded ({reason}); another image takes its place")
                self._log({"kind": "unreadable", "step": self.at.step, "image": name, "reason": reason})
        count, limit = len(self.at.unreadable), self.job.training.max_unreadable_fraction
        if count > limit * len(source):
            raise RunError(
                f"{count} of the {len(source)} training images cannot be decoded, more than {100 * limit:g} %",
                hint="'kdzoo data check' lists them; repair or remove them, or raise training.max_unreadable_fraction",
            )

    # -- evaluations, checkpoints, stops -------------------------------------------------------------------------

    def _evaluate_if_due(self, progress: Progress) -> None:
        training, step = self.job.training, self.at.step
        if step == 0 or step % self.order.steps_per_epoch or self.at.evaluated == step:
            return
        epoch, every = step // self.order.steps_per_epoch, training.evaluate_every_epochs
        last = step == self.total_steps
        if not last and (every == 0 or epoch % every):
            return
        candidates = {"student": self.model}
        if self.average:
            candidates["ema"] = self.average.model
        results = {name: self.evaluate(model) for name, model in candidates.items()}
        for name, result in results.items():
            self._log({"kind": "eval", "epoch": epoch, "step": step, "model": name, **result.to_dict()})
            progress.say(
                f"epoch {epoch}/{training.epochs}: {name} top-1 {result.top1:.2f} top-5 {result.top5:.2f} "
                f"loss {result.loss:.4f} ({result.num_images} images)"
            )
        exported = results["ema" if self.average else "student"]
        best = exported.top1 > self.at.best_top1
        if best:
            self.at.best_top1, self.at.best_step = exported.top1, step
        self.at.last = exported.to_dict()
        self.at.evaluated = step
        if self.processes.is_main:
            write_csv(self.folder.metrics)
        self.save(best=best)

    def evaluate(self, model: nn.Module) -> EvalResult:
        """Evaluate weights of the student's architecture on the held-out images; they come back as they were."""
        look = self.job.student.preprocessing
        self.processes.copy_buffers_from_main([model])
        was_training = model.training
        model.eval()

        def predict(images: Tensor) -> tuple[Tensor]:
            with autocast(self.processes.device, self.job.training.precision):
                return (model(normalise(images, look.mean, look.std)),)

        try:
            return evaluate(
                predict,
                self.job.val_source,
                self.job.eval_transform,
                batch_size=max(self.share, 1),
                workers=self.job.workers,
                processes=self.processes,
                channels_last=self.job.training.channels_last,
                stop=self.stop,
            )[0]
        finally:
            model.train(was_training)

    def _checkpoint_if_due(self) -> None:
        every, step = self.job.training.checkpoint_every_steps, self.at.step
        at_end = step % self.order.steps_per_epoch == 0
        if at_end:
            epoch = step // self.order.steps_per_epoch
            evaluations = self.job.training.evaluate_every_epochs
            evaluated_next = step == self.total_steps or (evaluations and epoch % evaluations == 0)
            if not evaluated_next:  # else the checkpoint follows the evaluation
                self.save()
        elif every and step % every == 0:
            self.save()

    def result(self) -> TrainResult:
        """Export the student and write result.json."""
        weights, last = self.average.model if self.average else self.model, self.at.last
        if self.job.training.export == "best":
            last = self._load_best(weights)
        result = TrainResult(
            run=str(self.folder.path),
            model=str(self.folder.model),
            top1=last["top1"],
            top5=last["top5"],
            loss=last["loss"],
            num_images=last["num_images"],
            epochs=self.job.training.epochs,
            steps=self.at.step,
            images_per_s=self.images_per_s(),
            seconds=self._trained_s,
            best_top1=self.at.best_top1,
            unreadable=len(self.at.unreadable),
        )
        if self.processes.is_main:
            evidence = {"top1": last["top1"], "top5": last["top5"], "num_images": last["num_images"]}
            provenance = {**self.job.provenance, **evidence, "weights": self.job.training.export, "seed": self.job.seed}
            save_model(self.job.student, self.folder.model, provenance=provenance, model=weights)
            write_csv(self.folder.metrics)
            write_json(self.folder.result, result.to_dict())
        self.processes.barrier()
        return result

    def _load_best(self, model: nn.Module) -> dict[str, Any]:
        """Put the best evaluation's weights into the model; returns that evaluation."""
        path = self.folder.checkpoints / "best.safetensors"
        if not is_good(path):
            raise CheckpointError(f"{path} is damaged", hint="export the last weights: --set training.export=last")
        state = read_state(path)
        model.load_state_dict(state["ema"] if self.average else state["student"])
        last: dict[str, Any] = state["position"]["last"]
        return last

    def close(self) -> None:
        """Close the logs."""
        for log in (self.metrics, self.speed, *self.trackers):
            if log is not None:
                log.close()


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
        finished = folder.read_result() if job.resume else None
        if finished is not None:
            if processes.is_main:
                say(f"the run in {folder.path} is finished; nothing to do")
            return TrainResult(**finished)
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
            run.close()
