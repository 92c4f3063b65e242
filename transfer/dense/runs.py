"""Carrying a plan out: a run a side and seed, on the same images in the same order; then what they reached."""

from __future__ import annotations

import contextlib
import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import torch
from PIL import Image
from torch import Tensor, nn

from ...base.amounts import first_few
from ...base.writing import write_file, write_json
from ...data import TaskIterator
from ...data.workers import Task
from ...engine.distributed import Processes, start_processes
from ...engine.progress import Progress, say
from ...engine.signals import StopRequest
from ...engine.teachers import weights_sha256
from ...evaluation.results import MeasuredModel, PerClass, describe_model
from ..sides import Side
from .comparison import Comparison, SideRuns, compare, keep
from .engines import DenseNetwork, Engine
from .plan import DensePlan
from .schedule import IterationSchedule
from .train import DenseEvaluation, DenseJob, train_dense
from .trained import RECORD, network_record

Plan = TypeVar("Plan", bound=DensePlan[Any, Any, Any])
Network = TypeVar("Network", bound=DenseNetwork)


@dataclass(frozen=True, kw_only=True)
class DenseRun:
    """One run of a plan.

    Attributes:
        side: The backbone or the baseline.
        seed: Of the heads' first weights, the order of the images and their views.
        weights: SHA-256 of the backbone's weights.
        engine: Name and version.
        out: The run's folder.
        resume: Whether a run there goes on.
        processes: This process among the run's.
        stop: Asked between images.
    """

    side: Side
    seed: int
    weights: str
    engine: str
    out: Path
    resume: bool
    processes: Processes
    stop: StopRequest

    @contextlib.contextmanager
    def evaluation(self, task: Task[Any], count: int, workers: int) -> Iterator[Iterator[Any]]:
        """What ``task`` loads for 0 to ``count``, this process's share of the images, with progress and no gradients.

        Use as a context manager; it gives the batches.

        Raises:
            Interrupted: A signal came; what is shared between processes is looked at once, so only one alone stops.
        """
        batches: TaskIterator[Any] = TaskIterator(task, range(count), workers=workers)
        progress = Progress(count, "evaluating", self.processes.world_size, quiet=not self.processes.is_main)
        with batches, progress, torch.no_grad():
            yield self._each(batches, progress)

    def _each(self, batches: TaskIterator[Any], progress: Progress) -> Iterator[Any]:
        for batch in batches:
            if self.processes.world_size == 1:
                self.stop.raise_if_requested("evaluation")
            yield batch
            progress.step({})


class ShownTask:
    """Loads an evaluation image as a network is shown it, in a loader's process.

    Args:
        source: The images.
        view: See `DensePredictor`.
        chosen: Which images, by place.
    """

    def __init__(self, source: Any, view: Callable[[Image.Image], Any], chosen: Sequence[int]) -> None:
        self.source, self.view, self.chosen = source, view, chosen

    def __call__(self, index: int) -> Any:
        """The image at a place in ``chosen``."""
        return self.view(self.source.load(self.chosen[index]))


class DenseTask(ABC, Generic[Plan, Network]):
    """What one kind of dense measurement does in its own way."""

    NAME: ClassVar[str]
    """As results name it."""

    NETWORK: ClassVar[str]
    """What is built, for a reader: ``"detector"``."""

    METRICS: ClassVar[tuple[str, ...]]
    """In the order they are shown."""

    @abstractmethod
    def engine(self, plan: Plan) -> Engine[Any, Network]:
        """The framework that was chosen."""

    @abstractmethod
    def job(self, plan: Plan, network: Network, run: DenseRun) -> DenseJob:
        """What a run trains and how it is measured; see `dense_job`."""

    @abstractmethod
    def per_class(self, plan: Plan, measured: SideRuns) -> PerClass:
        """One side's values by class."""

    def classes(self, plan: Plan) -> dict[str, Any]:
        """What a run records of its classes."""
        return {"class_names": list(plan.data[1].class_names)}

    @abstractmethod
    def write_report(self, comparison: Comparison) -> Path:
        """Write ``report.html``."""

    def prepare(self, plan: Plan, network: Network, processes: Processes) -> Network:
        """The network as these processes train it."""
        return network

    def log(self, plan: Plan, out: Path, processes: Processes) -> contextlib.AbstractContextManager[None]:
        """Where the framework's own words go while it runs."""
        return contextlib.nullcontext()


def run_plan(task: DenseTask[Plan, Any], plan: Plan, *, out: str | Path, resume: bool = False) -> Comparison:
    """Train and measure every side with every seed.

    Args:
        task: The kind of measurement.
        plan: Settled.
        out: Gets a run folder a side and seed, the results and the report.
        resume: Whether runs there go on; finished ones are kept.

    Raises:
        KdzooError: Something the plan needs is missing; or as ``train_dense``.
    """
    if plan.problems:
        raise plan.problems[0]
    folder = Path(out).expanduser()
    with start_processes(plan.device) as processes:
        with StopRequest() as stop, task.log(plan, folder, processes):
            measured = [_run_side(task, plan, side, folder, resume, processes, stop) for side in plan.sides]
        per_class = [task.per_class(plan, one) for one in measured]
        comparison = compare(plan, measured, task=task.NAME, metrics=task.METRICS, per_class=per_class, out=folder)
        if processes.is_main:
            keep(comparison)
            comparison = dataclasses.replace(comparison, report=str(task.write_report(comparison)))
    return comparison


def dense_job(
    plan: DensePlan[Any, Any, Any],
    network: DenseNetwork,
    run: DenseRun,
    *,
    groups: list[dict[str, Any]],
    schedule: IterationSchedule,
    load: Task[Any],
    losses: Callable[[nn.Module, Any, torch.device], dict[str, Tensor]],
    evaluate: Callable[[nn.Module], DenseEvaluation],
) -> DenseJob:
    """A run's job: SGD as the plan's settings have it, and what a resumed run must share with its beginning.

    Args:
        plan: What is measured.
        network: What is trained.
        run: Where and by whom.
        groups: See `parameter_groups`.
        schedule: Of the rate.
        load: See `DenseJob`.
        losses: See `DenseJob`.
        evaluate: See `DenseJob`.
    """
    own = plan.settings
    train, val = plan.data
    return DenseJob(
        title=f"{plan.network} over {run.side.reference}, seed {run.seed}",
        name=run.side.role,
        model=network.model,
        optimizer=torch.optim.SGD(groups, lr=own.lr, momentum=own.momentum),
        lr=own.lr,
        schedule=schedule,
        load=load,
        losses=losses,
        evaluate=evaluate,
        batch_size=own.batch_size,
        seed=run.seed,
        workers=plan.workers,
        out=run.out,
        resume=run.resume,
        config={
            "task": str(plan.spec),
            "role": run.side.role,
            "protocol": plan.line(),
            "settings": plan.resolved.to_dict(),
        },
        fixed={
            "reference": run.side.reference,
            "weights_sha256": run.weights,
            "engine": run.engine,
            "seed": run.seed,
            "train": train.fingerprint(),
            "val": val.fingerprint(),
            **plan.values(),
            **network.fixed,
        },
        trackers=plan.trackers,
        precision=plan.precision,
        max_grad_norm=own.max_grad_norm or None,
        deterministic=plan.is_deterministic(run.processes.device),
        cudnn_benchmark=plan.CUDNN_BENCHMARK,
        checkpoint_every=own.checkpoint_every,
        evaluate_every=plan.evaluate_every,
        extra_state=network.extra_state,
    )


def _run_side(
    task: DenseTask[Plan, Any],
    plan: Plan,
    side: Side,
    out: Path,
    resume: bool,
    processes: Processes,
    stop: StopRequest,
) -> SideRuns:
    engine = task.engine(plan)
    measured: SideRuns | None = None
    described: MeasuredModel | None = None
    for seed in plan.seeds:
        loaded = side.load(seed=seed)
        weights = weights_sha256(loaded.model)
        described = described or describe_model(loaded)  # before the engine takes it apart
        record = network_record(
            loaded,
            kind=task.NAME,
            engine=plan.engine.name,
            classes=task.classes(plan),
            settings=plan.resolved.values(),
        )
        network = engine.build(loaded, plan.settings, plan.num_classes, seed)
        if measured is None:
            measured = SideRuns(side, described, engine.version, network.unused, network.notes)
            if processes.is_main:
                for line in (*network.notes, unused_line(side.reference, task.NETWORK, network.unused)):
                    say(f"{side.role}: {line}")
        run = DenseRun(
            side=side,
            seed=seed,
            weights=weights,
            engine=f"{plan.engine.name} {engine.version}",
            out=out / f"{side.role}-seed{seed}",
            resume=resume,
            processes=processes,
            stop=stop,
        )
        job = task.job(plan, task.prepare(plan, network, processes), run)
        measured.runs.append(train_dense(job, processes, stop))
        if processes.is_main:
            write_json(run.out / RECORD, record)
            for name, text in network.documents.items():
                write_file(run.out / name, text)
    assert measured is not None
    return measured


def unused_line(reference: str, network: str, unused: tuple[str, ...]) -> str:
    """Which of a backbone's weights a network does without, in one line."""
    if not unused:
        return f"every weight of {reference} is in the {network}"
    return f"weights of {reference} that the {network} does not use: {first_few(unused, 4)}"
