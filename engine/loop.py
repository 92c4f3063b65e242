"""Distillation and supervised training of a classifier or a gaze network, as the driver runs them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn

from ..base.errors import CheckpointError
from ..base.metrics import Metrics
from ..base.run_documents import TrainResult
from ..base.writing import write_json
from ..data import Batch, BatchOrder, train_batches
from ..zoo import save_model
from .checkpoint import is_good
from .distributed import Processes, share_batch
from .divergence import LossGuard
from .driver import Training, drive
from .evaluate import PassSettings, evaluate
from .features import evaluate_objective
from .job import TrainJob
from .phases import run_phases, start_phases
from .position import Cadence, Evaluation, Position
from .result_warnings import result_warnings
from .run_folder import RunFolder
from .run_log import Throughput
from .signals import StopRequest
from .state_file import State, read_state
from .step import StepContext, split_step
from .student import Student
from .unreadable import UnreadableImages

__all__ = ["TrainJob", "TrainResult", "train"]

_EVIDENCE = ("top1", "top5", "mAP", "angular_error", "feature_cosine", "num_images")
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
        KdzooError: As `drive`; CheckpointError for a finished run whose result has no accuracy.
    """
    found = drive(
        job,
        lambda: StudentTraining(job, processes, stop),
        processes,
        stop,
        only_deterministic=job.training.deterministic,
        command_out=job.out,
    )
    result = RunFolder(job.out).train_result(found)
    assert result is not None
    return result


class StudentTraining(Training[Batch]):
    """A student that is trained for an objective, epoch by epoch.

    Args:
        job: What to do.
        processes: This process among the run's.
        stop: Asked between the batches of an evaluation.
    """

    RESUME_WITH: ClassVar[str] = "the student and recipe"

    def __init__(self, job: TrainJob, processes: Processes, stop: StopRequest) -> None:
        self.job, self.processes, self.stop = job, processes, stop
        training = job.training
        self.batch_size = training.batch_size
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
            views_per_decode=training.views_per_decode,
        )
        epoch = self.order.steps_per_epoch
        self.cadence = Cadence(
            steps=epoch * training.epochs,
            epoch=epoch,
            evaluate_every=epoch * training.evaluate_every_epochs,
            checkpoint_every=training.checkpoint_every_steps,
            log_every=training.log_every_steps,
            patience=training.patience,
        )
        self.student = Student(job.student, training, processes, reads_maps=job.objective.reads_maps)
        job.objective.to(processes.device)
        processes.copy_from_main([job.objective])
        self.phases = start_phases(
            job.objective, self.student.model, job.optimizer, job.schedule, training.precision, processes.device
        )
        num_classes = None if job.train_source.is_regression else job.student.num_classes or None
        self.guard = LossGuard(self.phases, training, num_classes)
        self.context = StepContext(
            student=self.student,
            teachers=job.teachers,
            num_training_images=len(job.train_source),
            seed=job.seed,
            processes=processes,
            reads_maps=job.objective.reads_maps,
            mixing=job.mixing,
            parts=training.accumulate,
            layout=torch.channels_last if training.channels_last else torch.contiguous_format,
            store=job.labels,
        )
        self.at = Position()

    @property
    def unreadable(self) -> UnreadableImages:
        return UnreadableImages(self.job.train_source, self.job.training.max_unreadable_fraction, self.at.unreadable)

    def state(self) -> State:
        self.processes.copy_buffers_from_main([self.student.model])
        return {
            **self.student.state(),
            "objective": self.job.objective.state_dict(),
            "phases": {running.phase.name: running.updater.state() for running in self.phases},
        }

    def load(self, state: State) -> dict[str, Any]:
        self.student.load(state)
        self.job.objective.load_state_dict(state["objective"])
        for running in self.phases:
            running.updater.load(state["phases"][running.phase.name])
        return dict(state["position"])

    def batches(self) -> AbstractContextManager[Iterator[Batch]]:
        return contextlib.closing(
            train_batches(
                self.job.train_source,
                self.job.augmentation,
                self.order,
                steps=range(self.at.step, self.order.total_steps),
                workers=self.job.workers,
                pin_memory=self.processes.device.type == "cuda",
                labels=self.job.labels,
                teacher_sizes=self.job.teacher_sizes,
            )
        )

    def step(self, batch: Batch) -> tuple[dict[str, float], dict[str, float]]:
        job, training = self.job, self.job.training
        self.student.model.train()
        job.objective.train()
        job.objective.set_modes(self.student.model)
        epoch = self.at.step // self.order.steps_per_epoch
        parts = split_step(batch, self.context, epoch=epoch, step=self.at.step)
        found = run_phases(
            self.phases, job.objective, parts, training, self.processes, steps_per_epoch=self.order.steps_per_epoch
        )
        self.student.after_step()
        self.guard.look(found[0], self.at)
        return found

    def evaluate(self) -> dict[str, Metrics]:
        return {name: self._evaluate(model) for name, model in self.student.candidates().items()}

    def count_evaluation(self, found: Mapping[str, Evaluation]) -> bool:
        return self.at.count_evaluation(found[self.student.exported])

    def _evaluate(self, model: nn.Module) -> Metrics:
        """Evaluate weights of the student's architecture; the network's mode comes back afterwards."""
        job = self.job
        self.processes.copy_buffers_from_main([model])
        was_training = model.training
        model.eval()
        try:
            how = PassSettings(
                batch_size=self.share // job.training.accumulate,
                workers=job.workers,
                processes=self.processes,
                channels_last=job.training.channels_last,
                stop=self.stop,
                teacher_sizes=() if job.objective.primary is None else job.teacher_sizes,
            )
            if job.objective.primary is not None:
                context = replace(self.context, student=self.student.answers(model))
                return evaluate_objective(job.objective.eval(), context, job.val_source, job.eval_transform, how)
            return evaluate(self.student.predictor(model), job.val_source, job.eval_transform, how)[0]
        finally:
            model.train(was_training)

    def finish(self, folder: RunFolder, throughput: Throughput) -> dict[str, Any]:
        """Export the student and write result.json.

        Raises:
            RunError: A teacher changed during the run.
        """
        job, training, at = self.job, self.job.training, self.at
        if job.teachers is not None:
            job.teachers.verify_unchanged()
        weights = self.student.candidates()[self.student.exported]
        metrics = Metrics.from_json(
            at.last if training.export == "last" else self._load_best(weights, folder.checkpoints)
        )
        held_out = job.val_source
        truth = held_out.targets if held_out.is_multilabel else held_out.labels
        assert truth is not None
        result = TrainResult(
            run=str(folder.path),
            model=str(folder.model),
            metrics=metrics,
            best=metrics.value if at.best is None else at.best,
            epochs=at.step // self.order.steps_per_epoch,
            steps=at.step,
            images_per_s=throughput.images_per_s,
            seconds=throughput.seconds,
            unreadable=len(at.unreadable),
            warnings=result_warnings(metrics, truth, job.student.num_classes, job.config.get("teacher_reports", ())),
        ).to_dict()
        if self.processes.is_main:
            evidence = {name: value for name, value in metrics.to_dict().items() if name in _EVIDENCE}
            origin = {"weights": training.export, "seed": job.seed}
            provenance: dict[str, Any] = {**job.provenance, **evidence, **origin}
            save_model(job.student, folder.model, provenance=provenance, model=weights)
            job.objective.export(folder.path)
            write_json(folder.result, result)
        return result

    def _load_best(self, model: nn.Module, checkpoints: Path) -> dict[str, Any]:
        """Put the best evaluation's weights into the model; returns that evaluation."""
        path = checkpoints / "best.safetensors"
        if not is_good(path):
            raise CheckpointError(f"{path} is damaged", hint="export the last weights: --set training.export=last")
        state = read_state(path)
        model.load_state_dict(state[self.student.exported])
        last: dict[str, Any] = state["position"]["last"]
        return last
