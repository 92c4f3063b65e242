"""Two models side by side: every number that both have, tested in pairs where their answers are kept."""

from .compare import ComparedResult, ModelComparison, compare_results
from .numbers import ComparedNumber
from .paired import PairedTest, paired_test
