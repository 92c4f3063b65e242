"""Metrics over tensors and arrays: no files, no models. Each one is held to an independent reference by the tests."""

from .accuracy import class_accuracies, mean_class_accuracy, share_within
from .agreement import kl_divergence
from .calibration import NUM_BINS, ReliabilityBin, expected_calibration_error, reliability_bins
from .ranking import log_probabilities, negative_log_likelihood, num_ahead, rank_classes

__all__ = [
    "NUM_BINS",
    "ReliabilityBin",
    "class_accuracies",
    "expected_calibration_error",
    "kl_divergence",
    "log_probabilities",
    "mean_class_accuracy",
    "negative_log_likelihood",
    "num_ahead",
    "rank_classes",
    "reliability_bins",
    "share_within",
]
