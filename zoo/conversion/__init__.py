"""Exact conversion of released weights to timm's key names, one declarative table a network."""

from .convert import ConvertedWeights, conversions, convert, released_network
from .table import Conversion
