"""Classification: several models in one pass over the decoded images, every number with its protocol."""

from .classifiers import ClassificationSettings, evaluate_classifiers
from .protocol import EvaluatedModel, Overrides
