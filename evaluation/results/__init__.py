"""Measured numbers on disk: one JSON document a model, data set and protocol, with the predictions beside it."""

from .describe import describe_model
from .document import Interval, MeasuredModel, PerClass, Result
from .predictions import Predictions
from .store import default_folder, read_predictions, read_results, results_folder, results_frame, write_result
