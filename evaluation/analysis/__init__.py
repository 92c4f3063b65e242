"""One page over several runs and results: curves, trade-offs, classes, calibration, transfer, weights, features."""

from .write import Analysis, write_analysis
