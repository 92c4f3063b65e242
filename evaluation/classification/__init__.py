"""Classification: several models in one pass over the decoded images, every number with its protocol."""

from .measure import MeasureSettings, measure_classification
from .protocol import Overrides

__all__ = ["MeasureSettings", "Overrides", "measure_classification"]
