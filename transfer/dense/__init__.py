"""Dense tasks over a backbone: what detection and segmentation share, whatever framework built the network."""

from __future__ import annotations

from .comparison import Comparison, SideRuns
from .cost import DenseCost
from .groups import parameter_groups
from .runs import DenseRun, DenseTask, ShownTask, dense_job, run_plan
from .schedule import IterationSchedule
from .train import DenseEvaluation, DenseJob, train_dense

__all__ = [
    "Comparison",
    "DenseCost",
    "DenseEvaluation",
    "DenseJob",
    "DenseRun",
    "DenseTask",
    "IterationSchedule",
    "ShownTask",
    "SideRuns",
    "dense_job",
    "parameter_groups",
    "run_plan",
    "train_dense",
]
