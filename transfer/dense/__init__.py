"""Training what answers for every place of an image: detectors and segmentors, whatever framework built them."""

from __future__ import annotations

from .groups import parameter_groups
from .schedule import IterationSchedule
from .train import DenseJob, train_dense

__all__ = ["DenseJob", "IterationSchedule", "parameter_groups", "train_dense"]
